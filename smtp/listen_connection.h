// listen_connection.h - one connection to a listener: a ListenSession between a socket and a timer.
#pragma once

#include <memory>
#include <string_view>

#include "smtp/listen_session.h"
#include "smtp/listen_worker.h"
#include "smtp/server_socket.h"

namespace mailsbuddy::smtp {

// Threads: its worker's. Ownership: its own; it deletes itself when its socket is closed.
// Invariants: nothing is read while an answer is owed or a reply waits for the socket.
class ListenConnection final : private ServerSocket::User {
 public:
  static void open(ListenWorker& worker, int socket, std::size_t endpoint);  // Takes the socket.
  void drain();                                                              // As ListenSession's.

 private:
  ListenConnection(ListenWorker& worker, std::size_t endpoint);
  ~ListenConnection();

  void on_input(std::string_view bytes) override;
  void on_input_end() override { flush(); }
  void on_tls_started() override;
  void on_tls_failed() override;
  void on_sent() override;
  void on_closed() override { delete this; }

  void begin();
  void pump();   // What the session wants said and done.
  void flush();  // Then out with it, and the next deadline.
  void on_timer();
  TimePoint now() const noexcept { return worker_.loop().now(); }

  ListenWorker& worker_;
  const std::size_t endpoint_;
  ServerSocket socket_;
  std::unique_ptr<ListenSession> session_;  // Made when the peer is known.
  Timer timer_;
};

}  // namespace mailsbuddy::smtp
