// caching_resolver.h - remembers what another resolver said, for as long as it said.
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/net/lru.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

// Caps on time to live: what was wrong heals within a day, and "no such name" within an hour (RFC 2308 5 asks for one
// to three). A failure is asked again after seconds, but not once a recipient.
inline constexpr std::chrono::seconds kTtlMax{86'400};
inline constexpr std::chrono::seconds kNegativeTtlMax{3'600};
inline constexpr std::chrono::seconds kFailureTtl{5};

// Equal questions asked while one is on its way share its answer; names are equal in any letter case and with or
// without the trailing dot. The TTL in an answer from the cache is what is left of it. Threads: its loop's, or with the
// loop stopped. Ownership: `loop` outlives it.
class CachingResolver final : public Resolver {
 public:
  CachingResolver(Loop& loop, std::unique_ptr<Resolver> source, std::size_t entries_max);
  ~CachingResolver() override;
  CachingResolver(const CachingResolver&) = delete;
  CachingResolver& operator=(const CachingResolver&) = delete;

  void mx(std::string_view domain, Callback<MxRecord> done) override;
  void addresses(std::string_view host, Callback<IpAddress> done) override;
  void txt(std::string_view name, Callback<std::string> done) override;

 private:
  template <class Record>
  using Waiting = std::unordered_map<std::string, std::vector<Callback<Record>>>;
  template <class Record>
  using Ask = void (Resolver::*)(std::string_view, Callback<Record>);
  struct Entry {
    TimePoint expires;
    std::variant<DnsAnswer<MxRecord>, DnsAnswer<IpAddress>, DnsAnswer<std::string>> answer;
  };

  template <class Record>
  void look_up(Ask<Record> ask, std::string_view name, Callback<Record> done);
  template <class Record>
  void arrived(const std::string& name, DnsAnswer<Record> answer);

  Loop& loop_;
  std::unique_ptr<Resolver> source_;
  Lru<Entry> cache_;  // By record type and name.
  std::tuple<Waiting<MxRecord>, Waiting<IpAddress>, Waiting<std::string>> waiting_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace mailsbuddy::net
