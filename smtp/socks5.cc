#include "smtp/socks5.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mailsbuddy::smtp {
namespace {

constexpr char kVersion = 5;
constexpr char kLoginVersion = 1;  // RFC 1929 2.
constexpr char kConnect = 1;
constexpr unsigned char kNoLogin = 0, kUserAndPassword = 2, kNoneOfThem = 0xff;
constexpr unsigned char kIpv4 = 1, kName = 3, kIpv6 = 4;

// RFC 1928 6.
constexpr std::array<std::string_view, 9> kStatus = {
    "connected",           "general failure",       "not allowed by its rules",
    "network unreachable", "host unreachable",      "connection refused",
    "TTL expired",         "command not supported", "address type not supported"};

unsigned char octet(std::string_view bytes, std::size_t at) noexcept { return static_cast<unsigned char>(bytes[at]); }

}  // namespace

Socks5Client::Socks5Client(const net::Endpoint& target, std::string user, std::string password)
    : target_(target), user_(std::move(user)), password_(std::move(password)) {
  output_ = {kVersion, 1, static_cast<char>(kNoLogin)};
  if (user_.empty()) return;
  output_[1] = 2;
  output_.push_back(static_cast<char>(kUserAndPassword));
}

std::string Socks5Client::output() { return std::exchange(output_, {}); }

std::size_t Socks5Client::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (state_ == State::kTalking) {
    const std::size_t missing = size_awaited() - answer_.size();
    const std::size_t count = std::min(missing, bytes.size() - taken);
    answer_.append(bytes.substr(taken, count));
    taken += count;
    if (answer_.size() < size_awaited()) {
      if (taken == bytes.size()) break;
      continue;  // It says now how long it is.
    }
    on_answer();
    answer_.clear();
  }
  return taken;
}

std::size_t Socks5Client::size_awaited() const noexcept {
  if (awaited_ != Awaited::kReply) return 2;
  constexpr std::size_t kToAddress = 4;
  constexpr std::size_t kPort = 2;
  if (answer_.size() <= kToAddress) return kToAddress + 1;  // With a name's length, or an octet of the address.
  switch (octet(answer_, 3)) {
    case kIpv4:
      return kToAddress + 4 + kPort;
    case kIpv6:
      return kToAddress + 16 + kPort;
    case kName:
      return kToAddress + 1 + octet(answer_, kToAddress) + kPort;
    default:
      return answer_.size();  // On it: it is nonsense.
  }
}

void Socks5Client::on_answer() {
  const unsigned char status = octet(answer_, 1);
  if (octet(answer_, 0) != (awaited_ == Awaited::kJudged ? kLoginVersion : kVersion))
    return fail("what it says is not SOCKS5");
  switch (awaited_) {
    case Awaited::kChoice:
      return on_choice(status);
    case Awaited::kJudged:
      return status == 0 ? request() : fail("user and password refused");
    case Awaited::kReply:
      if (status != 0)
        return fail(status < kStatus.size() ? std::string(kStatus[status]) : fmt::format("error {}", status));
      if (const unsigned char type = octet(answer_, 3); type != kIpv4 && type != kIpv6 && type != kName)
        return fail("what it says is not SOCKS5");
      state_ = State::kConnected;
  }
}

void Socks5Client::on_choice(unsigned char method) {
  if (method == kNoLogin) return request();
  if (method != kUserAndPassword || user_.empty())
    return fail(method == kNoneOfThem && user_.empty() ? "it wants user and password" : "no way to log in in common");
  awaited_ = Awaited::kJudged;
  output_ += {kLoginVersion, static_cast<char>(user_.size())};
  output_ += user_;
  output_ += static_cast<char>(password_.size());
  output_ += password_;
}

void Socks5Client::request() {
  awaited_ = Awaited::kReply;
  output_ += {kVersion, kConnect, 0, static_cast<char>(target_.address.is_v4() ? kIpv4 : kIpv6)};
  for (const std::uint8_t each : target_.address.bytes()) output_.push_back(static_cast<char>(each));
  output_.push_back(static_cast<char>(target_.port >> 8));
  output_.push_back(static_cast<char>(target_.port & 0xff));
}

void Socks5Client::fail(std::string why) {
  state_ = State::kFailed;
  error_ = std::move(why);
}

}  // namespace mailsbuddy::smtp
