// connection.h - one connection: a ClientSession on a Stream, with a timer.
#pragma once

#include <memory>
#include <string>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Threads: its loop's. Ownership: may be destroyed at any time, also from inside on_event().
// Invariants: on_event() is called from the loop alone, never from inside begin() or quit().
class Connection final : public net::StreamHandler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_event(const SessionEvent& event) = 0;  // All but kStartTls. `event` outlives the Connection.
  };

  struct Options {
    net::IpAddress local;
    net::Endpoint remote;
    net::TlsOptions tls;  // For STARTTLS.
    SessionOptions session;
  };

  Connection(net::Loop& loop, net::Transport& transport, Options options, Owner& owner);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void begin(const Transaction& transaction);  // As ClientSession::begin().
  bool room() const { return session_.room(); }
  void quit();
  bool tls() const noexcept { return session_.tls(); }
  const net::TlsInfo& tls_info() const noexcept { return tls_info_; }    // With tls().
  net::TlsFailure tls_failure() const noexcept { return tls_failure_; }  // Of a handshake that failed.

  void on_connected() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_tls(const net::TlsInfo& info) override;
  void on_tls_failed(net::TlsFailure failure) override { tls_failure_ = failure; }
  void on_closed(const Error& reason) override;

 private:
  enum class Link : std::uint8_t { kConnecting, kUp, kHandshake };

  void run();  // Hands out events, writes, sets the timer. May destroy *this.
  void flush();
  void set_timer(TimePoint due);
  TimePoint due() const noexcept { return link_ == Link::kConnecting ? connect_deadline_ : session_.deadline(); }
  void on_timer();

  net::Loop& loop_;
  Owner& owner_;
  const net::TlsOptions tls_options_;
  net::TlsInfo tls_info_;
  net::TlsFailure tls_failure_ = net::TlsFailure::kNone;
  Duration connect_timeout_;
  TimePoint connect_deadline_;
  Link link_ = Link::kConnecting;
  bool* destroyed_ = nullptr;  // While in run().
  ClientSession session_;
  Timer timer_;
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace mailsbuddy::smtp
