#include "smtp/sink_worker.h"

#include <utility>

#include "smtp/sink_connection.h"
#include "smtp/socket_holder.h"

namespace mailsbuddy::smtp {
Result<std::unique_ptr<SinkWorker>> SinkWorker::make(SinkShared& shared, std::uint64_t seed) {
  auto loop = net::UvLoop::make(shared.clock);
  if (!loop) return loop.error();
  return std::unique_ptr<SinkWorker>(new SinkWorker(shared, seed, std::move(*loop)));
}

SinkWorker::SinkWorker(SinkShared& shared, std::uint64_t seed, std::unique_ptr<net::UvLoop> loop)
    : shared_(shared),
      random_(seed),
      counters_(shared.policies.size()),
      incoming_(kServerReadBytes),
      plaintext_(kServerReadBytes),
      loop_(std::move(loop)) {}

void SinkWorker::adopt(int socket, std::size_t profile) {
  if (loop_->is_owner()) return SinkConnection::open(*this, socket, profile);
  loop_->post(
      [this, held = SocketHolder(socket), profile]() mutable { SinkConnection::open(*this, held.take(), profile); });
}

}  // namespace mailsbuddy::smtp
