#include "services/cli/dns_check.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "mailsbuddy/net.h"

namespace mailsbuddy::cli {
namespace {

constexpr int kWaitMilliseconds = 2000;
constexpr int kTries = 2;

// RFC 1035 4.1: id, recursion desired, one question: the name servers of the root.
constexpr std::array<unsigned char, 17> kQuestion{0x6d, 0x62, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

Error unavailable(std::string_view what) { return {ErrorCode::kUnavailable, std::string(what)}; }

// True: something came back. False: silence.
Result<bool> ask(int fd) {
  if (send(fd, kQuestion.data(), kQuestion.size(), 0) < 0) return unavailable(std::strerror(errno));
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, kWaitMilliseconds) <= 0) return false;
  std::array<char, 512> answer;
  if (recv(fd, answer.data(), answer.size(), 0) < 0) return unavailable(std::strerror(errno));
  return true;
}

}  // namespace

Result<void> check_dns(const std::string& server) {
  const auto endpoint = net::Endpoint::parse(server, 53);
  if (!endpoint) return endpoint.error();
  sockaddr_storage address{};
  socklen_t size = 0;
  const auto bytes = endpoint->address.bytes();
  if (endpoint->address.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint->port);
    std::memcpy(&v4->sin_addr, bytes.data(), bytes.size());
    size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint->port);
    std::memcpy(&v6->sin6_addr, bytes.data(), bytes.size());
    size = sizeof *v6;
  }
  const Socket socket(address.ss_family);
  if (socket.fd() < 0 || connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), size) < 0) {
    return unavailable(std::strerror(errno));
  }
  for (int i = 0; i < kTries; ++i) {
    auto answered = ask(socket.fd());
    if (!answered) return unavailable(fmt::format("the DNS server does not answer ({})", answered.error().detail));
    if (*answered) return {};
  }
  return unavailable(fmt::format("the DNS server does not answer (silent for {} s)", kTries * kWaitMilliseconds / 1000));
}

}  // namespace mailsbuddy::cli
