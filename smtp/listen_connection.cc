#include "smtp/listen_connection.h"

#include <unistd.h>

namespace mailsbuddy::smtp {

ListenConnection::ListenConnection(ListenWorker& worker, std::size_t endpoint)
    : worker_(worker),
      endpoint_(endpoint),
      socket_(worker.loop(), *this, worker.buffers()),
      timer_([this] { on_timer(); }) {}

ListenConnection::~ListenConnection() {
  session_.reset();  // First, for all counts to be right when it counts as gone.
  worker_.connection_closed(*this);
}

void ListenConnection::open(ListenWorker& worker, int socket, std::size_t endpoint) {
  if (worker.loop().closed()) {
    ::close(socket);
    worker.shared().presence.leave();
    return;
  }
  auto* const connection = new ListenConnection(worker, endpoint);
  worker.connection_opened(*connection);
  if (connection->socket_.open(socket)) connection->begin();
}

void ListenConnection::begin() {
  const auto progress = [this] {
    pump();
    flush();
  };
  session_ = std::make_unique<ListenSession>(
      worker_.shared(),
      ListenSession::Connection{endpoint_, socket_.peer(), worker_.home(), progress, [this] { return now(); }},
      worker_.random());
  session_->begin(now());
  socket_.read();
  pump();
  flush();
}

void ListenConnection::drain() {
  if (!session_ || session_->over()) return;  // It closes already.
  session_->drain(now());
  pump();
  flush();
}

void ListenConnection::on_input(std::string_view bytes) {
  session_->feed(bytes, now());
  pump();
}

void ListenConnection::on_tls_started() {
  session_->tls_started(now(), session_->traced() ? socket_.tls_words() : std::string());
  pump();
}

void ListenConnection::on_tls_failed() { session_->tls_failed(); }

void ListenConnection::pump() {
  socket_.say(session_->output());
  session_->consume(session_->output().size());
  if (const auto early = session_->take_tls()) socket_.start_tls(worker_.shared().tls.get(), *early);
  if (session_->over()) socket_.finish();
}

void ListenConnection::flush() {
  socket_.flush();
  if (session_->waiting() || socket_.unsent()) socket_.pause();
  const TimePoint deadline = session_->deadline();
  TimerWheel& timers = worker_.loop().timers();
  if (deadline == TimePoint::max())
    timers.cancel(timer_);
  else if (!timer_.armed() || timer_.at() > deadline)  // A later one is found when this one fires: most never do.
    timers.arm(timer_, deadline);
}

void ListenConnection::on_sent() {
  if (!session_->waiting()) socket_.read();
}

void ListenConnection::on_timer() {
  const bool stuck = socket_.unsent();  // It does not even read: no last word would reach it.
  const bool due = now() >= session_->deadline();
  if (due && stuck) return socket_.close();
  if (due) session_->on_timeout(now());
  pump();
  flush();
}

}  // namespace mailsbuddy::smtp
