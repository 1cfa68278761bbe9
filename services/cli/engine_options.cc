#include "services/cli/engine_options.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "services/cli/key_records.h"
#include "services/cli/say.h"
#include "services/cli/tls_options.h"

namespace mailsbuddy::cli {

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || std::filesystem::is_directory(path)) {
    return Error{ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno != 0 ? errno : EISDIR))};
  }
  return text.str();
}

Result<void> write_whole(const std::string& path, std::string_view text) {
  const std::string unfinished = path + ".tmp";
  std::ofstream file(unfinished);
  file << text;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(unfinished, path, error);
  if (!file || error) return Error{ErrorCode::kIo, fmt::format("cannot write {}", path)};
  return {};
}

Error about(std::string_view what, const Error& error) {
  return {error.code, fmt::format("{}: {}", what, error.detail)};
}

Result<std::shared_ptr<const dkim::KeyRing>> load_keys(const std::vector<std::string>& given,
                                                       dkim::KeyOptions options) {
  auto ring = std::make_shared<dkim::KeyRing>();
  for (const std::string& each : given) {
    const std::size_t first = each.find(':');
    const std::size_t second = first == std::string::npos ? first : each.find(':', first + 1);
    if (second == std::string::npos) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("--dkim {}: DOMAIN:SELECTOR:KEYFILE is expected", each)};
    }
    const std::string file = each.substr(second + 1);
    auto key = dkim::PrivateKey::from_file(file, options);
    if (!key) return about("--dkim", key.error());
    auto signer = dkim::Signer::make(each.substr(0, first), each.substr(first + 1, second - first - 1), *key);
    if (!signer) return about("--dkim " + each, signer.error());
    for (const std::string& warning : signer->warnings()) say("warning: --dkim {}: {}\n", each, warning);
    if (auto added = ring->add(*signer); !added) return about("--dkim " + each, added.error());
  }
  if (ring->empty()) return std::shared_ptr<const dkim::KeyRing>();
  return std::shared_ptr<const dkim::KeyRing>(std::move(ring));
}

void check_signatures(const dkim::KeyRing& keys, std::string_view domain, const std::vector<std::string>& dns) {
  const TimePoint now = SystemClock().now();
  const auto signers = keys.signers_for(domain, now);
  auto records = DnsKeys::make(dns);
  if (!signers || !records) return;  // Opening the engine and starting the campaign say so.
  const std::string message = fmt::format("From: postmaster@{}\r\n\r\n", domain);
  std::string trial;
  if (!dkim::sign_all(signers->view(), message, now, trial)) return;
  const auto verified =
      dkim::verify(trial + message, [&](std::string_view name) { return records->find(name); }, {.now = now});
  for (const dkim::SignatureResult& each : verified.signatures) {
    if (each.status == dkim::Status::kPass) continue;
    say("warning: receivers will not accept the DKIM signature of {}: {}; see mailsbuddy dkim check {} {}\n",
        each.domain, dkim::describe(each.reason), each.domain, each.selector);
  }
}

Result<std::vector<EgressIp>> parse_egress(const std::vector<std::string>& given) {
  std::vector<EgressIp> ips;
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("--egress {}: IP=EHLO_NAME is expected", each)};
    }
    const std::size_t comma = each.find(',', equals);
    EgressIp& ip = ips.emplace_back();
    ip.address = each.substr(0, equals);
    ip.ehlo_name = each.substr(equals + 1, comma == std::string::npos ? comma : comma - equals - 1);
    if (comma != std::string::npos) ip.pool = each.substr(comma + 1);
  }
  return ips;
}

Result<std::shared_ptr<net::Runtime>> make_runtime(const std::vector<std::string>& dns, int workers, int cpu_threads,
                                                   const TlsArguments& tls) {
  net::RuntimeOptions options{.workers = workers, .cpu_threads = cpu_threads};
  for (const std::string& server : dns) {
    auto endpoint = net::Endpoint::parse(server, 53);
    if (!endpoint) return about("--dns " + server, endpoint.error());
    options.resolver.servers.push_back(*endpoint);
  }
  if (auto set = set_trust(tls, options); !set) return std::move(set).error();
  auto runtime = net::make_runtime(std::move(options));
  if (!runtime) return std::move(runtime).error();
  return std::shared_ptr<net::Runtime>(*std::move(runtime));
}

}  // namespace mailsbuddy::cli
