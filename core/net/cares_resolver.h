// cares_resolver.h - Resolver on c-ares: asks servers, caches nothing.
#pragma once

#include <ares.h>

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "core/base/timer_wheel.h"
#include "core/net/uv_loop.h"

namespace mailsbuddy::net {

// Questions on the wire at once; more wait their turn. As many answers as fit a UDP socket's usual receive buffer.
inline constexpr std::size_t kDnsQuestionsMax = 1000;
// Size of UDP answers asked for (RFC 6891): passes every path unfragmented. Larger ones come by TCP.
inline constexpr int kDnsUdpBytes = 1232;

// Names are asked for as they are: no search domains, no hosts file, no environment.
// Threads: its loop's, or with the loop stopped. Ownership: `loop` outlives it.
class CaresResolver final : public Resolver {
 public:
  // Errors: kInvalidArgument: a server, timeout or count that cannot be; kIo: c-ares cannot be set up.
  static Result<std::unique_ptr<CaresResolver>> make(UvLoop& loop, const ResolverOptions& options);
  ~CaresResolver() override;
  CaresResolver(const CaresResolver&) = delete;
  CaresResolver& operator=(const CaresResolver&) = delete;

  void mx(std::string_view domain, Callback<MxRecord> done) override;
  void addresses(std::string_view host, Callback<IpAddress> done) override;
  void txt(std::string_view name, Callback<std::string> done) override;

 private:
  // How a question ended. Views: until the call returns.
  struct Raw {
    int status = ARES_SUCCESS;
    std::span<const std::uint8_t> message;
  };
  struct Question {
    CaresResolver* resolver;
    std::string name;
    int type;
    UniqueFunction<void(const Raw&)> done;
  };
  struct Watcher;
  struct Pair;

  CaresResolver(UvLoop& loop, Duration timeout);
  Result<void> open(const ResolverOptions& options);
  void ask(std::string_view name, int type, UniqueFunction<void(const Raw&)> done);
  void pump();
  void tick();
  void answered(std::unique_ptr<Question> question, const Raw& raw);
  void watch(ares_socket_t fd, bool readable, bool writable) noexcept;
  template <class Record>
  DnsAnswer<Record> read(const Raw& raw, DnsAnswer<Record> (*parse)(std::span<const std::uint8_t>)) const;
  template <class Record>
  void deliver(Callback<Record> done, DnsAnswer<Record> answer);

  UvLoop& loop_;
  Duration tick_;
  Timer timer_;
  ares_channel channel_ = nullptr;
  std::string servers_;  // For error texts: "server 127.0.0.1:53".
  std::unordered_map<ares_socket_t, Watcher*> watchers_;
  std::deque<std::unique_ptr<Question>> waiting_;
  std::size_t asked_ = 0;
  bool pumping_ = false;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // Posted answers look whether it is gone.
};

}  // namespace mailsbuddy::net
