// listen_shared.h - what all connections of a listener share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/client_table.h"
#include "smtp/ip_range.h"
#include "smtp/listen_trace.h"
#include "smtp/proto/server_session.h"
#include "smtp/quota.h"
#include "smtp/server_tls.h"

namespace mailsbuddy::smtp {

struct ListenCounters {
  std::atomic<std::uint64_t> connections{0}, connections_refused{0}, messages{0}, messages_refused{0}, bytes{0},
      authenticated{0}, auth_failures{0}, tls_handshakes{0}, timeouts{0}, protocol_errors{0};
  static void add(std::atomic<std::uint64_t>& count, std::uint64_t more = 1) noexcept {
    count.fetch_add(more, std::memory_order_relaxed);
  }
};

// How many are there, and until when. Threads: any.
class Presence {
 public:
  void enter() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) gone_.notify_all();
  }
  bool wait_for_none(std::chrono::steady_clock::time_point until) {  // False: somebody was left.
    std::unique_lock lock(mutex_);
    return gone_.wait_until(lock, until, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable gone_;
  std::size_t count_ = 0;
};

// Somebody who has entered, on the way to another thread: leaves if he never arrives.
class Entrant {
 public:
  explicit Entrant(Presence& presence) : presence_(&presence) { presence.enter(); }
  Entrant(Entrant&& other) noexcept : presence_(std::exchange(other.presence_, nullptr)) {}
  Entrant& operator=(Entrant&&) = delete;
  ~Entrant() {
    if (presence_ != nullptr) presence_->leave();
  }
  void arrived() noexcept { presence_ = nullptr; }

 private:
  Presence* presence_;
};

// Threads: any; all but the counts and the table is read only. Ownership: outlives its connections.
struct ListenShared {
  // Errors: kInvalidArgument naming the option.
  static Result<std::unique_ptr<ListenShared>> make(ListenOptions options, std::shared_ptr<ListenHandler> handler,
                                                    std::uint64_t seed);
  bool is_inbound(std::string_view domain) const noexcept;  // `domain`: as Address has it.

  ListenOptions options;
  std::shared_ptr<ListenHandler> handler;
  std::vector<ServerOptions> server_options;  // In the order of ListenOptions::endpoints.
  std::vector<IpRange> trusted;
  std::vector<std::string> inbound_domains;  // Sorted.
  net::SslCtxPtr tls;                        // Null: no endpoint has TLS.
  ClientTable clients;
  const std::shared_ptr<Quota> held;    // Octets of messages, until the handler has let go of them.
  const std::shared_ptr<Quota> checks;  // Passwords that the handler is judging.
  ListenCounters counters;
  const std::shared_ptr<ListenFollowers> followers = std::make_shared<ListenFollowers>();
  std::atomic<bool> draining{false};  // Between messages it is 421.
  Presence presence;                  // Of connections, from accept() to their end.

 private:
  ListenShared(ListenOptions given, std::shared_ptr<ListenHandler> asked, std::uint64_t seed)
      : options(std::move(given)),
        handler(std::move(asked)),
        clients(options.limits, seed),
        held(std::make_shared<Quota>(options.limits.held_bytes_max)),
        checks(std::make_shared<Quota>(static_cast<std::uint64_t>(options.limits.auth_checks_max))) {}
  Result<void> prepare();
};

// The way back of answers that are given on other threads, perhaps after the listener is gone. Threads: any.
class ListenHome {
 public:
  explicit ListenHome(Executor& loop) : loop_(&loop) {}
  void post(Task task) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->post(std::move(task));
  }
  void close() {  // Before the loop goes.
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Executor* loop_;
};

}  // namespace mailsbuddy::smtp
