#include "engine/tls_reporting.h"

#include <algorithm>
#include <utility>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "engine/tls_report_record.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::string_view kSnapshot = "tls/reports";
constexpr Duration kDay = std::chrono::hours(24);
constexpr Duration kKeepSentEvery = std::chrono::minutes(1);  // All that waits is written each time.
constexpr Duration kAskAgain = std::chrono::hours(1);  // DNS failed. Until a day is over, as for the mail (RFC 8460 4.1).

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
    wait(std::move(each), now + later());
  }
}

void TlsReporting::wake() {
  const TimePoint now = loop_.now();
  while (!waiting_.empty() && waiting_.begin()->first <= now && under_way_.size() < kSendAtOnce) {
    const smtp::TlsReport report = std::move(waiting_.extract(waiting_.begin()).mapped());
    find(report);
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
    wait(std::move(report), loop_.now() + later());
  }
  begin_ = end;
}

void TlsReporting::wait(smtp::TlsReport report, TimePoint until) {
  changed_ = true;
  if (waiting_.size() < kWaitingMax) {
    waiting_.emplace(until, std::move(report));
    return;
  }
  log(context_.options.log.get(), LogLevel::kError, "engine", "the TLS report about {} is dropped: {} are waiting", report.domain,
      kWaitingMax);
}

// ---------------------------------------------------------------------------------------------------------------------
// Sending

void TlsReporting::find(const smtp::TlsReport& report) {
  // The same each time: who gets it twice knows it by its id.
  Random of_domain(siphash64({}, report.domain));
  const std::string id = smtp::tls_report_id(report, who_.reporter, of_domain);
  under_way_.insert_or_assign(id, report);
  context_.runtime.resolver(0).txt("_smtp._tls." + report.domain, guarded([this, id](const net::DnsAnswer<std::string>& answer) {
    const smtp::TlsReport& about = under_way_.at(id);
    if (answer.status == net::DnsStatus::kFailed && loop_.now() + kAskAgain < about.end + kDay) {
      wait(about, loop_.now() + kAskAgain);
      return done(id);
    }
    const auto wanted = smtp::parse_tlsrpt_record(answer.records);
    wanted ? send(id, *wanted) : done(id);
  }));
}

// Packing and the spool take their time: not here.
void TlsReporting::send(const std::string& id, const smtp::TlsRptRecord& wanted) {
  const smtp::TlsReport& report = under_way_.at(id);
  context_.runtime.cpu().post([this, id, report, wanted, then = guarded([this, id, wanted](bool refused) { mailed(id, wanted, refused); })]() mutable {
    bool refused = false;  // As mail is at all for now.
    for (Message& mail : mails(report, wanted, id)) {
      const auto submitted = context_.submit(std::move(mail));
      if (submitted) continue;
      refused |= submitted.error().code == ErrorCode::kResourceExhausted;
      log(context_.options.log.get(), LogLevel::kError, "engine", "the TLS report about {} is not sent: {}", report.domain,
          submitted.error().detail);
    }
    loop_.post([then = std::move(then), refused]() mutable { then(refused); });
  });
}

// Posted once the mail is taken, so that what is tried again is not posted twice.
void TlsReporting::mailed(const std::string& id, const smtp::TlsRptRecord& wanted, bool refused) {
  const smtp::TlsReport& report = under_way_.at(id);
  if (refused && loop_.now() + kAskAgain < report.end + kDay) {
    wait(report, loop_.now() + kAskAgain);
    return done(id);
  }
  for (std::size_t i = 0; i < std::min(wanted.https.size(), kAddressesMax); ++i) post(report, wanted.https[i], id);
  done(id);
}

std::vector<Message> TlsReporting::mails(const smtp::TlsReport& report, const smtp::TlsRptRecord& wanted,
                                         const std::string& id) const {
  std::vector<Message> mails;
  Random boundary(siphash64({}, id));
  for (std::size_t i = 0; i < std::min(wanted.mailto.size(), kAddressesMax); ++i) {
    auto data = smtp::tls_report_mail(report, who_.reporter, who_.from, wanted.mailto[i], id, context_.runtime.clock().now(),
                                      boundary);
    if (!data) continue;
    mails.push_back({.sender = who_.from,
                     .recipients = {wanted.mailto[i]},
                     .data = *std::move(data),
                     .account = who_.account,
                     .pool = who_.pool,
                     .priority = Priority::kBulk,
                     .campaign = "tls-report"});
  }
  return mails;
}

void TlsReporting::post(const smtp::TlsReport& report, const std::string& url, const std::string& id) {
  const auto failed = [this, domain = report.domain, url](std::string_view why) {
    log(context_.options.log.get(), LogLevel::kWarning, "engine", "the TLS report about {} is not posted to {}: {}", domain, url, why);
  };
  net::HttpsClient* https = context_.runtime.https(0);
  if (https == nullptr) return failed("there is no HTTPS client");
  auto packed = smtp::gzip(smtp::tls_report_json(report, who_.reporter, id));
  if (!packed) return failed(packed.error().detail);
  auto request = smtp::tls_report_post(url, *std::move(packed));
  if (!request) return failed(request.error().detail);
  https->send(*std::move(request), guarded([failed](const net::HttpsReply& reply) {
    if (reply.failure != net::HttpsFailure::kNone) return failed(reply.detail);
    if (reply.status < 200 || reply.status > 299) failed("status " + std::to_string(reply.status));
  }));
}

void TlsReporting::done(const std::string& id) {
  under_way_.erase(id);
  changed_ = true;
  if (under_way_.empty() && (waiting_.empty() || loop_.now() >= kept_at_ + kKeepSentEvery)) keep();
  arm();
}

// ---------------------------------------------------------------------------------------------------------------------
// The spool, the timer

// What is under way counts as not sent: better twice than never.
void TlsReporting::keep() {
  std::vector<smtp::TlsReport> all = today_.reports(begin_, {});
  for (const auto& [at, report] : waiting_) all.push_back(report);
  for (const auto& [id, report] : under_way_) all.push_back(report);
  spool::Batch batch;
  batch.snapshots.push_back({.name = std::string(kSnapshot), .bytes = encode_tls_reports(all)});
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
