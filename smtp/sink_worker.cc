#include "smtp/sink_worker.h"

#include <unistd.h>

#include <utility>

#include "smtp/sink_connection.h"

namespace mailsbuddy::smtp {
namespace {

// A socket on its way to another thread: closed if the task that carries it never runs.
class SocketHolder {
 public:
  explicit SocketHolder(int socket) noexcept : socket_(socket) {}
  SocketHolder(SocketHolder&& other) noexcept : socket_(other.take()) {}
  SocketHolder& operator=(SocketHolder&&) = delete;
  ~SocketHolder() {
    if (socket_ >= 0) ::close(socket_);
  }
  int take() noexcept { return std::exchange(socket_, -1); }

 private:
  int socket_;
};

}  // namespace

Result<std::unique_ptr<SinkWorker>> SinkWorker::make(SinkShared& shared, std::uint64_t seed) {
  auto loop = net::UvLoop::make(shared.clock);
  if (!loop) return loop.error();
  return std::unique_ptr<SinkWorker>(new SinkWorker(shared, seed, std::move(*loop)));
}

SinkWorker::SinkWorker(SinkShared& shared, std::uint64_t seed, std::unique_ptr<net::UvLoop> loop)
    : shared_(shared),
      random_(seed),
      counters_(shared.policies.size()),
      incoming_(kSinkReadBytes),
      plaintext_(kSinkReadBytes),
      loop_(std::move(loop)) {}

void SinkWorker::adopt(int socket, std::size_t profile) {
  if (loop_->is_owner()) return SinkConnection::open(*this, socket, profile);
  loop_->post(
      [this, held = SocketHolder(socket), profile]() mutable { SinkConnection::open(*this, held.take(), profile); });
}

}  // namespace mailsbuddy::smtp
