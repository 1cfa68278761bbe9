// send.h - a campaign sent by the engine to one sink: what the contenders named mailsbuddy share.
#pragma once

#include <cstdint>
#include <memory>

#include "bench/support/mail.h"

namespace mailsbuddy::bench {

struct Sending {
  std::uint16_t port = 0;  // Of the sink on 127.0.0.1.
  std::uint64_t messages = 0;
  int connections = 0;
  int in_flight = 2;                            // Messages under way at once on each.
  std::shared_ptr<const dkim::KeyRing> keys{};  // Null: unsigned.
  std::shared_ptr<spool::Spool> spool{};        // Null: in memory.
};

// Signs for the sender of the benches' campaign with the key in that file.
std::shared_ptr<const dkim::KeyRing> key_ring(const char* path);

EngineOptions engine_options(std::uint16_t port, int connections, int in_flight = 2);

// Returns when every recipient has been delivered; ends the program with a failure when one was not at its first
// attempt.
void send_campaign(const Sending& sending);

}  // namespace mailsbuddy::bench
