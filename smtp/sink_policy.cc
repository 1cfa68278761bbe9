#include "smtp/sink_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/hash.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kReplyMax = 510;  // RFC 5321 4.5.3.1.5, without CRLF.

bool is_refusal(std::string_view reply) noexcept {
  return reply.size() >= 4 && reply.size() <= kReplyMax && (reply[0] == '4' || reply[0] == '5') &&
         ascii::is_digit(reply[1]) && ascii::is_digit(reply[2]) && reply[3] == ' ' &&
         std::none_of(reply.begin(), reply.end(), ascii::is_control);
}

}  // namespace

bool HashSet::place(std::uint64_t hash) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at] != 0 && slots_[at] != hash) at = (at + 1) & mask;
  return std::exchange(slots_[at], hash) == 0;
}

bool HashSet::insert(std::uint64_t hash) {
  if (size_ >= kDeferredMax) return false;
  if (size_ * 4 >= slots_.size() * 3) {
    const std::vector<std::uint64_t> old =
        std::exchange(slots_, std::vector<std::uint64_t>(std::max<std::size_t>(slots_.size() * 2, 64)));
    for (const std::uint64_t each : old)
      if (each != 0) place(each);
  }
  const bool added = place(hash == 0 ? 1 : hash);
  size_ += added ? 1 : 0;
  return added;
}

void SinkCounters::merge_into(SinkCounts& counts) const noexcept {
  const auto merge = [](std::uint64_t& into, const std::atomic<std::uint64_t>& from) {
    into += from.load(std::memory_order_relaxed);
  };
  merge(counts.connections, connections);
  merge(counts.connections_refused, connections_refused);
  merge(counts.accepted, accepted);
  merge(counts.deferred, deferred);
  merge(counts.rejected, rejected);
  merge(counts.data_rejected, data_rejected);
  merge(counts.tls_handshakes, tls_handshakes);
  merge(counts.bytes, bytes);
  merge(counts.protocol_errors, protocol_errors);
}

Result<void> SinkPolicy::check(const SinkProfile& profile) {
  const auto wrong = [&](std::string_view what) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("sink profile \"{}\": {}", profile.name, what)};
  };
  for (const double chance : {profile.defer_chance, profile.reject_chance, profile.data_reject_chance})
    if (!(chance >= 0 && chance <= 1)) return wrong("a chance is not between 0 and 1");
  for (const std::string& reply : {profile.defer_reply, profile.reject_reply, profile.data_reject_reply})
    if (!is_refusal(reply)) return wrong(fmt::format("\"{}\" is no 4yz or 5yz reply on one line", reply));
  if (profile.latency < Duration{0}) return wrong("latency is negative");
  if (profile.messages_per_connection < 0) return wrong("messages_per_connection is negative");
  if (profile.connections_max < 0) return wrong("connections_max is negative");
  if (profile.banner_host.empty() ||
      !std::all_of(profile.banner_host.begin(), profile.banner_host.end(), ascii::is_visible))
    return wrong("banner_host is no host name");
  return {};
}

SinkPolicy::SinkPolicy(const SinkProfile& profile, std::uint64_t seed)
    : profile_(profile),
      server_options_{.host = profile.banner_host,
                      .start_tls = profile.start_tls,
                      .pipelining = profile.pipelining,
                      .chunking = profile.chunking,
                      .smtputf8 = profile.smtputf8,
                      .size_max = profile.size_max},
      seed_(seed) {}

bool SinkPolicy::take_connection() noexcept {
  int open = open_.load(std::memory_order_relaxed);
  while (profile_.connections_max == 0 || open < profile_.connections_max)
    if (open_.compare_exchange_weak(open, open + 1, std::memory_order_relaxed)) return true;
  return false;
}

std::uint64_t SinkPolicy::key(std::string_view recipient) const noexcept {
  std::array<char, kPathMax> lower;
  const std::size_t size = std::min(recipient.size(), lower.size());
  std::transform(recipient.begin(), recipient.begin() + static_cast<std::ptrdiff_t>(size), lower.begin(),
                 [](char c) { return ascii::to_lower(c); });
  return siphash64({seed_, 0}, {lower.data(), size});
}

bool SinkPolicy::happens(double chance, Draw draw, std::uint64_t key, Random& random) const noexcept {
  if (chance <= 0) return false;
  if (chance >= 1) return true;
  if (!profile_.sticky) return random.unit() < chance;
  const std::uint64_t drawn = siphash64({key, static_cast<std::uint64_t>(draw)}, {});
  return static_cast<double>(drawn >> 11) * 0x1p-53 < chance;
}

SinkPolicy::Verdict SinkPolicy::on_recipient(std::uint64_t key, Random& random) {
  if (happens(profile_.reject_chance, Draw::kReject, key, random)) return Verdict::kReject;
  if (!happens(profile_.defer_chance, Draw::kDefer, key, random)) return Verdict::kAccept;
  if (!profile_.sticky) return Verdict::kDefer;
  const std::lock_guard lock(mutex_);
  return deferred_.insert(key) ? Verdict::kDefer : Verdict::kAccept;
}

bool SinkPolicy::refuses_data(std::uint64_t key, Random& random) const noexcept {
  return happens(profile_.data_reject_chance, Draw::kData, key, random);
}

bool SinkPolicy::sampled(std::uint64_t key, double share, Random& random) const noexcept {
  return happens(share, Draw::kSample, key, random);
}

}  // namespace mailsbuddy::smtp
