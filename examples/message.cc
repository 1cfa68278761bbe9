// Sends one message and waits for its outcome. The receiver is a sink on loopback; the recipient's domain is its address
// (RFC 5321 4.1.3), so that no DNS is needed.
#include <mailsbuddy/engine.h>

#include <cstdio>

namespace mb = mailsbuddy;

struct Printer : mb::EventSink {
  void on_events(std::span<const mb::Event> events) override {
    for (const mb::Event& event : events) {
      std::printf("%s: %s (%s)\n", event.recipient.c_str(), std::string(to_string(event.kind)).c_str(),
                  event.outcome.str().c_str());
    }
  }
};

int main() {
  auto sink = mb::smtp::Sink::start({.listeners = {{.endpoint = *mb::net::Endpoint::parse("127.0.0.1", 0)}},
                                     .profiles = {mb::smtp::SinkProfile{}}});
  if (!sink) return std::fprintf(stderr, "%s\n", sink.error().detail.c_str()), 1;

  mb::EngineOptions options{.egress = {{.address = "127.0.0.1", .ehlo_name = "mail.brand.example"}}};
  options.port = (*sink)->endpoints().front().port;
  auto engine = mb::Engine::open(std::move(options));
  if (!engine) return std::fprintf(stderr, "%s\n", engine.error().detail.c_str()), 1;
  (*engine)->subscribe(std::make_shared<Printer>());

  auto id = (*engine)->submit({.sender = *mb::Address::parse("shop@brand.example"),
                               .recipients = {*mb::Address::parse("ann@[127.0.0.1]")},
                               .data = "From: Shop <shop@brand.example>\r\nSubject: Your order\r\n\r\nIt is on its way.\r\n"});
  if (!id) return std::fprintf(stderr, "%s\n", id.error().detail.c_str()), 1;
  return (*engine)->drain(std::chrono::seconds(30)) ? 0 : 1;
}
