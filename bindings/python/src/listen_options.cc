#include "bindings/python/src/engine_options.h"
#include "bindings/python/src/log_queue.h"
#include "bindings/python/src/reader.h"

namespace mailsbuddy::python {
namespace {

constexpr Word<smtp::ListenTls> kListenTls[] = {
    {"starttls", smtp::ListenTls::kStartTls}, {"tls", smtp::ListenTls::kImplicit}, {"none", smtp::ListenTls::kNone}};
constexpr Word<smtp::BareLineEnds> kBareLineEnds[] = {{"refuse", smtp::BareLineEnds::kRefuse},
                                                      {"normalise", smtp::BareLineEnds::kNormalise}};

Result<smtp::ListenEndpoint> to_endpoint(py::handle given) {
  const auto dict = given.cast<py::dict>();
  smtp::ListenEndpoint endpoint{};
  Reader read(dict, "endpoints: ");
  read.field("address", [&](const py::object& value) {
    endpoint.endpoint = read.good(net::Endpoint::parse(to_bytes(value, read.path()), 587));
  });
  read.word("tls", kListenTls, endpoint.tls);
  read("inbound", endpoint.inbound);
  read("proxy", endpoint.proxy);
  read.finish();
  return endpoint;
}

void read_rate(Reader& outer, const char* name, smtp::ListenRate& rate) {
  outer.field(name, [&](const py::object& value) {
    const auto dict = value.cast<py::dict>();
    const std::string of = outer.path() + ": ";
    Reader read(dict, of);
    read("count", rate.count);
    read("per", rate.per);
    read.finish();
  });
}

void read_limits(const py::dict& given, smtp::ListenLimits& limits) {
  Reader read(given, "limits: ");
  read("connections_max", limits.connections_max);
  read("connections_per_client_max", limits.connections_per_client_max);
  read_rate(read, "connections_per_client", limits.connections_per_client);
  read_rate(read, "messages_per_client", limits.messages_per_client);
  read_rate(read, "auth_failures_per_client", limits.auth_failures_per_client);
  read("auth_failures_max", limits.auth_failures_max);
  read("auth_checks_max", limits.auth_checks_max);
  read("auth_failure_delay", limits.auth_failure_delay);
  read("command_line_bytes_max", limits.command_line_bytes_max);
  read("recipients_max", limits.recipients_max);
  read("message_bytes_max", limits.message_bytes_max);
  read("held_bytes_max", limits.held_bytes_max);
  read("errors_max", limits.errors_max);
  read("header_time", limits.header_time);
  read("handshake_time", limits.handshake_time);
  read("idle_time", limits.idle_time);
  read("command_time", limits.command_time);
  read("message_time", limits.message_time);
  read("answer_time", limits.answer_time);
  read("connection_time", limits.connection_time);
  read.finish();
}

}  // namespace

ListenerOptions to_listener_options(const py::dict& given) {
  ListenerOptions options{};
  smtp::ListenOptions& listen = options.listen;
  Reader read(given, "");
  read.list("endpoints", listen.endpoints, &to_endpoint);
  read("host", listen.host);
  read("tls_certificate", listen.tls_certificate_pem);
  read("tls_key", listen.tls_key_pem);
  read("auth_in_clear", listen.auth_in_clear);
  read("auth_required", listen.auth_required);
  read("trusted", listen.trusted);
  read("inbound_domains", listen.inbound_domains);
  read.word("bare_line_ends", kBareLineEnds, listen.bare_line_ends);
  read("add_received", listen.fix_ups.add_received);
  read("add_date", listen.fix_ups.add_date);
  read("add_message_id", listen.fix_ups.add_message_id);
  read.field("limits", [&](const py::object& value) { read_limits(value.cast<py::dict>(), listen.limits); });
  read("threads", listen.threads);
  read.field("log", [&](const py::object& value) { listen.log = value.cast<std::shared_ptr<LogQueue>>(); });
  read("open_rows_max", options.open_rows_max);
  read("account", options.account);
  read("inbound_address", options.finds_addresses);
  read("keep", options.keeps_letters);
  read.finish();
  return options;
}

smtp::Identity to_identity(const py::dict& given) {
  smtp::Identity identity{};
  Reader read(given, "identity: ");
  read("user", identity.user);
  read("account", identity.account);
  read("may_route", identity.may_route);
  read("senders", identity.senders);
  read.finish();
  return identity;
}

}  // namespace mailsbuddy::python
