// fakes_for_fuzz.h - a world in which nothing happens, for what needs one and does not use it.
#pragma once

#include "core/base/timer_wheel.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::test {

class Silence final : public net::Loop, public net::Resolver, public net::HttpsClient {
 public:
  void post(Task) override {}
  TimePoint now() const noexcept override { return TimePoint(std::chrono::hours(1)); }
  TimerWheel& timers() noexcept override { return wheel_; }
  bool is_owner() const noexcept override { return true; }
  void mx(std::string_view, Callback<net::MxRecord>) override {}
  void addresses(std::string_view, Callback<net::IpAddress>) override {}
  void txt(std::string_view, Callback<std::string>) override {}
  void send(net::HttpsRequest, Done) override {}

 private:
  TimerWheel wheel_{TimePoint(std::chrono::hours(1))};
};

}  // namespace mailsbuddy::test
