// sts_finder.cc - one domain's way: what is kept, the TXT record, the fetch.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/ascii.h"
#include "core/base/timer_wheel.h"
#include "core/net/lru.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

using std::chrono::seconds;

constexpr std::size_t kStsEntriesMax = 100'000;            // Policies kept: of far more domains than publish one.
constexpr Duration kRefreshAge = std::chrono::hours(24);   // RFC 8461 10.2: clients refresh about daily.
constexpr Duration kRetryAfter = std::chrono::minutes(5);  // RFC 8461 3.3: five minutes at least after a failed fetch.
constexpr std::size_t kPolicyBytesMax = 64 * 1024;
constexpr std::string_view kSavedVersion = "mailsbuddy sts 1\n";

struct Kept {
  std::shared_ptr<const StsPolicy> policy{};  // Null: none was to be had yet.
  std::string id{};                           // Of the record it was fetched under.
  TimePoint fetched{};
  TimePoint expires{};
  TimePoint retry_at{};     // No fetch before it.
  std::string failed_id{};  // Under which id the last fetch failed.
  std::string failure{};    // Of the last fetch.
};

std::string fetch_failure(const net::HttpsReply& reply) {
  const char* type = reply.failure == net::HttpsFailure::kTls ? "sts-webpki-invalid" : "sts-policy-fetch-error";
  return fmt::format("{}: {}: {}", type, to_string(reply.failure), reply.detail);
}

// RFC 8461 3.3: 200, and text/plain with whatever parameters.
Result<StsPolicy> policy_of(const net::HttpsReply& reply, std::string& failure) {
  const auto fail = [&](std::string why) {
    failure = std::move(why);
    return Error{ErrorCode::kUnavailable, failure};
  };
  if (reply.failure != net::HttpsFailure::kNone) return fail(fetch_failure(reply));
  if (reply.status != 200) return fail(fmt::format("sts-policy-fetch-error: HTTP status {}", reply.status));
  const std::string_view type = std::string_view(reply.content_type).substr(0, reply.content_type.find(';'));
  if (!ascii::iequals(ascii::trim(type), "text/plain"))
    return fail(fmt::format("sts-policy-invalid: it is of type \"{}\"", reply.content_type.substr(0, 80)));
  auto policy = StsPolicy::parse(reply.body);
  if (!policy) return fail("sts-policy-invalid: " + policy.error().detail);
  return policy;
}

}  // namespace

struct StsFinder::State {
  // Those who wait for one domain's fetch.
  struct Fetch {
    std::vector<Done> waiting;
    std::unique_ptr<Timer> patience;  // When it is over, what is kept has to do.
  };

  void find(std::string_view domain, Done done);
  void recorded(const std::string& domain, const net::DnsAnswer<std::string>& answer, Done done);
  bool wants_fetch(const Kept* kept, const std::string& id) const;
  void fetch(const std::string& domain, const std::string& id, Done done);
  void fetched(const std::string& domain, const std::string& id, const net::HttpsReply& reply);
  void answer(const std::string& domain, std::vector<Done> waiting);
  Found found(const std::string& domain);
  std::string save();
  void load(std::string_view saved);
  bool load_entry(std::string_view& saved);

  net::Loop& loop;
  net::Resolver& resolver;
  net::HttpsClient& https;
  net::Lru<Kept> kept{kStsEntriesMax};
  std::unordered_map<std::string, Fetch> fetches{};
  bool changed = false;
  std::shared_ptr<const bool> alive = std::make_shared<const bool>(true);
};

void StsFinder::State::find(std::string_view given, Done done) {
  std::string domain = ascii::to_lower(given);
  if (domain.ends_with('.')) domain.pop_back();
  resolver.txt("_mta-sts." + domain, [this, guard = std::weak_ptr(alive), domain,
                                      done = std::move(done)](const net::DnsAnswer<std::string>& answer) mutable {
    if (!guard.expired()) recorded(domain, answer, std::move(done));
  });
}

// RFC 8461 5.1: a policy that is kept and not expired holds also when the record has gone or cannot be had.
void StsFinder::State::recorded(const std::string& domain, const net::DnsAnswer<std::string>& answer, Done done) {
  const auto id = answer.status == net::DnsStatus::kOk ? parse_sts_record(answer.records) : std::nullopt;
  const Kept* entry = kept.find(domain);
  if (!id || !wants_fetch(entry, *id)) {
    Found now = found(domain);
    if (!id) now.failure.clear();
    return done(now);
  }
  const bool fresh = entry != nullptr && entry->policy != nullptr && entry->id == *id && entry->expires > loop.now();
  if (!fresh) return fetch(domain, *id, std::move(done));
  fetch(domain, *id, nullptr);  // Only to make it younger.
  done(found(domain));
}

bool StsFinder::State::wants_fetch(const Kept* entry, const std::string& id) const {
  if (entry == nullptr) return true;
  const TimePoint now = loop.now();
  const bool waits = entry->retry_at > now && (entry->failed_id == id || entry->failed_id.empty());
  if (waits) return false;
  if (entry->policy == nullptr || entry->id != id || entry->expires <= now) return true;
  const Duration young = std::min<Duration>(kRefreshAge, (entry->expires - entry->fetched) / 2);
  return now - entry->fetched >= young;
}

// One at a time for a domain: whoever comes meanwhile waits for the same.
void StsFinder::State::fetch(const std::string& domain, const std::string& id, Done done) {
  const auto [place, first] = fetches.try_emplace(domain);
  if (done) place->second.waiting.push_back(std::move(done));
  if (!first) {
    if (place->second.patience == nullptr) answer(domain, std::exchange(place->second.waiting, {}));
    return;
  }
  place->second.patience = std::make_unique<Timer>([this, domain] {
    Fetch& mine = fetches.at(domain);
    loop.post([gone = std::shared_ptr<Timer>(std::move(mine.patience))] {});  // It is its own callback that runs.
    answer(domain, std::exchange(mine.waiting, {}));
  });
  loop.timers().arm(*place->second.patience, loop.now() + kStsWait);
  https.send({.host = "mta-sts." + domain, .path = "/.well-known/mta-sts.txt", .reply_bytes_max = kPolicyBytesMax},
             [this, guard = std::weak_ptr(alive), domain, id](const net::HttpsReply& reply) {
               if (!guard.expired()) fetched(domain, id, reply);
             });
}

void StsFinder::State::fetched(const std::string& domain, const std::string& id, const net::HttpsReply& reply) {
  const TimePoint now = loop.now();
  const Kept* before = kept.find(domain);
  Kept entry = before != nullptr ? *before : Kept{};
  entry.failure.clear();
  entry.failed_id.clear();
  entry.retry_at = {};
  if (auto policy = policy_of(reply, entry.failure)) {
    entry.policy = std::make_shared<const StsPolicy>(std::move(*policy));
    entry.id = id;
    entry.fetched = now;
    entry.expires = now + entry.policy->max_age;
    if (entry.policy->max_age.count() == 0) entry.retry_at = now + kRetryAfter;  // Not again for each message.
    changed = true;
  } else {
    entry.failed_id = id;
    entry.retry_at = now + kRetryAfter;
  }
  kept.put(domain, std::move(entry));
  answer(domain, std::move(fetches.extract(domain).mapped().waiting));
}

void StsFinder::State::answer(const std::string& domain, std::vector<Done> waiting) {
  const Found result = found(domain);
  const std::weak_ptr guard = alive;
  for (Done& done : waiting) {
    done(result);
    if (guard.expired()) return;
  }
}

StsFinder::Found StsFinder::State::found(const std::string& domain) {
  const Kept* entry = kept.find(domain);
  if (entry == nullptr) {
    const bool late = fetches.contains(domain);
    return {.policy = nullptr, .failure = late ? "sts-policy-fetch-error: timeout" : ""};
  }
  const bool good = entry->policy != nullptr && entry->expires > loop.now() && entry->policy->mode != StsMode::kNone;
  return {.policy = good ? entry->policy : nullptr, .failure = entry->failure};
}

// ---------------------------------------------------------------------------------------------------------------------
// Saved:
//
//   saved = "mailsbuddy sts 1" LF *entry
//   entry = domain SP id SP fetched SP expires SP octets LF policy      ; times in seconds of Unix time

std::string StsFinder::State::save() {
  std::string out(kSavedVersion);
  kept.each([&](const std::string& domain, const Kept& entry) {
    if (entry.policy == nullptr || entry.expires <= loop.now()) return;
    std::string text;
    for (const std::string& line : entry.policy->lines()) text += line + "\n";
    const auto unix_time = [](TimePoint at) { return std::chrono::floor<seconds>(at).time_since_epoch().count(); };
    out += fmt::format("{} {} {} {} {}\n{}", domain, entry.id, unix_time(entry.fetched), unix_time(entry.expires),
                       text.size(), text);
  });
  changed = false;
  return out;
}

void StsFinder::State::load(std::string_view saved) {
  if (!saved.starts_with(kSavedVersion)) return;
  saved.remove_prefix(kSavedVersion.size());
  while (!saved.empty() && load_entry(saved)) {
  }
}

// False: what follows cannot be read.
bool StsFinder::State::load_entry(std::string_view& saved) {
  std::string_view line = saved.substr(0, saved.find('\n'));
  saved.remove_prefix(std::min(line.size() + 1, saved.size()));
  const auto word = [&] {
    const std::string_view taken = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(taken.size() + 1, line.size()));
    return taken;
  };
  const auto number = [&] {
    const std::string_view digits = word();
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : -1;
  };
  const std::string domain(word());
  const std::string id(word());
  const std::int64_t fetched = number(), expires = number(), octets = number();
  constexpr std::int64_t kTimeMax = 7'258'118'400;  // The year 2200: a TimePoint ends in 2262.
  if (domain.empty() || fetched < 0 || expires < 0 || fetched > kTimeMax || expires > kTimeMax || octets < 0)
    return false;
  const auto size = static_cast<std::size_t>(octets);
  if (size > saved.size()) return false;
  auto policy = StsPolicy::parse(saved.substr(0, size));
  saved.remove_prefix(size);
  if (!policy || kept.find(domain) != nullptr) return true;
  const TimePoint since{seconds(fetched)};
  kept.put(domain, {.policy = std::make_shared<const StsPolicy>(std::move(*policy)),
                    .id = id,
                    .fetched = since,
                    .expires = std::min(TimePoint(seconds(expires)), since + std::chrono::hours(24 * 366))});
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------

StsFinder::StsFinder(net::Loop& loop, net::Resolver& resolver, net::HttpsClient& https)
    : state_(new State{loop, resolver, https}) {}
StsFinder::~StsFinder() = default;
void StsFinder::find(std::string_view domain, Done done) { state_->find(domain, std::move(done)); }
std::string StsFinder::save() const { return state_->save(); }
void StsFinder::load(std::string_view saved) { state_->load(saved); }
bool StsFinder::changed() noexcept { return state_->changed; }

}  // namespace mailsbuddy::smtp
