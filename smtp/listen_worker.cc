#include "smtp/listen_worker.h"

#include <utility>

#include "smtp/listen_connection.h"
#include "smtp/socket_holder.h"

namespace mailsbuddy::smtp {

Result<std::unique_ptr<ListenWorker>> ListenWorker::make(ListenShared& shared, const Clock& clock, std::uint64_t seed) {
  auto loop = net::UvLoop::make(clock);
  if (!loop) return loop.error();
  return std::unique_ptr<ListenWorker>(new ListenWorker(shared, seed, std::move(*loop)));
}

ListenWorker::ListenWorker(ListenShared& shared, std::uint64_t seed, std::unique_ptr<net::UvLoop> loop)
    : shared_(shared),
      random_(seed),
      incoming_(kServerReadBytes),
      plaintext_(kServerReadBytes),
      loop_(std::move(loop)),
      home_(std::make_shared<ListenHome>(*loop_)) {}

void ListenWorker::stop() {
  home_->close();
  loop_->stop();
}

// None is destroyed from inside a call: a socket is closed in a later turn.
void ListenWorker::drain() {
  loop_->post([this] {
    for (ListenConnection* const each : connections_) each->drain();
  });
}

void ListenWorker::adopt(int socket, std::size_t endpoint) {
  Entrant entrant(shared_.presence);
  if (loop_->is_owner()) {
    entrant.arrived();
    return ListenConnection::open(*this, socket, endpoint);
  }
  // A loop that has stopped drops the task, with all that it holds.
  loop_->post([this, held = SocketHolder(socket), endpoint, entrant = std::move(entrant)]() mutable {
    entrant.arrived();
    ListenConnection::open(*this, held.take(), endpoint);
  });
}

}  // namespace mailsbuddy::smtp
