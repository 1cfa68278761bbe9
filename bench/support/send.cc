#include "bench/support/send.h"

#include <chrono>
#include <memory>
#include <string>

#include "bench/support/runtime.h"

namespace mailsbuddy::bench {
namespace {

constexpr std::chrono::minutes kDrainMax{10};  // Less than the driver's patience, so that the reason is told.

// Counts deliveries as a user would learn of them.
class Delivered final : public EventSink {
 public:
  Result<void> on_events(std::span<const Event> events) override {
    for (const Event& event : events) {
      if (event.kind == EventKind::kDelivered) {
        ++count;
      } else if (first_other.empty()) {
        first_other = std::string(to_string(event.kind)) + ": " + event.outcome.str();
      }
    }
    return {};
  }
  std::uint64_t count = 0;  // Read after drain().
  std::string first_other;
};

std::shared_ptr<const warming::Settings> limits(int connections, int in_flight) {
  auto settings = std::make_shared<warming::Settings>();
  need(settings->add("* ip messages_per_connection=1000000000 messages_per_second=0 connections=" + std::to_string(connections) +
                         " messages_in_flight=" + std::to_string(in_flight),
                     "bench"));
  return settings;
}

}  // namespace

EngineOptions engine_options(std::uint16_t port, int connections, int in_flight) {
  return {.egress = {{.address = "127.0.0.1", .ehlo_name = "bench.sender.example"}},
          .tls = smtp::TlsPolicy::kNone,
          .port = port,
          .allowed_targets = {"127.0.0.0/8"},
          .settings = limits(connections, in_flight),
          .runtime = make_loopback_runtime()};
}

std::shared_ptr<const dkim::KeyRing> key_ring(const char* path) {
  auto ring = std::make_shared<dkim::KeyRing>();
  need(ring->add(need(dkim::Signer::make("sender.example", "bench", need(dkim::PrivateKey::from_file(path))))));
  return ring;
}

void send_campaign(const Sending& sending) {
  EngineOptions options = engine_options(sending.port, sending.connections, sending.in_flight);
  options.keys = sending.keys;
  options.spool = sending.spool;
  auto engine = need(Engine::open(std::move(options)));
  const auto delivered = std::make_shared<Delivered>();
  engine->subscribe(delivered);
  Rows rows(sending.messages);
  need(engine->start(make_campaign(), rows));
  const bool drained = engine->drain(kDrainMax);
  engine.reset();  // Ends the event thread: the counts are ours.
  if (drained && delivered->count == sending.messages) return;
  need(Result<void>(Error{ErrorCode::kInternal, std::to_string(delivered->count) + " of " +
                                                    std::to_string(sending.messages) + " delivered; " +
                                                    delivered->first_other}));
}

}  // namespace mailsbuddy::bench
