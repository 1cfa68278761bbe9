#include <mailsbuddy/engine.h>

#include <iostream>

int main() {
  auto engine = mailsbuddy::Engine::open({.egress = {{"127.0.0.1", "client.invalid"}}});
  if (!engine) return std::cerr << engine.error().detail << '\n', 1;
  auto address = mailsbuddy::Address::parse("ann@b\u00fccher.example");
  std::cout << mailsbuddy::version() << ' ' << address->str() << '\n';
  return engine.value()->drain(std::chrono::milliseconds(0)) ? 0 : 1;  // Nothing was submitted.
}
