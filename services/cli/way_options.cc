#include "services/cli/way_options.h"

#include <fmt/format.h>

#include <CLI/Option.hpp>
#include <algorithm>
#include <filesystem>
#include <utility>

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {
namespace {

// "name=value"; an empty name: there is no "=".
std::pair<std::string, std::string> split(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Error bad(std::string_view option, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}: {}", option, why)};
}

constexpr std::uintmax_t kTokenBytesMax = 16 << 10;

// What another process writes and renews: by renaming a new file into its place. Read at each log-in.
class TokenFile final : public smtp::TokenSource {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  std::string token() override {
    constexpr std::string_view kSpace = " \t\r\n";
    std::error_code none;  // Not a pipe, which could keep the connection's thread.
    if (!std::filesystem::is_regular_file(path_, none) || std::filesystem::file_size(path_, none) > kTokenBytesMax) return {};
    const auto text = read_file(path_);
    const std::size_t begin = text ? text->find_first_not_of(kSpace) : std::string::npos;
    return begin == std::string::npos ? std::string() : text->substr(begin, text->find_last_not_of(kSpace) + 1 - begin);
  }

 private:
  const std::string path_;
};

Result<void> apply_token(const std::string& option, std::vector<smtp::RelayRule>& relays) {
  const auto [domain, path] = split(option);
  const auto rule = std::ranges::find(relays, domain, &smtp::RelayRule::domain);
  if (domain.empty() || rule == relays.end())
    return bad("--relay-token", fmt::format("\"{}\": DOMAIN=FILE with a DOMAIN of --relay is expected", option));
  if (rule->relay.login.user.empty())
    return bad("--relay-token " + domain, "the URL of --relay names no user: smtp://USER@HOST");
  auto tokens = std::make_shared<TokenFile>(path);
  if (tokens->token().empty())
    return bad("--relay-token " + domain, path + " is no file of 1 to 16384 octets that can be read (a pipe is none)");
  rule->relay.login.tokens = std::move(tokens);
  return {};
}

}  // namespace

void add_way_options(CLI::App& app, WayOptions& options) {
  app.add_option("--proxy", options.proxies,
                 "An egress IP is behind a proxy: IP=socks5://[USER:PASSWORD@]IP:PORT or proxy://IP:PORT")
      ->group("Delivery");
  app.add_option(
         "--relay", options.relays,
         "Host of a domain instead of its MX: DOMAIN=smtp://[USER:PASSWORD@]HOST[:PORT], smtps://, lmtp://; *: all")
      ->group("Delivery");
  app.add_option("--relay-token", options.relay_tokens,
                 "A bearer token for XOAUTH2 at that relay, as another process writes it there (a file of up to 16 KB);"
                 " read at each log-in")
      ->type_name("DOMAIN=FILE")
      ->group("Delivery");
  app.add_option("--allow-target", options.allowed_targets,
                 "A range that MX hosts may be in although it is loopback or private, for example 127.0.0.0/8")
      ->group("Delivery");
}

Result<void> apply(const WayOptions& options, EngineOptions& engine) {
  for (const std::string& each : options.proxies) {
    const auto [address, url] = split(each);
    const auto ip = std::ranges::find(engine.egress, address, &EgressIp::address);
    if (address.empty() || ip == engine.egress.end())
      return bad("--proxy", "IP=URL with an IP of --egress is expected");
    auto proxy = smtp::EgressProxy::parse(url);
    if (!proxy) return about("--proxy " + address, proxy.error());
    ip->proxy = *std::move(proxy);
  }
  for (const std::string& each : options.relays) {
    const auto [domain, url] = split(each);
    if (domain.empty()) return bad("--relay", "DOMAIN=URL is expected");
    auto relay = smtp::Relay::parse(url);
    if (!relay) return about("--relay " + domain, relay.error());
    engine.relays.push_back({domain, *std::move(relay)});
  }
  for (const std::string& each : options.relay_tokens)
    if (auto applied = apply_token(each, engine.relays); !applied) return applied;
  engine.allowed_targets = options.allowed_targets;
  return {};
}

}  // namespace mailsbuddy::cli
