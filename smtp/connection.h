// connection.h - one connection: a ClientSession on a Stream, with a timer, and a Transcript where somebody follows it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/smtp.h"
#include "smtp/transcript.h"

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
    bool named = true;  // The server's name is no stranger's: a certificate that is good for it says who is there.
    std::unique_ptr<Transcript> transcript{};  // Null: not traced.
  };

  Connection(net::Loop& loop, net::Transport& transport, Options options, Owner& owner);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void begin(const Transaction& transaction);  // As ClientSession::begin().
  bool room() const { return session_.room(); }
  std::size_t recipients_max() const noexcept { return session_.recipients_max(); }
  void quit();
  bool tls() const noexcept { return session_.tls(); }
  bool traced() const noexcept { return transcript_ != nullptr; }
  void trace(std::unique_ptr<Transcript> transcript) {
    transcript_ = std::move(transcript);
  }                                                                      // With nothing under way.
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
  void sent(std::span<const std::string_view> pieces, std::size_t count);
  void step(std::string_view text);
  void set_timer(TimePoint due);
  TimePoint due() const noexcept {
    if (stream_ == nullptr) return TimePoint::max();  // It has closed, and waits to be destroyed.
    return session_begun() ? session_.deadline() : deadline_;
  }
  bool session_begun() const noexcept { return link_ == Link::kUp || (link_ == Link::kHandshake && !implicit_tls_); }
  void start_tls();
  void on_timer();

  net::Loop& loop_;
  Owner& owner_;
  const net::TlsOptions tls_options_;
  net::TlsInfo tls_info_;
  net::TlsFailure tls_failure_ = net::TlsFailure::kNone;
  Duration connect_timeout_;
  Duration handshake_timeout_;
  TimePoint deadline_;  // Before the session has one.
  const bool implicit_tls_;
  const bool named_;
  Link link_ = Link::kConnecting;
  bool* destroyed_ = nullptr;  // While in run().
  std::unique_ptr<Transcript> transcript_;
  ClientSession session_;
  Timer timer_;
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace mailsbuddy::smtp
