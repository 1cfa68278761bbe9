#include "engine/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/mail/header.h"
#include "core/mail/mime.h"
#include "engine/fields.h"
#include "engine/intake.h"
#include "engine/job_record.h"

namespace mailsbuddy {
namespace {

constexpr std::chrono::hours kNotBeforeMax(24 * 366);  // A message in so far a future is a slip; and times stay in range.
constexpr std::chrono::minutes kSoon(1);               // The data of a message for later is on disk alone.
constexpr std::uint64_t kMessageBytesMax = 64u << 20;  // Of the data of all messages in memory.

using engine::encode_control;
using engine::encode_job;
using engine::FeedPtr;
using engine::Job;
using engine::JobPtr;
using engine::same_job;

// A disk that does not take more now is the caller's to come back to, whatever is wrong with it.
Error refusal_of(const Error& error) {
  const bool passes = error.code == ErrorCode::kIo || error.code == ErrorCode::kClosed;
  return {passes ? ErrorCode::kResourceExhausted : error.code, error.detail};
}

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// EHLO names and host names: no byte that could end a command.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kDomainMax && std::all_of(name.begin(), name.end(), [](char c) {
    return ascii::is_alnum(c) || c == '-' || c == '.' || c == '[' || c == ']' || c == ':' || c == '_';
  });
}

Result<std::vector<net::IpAddress>> parse_egress(const EngineOptions& options) {
  if (options.egress.empty() && options.deliver) return invalid("egress: at least one IP address is needed");
  std::vector<net::IpAddress> addresses;
  for (const EgressIp& egress : options.egress) {
    auto address = net::IpAddress::parse(egress.address);
    if (!address) return invalid(fmt::format("egress '{}': {}", egress.address, address.error().detail));
    if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) {
      return invalid(fmt::format("egress '{}' is given twice", egress.address));
    }
    if (!is_host_name(egress.ehlo_name)) {
      return invalid(fmt::format("egress '{}': the EHLO name '{}' is not a host name", egress.address,
                                 egress.ehlo_name));
    }
    addresses.push_back(*address);
  }
  return addresses;
}

// Not from the runtime's seed: what other generators of that seed give is seen in Message-IDs.
std::string random_key() {
  std::string key;
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t word = system_seed();
    key.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return key;
}

// Return paths of yesterday's mail were signed with it.
std::string kept_key(spool::Spool& spool) {
  constexpr std::string_view kName = "verp_key";
  if (auto kept = spool.snapshot(kName); kept && kept->size() >= bounce::kVerpKeyBytesMin) return *std::move(kept);
  std::string key = random_key();
  spool::Batch batch;
  batch.snapshots.push_back({.name = std::string(kName), .bytes = key});
  spool.commit(std::move(batch), nullptr);  // Durable before any claim that follows.
  return key;
}

bool has_pool(const EngineOptions& options, std::string_view pool, bool warm = false) {
  return std::any_of(options.egress.begin(), options.egress.end(), [pool, warm](const EgressIp& egress) {
    return egress.pool == pool && !(warm && egress.curve.has_value());
  });
}

// What could never go is a mistake to be told of at once, not mail that expires after days.
Result<void> check_pool(const EngineOptions& options, const std::string& name, const PoolOptions& pool) {
  using warming::Overflow;
  const warming::OverflowPolicy& policy = pool.overflow;
  if (!has_pool(options, name)) return invalid(fmt::format("pools: no egress IP is in pool '{}'", name));
  if (policy.hold_max < Duration(0)) return invalid(fmt::format("pool '{}': hold_max is negative", name));
  const bool then = policy.hold_max > Duration(0);
  const bool named = policy.when == Overflow::kNamedPool || (then && policy.then == Overflow::kNamedPool);
  if (named && (policy.pool == name || !has_pool(options, policy.pool))) {
    return invalid(fmt::format("pool '{}': its overflow goes to pool '{}', which is {}", name, policy.pool,
                               policy.pool == name ? "itself" : "no egress IP's"));
  }
  const bool waits = policy.when == Overflow::kWarmIps || policy.when == Overflow::kWait;
  const bool then_waits = !then || policy.then == Overflow::kWarmIps || policy.then == Overflow::kWait;
  if (pool.engaged_only && waits && then_waits && !has_pool(options, name, true)) {
    return invalid(fmt::format("pool '{}': engaged_only, and no IP is for the others: it needs a warm one, or an overflow policy",
                               name));
  }
  return {};
}

Result<void> check_reporting(const EngineOptions& options, const TlsReportingOptions& reporting) {
  const smtp::TlsReporter& reporter = reporting.reporter;
  if (reporter.organization.empty() || reporter.contact.empty() || !is_host_name(reporter.domain)) {
    return invalid("tls_reporting: an organization, a contact and a domain are needed");
  }
  if (reporting.from.str().empty()) return invalid("tls_reporting: from is needed");
  if (!has_pool(options, reporting.pool)) return invalid(fmt::format("tls_reporting: no egress IP is in pool '{}'", reporting.pool));
  return {};
}

Result<void> check(const EngineOptions& options) {
  constexpr std::chrono::seconds kLongest = std::chrono::hours(24 * 366);
  if (options.max_age <= std::chrono::seconds(0) || options.max_age > kLongest) {
    return invalid("max_age: a time above zero and up to a year is needed");
  }
  if (options.first_retry <= std::chrono::seconds(0) || options.first_retry > kLongest) {
    return invalid("first_retry: a time above zero and up to a year is needed");
  }
  if (options.report_age.count() < 1 || options.report_age > kLongest) {
    return invalid("report_age: a time of a day or more and up to a year is needed");
  }
  if (options.connections_max < 1) return invalid("connections_max: at least 1 is needed");
  if (options.attempts_max < 0) return invalid("attempts_max is negative");
  if (!options.verp_key.empty() && options.verp_key.size() < bounce::kVerpKeyBytesMin) {
    return invalid(fmt::format("verp_key: {} octets, at least {} are needed", options.verp_key.size(),
                               bounce::kVerpKeyBytesMin));
  }
  const bounce::SuppressionPolicy& policy = options.suppression;
  if (policy.soft_bounces < 0 || policy.soft_span.count() < 0 || policy.soft_memory.count() < 0 ||
      policy.soft_memory > kLongest || policy.soft_span > kLongest) {
    return invalid("suppression: no number may be negative, and no time longer than a year");
  }
  if (options.tls_reporting) {
    if (auto checked = check_reporting(options, *options.tls_reporting); !checked) return checked;
  }
  for (const auto& [name, pool] : options.pools) {
    if (auto checked = check_pool(options, name, pool); !checked) return checked;
  }
  return {};
}

// The ways out: egress IPs that are here, relays that can be, and what mail is not sent to.
Result<smtp::TargetRules> check_ways(const EngineOptions& options, const std::vector<net::IpAddress>& egress) {
  for (std::size_t i = 0; i < egress.size(); ++i) {
    if (options.egress[i].proxy) {
      if (options.egress[i].proxy->endpoint.port == 0) {
        return invalid(fmt::format("egress '{}': its proxy has no port", egress[i].str()));
      }
      continue;  // It is not on this host.
    }
    if (auto usable = options.runtime->transport(0).check_local(egress[i]); !usable) {
      return Error{usable.error().code, fmt::format("egress '{}': {}", egress[i].str(), usable.error().detail)};
    }
  }
  auto router = smtp::Router::make(options.runtime->resolver(0), engine::router_options(options));
  if (!router) return std::move(router).error();
  smtp::TargetRules::Options rules{.allowed = options.allowed_targets, .own = {}};
  if (options.refuse_loops) {
    rules.own = options.own_addresses;
    rules.own.insert(rules.own.end(), egress.begin(), egress.end());
  }
  return smtp::TargetRules::make(rules);
}

}  // namespace

std::unique_ptr<Tracing> Engine::Core::trace(TraceFilter filter) { return engine::follow(traces_, std::move(filter)); }

// ---------------------------------------------------------------------------------------------------------------------
// Opening and closing

Result<std::unique_ptr<Engine::Core>> Engine::Core::open(EngineOptions options) {
  auto egress = parse_egress(options);
  if (!egress) return std::move(egress).error();
  if (auto checked = check(options); !checked) return std::move(checked).error();
  options.tls_reports |= options.tls_reporting.has_value();
  const bool own_runtime = options.runtime == nullptr;
  if (own_runtime) {
    auto runtime = net::make_runtime(options.runtime_options);
    if (!runtime) return std::move(runtime).error();
    options.runtime = *std::move(runtime);
  }
  auto targets = check_ways(options, *egress);
  if (!targets) {
    if (own_runtime) options.runtime->stop();
    return std::move(targets).error();
  }
  const bool snapshots = options.spool != nullptr;  // Our own dies with us, and what is in it.
  if (options.spool == nullptr) options.spool = spool::make_memory_spool();
  if (options.verp_key.empty()) options.verp_key = kept_key(*options.spool);
  std::unique_ptr<Core> core(new Core(std::move(options), *std::move(egress), *std::move(targets), snapshots));
  for (const auto& sink : core->options_.sinks) core->subscribe(sink);
  if (auto recovered = core->recover(); !recovered) return std::move(recovered).error();
  core->start_tls_reporting();
  return core;
}

Engine::Core::Core(EngineOptions options, std::vector<net::IpAddress> egress, smtp::TargetRules targets, bool snapshots)
    : options_(std::move(options)),
      maker_(bounce::VerpKey::make(options_.verp_key).value(), options_.max_message_bytes,  // Its length is checked.
             options_.keys, [this](const Job& job) { return load_message(job); }),
      events_(spool(), runtime().events(), runtime().loop(0), options_.log.get(), options_.deliver),
      inbound_(
          spool(), options_, erased_, [this](std::uint64_t token_number) { return find_campaign(token_number); },
          [this](const JobPtr& job, const engine::Inbound::Late& late) { learn_late(job, late); }),
      shared_{.options = options_,
              .runtime = runtime(),
              .spool = spool(),
              .maker = maker_,
              .events = events_,
              .egress = std::move(egress),
              .targets = std::move(targets),
              .traces = *traces_,
              .find_job = [this](spool::JobNumber number) { return find(number); },
              .owner_of = [this](std::string_view name) { return owner_of(name); },
              .route = [this](FeedPtr feed) { route(std::move(feed)); },
              .deliver = [this](FeedPtr feed, smtp::Route to) { deliver(std::move(feed), std::move(to)); },
              .committed = [this](TimePoint due, const std::vector<JobPtr>& messages) { committed(due, messages); },
              .gate = std::make_shared<engine::Gate>(),
              .known_providers = known_providers_,
              .withdrawn = withdrawn_,
              .erased = erased_,
              .draining = draining_,
              .due_at_hand = due_at_hand_,
              .shed = [this] { each_worker([](engine::Worker& worker) { worker.shed(); }); },
              .snapshots = snapshots,
              .started = now(),
              .stopping = stopping_},
      zones_(std::make_shared<const engine::ZoneBook>(options_.find_zone)),
      random_(runtime().seed() ^ 0x6a6f6273) {
  for (const EgressIp& each : options_.egress) {
    draining_.emplace_back(false);
    pool_names_.insert(each.pool);
  }
  settings_ = options_.settings;
  tls_reported_ = now();
  for (const EgressIp& ip : options_.egress) curves_ |= ip.curve.has_value();
  for (int i = 0; i < runtime().workers(); ++i) workers_.push_back(std::make_unique<engine::Worker>(shared_, i));
}

Engine::Core::~Core() {
  stopping_ = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    runtime().loop(static_cast<int>(i)).post([worker = workers_[i].get()] { worker->stop(); });
  }
  if (tls_reporting_ != nullptr) runtime().loop(0).post([this] { tls_reporting_->stop(); });
  runtime().stop();
  if (tls_reporting_ != nullptr) {
    for (const auto& worker : workers_) tls_reporting_->keep_rest(std::move(worker->tls_reports()));
  }
  shared_.gate->close();
}

int Engine::Core::owner_of(std::string_view name) const {
  return static_cast<int>(siphash64({runtime().seed(), 0}, name) % workers_.size());
}

// ---------------------------------------------------------------------------------------------------------------------
// Jobs

JobPtr Engine::Core::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : found->second;
}

JobPtr Engine::Core::find(spool::JobNumber number) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_by_number_.find(number);
  return found == jobs_by_number_.end() ? nullptr : found->second;
}

JobPtr Engine::Core::find_campaign(std::uint64_t token_number) const {
  const std::lock_guard lock(mutex_);
  const auto found = campaigns_by_token_.find(token_number);
  return found == campaigns_by_token_.end() ? nullptr : found->second;
}

void Engine::Core::add(const JobPtr& job) {
  const std::lock_guard lock(mutex_);
  jobs_[job->id] = job;
  jobs_by_number_[job->number] = job;
  if (job->campaign) campaigns_by_token_[token_number(*job)] = job;
}

void Engine::Core::remove(const JobPtr& job) {
  spool().erase(job->number);
  const std::lock_guard lock(mutex_);
  jobs_.erase(job->id);
  jobs_by_number_.erase(job->number);
  if (job->campaign) campaigns_by_token_.erase(token_number(*job));
}

bool Engine::Core::has_pool(std::string_view pool) const {
  return pool.find('\0') == std::string_view::npos &&
         std::any_of(options_.egress.begin(), options_.egress.end(),
                     [pool](const EgressIp& egress) { return egress.pool == pool; });
}

Result<JobPtr> Engine::Core::campaign_job(const Campaign& campaign, std::span<const std::string> columns) const {
  if (campaign.id.empty()) return invalid("campaign: the id is empty");
  if (!has_pool(campaign.pool)) {
    return invalid(fmt::format("campaign '{}': no egress IP is in pool '{}'", campaign.id, campaign.pool));
  }
  if (campaign.attempts_max < 0) return invalid(fmt::format("campaign '{}': attempts_max is negative", campaign.id));
  auto return_path = Address::parse("b@" + campaign.return_path_domain);
  if (!return_path) {
    return invalid(fmt::format("campaign '{}': return_path_domain '{}': {}", campaign.id, campaign.return_path_domain,
                               return_path.error().detail));
  }
  if (auto good = maker_.check_signers(campaign.from.address.domain(), now()); !good) {
    return Error{good.error().code, fmt::format("campaign '{}': {}", campaign.id, good.error().detail)};
  }

  auto job = std::make_shared<Job>();
  job->id = campaign.id;
  job->account = campaign.account;
  job->pool = campaign.pool;
  job->priority = campaign.priority;
  job->on_unknown = campaign.on_unknown;
  job->attempts_max = static_cast<std::uint64_t>(campaign.attempts_max);
  job->campaign = true;
  job->content = campaign.content;
  job->from_header = format_header("From", campaign.from.header_value());
  job->from_domain = campaign.from.address.domain();
  job->return_path_domain = return_path->domain();
  job->smtputf8 = campaign.from.address.needs_smtputf8();
  job->columns.assign(columns.begin(), columns.end());
  job->row_columns = columns.size();
  for (const std::string_view name : engine::kEngineFields) job->columns.emplace_back(name);
  if (!campaign.address_field.empty()) job->columns.push_back(campaign.address_field);
  if (auto scheduled = set_schedule(campaign.schedule, columns, *job); !scheduled) {
    return invalid(fmt::format("campaign '{}': schedule: {}", campaign.id, scheduled.error().detail));
  }
  return job;
}

Result<void> Engine::Core::set_schedule(const Schedule& schedule, std::span<const std::string> columns, Job& job) const {
  if (auto checked = engine::check_windows(schedule.windows); !checked) return checked;
  if (schedule.start_at > now() + kNotBeforeMax) return invalid("start_at is more than a year ahead");
  if (schedule.not_after != TimePoint{} && schedule.not_after <= std::max(now(), schedule.start_at)) {
    return invalid("not_after is past, or before start_at");
  }
  job.not_before = schedule.start_at;
  job.not_after = schedule.not_after;
  job.windows = schedule.windows;
  job.zone_name = schedule.zone.name();
  if (!schedule.zone_field.empty()) {
    const auto column = std::find(columns.begin(), columns.end(), schedule.zone_field);
    if (column == columns.end()) return invalid(fmt::format("no column '{}'", schedule.zone_field));
    job.zone_column = static_cast<std::uint64_t>(column - columns.begin()) + 1;
  }
  return set_zone(job);
}

// Found by its name, as by the process that goes on with it.
Result<void> Engine::Core::set_zone(Job& job) const {
  job.zones = zones_;
  if (job.windows.empty()) return {};
  auto zone = zones_->zone(job.zone_name);
  if (!zone) return std::move(zone).error();
  job.zone = *std::move(zone);
  return {};
}

namespace {

Result<void> check_reports(const Message& message) {
  if (!message.reports.empty() && message.reports.size() != message.recipients.size()) {
    return invalid(fmt::format("message: {} reports for {} recipients", message.reports.size(), message.recipients.size()));
  }
  std::vector<smtp::RecipientDsn> dsn;
  for (const RecipientReport& each : message.reports) dsn.push_back({.notify = each.notify, .orcpt = each.orcpt});
  if (auto good = smtp::check_dsn(message.envid, dsn); !good) {
    return invalid(fmt::format("message: {}", good.error().detail));
  }
  return {};
}

}  // namespace

Result<JobPtr> Engine::Core::message_job(Message message, MessageId id) const {
  if (message.recipients.empty()) return invalid("message: no recipients");
  for (const Address& recipient : message.recipients) {
    if (recipient.str().empty()) return invalid("message: an empty recipient");
  }
  if (auto good = check_reports(message); !good) return std::move(good).error();
  if (message.data.size() > options_.max_message_bytes) {
    return invalid(fmt::format("message: {} octets, the limit is {}", message.data.size(), options_.max_message_bytes));
  }
  if (!has_pool(message.pool)) return invalid(fmt::format("message: no egress IP is in pool '{}'", message.pool));
  if (message.attempts_max < 0) return invalid("message: attempts_max is negative");
  if (message.not_before > now() + kNotBeforeMax) return invalid("message: not_before is more than a year ahead");
  auto job = std::make_shared<Job>();
  std::string data;
  append_crlf(data, message.data);
  const auto from_value = find_header(data, "From");
  if (!from_value) return invalid("message: it has no From header");
  const auto from = NamedAddress::parse(*from_value);
  if (!from) return invalid(fmt::format("message: From: {}", from.error().detail));
  if (auto good = maker_.check_signers(from->address.domain(), now()); !good) {
    return Error{good.error().code, fmt::format("message: {}", good.error().detail)};
  }

  job->id = id.str();
  job->account = std::move(message.account);
  job->pool = std::move(message.pool);
  job->priority = message.priority;
  job->on_unknown = message.on_unknown;
  job->attempts_max = static_cast<std::uint64_t>(message.attempts_max);
  job->from_domain = from->address.domain();
  job->tag = std::move(message.campaign);
  job->not_before = message.not_before;
  job->sender = message.sender.str();
  const std::string_view headers = std::string_view(data).substr(0, data.find("\r\n\r\n"));
  job->smtputf8 = message.sender.needs_smtputf8() || !is_ascii(headers);
  job->require_tls = message.require_tls;
  job->ret = message.ret;
  job->envid = std::move(message.envid);
  job->data.set(std::move(data), message_bytes_);
  return job;
}

// Two who start the same one: the second finds it neither here nor new.
Result<JobPtr> Engine::Core::begin_import(JobPtr job) {
  {
    const std::lock_guard lock(mutex_);
    job->uid = Id128::make(now(), random_);
    job->created = now();
    const auto found = interrupted_.find(job->id);
    if (found != interrupted_.end()) {
      if (!same_job(*found->second, *job)) {
        return invalid(
            fmt::format("campaign '{}': it differs from the one whose import was interrupted; forget() that "
                        "one to begin anew",
                        job->id));
      }
      JobPtr interrupted = std::move(found->second);
      interrupted_.erase(found);
      return interrupted;
    }
  }
  auto number =
      spool().create({.id = job->id, .content = encode_job(*job), .created = job->created, .control = encode_control({})});
  if (!number) {
    const Error refused = refusal_of(number.error());
    return Error{refused.code, fmt::format("campaign '{}': {}", job->id, refused.detail)};
  }
  job->number = *number;
  return job;
}

Result<ImportReport> Engine::Core::start(Campaign campaign, RowSource& rows) {
  if (auto open = check_intake(); !open) return std::move(open).error();
  auto made = campaign_job(campaign, rows.columns());
  if (!made) return std::move(made).error();
  auto begun = begin_import(*std::move(made));
  if (!begun) return std::move(begun).error();
  const JobPtr job = *std::move(begun);
  auto imported = engine::import_rows(rows, spool(), job->number, runtime().seed(), import_checks(*job));
  Result<void> kept;
  if (imported) kept = keep_complete(*job);
  if (imported && kept) {
    settle_suppressed(*job, imported->suppressed);
    release(job);
    return imported->report;
  }
  Error error = imported ? refusal_of(kept.error()) : std::move(imported).error();
  if (error.code != ErrorCode::kResourceExhausted) {
    spool().erase(job->number);
    return error;
  }
  const std::lock_guard lock(mutex_);
  interrupted_[job->id] = job;
  return error;
}

Result<MessageId> Engine::Core::submit(Message message, std::vector<spool::Snapshot> kept) {
  if (auto open = check_intake(); !open) return std::move(open).error();
  MessageId id;
  {
    const std::lock_guard lock(mutex_);
    id = Id128::make(now(), random_);
  }
  const std::vector<Address> recipients = message.recipients;
  const std::vector<RecipientReport> reports = message.reports;
  auto made = message_job(std::move(message), id);
  if (!made) return std::move(made).error();
  const JobPtr job = *std::move(made);
  job->uid = id;
  job->created = now();
  job->expires = std::max(now(), job->not_before) + options_.max_age;
  std::vector<std::string> asked(recipients.size());
  for (std::size_t i = 0; i < reports.size(); ++i) asked[i] = engine::pack_report(reports[i].notify, reports[i].orcpt);
  std::vector<spool::RowInput> rows;
  engine::SeenAddresses seen(runtime().seed());
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const Address& recipient = recipients[i];
    if (!seen.insert(ascii::to_lower(recipient.str()))) continue;  // Listed twice, mailed once.
    rows.push_back({.domain = recipient.domain(), .local = recipient.local(), .fields = asked[i]});
  }
  auto number = spool().create({.id = job->id,
                                .content = encode_job(*job),
                                .created = job->created,
                                .control = encode_control({.complete = true, .expires = job->expires})},
                               rows, std::move(kept));
  if (!number) return refusal_of(number.error());
  job->number = *number;
  if (job->not_before > now() + kSoon || *message_bytes_ > kMessageBytesMax) job->data.drop();
  release(job);
  return id;
}

// Its age counts from when the first row may go, not from when the import began.
Result<void> Engine::Core::keep_complete(Job& job) {
  job.expires = std::max(now(), job.not_before) + options_.max_age;
  if (job.not_after != TimePoint{}) job.expires = std::min(job.expires, job.not_after);
  return keep_control(job, false, false, {});
}

Result<void> Engine::Core::keep_control(const Job& job, bool paused, bool cancelled, const std::string& pool) {
  return spool().set_control(job.number, encode_control({.complete = true,
                                                         .paused = paused,
                                                         .cancelled = cancelled,
                                                         .expires = job.expires,
                                                         .pool = pool == job.pool ? std::string() : pool}));
}

// Null: it cannot be read now, or is no longer there.
std::shared_ptr<const std::string> Engine::Core::load_message(const Job& job) const {
  const auto stored = spool().job(job.number);
  const auto read = stored ? engine::decode_job(stored->content) : Error{ErrorCode::kNotFound, {}};
  return read ? (*read)->data.get() : nullptr;
}

void Engine::Core::release(const JobPtr& job) {
  constexpr std::size_t kFewDomains = 64;  // Go at once, such as a single message's.
  add(job);
  auto domains = spool().domains(job->number);
  // No look-up and no connection for what was settled by the process before.
  std::erase_if(domains, [](const auto& domain) { return domain.queued == 0; });
  if (domains.size() <= kFewDomains) {
    for (auto& domain : domains) {
      route(engine::make_feed(job, domain.domain, std::move(domain.name), domain.queued));
    }
    return;
  }
  std::vector<engine::Unrouted> parts(workers_.size(), {.job = job, .domains = {}});
  for (const auto& domain : domains) {
    parts[static_cast<std::size_t>(owner_of(domain.name))].domains.push_back({domain.queued, domain.domain});
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].domains.empty()) continue;
    // The largest first: what takes longest does not begin last.
    std::sort(parts[i].domains.begin(), parts[i].domains.end(), [](const auto& a, const auto& b) {
      return a.rows != b.rows ? a.rows < b.rows : a.number > b.number;
    });
    runtime().loop(static_cast<int>(i)).post([worker = workers_[i].get(), part = std::move(parts[i])]() mutable {
      worker->route(std::move(part));
    });
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Between the workers

void Engine::Core::route(FeedPtr feed) {
  const int owner = owner_of(feed->domain);
  runtime().loop(owner).post([worker = workers_[static_cast<std::size_t>(owner)].get(), feed = std::move(feed)]() mutable {
    worker->route(std::move(feed));
  });
}

void Engine::Core::deliver(FeedPtr feed, smtp::Route to) {
  const int owner = owner_of(to.provider.name);
  runtime().loop(owner).post(
      [worker = workers_[static_cast<std::size_t>(owner)].get(), feed = std::move(feed), to = std::move(to)]() mutable {
        worker->deliver(std::move(feed), std::move(to));
      });
}

void Engine::Core::wake_workers(const JobPtr& job) {
  each_worker([job](engine::Worker& worker) { worker.wake(job); });
}

// After each write: sinks have something to read, worker 0 may have to wake earlier, messages may be done with.
void Engine::Core::committed(TimePoint earliest_due, const std::vector<JobPtr>& messages) {
  events_.notify();
  if (earliest_due != TimePoint::max()) runtime().loop(0).post([worker = workers_[0].get()] { worker->hand_out_due(); });
  for (const JobPtr& job : messages) end_if_settled(job);
}

void Engine::Core::end_if_settled(const JobPtr& message) {
  if (CampaignStatus{.counts = spool().counts(message->number)}.settled()) remove(message);
}

// ---------------------------------------------------------------------------------------------------------------------
// Commands

Result<CampaignStatus> Engine::Core::status(std::string_view id) const {
  const JobPtr job = find(id);
  if (job == nullptr) return Error{ErrorCode::kNotFound, fmt::format("no campaign or message '{}'", id)};
  CampaignStatus status;
  status.counts = spool().counts(job->number);
  for (const std::uint64_t rows : status.counts) status.total += rows;
  if (status.total == 0 && !job->campaign) {  // Settled and removed since it was found.
    return Error{ErrorCode::kNotFound, fmt::format("no campaign or message '{}'", id)};
  }
  engine::count_notes(spool().note_counts(job->number), status);
  status.paused = job->paused;
  status.cancelled = job->cancelled;
  status.settled_per_second = job->rate.per_second(now());
  std::uint64_t open = 0;
  for (std::size_t state = 0; state < spool::kStateCount; ++state) {
    if (!spool::is_final(static_cast<spool::State>(state))) open += status.counts[state];
  }
  if (open > 0 && curves_ && job->campaign) plan_finish(*job, open, status);
  if (open > 0 && status.finish_bound.empty() && status.settled_per_second > 0) {
    const std::chrono::duration<double> left(static_cast<double>(open) / status.settled_per_second);
    status.finish = now() + std::chrono::duration_cast<Duration>(std::min(left, std::chrono::duration<double>(1e9)));
  }
  return status;
}

Result<void> Engine::Core::set_paused(std::string_view id, bool paused) {
  const JobPtr job = find(id);
  if (job == nullptr || !job->campaign) return Error{ErrorCode::kNotFound, fmt::format("no campaign '{}'", id)};
  const std::lock_guard lock(control_mutex_);
  if (auto kept = keep_control(*job, paused, job->cancelled, job->current_pool()); !kept) return kept;
  job->paused = paused;
  wake_workers(job);
  return {};
}

Result<void> Engine::Core::cancel(std::string_view id) {
  const JobPtr job = find(id);
  if (job == nullptr || !job->campaign) return Error{ErrorCode::kNotFound, fmt::format("no campaign '{}'", id)};
  const std::lock_guard lock(control_mutex_);
  if (auto kept = keep_control(*job, job->paused, true, job->current_pool()); !kept) return kept;
  job->cancelled = true;
  wake_workers(job);
  return {};
}

Result<void> Engine::Core::forget(std::string_view id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = interrupted_.find(id); found != interrupted_.end()) {
      spool().erase(found->second->number);
      interrupted_.erase(found);
      return {};
    }
  }
  const JobPtr job = find(id);
  if (job == nullptr || !job->campaign) return Error{ErrorCode::kNotFound, fmt::format("no campaign '{}'", id)};
  if (!CampaignStatus{.counts = spool().counts(job->number)}.settled()) {
    return Error{ErrorCode::kUnavailable, fmt::format("campaign '{}' is not settled", id)};
  }
  remove(job);
  return {};
}

Result<void> Engine::Core::suppress(std::string_view account, const Address& address, SuppressionReason reason) {
  return spool().suppress({{std::string(account), ascii::to_lower(address.str())},
                           {.reason = static_cast<std::uint8_t>(reason), .since = now()}});
}

// Who hears of an error sends it again, which changes nothing twice.
Result<InboundReport> Engine::Core::inbound(std::string_view message, const InboundEnvelope& envelope) {
  InboundReport report = inbound_.take(message, envelope, now());
  if (!report.event && report.suppressed.empty()) return report;
  if (auto kept = spool().sync(); !kept) return std::move(kept).error();
  events_.notify();
  return report;
}

std::optional<Suppressed> Engine::Core::suppressed(std::string_view account, const Address& address) const {
  const auto found = spool().suppressed(account, ascii::to_lower(address.str()));
  if (!found) return std::nullopt;
  return Suppressed{static_cast<SuppressionReason>(found->reason), found->since};
}

Result<std::vector<OpenRecipient>> Engine::Core::open_recipients(std::string_view id, std::size_t max) const {
  const JobPtr job = find(id);
  if (job == nullptr) return Error{ErrorCode::kNotFound, fmt::format("no campaign or message '{}'", id)};
  std::vector<OpenRecipient> open;
  auto visited = spool().visit_open(job->number, [&](std::string_view local, std::string_view domain, std::string_view, spool::State state) {
    if (open.size() < max) open.push_back({fmt::format("{}@{}", local, domain), state});
    return open.size() < max;
  });
  if (!visited) return Error{visited.error().code, fmt::format("job '{}': {}", id, visited.error().detail)};
  return open;
}

std::uint64_t Engine::Core::open_rows() const { return spool().open_rows(); }

std::uint64_t Engine::Core::unreported() const { return spool().event_count(); }

void Engine::Core::subscribe(std::shared_ptr<EventSink> sink) { events_.subscribe(std::move(sink)); }

// Looks again at short intervals: draining is for programs that end, and no hot path should pay for it.
bool Engine::Core::drain(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (open_rows() > 0 || unreported() > 0) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace mailsbuddy
