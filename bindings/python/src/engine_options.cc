#include "bindings/python/src/engine_options.h"

#include <pybind11/stl.h>

#include <array>

#include "bindings/python/src/convert.h"
#include "bindings/python/src/log_queue.h"
#include "bindings/python/src/reader.h"

namespace mailsbuddy::python {
namespace {

namespace py = pybind11;

constexpr Word<smtp::TlsPolicy> kTlsPolicies[] = {{"none", smtp::TlsPolicy::kNone},
                                                  {"opportunistic", smtp::TlsPolicy::kOpportunistic},
                                                  {"required", smtp::TlsPolicy::kRequired},
                                                  {"verified", smtp::TlsPolicy::kVerified}};
constexpr Word<Priority> kPriorities[] = {{"transactional", Priority::kTransactional}, {"bulk", Priority::kBulk}};
constexpr Word<OnUnknown> kOnUnknown[] = {{"resend", OnUnknown::kResend}, {"hold", OnUnknown::kHold}, {"drop", OnUnknown::kDrop}};
constexpr Word<smtp::DsnReturn> kDsnReturns[] = {
    {"", smtp::DsnReturn::kUnspecified}, {"full", smtp::DsnReturn::kFull}, {"headers", smtp::DsnReturn::kHeaders}};
constexpr Word<warming::Overflow> kOverflows[] = {{"warm", warming::Overflow::kWarmIps},
                                                  {"pool", warming::Overflow::kNamedPool},
                                                  {"wait", warming::Overflow::kWait},
                                                  {"send_anyway", warming::Overflow::kSendAnyway},
                                                  {"fail", warming::Overflow::kFail}};
constexpr Word<spool::Durability> kDurabilities[] = {{"power_loss", spool::Durability::kPowerLoss},
                                                     {"process_crash", spool::Durability::kProcessCrash}};
constexpr Word<smtp::TraceBodies> kTraceBodies[] = {
    {"none", smtp::TraceBodies::kNone}, {"headers", smtp::TraceBodies::kHeaders}, {"full", smtp::TraceBodies::kFull}};

constexpr std::uint32_t bit(spool::State state) { return 1U << static_cast<unsigned>(state); }
constexpr Word<std::uint32_t> kStates[] = {
    {"queued", bit(spool::State::kQueued)},         {"claimed", bit(spool::State::kClaimed)},
    {"deferred", bit(spool::State::kDeferred)},     {"held", bit(spool::State::kHeld)},
    {"delivered", bit(spool::State::kDelivered)},   {"bounced", bit(spool::State::kBounced)},
    {"suppressed", bit(spool::State::kSuppressed)}, {"expired", bit(spool::State::kExpired)},
    {"cancelled", bit(spool::State::kCancelled)},   {"failed", bit(spool::State::kFailed)}};
static_assert(std::size(kStates) == spool::kStateCount);

EgressIp to_egress(py::handle given) {
  EgressIp ip;
  const auto dict = given.cast<py::dict>();
  Reader read(dict, "egress: ");
  read("address", ip.address);
  read("ehlo_name", ip.ehlo_name);
  read("pool", ip.pool);
  read.field("curve", [&](const py::object& value) {
    warming::Curve curve;
    if (PyUnicode_Check(value.ptr())) {
      curve = read.good(warming::Curve::parse(value.cast<std::string>()));
    } else {
      curve.daily = value.cast<std::vector<std::uint64_t>>();
      curve.name = "list";
    }
    ip.curve = std::move(curve);
  });
  read.field("proxy", [&](const py::object& value) { ip.proxy = read.good(smtp::EgressProxy::parse(value.cast<std::string>())); });
  read.finish();
  return ip;
}

// (name, what its TZif file holds), of mailsbuddy/_zones.py.
Result<Zone> to_zone(py::handle given) {
  const auto pair = given.cast<py::tuple>();
  return Zone::read(to_bytes(pair[1], "zone"), to_bytes(pair[0], "zone"));
}

// Its threads have no GIL, and may be the last to let go of it.
std::function<Result<Zone>(std::string_view)> to_zone_finder(py::object find) {
  auto shared = std::shared_ptr<py::object>(new py::object(std::move(find)), [](py::object* last) {
    const py::gil_scoped_acquire gil;
    delete last;
  });
  return [shared](std::string_view name) -> Result<Zone> {
    const py::gil_scoped_acquire gil;
    try {
      return to_zone((*shared)(to_str(name)));
    } catch (py::error_already_set& error) {
      return Error{ErrorCode::kNotFound, py::str(error.value().attr("detail")).cast<std::string>()};
    }
  };
}

PoolOptions to_pool(const py::dict& given) {
  PoolOptions pool;
  Reader read(given, "pools: ");
  read.word("overflow", kOverflows, pool.overflow.when);
  read("overflow_pool", pool.overflow.pool);
  read("hold_max", pool.overflow.hold_max);
  read.word("then", kOverflows, pool.overflow.then);
  read.field("engaged_only", [&](const py::object& value) {
    if (!value.cast<std::string>().empty()) pool.engaged_only = warming::EngagedOnly{.field = value.cast<std::string>()};
  });
  read.finish();
  return pool;
}

void read_timeouts(Reader& outer, smtp::Timeouts& timeouts) {
  outer.field("timeouts", [&](const py::object& value) {
    const auto dict = value.cast<py::dict>();
    Reader read(dict, "timeouts: ");
    read("connect", timeouts.connect), read("greeting", timeouts.greeting), read("ehlo", timeouts.ehlo);
    read("start_tls", timeouts.start_tls), read("auth", timeouts.auth), read("mail_from", timeouts.mail_from);
    read("rcpt_to", timeouts.rcpt_to), read("data", timeouts.data), read("data_block", timeouts.data_block);
    read("final_dot", timeouts.final_dot), read("quit", timeouts.quit);
    if (!read.all()) {
      raise(ErrorCode::kInvalidArgument, "timeouts: a name is none of connect, greeting, ehlo, start_tls, auth, mail_from, rcpt_to, data, "
                                         "data_block, final_dot, quit");
    }
  });
}

smtp::TlsOverride to_override(const py::dict& given) {
  smtp::TlsOverride made;
  Reader read(given, "tls_overrides: ");
  read.word("policy", kTlsPolicies, made.policy);
  read("names", made.names);
  read.finish();
  return made;
}

TlsReportingOptions to_tls_reporting(const py::dict& given) {
  TlsReportingOptions made{};
  Reader read(given, "tls_reporting: ");
  read("organization", made.reporter.organization);
  read("contact", made.reporter.contact);
  read("domain", made.reporter.domain);
  read.field("sender", [&](const py::object& value) { made.from = read.good(Address::parse(to_bytes(value, "tls_reporting: sender"))); });
  read("account", made.account);
  read("pool", made.pool);
  read.finish();
  return made;
}

void read_way(Reader& read, EngineOptions& options) {
  read.word("tls", kTlsPolicies, options.tls);
  read("dane", options.tls_policies.dane);
  read("mta_sts", options.tls_policies.mta_sts);
  read.field("tls_overrides", [&](const py::object& value) {
    for (const auto& [domain, word] : value.cast<py::dict>()) {
      options.tls_policies.overrides[domain.cast<std::string>()] = to_override(word.cast<py::dict>());
    }
  });
  read("connections_max", options.connections_max);
  read("port", options.port);
  read("allowed_targets", options.allowed_targets);
  read("refuse_loops", options.refuse_loops);
  read("own_names", options.own_names);
  read.list("own_addresses", options.own_addresses,
            [](py::handle each) { return net::IpAddress::parse(each.cast<std::string>()); });
  read.field("relays", [&](const py::object& value) {
    for (const auto& [domain, url] : value.cast<py::dict>()) {
      options.relays.push_back({.domain = domain.cast<std::string>(), .relay = read.good(smtp::Relay::parse(url.cast<std::string>()))});
    }
  });
  read_timeouts(read, options.timeouts);
}

void read_runtime(Reader& read, net::RuntimeOptions& runtime) {
  read("workers", runtime.workers);
  read("cpu_threads", runtime.cpu_threads);
  read("tls_ca", runtime.tls_ca);
  read("seed", runtime.seed);
  read.list("dns", runtime.resolver.servers, [](py::handle each) { return net::Endpoint::parse(each.cast<std::string>(), 53); });
}

void read_warming(Reader& read, EngineOptions& options) {
  read("adaptive", options.adaptive);
  read.field("zone", [&](const py::object& value) { options.zone = read.good(to_zone(value)); });
  read.field("find_zone", [&](const py::object& value) { options.find_zone = to_zone_finder(value); });
  read.field("limits", [&](const py::object& value) {
    auto settings = std::make_shared<warming::Settings>(warming::Settings::shipped());
    const auto added = settings->add(value.cast<std::string>(), "limits");
    if (!added) raise(added.error());
    options.settings = std::move(settings);
  });
  read.field("pools", [&](const py::object& value) {
    for (const auto& [name, pool] : value.cast<py::dict>()) options.pools[name.cast<std::string>()] = to_pool(pool.cast<py::dict>());
  });
}

constexpr Word<std::uint8_t> kNotifies[] = {{"never", smtp::kNotifyNever}, {"success", smtp::kNotifySuccess},
                                            {"failure", smtp::kNotifyFailure}, {"delay", smtp::kNotifyDelay}};

Result<RecipientReport> to_report(py::handle given) {
  const auto dict = given.cast<py::dict>();
  RecipientReport report;
  Reader read(dict, "reports: ");
  read.words("notify", kNotifies, report.notify);
  read("orcpt", report.orcpt);
  read.finish();
  return report;
}

}  // namespace

EngineOptions to_engine_options(const py::dict& given) {
  EngineOptions options{};
  Reader read(given, "");
  read.list("egress", options.egress, [](py::handle each) { return Result<EgressIp>(to_egress(each)); });
  read.field("keys", [&](const py::object& value) { options.keys = value.cast<std::shared_ptr<dkim::KeyRing>>(); });
  read("max_age", options.max_age);
  read("first_retry", options.first_retry);
  read("max_message_bytes", options.max_message_bytes);
  read("report_age", options.report_age);
  read("verp_key", options.verp_key);
  read("attempts_max", options.attempts_max);
  read("tls_reports", options.tls_reports);
  read.field("tls_reporting", [&](const py::object& value) { options.tls_reporting = to_tls_reporting(value.cast<py::dict>()); });
  read("deliver", options.deliver);
  read("due_rows_max", options.due_rows_max);
  read("outbox_events_max", options.outbox_events_max);
  read("memory_max_bytes", options.memory_max_bytes);
  read("soft_bounces", options.suppression.soft_bounces);
  read.field("log", [&](const py::object& value) { options.log = value.cast<std::shared_ptr<LogQueue>>(); });
  read_way(read, options);
  read_runtime(read, options.runtime_options);
  read_warming(read, options);
  read.finish();
  return options;
}

spool::RocksSpoolOptions to_spool_options(const py::dict& given) {
  spool::RocksSpoolOptions options{};
  Reader read(given, "");
  read("spool_dir", options.directory);
  read.word("durability", kDurabilities, options.durability);
  read("spool_reserve_bytes", options.reserve_bytes);
  read("spool_cache_bytes", options.cache_bytes);
  read("suppression_key", options.suppression_key);
  read.finish();
  return options;
}

namespace {

Schedule to_schedule(const py::dict& given) {
  Schedule schedule;
  Reader read(given, "schedule: ");
  read.field("start_at", [&](const py::object& value) { schedule.start_at = to_time_point(value, "schedule: start_at"); });
  read.field("not_after", [&](const py::object& value) { schedule.not_after = to_time_point(value, "schedule: not_after"); });
  read.field("windows", [&](const py::object& value) {
    const auto text = to_bytes(value, "schedule: windows");
    if (!text.empty()) schedule.windows = read.good(Schedule::parse_windows(text));
  });
  read.field("zone", [&](const py::object& value) { schedule.zone = read.good(to_zone(value)); });
  read("zone_field", schedule.zone_field);
  read.finish();
  return schedule;
}

}  // namespace

Campaign to_campaign(const py::dict& given) {
  Campaign campaign{};
  Reader read(given, "campaign: ");
  read("id", campaign.id);
  read("account", campaign.account);
  ListHeaders list{};
  read("unsubscribe_url", list.unsubscribe_url);
  read("unsubscribe_mailto", list.unsubscribe_mailto);
  read("list_id", list.list_id);
  read("feedback_id", list.feedback_id);
  read.field("content", [&](const py::object& value) {
    campaign.content = value.cast<const Template&>();
    if (list.list_id.empty() && list.unsubscribe_url.empty()) return;
    Content content = campaign.content.content();
    campaign.content = value_or_raise(without_gil([&] { return make_campaign_content(std::move(content), list); }));
  });
  read.field("sender", [&](const py::object& value) { campaign.from = read.good(NamedAddress::parse(to_bytes(value, "sender"))); });
  read("return_path_domain", campaign.return_path_domain);
  read("pool", campaign.pool);
  read.word("priority", kPriorities, campaign.priority);
  read.word("on_unknown", kOnUnknown, campaign.on_unknown);
  read("address_field", campaign.address_field);
  read("attempts_max", campaign.attempts_max);
  read.field("schedule", [&](const py::object& value) { campaign.schedule = to_schedule(value.cast<py::dict>()); });
  read.finish();
  return campaign;
}

Message to_message(const py::dict& given) {
  Message message{};
  Reader read(given, "message: ");
  const auto address = [](py::handle each) { return Address::parse(to_bytes(each, "message: recipients")); };
  read.field("sender", [&](const py::object& value) { message.sender = read.good(Address::parse(to_bytes(value, "sender"))); });
  read.list("recipients", message.recipients, address);
  read("data", message.data);
  read("account", message.account);
  read("pool", message.pool);
  read.word("priority", kPriorities, message.priority);
  read.word("on_unknown", kOnUnknown, message.on_unknown);
  read("campaign", message.campaign);
  read.field("not_before", [&](const py::object& value) { message.not_before = to_time_point(value, "message: not_before"); });
  read("attempts_max", message.attempts_max);
  read("require_tls", message.require_tls);
  read.word("ret", kDsnReturns, message.ret);
  read("envid", message.envid);
  read.list("reports", message.reports, [](py::handle each) { return to_report(each); });
  read.finish();
  return message;
}

QueueFilter to_queue_filter(const py::object& given) {
  if (PyUnicode_Check(given.ptr())) {
    auto parsed = QueueFilter::parse(to_bytes(given, "filter"));
    if (!parsed) raise(parsed.error().code, fmt::format("filter: {}", parsed.error().detail));
    return *std::move(parsed);
  }
  QueueFilter filter;
  const auto dict = given.cast<py::dict>();
  Reader read(dict, "filter: ");
  read("job", filter.job), read("account", filter.account), read("pool", filter.pool), read("domain", filter.domain);
  read("address", filter.address), read("provider", filter.provider), read("age_min", filter.age_min);
  read("provider_wait", filter.provider_wait);
  read.words("states", kStates, filter.states);
  read.finish();
  return filter;
}

Address to_address(const py::object& given) {
  if (py::isinstance<Address>(given)) return given.cast<Address>();
  return value_or_raise(Address::parse(to_bytes(given, "address")));
}

TraceFilter to_trace_filter(const py::dict& given) {
  TraceFilter filter{};
  Reader read(given, "trace: ");
  read("domain", filter.domain), read("job", filter.job), read("egress", filter.egress);
  read("provider", filter.provider), read("mx_host", filter.mx_host);
  read.word("bodies", kTraceBodies, filter.bodies);
  read.finish();
  return filter;
}

smtp::ListenTraceFilter to_listen_trace_filter(const py::dict& given) {
  smtp::ListenTraceFilter filter{};
  Reader read(given, "trace: ");
  read("client", filter.client), read("user", filter.user), read("sender", filter.sender);
  read.word("bodies", kTraceBodies, filter.bodies);
  read.finish();
  return filter;
}

}  // namespace mailsbuddy::python
