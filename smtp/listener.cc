#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <utility>

#include "mailsbuddy/smtp.h"
#include "smtp/acceptor.h"
#include "smtp/listen_worker.h"

namespace mailsbuddy::smtp {

// Of their digests: the length of what is secret does not show either.
bool secrets_equal(std::string_view a, std::string_view b) noexcept {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> left{}, right{};
  SHA256(reinterpret_cast<const unsigned char*>(a.data()), a.size(), left.data());
  SHA256(reinterpret_cast<const unsigned char*>(b.data()), b.size(), right.data());
  return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

// Destroyed from the last to the first: loops stop in the destructor, before anything that lives on them goes.
struct Listener::State {
  ~State() {
    for (const auto& worker : workers) worker->stop();  // The first one first: it posts to the others.
  }
  Result<void> listen();
  Result<void> run();
  void begin_to_drain();

  SystemClock clock{};
  std::unique_ptr<ListenShared> shared;
  std::vector<std::unique_ptr<Acceptor>> acceptors;    // In the order of ListenOptions::endpoints.
  std::vector<std::unique_ptr<ListenWorker>> workers;  // The first one accepts for all.
  std::size_t next_worker = 0;                         // The first worker's thread.
};

Result<void> Listener::State::listen() {
  for (ListenEndpoint& endpoint : shared->options.endpoints) {
    auto acceptor = Acceptor::bind(endpoint.endpoint);
    if (!acceptor) return acceptor.error();
    endpoint.endpoint = (*acceptor)->endpoint();
    acceptors.push_back(std::move(*acceptor));
  }
  return {};
}

Result<void> Listener::State::run() {
  for (int i = 0; i < shared->options.threads; ++i) {
    auto worker = ListenWorker::make(*shared, clock, system_seed());
    if (!worker) return worker.error();
    workers.push_back(std::move(*worker));
  }
  for (std::size_t i = 0; i < acceptors.size(); ++i) {
    const auto hand_on = [this, i](int socket) {  // In turn: an even load however few connections there are.
      workers[next_worker++ % workers.size()]->adopt(socket, i);
    };
    if (const auto started = acceptors[i]->start(workers.front()->loop(), hand_on); !started) return started.error();
  }
  for (const auto& worker : workers)
    if (const auto started = worker->start(); !started) return started.error();
  return {};
}

// Once what was accepted is with the workers, they are told; so none comes behind that.
void Listener::State::begin_to_drain() {
  if (shared->draining.exchange(true)) return;
  shared->presence.enter();  // For the task below: until then more may come.
  workers.front()->loop().post([this] {
    for (const auto& acceptor : acceptors) acceptor->stop();
    for (const auto& worker : workers) worker->drain();
    shared->presence.leave();
  });
}

Result<std::unique_ptr<Listener>> Listener::start(ListenOptions options, std::shared_ptr<ListenHandler> handler) {
  auto state = std::make_unique<State>();
  auto shared = ListenShared::make(std::move(options), std::move(handler), system_seed());
  if (!shared) return shared.error();
  state->shared = *std::move(shared);
  for (const auto step : {&State::listen, &State::run})
    if (const auto done = (state.get()->*step)(); !done) return done.error();
  return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

Listener::Listener(std::unique_ptr<State> state) : state_(std::move(state)) {}

Listener::~Listener() = default;

std::vector<net::Endpoint> Listener::endpoints() const {
  std::vector<net::Endpoint> endpoints;
  for (const auto& acceptor : state_->acceptors) endpoints.push_back(acceptor->endpoint());
  return endpoints;
}

bool Listener::drain(std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  state_->begin_to_drain();
  return state_->shared->presence.wait_for_none(until);
}

Result<std::unique_ptr<Tracing>> Listener::trace(ListenTraceFilter filter) {
  auto wanted = ListenWanted::make(std::move(filter));
  if (!wanted) return wanted.error();
  return std::unique_ptr<Tracing>(
      std::make_unique<Following<Tracing, ListenFollowers>>(state_->shared->followers, *std::move(wanted)));
}

ListenCounts Listener::counts() const {
  const ListenCounters& from = state_->shared->counters;
  const auto of = [](const std::atomic<std::uint64_t>& count) { return count.load(std::memory_order_relaxed); };
  return {.connections = of(from.connections),
          .connections_refused = of(from.connections_refused),
          .messages = of(from.messages),
          .messages_refused = of(from.messages_refused),
          .bytes = of(from.bytes),
          .authenticated = of(from.authenticated),
          .auth_failures = of(from.auth_failures),
          .tls_handshakes = of(from.tls_handshakes),
          .timeouts = of(from.timeouts),
          .protocol_errors = of(from.protocol_errors),
          .open = state_->shared->clients.open()};
}

}  // namespace mailsbuddy::smtp
