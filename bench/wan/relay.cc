// bench_wan_relay PORT RTT_MS: a line of that round trip time in front of 127.0.0.1:PORT. Prints "port N", relays until
// its standard input ends, then prints what it carried as JSON.
//
// Every octet leaves half a round trip after it came, however many are under way: the delay is the line's, its capacity
// is not bounded, nothing is lost. Beyond a socket's accept() the peer's kernel answers a SYN at once, so what the
// handshake takes is made up for: the way to the other side begins one round trip and a half after accept(). A greeting
// then reaches the client after two round trips, as it does on a long line; before it no client of SMTP has anything to
// say.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, as the timer's.

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kHeldMax =
    256 << 20;  // Of one direction. Ours is at most its window of messages; this is for a runaway.

void require(bool held, const char* what) {
  if (held) return;
  std::perror(what);
  std::exit(1);
}

struct Line;

// One end of a line: a socket, and what it could not take yet.
struct End {
  Line* line = nullptr;
  int socket = -1;
  std::string unsent;
  std::size_t held = 0;       // Octets under way to it.
  std::uint32_t watched = 0;  // What epoll is asked about it.
  bool reading = true;        // Its peer has not ended.
  bool ended = false;         // No more will come for it: shut it when all is sent.
};

struct Line {
  std::array<End, 2> ends;  // The client's, the server's.
  int open_ends = 2;        // Directions that have not ended.
};

// What happens half a round trip, or one and a half, after its cause. As the delay is the same for all, the first in is
// the first out.
struct Due {
  Clock::time_point at;
  std::shared_ptr<Line> line;
  std::size_t to = 0;
  std::string bytes;  // Empty: the end of that direction.
};

class Relay {
 public:
  Relay(std::uint16_t upstream, std::chrono::microseconds rtt) : upstream_(upstream), rtt_(rtt), buffer_(kReadBytes) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address = at_port(0);
    socklen_t size = sizeof address;
    require(epoll_ >= 0 && timer_ >= 0 && listener_ >= 0, "socket");
    require(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 128) == 0,
            "listen");
    require(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    for (int* const fd : {&listener_, &timer_, &input_}) control(*fd, EPOLL_CTL_ADD, EPOLLIN, fd);
  }

  void run() {
    std::array<epoll_event, 64> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      require(count >= 0 || errno == EINTR, "epoll_wait");
      for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
        if (event.data.ptr == &input_) return;
        if (event.data.ptr == &listener_) {
          accept_all();
        } else if (event.data.ptr != &timer_) {
          End& end = *static_cast<End*>(event.data.ptr);
          if ((event.events & EPOLLOUT) != 0) write_rest(end);
          if ((event.events & ~unsigned{EPOLLOUT}) != 0) read_from(end);
        }
      }
      run_due();
      closed_.clear();  // Not before: an event in hand may have been about one of them.
    }
  }

  void print() const {
    std::printf(
        "{\"connections\": %llu, \"up_bytes\": %llu, \"down_bytes\": %llu, \"late_us_mean\": %.1f, \"late_us_max\": "
        "%.1f}\n",
        carried_connections_, carried_[1], carried_[0], moved_ == 0 ? 0.0 : late_us_ / static_cast<double>(moved_),
        late_us_max_);
  }

 private:
  static sockaddr_in at_port(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void control(int fd, int operation, std::uint32_t events, void* of) const {
    epoll_event event{.events = events, .data = {.ptr = of}};
    require(::epoll_ctl(epoll_, operation, fd, &event) == 0, "epoll_ctl");
  }

  void watch(End& end) const {
    const std::uint32_t events = (end.reading ? EPOLLIN : 0U) | (end.unsent.empty() ? 0U : EPOLLOUT);
    if (events == end.watched) return;
    control(end.socket, events == 0 ? EPOLL_CTL_DEL : end.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, events, &end);
    end.watched = events;
  }

  static void no_delay(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      no_delay(socket);
      ++carried_connections_;
      const auto line = std::make_shared<Line>();
      for (End& end : line->ends) end.line = line.get();
      line->ends[0].socket = socket;
      lines_.push_back(line);
      openings_.push_back({.at = Clock::now() + rtt_ + rtt_ / 2, .line = line, .to = 1, .bytes = {}});
    }
  }

  void open(Line& line) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = at_port(upstream_);
    require(socket >= 0 && ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
            "connect");
    require(::fcntl(socket, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    no_delay(socket);
    line.ends[1].socket = socket;
    for (End& end : line.ends) watch(end);
  }

  static std::size_t other(const End& end) { return &end == &end.line->ends[0] ? 1 : 0; }

  void read_from(End& end) {
    const std::size_t to = other(end);
    if (!end.reading || end.line->ends[to].held > kHeldMax) return;  // Level-triggered: it is seen again.
    const ssize_t count = ::recv(end.socket, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    end.reading = count > 0;  // A reset is passed on as an end.
    watch(end);
    const auto found = std::ranges::find_if(lines_, [&](const auto& each) { return each.get() == end.line; });
    std::string bytes(buffer_.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    end.line->ends[to].held += bytes.size();
    moving_.push_back({.at = Clock::now() + rtt_ / 2, .line = *found, .to = to, .bytes = std::move(bytes)});
  }

  void run_due() {
    const auto now = Clock::now();
    while (!openings_.empty() && openings_.front().at <= now) {
      open(*openings_.front().line);
      openings_.pop_front();
    }
    while (!moving_.empty() && moving_.front().at <= now) {
      const Due due = std::move(moving_.front());
      moving_.pop_front();
      note(Clock::now() - due.at);
      move(due);
    }
    auto next = Clock::time_point::max();
    for (const auto* queue : {&openings_, &moving_})
      if (!queue->empty()) next = std::min(next, queue->front().at);
    std::int64_t left = 0;  // It is stopped. Setting it clears what it had to tell, too.
    if (next != Clock::time_point::max())
      left = std::max<std::int64_t>(1, std::chrono::nanoseconds(next - Clock::now()).count());
    const itimerspec when{.it_interval = {},
                          .it_value = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000}};
    ::timerfd_settime(timer_, 0, &when, nullptr);
  }

  void note(Clock::duration late) {
    const double us = std::chrono::duration<double, std::micro>(late).count();
    late_us_ += us;
    late_us_max_ = std::max(late_us_max_, us);
    ++moved_;
  }

  void move(const Due& due) {
    End& end = due.line->ends[due.to];
    end.held -= due.bytes.size();
    carried_[due.to] += due.bytes.size();
    end.ended = due.bytes.empty();
    end.unsent += due.bytes;
    write_rest(end);
  }

  void write_rest(End& end) {
    const ssize_t count =
        end.unsent.empty() ? 0 : ::send(end.socket, end.unsent.data(), end.unsent.size(), MSG_NOSIGNAL);
    if (count >= 0 || errno == EAGAIN) {
      end.unsent.erase(0, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    } else {
      end.unsent.clear();  // It is gone; its own end comes as one.
    }
    watch(end);
    if (end.unsent.empty() && end.ended) shut(end);
  }

  void shut(End& end) {
    ::shutdown(end.socket, SHUT_WR);
    end.ended = false;  // Once.
    if (--end.line->open_ends > 0) return;
    const auto line = std::ranges::find_if(lines_, [&](const auto& each) { return each.get() == end.line; });
    for (const End& each : end.line->ends) ::close(each.socket);
    closed_.push_back(*line);
    lines_.erase(line);
  }

  const std::uint16_t upstream_;
  const std::chrono::microseconds rtt_;
  int epoll_ = -1, timer_ = -1, listener_ = -1, input_ = STDIN_FILENO;
  std::vector<char> buffer_;
  std::vector<std::shared_ptr<Line>> lines_, closed_;
  std::deque<Due> openings_, moving_;
  unsigned long long carried_connections_ = 0, moved_ = 0;
  std::array<unsigned long long, 2> carried_{};
  double late_us_ = 0, late_us_max_ = 0;
};

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc != 3) return 2;
  Relay relay(static_cast<std::uint16_t>(to_number(argv[1])), std::chrono::milliseconds(to_number(argv[2])));
  relay.run();
  relay.print();
}
