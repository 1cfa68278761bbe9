#include "services/cli/key_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

namespace mailsbuddy::cli {
namespace {

constexpr std::size_t kRecordsMax = 100'000;

using Kind = dkim::KeyAnswer::Kind;

std::string_view take(std::string_view& text, char end) noexcept {
  const std::string_view part = text.substr(0, text.find(end));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c;
  return made;
}

std::string key_of(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return lower(name);
}

// False: no such TYPE.
bool add(dkim::KeyAnswer& answer, std::string_view type, std::string_view value) {
  if (type == "TXT") {
    answer.kind = Kind::kFound;
    answer.records.emplace_back(value);
  } else if (type == "SERVFAIL" || type == "TIMEOUT") {
    answer = {.kind = Kind::kTemporaryFailure, .records = {}, .detail = lower(type)};
  } else {
    return type == "NXDOMAIN";
  }
  return true;
}

}  // namespace

Result<KeyRecords> KeyRecords::parse(std::string_view text) {
  KeyRecords records;
  std::size_t count = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take(text, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("name\t"))) continue;
    const std::string_view name = take(line, '\t');
    const std::string_view type = take(line, '\t');
    if (name.empty() || !add(records.answers_[key_of(name)], type, line)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("line {}: not a name, a tab and TXT, NXDOMAIN, SERVFAIL or TIMEOUT", number)};
    }
    if (++count > kRecordsMax) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("more than {} records", kRecordsMax)};
    }
  }
  return records;
}

dkim::KeyAnswer KeyRecords::find(std::string_view name) const {
  const auto found = answers_.find(key_of(name));
  return found == answers_.end() ? dkim::KeyAnswer{} : found->second;
}

Result<DnsKeys> DnsKeys::make(const std::vector<std::string>& servers) {
  net::RuntimeOptions options{.workers = 1, .cpu_threads = 1};
  for (const std::string& server : servers) {
    auto endpoint = net::Endpoint::parse(server, 53);
    if (!endpoint) return Error{endpoint.error().code, fmt::format("--dns {}: {}", server, endpoint.error().detail)};
    options.resolver.servers.push_back(*endpoint);
  }
  auto runtime = net::make_runtime(std::move(options));
  if (!runtime) return std::move(runtime).error();
  DnsKeys keys;
  keys.runtime_ = *std::move(runtime);
  return keys;
}

dkim::KeyAnswer DnsKeys::find(std::string_view name) {
  std::promise<dkim::KeyAnswer> promise;
  auto answered = promise.get_future();
  runtime_->loop(0).post([this, &promise, name] {
    runtime_->resolver(0).txt(name, [&promise](const net::DnsAnswer<std::string>& answer) {
      switch (answer.status) {
        case net::DnsStatus::kOk:
          return promise.set_value({.kind = Kind::kFound, .records = answer.records});
        case net::DnsStatus::kFailed:
          return promise.set_value({.kind = Kind::kTemporaryFailure, .records = {}, .detail = answer.detail});
        case net::DnsStatus::kNoData:
        case net::DnsStatus::kNxDomain:
          break;
      }
      promise.set_value({});
    });
  });
  return answered.get();
}

}  // namespace mailsbuddy::cli
