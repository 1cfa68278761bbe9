// sink_connection.h - one connection to a sink: a ServerSession between a socket and a SinkPolicy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/timer_wheel.h"
#include "smtp/server_socket.h"
#include "smtp/sink_worker.h"

namespace mailsbuddy::smtp {

// Of one message that is kept for the maildir or for on_message, where the profile has no size_max.
inline constexpr std::size_t kSinkKeptMax = 256U << 20;

// Threads: its worker's. Ownership: its own; it deletes itself when its socket is closed.
// Invariants: nothing is read while a reply waits for the socket or for the profile's latency, so a peer that does not
// read its replies holds no more memory than those to one read.
class SinkConnection final : private ServerSocket::User {
 public:
  static void open(SinkWorker& worker, int socket, std::size_t profile);  // Takes the socket.

 private:
  SinkConnection(SinkWorker& worker, std::size_t profile);
  ~SinkConnection();

  void on_input(std::string_view bytes) override;
  void on_input_end() override { reply(); }
  void on_tls_started() override;
  void on_tls_failed() override { SinkCounters::add(counters_.protocol_errors, 1); }
  void on_sent() override { socket_.read(); }
  void on_closed() override { delete this; }

  void greet();
  void on_event(const ServerEvent& event);
  void on_mail(std::string_view mail_from);
  void on_rcpt(std::string_view recipient);
  void on_content(std::string_view piece);
  void on_message();
  void on_start_tls();
  void on_close();
  bool wants_content();
  bool store();  // False: it could not be kept.

  void reply();      // What the session has to say, now or after the profile's latency.
  void hand_over();  // The session's output to the socket.
  void give_back_slot() noexcept;

  SinkWorker& worker_;
  SinkPolicy& policy_;
  SinkCounters& counters_;
  ServerSession session_;
  ServerSocket socket_;
  std::unique_ptr<Timer> latency_;  // Made when first needed.
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
};

}  // namespace mailsbuddy::smtp
