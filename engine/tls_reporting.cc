#include "engine/tls_reporting.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "engine/tls_report_record.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::string_view kSnapshot = "tls/reports";
constexpr std::string_view kReached = "tls/reached/";
std::string reached_snapshot(std::string_view id) { return std::string(kReached).append(id); }
constexpr Duration kDay = std::chrono::hours(24);
constexpr Duration kKeepSentEvery = std::chrono::minutes(1);  // All that waits is written each time.
// DNS, the queue or a web server failed: then twice as long each time, until a day is over (RFC 8460 5.5).
constexpr Duration kAskAgain = std::chrono::hours(1);
constexpr int kDoublingsMax = 3;

std::uint64_t hash_of(std::string_view address) { return siphash64({}, address); }

TimePoint midnight_before(TimePoint time) { return std::chrono::floor<std::chrono::days>(time); }

}  // namespace

TlsReporting::TlsReporting(Context context)
    : context_(std::move(context)),
      who_(*context_.options.tls_reporting),
      loop_(context_.runtime.loop(0)),
      begin_(context_.runtime.clock().now()),
      keep_at_(begin_ + kKeepEvery),
      random_(context_.runtime.seed() ^ 0x746c7372),
      timer_([this] { wake(); }) {
  load();
  forget_strays();
}

template <class Task>
auto TlsReporting::guarded(Task task) {
  return [task = std::move(task), guard = std::weak_ptr(alive_)](auto&&... args) mutable {
    if (!guard.expired()) task(std::forward<decltype(args)>(args)...);
  };
}

void TlsReporting::start() { arm(); }

void TlsReporting::stop() {
  alive_.reset();
  loop_.timers().cancel(timer_);
}

void TlsReporting::keep_rest(smtp::TlsReports counts) {
  today_.merge(std::move(counts));
  keep();
}

// ---------------------------------------------------------------------------------------------------------------------
// Counting

// What the process before had counted. If its day is over meanwhile, that is when it was cut.
void TlsReporting::load() {
  const auto saved = context_.spool.snapshot(kSnapshot);
  if (!saved) return;
  auto reports = decode_tls_reports(*saved);
  if (!reports) {
    log(context_.options.log.get(), LogLevel::kError, "engine", "TLS reports of before are lost: {}", reports.error().detail);
    return;
  }
  const TimePoint now = context_.runtime.clock().now();
  for (smtp::TlsReport& each : *reports) {
    const bool cut = each.end != TimePoint{};
    if (!cut && midnight_before(each.begin) == midnight_before(now)) {
      begin_ = std::min(begin_, each.begin);
      today_.add(each);
      continue;
    }
    if (!cut) each.end = midnight_before(each.begin) + kDay;
    const auto noted = context_.spool.snapshot(reached_snapshot(id_of(each)));
    const auto reached = noted ? decode_reached(*noted) : std::vector<std::uint64_t>();
    if (!reached)
      log(context_.options.log.get(), LogLevel::kError, "engine",
          "who has the TLS report about {} is lost, and may get it again: {}", each.domain, reached.error().detail);
    wait({.report = std::move(each), .reached = reached ? *reached : std::vector<std::uint64_t>()}, now + later());
  }
}

// Notes of reports that are not there any more: they were lost, or had another reporter's name.
void TlsReporting::forget_strays() {
  std::set<std::string> known;
  for (const auto& [at, sending] : waiting_) known.insert(reached_snapshot(id_of(sending.report)));
  for (auto name = context_.spool.next_snapshot(kReached); name && name->starts_with(kReached);
       name = context_.spool.next_snapshot(*name)) {
    if (known.contains(*name)) continue;
    done_.push_back(name->substr(kReached.size()));
    changed_ = true;
  }
}

void TlsReporting::wake() {
  const TimePoint now = loop_.now();
  while (!waiting_.empty() && waiting_.begin()->first <= now && under_way_.size() < kSendAtOnce) {
    find(std::move(waiting_.extract(waiting_.begin()).mapped()));
  }
  if (to_count_ == 0 && (now >= keep_at_ || now >= midnight_before(begin_) + kDay)) {
    to_count_ = context_.runtime.workers();
    context_.collect(guarded([this](smtp::TlsReports counts) { counted(std::move(counts)); }));
  }
  arm();
}

void TlsReporting::counted(smtp::TlsReports counts) {
  changed_ |= !counts.empty();
  today_.merge(std::move(counts));
  if (--to_count_ > 0) return;
  const TimePoint now = loop_.now();
  keep_at_ = now + kKeepEvery;
  if (now >= midnight_before(begin_) + kDay) cut(midnight_before(now));
  if (changed_) keep();
  arm();
}

Duration TlsReporting::later() {
  return Duration(static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(kSpread.count()))));
}

void TlsReporting::cut(TimePoint end) {
  for (smtp::TlsReport& report : today_.take(begin_, end)) {
    wait({.report = std::move(report)}, loop_.now() + later());
  }
  begin_ = end;
}

void TlsReporting::wait(Sending sending, TimePoint until) {
  changed_ = true;
  if (waiting_.size() < kWaitingMax) {
    waiting_.emplace(until, std::move(sending));
    return;
  }
  if (!sending.reached.empty()) done_.push_back(id_of(sending.report));
  log(context_.options.log.get(), LogLevel::kError, "engine", "the TLS report about {} is dropped: {} are waiting",
      sending.report.domain, kWaitingMax);
}

bool TlsReporting::try_again(const Sending& sending) {
  const TimePoint at = loop_.now() + kAskAgain * (1 << std::min(sending.tries, kDoublingsMax));
  if (at >= sending.report.end + kDay) return false;
  wait({.report = sending.report, .reached = sending.reached, .tries = sending.tries + 1}, at);
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Sending

// The same each time: who gets it twice knows it by its id.
std::string TlsReporting::id_of(const smtp::TlsReport& report) const {
  Random of_domain(siphash64({}, report.domain));
  return smtp::tls_report_id(report, who_.reporter, of_domain);
}

void TlsReporting::find(Sending sending) {
  const std::string id = id_of(sending.report);
  const std::string name = "_smtp._tls." + sending.report.domain;
  under_way_.insert_or_assign(id, std::move(sending));
  context_.runtime.resolver(0).txt(name, guarded([this, id](const net::DnsAnswer<std::string>& answer) {
    if (answer.status == net::DnsStatus::kFailed && try_again(under_way_.at(id))) return done(id, Done::kForNow);
    const auto wanted = smtp::parse_tlsrpt_record(answer.records);
    wanted ? send(id, *wanted) : done(id, Done::kForGood);
  }));
}

// Packing and the spool take their time: not here.
void TlsReporting::send(const std::string& id, const smtp::TlsRptRecord& wanted) {
  auto then = guarded([this, id, wanted](std::vector<std::uint64_t> reached, bool refused) {
    mailed(id, wanted, std::move(reached), refused);
  });
  context_.runtime.cpu().post([this, id, sending = under_way_.at(id), wanted, then = std::move(then)]() mutable {
    bool refused = false;  // As mail is at all for now.
    for (std::size_t i = 0; i < std::min(wanted.mailto.size(), kAddressesMax); ++i) {
      const std::uint64_t to = hash_of(wanted.mailto[i].str());
      if (refused || std::ranges::find(sending.reached, to) != sending.reached.end()) continue;
      sending.reached.push_back(to);
      const auto submitted = mail(sending.report, wanted.mailto[i], id, sending.reached);
      refused = !submitted && submitted.error().code == ErrorCode::kResourceExhausted;
      if (refused) sending.reached.pop_back();
      if (!submitted)
        log(context_.options.log.get(), LogLevel::kError, "engine", "the TLS report about {} is not sent: {}",
            sending.report.domain, submitted.error().detail);
    }
    loop_.post([then = std::move(then), reached = std::move(sending.reached), refused]() mutable {
      then(std::move(reached), refused);
    });
  });
}

Result<void> TlsReporting::mail(const smtp::TlsReport& report, const Address& to, const std::string& id,
                                const std::vector<std::uint64_t>& reached) const {
  Random boundary(siphash64({}, id));
  auto data = smtp::tls_report_mail(report, who_.reporter, who_.from, to, id, context_.runtime.clock().now(), boundary);
  if (!data) return data.error();
  const auto submitted = context_.submit({.sender = who_.from,
                                          .recipients = {to},
                                          .data = *std::move(data),
                                          .account = who_.account,
                                          .pool = who_.pool,
                                          .priority = Priority::kBulk,
                                          .campaign = "tls-report"},
                                         {.name = reached_snapshot(id), .bytes = encode_reached(reached)});
  return submitted ? Result<void>() : submitted.error();
}

void TlsReporting::mailed(const std::string& id, const smtp::TlsRptRecord& wanted,
                          std::vector<std::uint64_t> reached, bool refused) {
  Sending& sending = under_way_.at(id);
  sending.reached = std::move(reached);
  sending.again = refused;
  ++sending.posts;  // This one: none of those that follow is the last before all are under way.
  // Posted once the mail is taken: nobody else writes down who has it.
  const std::size_t posts = refused ? 0 : std::min(wanted.https.size(), kAddressesMax);
  for (std::size_t i = 0; i < posts; ++i)
    if (std::ranges::find(sending.reached, hash_of(wanted.https[i])) == sending.reached.end())
      post(sending, wanted.https[i], id);
  end_try(id);
}

void TlsReporting::post(Sending& sending, const std::string& url, const std::string& id) {
  net::HttpsClient* const https = context_.runtime.https(0);
  auto packed = smtp::gzip(smtp::tls_report_json(sending.report, who_.reporter, id));
  auto request = packed ? smtp::tls_report_post(url, *std::move(packed)) : Result<net::HttpsRequest>(packed.error());
  if (https == nullptr || !request) {
    sending.reached.push_back(hash_of(url));
    return log(context_.options.log.get(), LogLevel::kWarning, "engine", "the TLS report about {} is not posted to {}: {}",
               sending.report.domain, url, request ? "there is no HTTPS client" : request.error().detail);
  }
  ++sending.posts;
  https->send(*std::move(request), guarded([this, id, url](const net::HttpsReply& reply) { posted(id, url, reply); }));
}

void TlsReporting::posted(const std::string& id, const std::string& url, const net::HttpsReply& reply) {
  constexpr int kRequestTimeout = 408, kTooManyRequests = 429;
  Sending& sending = under_way_.at(id);
  const bool answered = reply.failure == net::HttpsFailure::kNone;
  const bool taken = answered && reply.status / 100 == 2;
  const bool final = answered && reply.status / 100 == 4 && reply.status != kRequestTimeout && reply.status != kTooManyRequests;
  if (taken || final) {
    sending.reached.push_back(hash_of(url));
    spool::Batch batch;
    batch.snapshots.push_back({.name = reached_snapshot(id), .bytes = encode_reached(sending.reached)});
    context_.spool.commit(std::move(batch), nullptr);
  } else {
    sending.again = true;
  }
  if (!taken)
    log(context_.options.log.get(), LogLevel::kWarning, "engine", "the TLS report about {} is not posted to {}: {}",
        sending.report.domain, url, answered ? "status " + std::to_string(reply.status) : reply.detail);
  end_try(id);
}

void TlsReporting::end_try(const std::string& id) {
  Sending& sending = under_way_.at(id);
  if (--sending.posts > 0) return;
  const bool again = sending.again && try_again(sending);
  if (sending.again && !again)
    log(context_.options.log.get(), LogLevel::kError, "engine", "the TLS report about {} is given up after {} tries",
        sending.report.domain, sending.tries + 1);
  done(id, again ? Done::kForNow : Done::kForGood);
}

void TlsReporting::done(const std::string& id, Done how) {
  if (how == Done::kForGood && !under_way_.at(id).reached.empty()) done_.push_back(id);
  under_way_.erase(id);
  changed_ = true;
  if (under_way_.empty() && (waiting_.empty() || loop_.now() >= kept_at_ + kKeepSentEvery)) keep();
  arm();
}

// ---------------------------------------------------------------------------------------------------------------------
// The spool, the timer

// What is under way counts as not sent: who has it is noted apart.
void TlsReporting::keep() {
  std::vector<smtp::TlsReport> all = today_.reports(begin_, {});
  for (const auto& [at, sending] : waiting_) all.push_back(sending.report);
  for (const auto& [id, sending] : under_way_) all.push_back(sending.report);
  spool::Batch batch;
  batch.snapshots.push_back({.name = std::string(kSnapshot), .bytes = encode_tls_reports(all)});
  for (const std::string& id : std::exchange(done_, {}))
    batch.snapshots.push_back({.name = reached_snapshot(id), .bytes = {}});
  context_.spool.commit(std::move(batch), nullptr);
  changed_ = false;
  kept_at_ = context_.runtime.clock().now();
}

void TlsReporting::arm() {
  TimePoint at = to_count_ > 0 ? TimePoint::max() : std::min(keep_at_, midnight_before(begin_) + kDay);
  if (!waiting_.empty() && under_way_.size() < kSendAtOnce) at = std::min(at, waiting_.begin()->first);
  if (at != TimePoint::max()) loop_.timers().arm(timer_, at);
}

}  // namespace mailsbuddy::engine
