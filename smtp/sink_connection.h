// sink_connection.h - one connection to a sink: a ServerSession between a socket, perhaps TLS, and a SinkPolicy.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/timer_wheel.h"
#include "smtp/sink_worker.h"

namespace mailsbuddy::smtp {

// Of one message that is kept for the maildir or for on_message, where the profile has no size_max.
inline constexpr std::size_t kSinkKeptMax = 256U << 20;

// Threads: its worker's. Ownership: its own; it deletes itself when libuv has closed its handle.
// Invariants: nothing is read while a reply waits for the socket or for the profile's latency, so a peer that does not
// read its replies holds no more memory than those to one read.
class SinkConnection final : private net::HandleOwner {
 public:
  static void open(SinkWorker& worker, int socket, std::size_t profile);  // Takes the socket.

 private:
  SinkConnection(SinkWorker& worker, std::size_t profile);
  ~SinkConnection();
  static SinkConnection& of(void* data) noexcept {
    return *static_cast<SinkConnection*>(static_cast<HandleOwner*>(data));
  }
  void loop_stopping() noexcept override { close(); }

  void greet();
  void read();
  void pause();
  void on_read(ssize_t count);
  void on_ciphertext(std::string_view bytes);
  void run_session(std::string_view bytes);

  void on_event(const ServerEvent& event);
  void on_mail(std::string_view mail_from);
  void on_rcpt(std::string_view recipient);
  void on_content(std::string_view piece);
  void on_message();
  void on_start_tls();
  void on_close();
  bool wants_content();
  bool store();  // False: it could not be kept.

  void reply();  // What the session has to say, now or after the profile's latency.
  void seal();   // The session's output to wire_, under TLS when that is on.
  void send();
  void sent();
  void linger();
  void give_back_slot() noexcept;
  void close() noexcept;

  SinkWorker& worker_;
  SinkPolicy& policy_;
  SinkCounters& counters_;
  ServerSession session_;
  std::unique_ptr<TlsServer> tls_;
  std::unique_ptr<Timer> timer_;  // Latency, or lingering after the end. Made when first needed.
  std::string wire_;              // What the socket is to be given.
  std::string mail_from_;
  std::string recipients_;  // The accepted ones, each followed by '\n', where content is wanted.
  std::string content_;
  std::uint64_t recipient_key_ = 0;  // Of the first accepted one: the message's draws are its.
  std::uint64_t errors_counted_ = 0;
  int messages_ = 0;
  bool keeps_ = false;            // Content of the current message.
  bool too_big_to_keep_ = false;  // Likewise.
  bool sampled_ = false;          // The current message goes to the maildir.
  bool slot_ = false;             // Counted in the profile's open connections.
  bool reading_ = false;
  bool over_ = false;       // The session has ended: what comes is thrown away until the peer closes.
  bool lingering_ = false;  // Our side of the connection is shut.
  bool closing_ = false;
  uv_tcp_t tcp_{};
  uv_write_t write_request_{};
};

}  // namespace mailsbuddy::smtp
