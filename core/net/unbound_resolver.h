// unbound_resolver.h - SecureResolver on libunbound, which validates on a thread of its own and caches.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/fair_slots.h"
#include "core/base/timer_wheel.h"
#include "core/net/uv_loop.h"

struct ub_ctx;
struct ub_result;

namespace mailsbuddy::net {

// Questions under way at once; more wait their turn. libunbound has room for 1024, and needs some for its own.
inline constexpr std::size_t kSecureQuestionsMax = 256;
// Of them, about one zone: servers that do not answer hold up their own zone's names alone.
inline constexpr std::size_t kZoneQuestionsMax = 32;
// So long one may take while others have to wait; else SecureResolverOptions::timeout.
inline constexpr std::chrono::milliseconds kSecureHurried{1'000};

// Whose question about `name` is: the last two labels, or three under the likes of "co.uk". A rule of thumb for who has
// the name servers; where it is wrong some share their share.
std::string zone_of(std::string_view name);

// Nothing is set up before the first question: who asks none pays nothing. Names are asked for as they are; no hosts
// file. Threads: its loop's, or with the loop stopped. Ownership: `loop` outlives it.
class UnboundResolver final : public SecureResolver {
 public:
  // Errors: kInvalidArgument: a server, a time-out or a trust anchor that cannot be.
  static Result<std::unique_ptr<UnboundResolver>> make(UvLoop& loop, const SecureResolverOptions& options);
  ~UnboundResolver() override;
  UnboundResolver(const UnboundResolver&) = delete;
  UnboundResolver& operator=(const UnboundResolver&) = delete;

  void mx(std::string_view domain, Callback<MxRecord> done) override;
  void addresses(std::string_view host, Callback<IpAddress> done) override;
  void tlsa(std::string_view name, Callback<TlsaRecord> done) override;
  void cname(std::string_view name, Callback<std::string> done) override;
  void validates(UniqueFunction<void(bool)> done) override;

 private:
  struct Question;
  struct Watcher;
  struct Pair;
  using Answered = UniqueFunction<void(int error, const ub_result* result)>;  // With an error there is no result.

  UnboundResolver(UvLoop& loop, SecureResolverOptions options);
  static Result<ub_ctx*> make_context(const SecureResolverOptions& options);
  bool open();
  void ask(std::string_view name, int type, Answered done);
  void pump();
  void start(std::unique_ptr<Question> question);
  void tick(Question& question);
  void hurry(TimePoint now);
  void finish(Question& question, int error, ub_result* result);
  void post_finish(Question& question, int error);
  template <class Record>
  SecureAnswer<Record> read(std::string_view name, int error, const ub_result* result,
                            DnsAnswer<Record> (*parse)(std::span<const std::uint8_t>)) const;

  UvLoop& loop_;
  SecureResolverOptions options_;
  ub_ctx* context_ = nullptr;
  Watcher* watcher_ = nullptr;  // Deletes itself once its handle is closed.
  std::string cannot_open_;     // Why not, once open() has failed.
  std::unordered_map<Question*, std::unique_ptr<Question>> asked_;
  FairSlots<std::unique_ptr<Question>> slots_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace mailsbuddy::net
