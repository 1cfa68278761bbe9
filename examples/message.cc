// Sends one message from 127.0.0.1 and waits for its outcome: example_message DNS_SERVER PORT RECIPIENT.
#include <mailsbuddy/engine.h>

#include <cstdio>
#include <cstdlib>

namespace mb = mailsbuddy;

struct Printer : mb::EventSink {
  mb::Result<void> on_events(std::span<const mb::Event> events) override {
    for (const mb::Event& event : events) {
      std::printf("%s: %s (%s)\n", event.recipient.c_str(), std::string(to_string(event.kind)).c_str(),
                  event.outcome.str().c_str());
    }
    return {};
  }
};

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: %s DNS_SERVER PORT RECIPIENT\n", argv[0]), 2;
  auto dns = mb::net::Endpoint::parse(argv[1], 53);
  auto recipient = mb::Address::parse(argv[3]);
  if (!dns || !recipient) return std::fprintf(stderr, "%s\n", (!dns ? dns.error() : recipient.error()).detail.c_str()), 2;

  mb::EngineOptions options{.egress = {{.address = "127.0.0.1", .ehlo_name = "mail.brand.example"}}};
  options.allowed_targets = {"127.0.0.0/8"};  // For a receiver on this host; on the Internet none are there.
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  options.runtime_options.resolver.servers = {*dns};
  auto engine = mb::Engine::open(std::move(options));
  if (!engine) return std::fprintf(stderr, "%s\n", engine.error().detail.c_str()), 1;
  (*engine)->subscribe(std::make_shared<Printer>());

  auto id = (*engine)->submit({.sender = *mb::Address::parse("shop@brand.example"),
                               .recipients = {*recipient},
                               .data = "From: Shop <shop@brand.example>\r\nSubject: Your order\r\n\r\nIt is on its way.\r\n"});
  if (!id) return std::fprintf(stderr, "%s\n", id.error().detail.c_str()), 1;
  return (*engine)->drain(std::chrono::seconds(30)) ? 0 : 1;
}
