#include "bindings/python/src/engine_options.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <array>
#include <concepts>

#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {
namespace {

namespace py = pybind11;

template <class E>
struct Word {
  std::string_view name;
  E value;
};

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

// A dict, read field by field.
class Reader {
 public:
  Reader(const py::dict& dict, std::string_view of) : dict_(dict), of_(of) {}

  // Calls `take(value)` if the field is there.
  template <class Take>
  void field(const char* name, Take take) {
    if (!dict_.contains(name)) return;
    ++read_;
    name_ = name;
    const py::object value = dict_[name];
    try {
      take(value);
    } catch (const py::cast_error&) {
      wrong(fmt::format("a {} is no value for it", Py_TYPE(value.ptr())->tp_name));
    }
  }
  void operator()(const char* name, std::string& out) {
    field(name, [&](const py::object& value) { out = to_bytes(value, path()); });
  }
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  void operator()(const char* name, T& out) {
    field(name, [&](const py::object& value) {
      try {
        out = value.cast<T>();
      } catch (const py::cast_error&) {
        wrong("out of range, or no number");
      }
    });
  }
  void operator()(const char* name, std::vector<std::string>& out) {
    field(name, [&](const py::object& value) {
      if (PyUnicode_Check(value.ptr())) wrong("a list of str is needed");
      out = value.cast<std::vector<std::string>>();
    });
  }
  template <class Rep, class Period>
  void operator()(const char* name, std::chrono::duration<Rep, Period>& out) {
    field(name, [&](const py::object& value) {
      out = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(to_duration(value, path()));
    });
  }
  template <class E, std::size_t N>
  void word(const char* name, const Word<E> (&words)[N], E& out) {
    field(name, [&](const py::object& value) {
      const auto text = value.cast<std::string>();
      std::string there;
      for (const auto& each : words) {
        if (each.name == text) {
          out = each.value;
          return;
        }
        if (!each.name.empty()) there += fmt::format("{}\"{}\"", there.empty() ? "" : ", ", each.name);
      }
      wrong(fmt::format("\"{}\" is none of {}", text, there));
    });
  }
  // A list, of which each goes through `make`, which gives a Result.
  template <class T, class Make>
  void list(const char* name, std::vector<T>& out, Make make) {
    field(name, [&](const py::object& value) {
      out.clear();
      for (const py::handle each : value) out.push_back(good(make(each)));
    });
  }
  template <class T>
  T good(Result<T> result) {
    if (!result) raise(result.error().code, fmt::format("{}: {}", path(), result.error().detail));
    return *std::move(result);
  }
  [[noreturn]] void wrong(std::string what) { raise(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path(), what)); }
  std::string path() const { return fmt::format("{}{}", of_, name_); }
  void finish() {  // Our own Python half hands these over: a name too much is a defect there.
    if (read_ != dict_.size()) raise(ErrorCode::kInternal, fmt::format("{}{} fields, {} are known", of_, dict_.size(), read_));
  }

 private:
  const py::dict& dict_;
  std::string_view of_;
  std::string name_;
  std::size_t read_ = 0;
};

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
    read.finish();
  });
}

void read_way(Reader& read, EngineOptions& options) {
  read.word("tls", kTlsPolicies, options.tls);
  read("dane", options.tls_policies.dane);
  read("mta_sts", options.tls_policies.mta_sts);
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
  read.field("zone", [&](const py::object& value) { options.zone = read.good(Zone::read(to_bytes(value, "zone"), "zone")); });
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

Result<RecipientReport> to_report(py::handle given) {
  const auto dict = given.cast<py::dict>();
  RecipientReport report;
  Reader read(dict, "reports: ");
  read("notify", report.notify);
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
  read("tls_reports", options.tls_reports);
  read("soft_bounces", options.suppression.soft_bounces);
  read.field("log", [&](const py::object& value) { options.log = value.cast<std::shared_ptr<LogSink>>(); });
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
  read.finish();
  return options;
}

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
  read("require_tls", message.require_tls);
  read.word("ret", kDsnReturns, message.ret);
  read("envid", message.envid);
  read.list("reports", message.reports, [](py::handle each) { return to_report(each); });
  read.finish();
  return message;
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

}  // namespace mailsbuddy::python
