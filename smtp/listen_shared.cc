#include "smtp/listen_shared.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

// AUTH PLAIN with a response of three names as long as RFC 4616 allows, in base64, and the words before it.
constexpr std::size_t kCommandLineMin = 1100;
constexpr std::size_t kCommandLineLargest = 64 << 10;

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, "listener: " + std::move(detail)}; }

bool is_host(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kDomainMax && std::all_of(name.begin(), name.end(), [](char c) {
    return ascii::is_alnum(c) || c == '-' || c == '.' || c == '[' || c == ']' || c == ':';
  });
}

Result<void> check(const ListenLimits& limits) {
  const auto positive = [](auto... numbers) { return ((numbers > decltype(numbers){}) && ...); };
  if (!positive(limits.connections_max, limits.connections_per_client_max, limits.auth_failures_max,
                limits.auth_checks_max, limits.recipients_max, limits.message_bytes_max, limits.held_bytes_max,
                limits.errors_max))
    return invalid("limits: each number must be at least 1");
  if (!positive(limits.header_time, limits.handshake_time, limits.idle_time, limits.command_time, limits.message_time,
                limits.answer_time, limits.connection_time))
    return invalid("limits: each time must be above zero");
  if (limits.auth_failure_delay < Duration{0}) return invalid("limits: auth_failure_delay is negative");
  for (const ListenRate& rate :
       {limits.connections_per_client, limits.messages_per_client, limits.auth_failures_per_client})
    if (rate.per <= Duration{0}) return invalid("limits: the time of a rate must be above zero");
  if (limits.command_line_bytes_max < kCommandLineMin || limits.command_line_bytes_max > kCommandLineLargest)
    return invalid(
        fmt::format("limits: command_line_bytes_max is not between {} and {}", kCommandLineMin, kCommandLineLargest));
  return {};
}

ServerOptions server_options(const ListenOptions& options, const ListenEndpoint& endpoint) {
  const bool auth = !endpoint.inbound;
  return {.host = options.host,
          .start_tls = endpoint.tls == ListenTls::kStartTls,
          .chunking = true,
          .dsn = true,
          .auth = !auth                   ? AuthOffer::kNever
                  : options.auth_in_clear ? AuthOffer::kAlways
                                          : AuthOffer::kUnderTls,
          .auth_required = auth && options.auth_required,
          .refusals_are_errors = endpoint.inbound,
          .bare_line_ends = options.bare_line_ends == BareLineEnds::kNormalise,
          .size_max = options.limits.message_bytes_max,
          .recipients_max = options.limits.recipients_max,
          .command_line_max = options.limits.command_line_bytes_max,
          .errors_max = options.limits.errors_max};
}

}  // namespace

Result<std::unique_ptr<ListenShared>> ListenShared::make(ListenOptions options, std::shared_ptr<ListenHandler> handler,
                                                         std::uint64_t seed) {
  if (handler == nullptr) return invalid("there is no handler");
  std::unique_ptr<ListenShared> shared(new ListenShared(std::move(options), std::move(handler), seed));
  if (auto prepared = shared->prepare(); !prepared) return std::move(prepared).error();
  return shared;
}

Result<void> ListenShared::prepare() {
  if (options.endpoints.empty()) return invalid("no endpoints");
  if (!is_host(options.host)) return invalid(fmt::format("host \"{}\" is not a host name", options.host));
  if (options.threads < 1) return invalid("threads must be at least 1");
  if (auto checked = check(options.limits); !checked) return checked;
  for (const std::string& text : options.trusted) {
    auto range = IpRange::parse(text);
    if (!range) return invalid("trusted: " + range.error().detail);
    trusted.push_back(*range);
  }
  for (const std::string& domain : options.inbound_domains) {
    auto address = Address::parse("postmaster@" + domain);
    if (!address) return invalid(fmt::format("inbound domain \"{}\": {}", domain, address.error().detail));
    inbound_domains.emplace_back(address->domain());
  }
  std::sort(inbound_domains.begin(), inbound_domains.end());
  for (const ListenEndpoint& endpoint : options.endpoints) {
    if (endpoint.proxy && trusted.empty())
      return invalid(fmt::format("{}: PROXY headers are expected, but no range is trusted", endpoint.endpoint.str()));
    server_options.push_back(smtp::server_options(options, endpoint));
    if (endpoint.tls == ListenTls::kNone || tls) continue;
    auto context = make_tls_server_context(options.tls_certificate_pem, options.tls_key_pem, options.host);
    if (!context) return invalid(context.error().detail);
    tls = std::move(*context);
  }
  return {};
}

bool ListenShared::is_inbound(std::string_view domain) const noexcept {
  return std::binary_search(inbound_domains.begin(), inbound_domains.end(), domain);
}

}  // namespace mailsbuddy::smtp
