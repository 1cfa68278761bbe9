#include "engine/maker.h"

#include <fmt/format.h>

#include "core/base/encoding.h"
#include "engine/fields.h"

namespace mailsbuddy::engine {
namespace {

// What the engine itself says at the top of a campaign's message. The Message-ID depends on the row alone, so that a
// second attempt of the same row can be recognised as the same message.
std::string leading_headers(const Prepared& prepared, TimePoint now) {
  const Job& job = *prepared.job;
  return fmt::format("{}To: {}\r\nDate: {}\r\nMessage-ID: <{}.{:x}.{:x}@{}>\r\n", job.from_header, prepared.recipient,
                     format_date(now), job.uid.str(), prepared.row.key.domain, prepared.row.key.row, job.from_domain);
}

}  // namespace

Maker::Maker(bounce::VerpKey verp_key, std::size_t max_message_bytes, std::shared_ptr<const dkim::KeyRing> keys,
             Load load)
    : verp_key_(verp_key), max_message_bytes_(max_message_bytes), load_(std::move(load)), keys_(std::move(keys)) {}

void Maker::set_keys(std::shared_ptr<const dkim::KeyRing> keys) {
  const std::lock_guard lock(keys_mutex_);
  keys_.swap(keys);  // The old ring, if nobody signs with it, goes after the lock.
}

std::shared_ptr<const dkim::KeyRing> Maker::keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

namespace {

Result<dkim::Signers> signers_for(const dkim::KeyRing& keys, std::string_view from_domain, TimePoint now) {
  auto signers = keys.signers_for(from_domain, now);
  if (!signers || !signers->empty()) return signers;
  return Error{ErrorCode::kInvalidArgument, fmt::format("no DKIM key signs for '{}', the domain of From", from_domain)};
}

}  // namespace

Result<void> Maker::check_signers(std::string_view from_domain, TimePoint now) const {
  const auto ring = keys();
  if (ring == nullptr) return {};
  auto signers = signers_for(*ring, from_domain, now);
  if (!signers) return std::move(signers).error();
  return {};
}

namespace {

Outcome failure(Cause cause, std::string detail) {
  return {.stage = Stage::kMake, .cause = cause, .reply = {}, .detail = std::move(detail)};
}

}  // namespace

// A message before it is signed: `octets` are of one of those above it.
struct Maker::Draft {
  Prepared& prepared;
  std::string rendered{};
  std::shared_ptr<const std::string> data{};
  std::string seven_bit{};
  std::string_view octets{};
  dkim::Signers signers{};
};

// Writes a campaign's message for one row.
Result<void> Maker::render(Prepared& prepared, TimePoint now, std::string& message) const {
  const Job& job = *prepared.job;
  const auto today = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
  prepared.mail_from.reserve(bounce::kVerpBytes + 1 + job.return_path_domain.size());
  verp_key_.encode({.campaign = token_number(job),
                    .recipient = row_number(prepared.row.key),
                    .day = static_cast<std::uint32_t>(today)},
                   prepared.mail_from);
  prepared.mail_from.append("@").append(job.return_path_domain);

  std::vector<std::string_view> names(job.columns.begin(), job.columns.end());
  std::vector<std::string_view> values;
  values.reserve(names.size());
  unpack_fields(prepared.row.fields, values);
  values.resize(job.row_columns);
  values.push_back(prepared.recipient);  // In the order of kEngineFields, then address_field.
  values.push_back(job.id);
  values.push_back(job.account);
  values.push_back(std::string_view(prepared.mail_from).substr(0, bounce::kVerpBytes));
  if (names.size() > values.size()) values.push_back(prepared.recipient);
  return job.content.render({.names = names, .values = values}, leading_headers(prepared, now), message);
}

// The octets to sign, or why there are none.
void Maker::write(Draft& draft, TimePoint now) const {
  Prepared& prepared = draft.prepared;
  const Job& job = *prepared.job;
  if (job.campaign) {
    if (auto made = render(prepared, now, draft.rendered); !made) {
      prepared.failure = failure(Cause::kRenderFailed, made.error().detail);
      return;
    }
    draft.octets = draft.rendered;
  } else {
    draft.data = job.data.get();
    if (draft.data == nullptr) draft.data = load_(job);
    if (draft.data == nullptr) {
      prepared.unread = true;
      return;
    }
    prepared.mail_from = job.sender;
    each_recipient(prepared, [](Prepared& each) { each.dsn = unpack_report(each.row.fields); });
    draft.octets = *draft.data;
  }
  if (prepared.seven_bit && !is_ascii(draft.octets)) {  // Before it is signed: what comes after breaks a signature.
    if (auto made = to_seven_bit(draft.octets)) {
      draft.octets = draft.seven_bit = *std::move(made);
    } else {
      prepared.stays_eight_bit = std::move(made).error().detail;
    }
  }
  if (draft.octets.size() > max_message_bytes_) {
    prepared.failure =
        failure(Cause::kTooLarge, fmt::format("{} octets, the limit is {}", draft.octets.size(), max_message_bytes_));
  }
}

// Never unsigned for want of a key: a ring that was swapped in may no longer have one for a campaign that has begun.
void Maker::sign(std::span<Draft> drafts, TimePoint now) const {
  const auto ring = keys();
  std::vector<dkim::SignTask> tasks;
  std::vector<Draft*> of;  // The tasks.
  for (Draft& draft : drafts) {
    Prepared& prepared = draft.prepared;
    if (prepared.failure || prepared.unread) continue;
    // A signature takes about a thousand octets; it is folded by us: CRLF lines, none begins with a dot.
    prepared.wire.reserve(draft.octets.size() + 2048);
    if (ring == nullptr) continue;
    auto signers = signers_for(*ring, prepared.job->from_domain, now);
    if (!signers) {
      prepared.failure = failure(Cause::kSignFailed, std::move(signers).error().detail);
      continue;
    }
    draft.signers = *signers;
    tasks.push_back({.signers = draft.signers.view(), .message = draft.octets, .out = &prepared.wire});
    of.push_back(&draft);
  }
  dkim::sign_batch(tasks, now);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!tasks[i].result) of[i]->prepared.failure = failure(Cause::kSignFailed, tasks[i].result.error().detail);
  }
}

// Beside large messages a signature is nothing: they wait for no others.
void Maker::make(std::span<const PreparedPtr> some, TimePoint now) const {
  constexpr std::size_t kDraftedBytesMax = 1 << 20;
  std::vector<Draft> drafts;
  drafts.reserve(some.size());
  std::size_t bytes = 0;
  const auto finish = [&] {
    sign(drafts, now);
    for (const Draft& draft : drafts) {
      Prepared& prepared = draft.prepared;
      if (prepared.failure || prepared.unread) continue;
      prepared.message_bytes = prepared.wire.size() + draft.octets.size();
      prepared.eight_bit = smtp::dot_stuff(draft.octets, prepared.wire);
      prepared.smtputf8 = prepared.job->smtputf8 || !is_ascii(prepared.recipient);
    }
    drafts.clear();
    bytes = 0;
  };
  for (const PreparedPtr& each : some) {
    Draft& draft = drafts.emplace_back(Draft{.prepared = *each});
    write(draft, now);
    bytes += draft.octets.size();
    if (bytes > kDraftedBytesMax) finish();
  }
  finish();
}

}  // namespace mailsbuddy::engine
