#include "core/net/caching_resolver.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy::net {
namespace {

template <class Record>
std::string key_of(std::string_view name) {
  constexpr char kType = std::is_same_v<Record, MxRecord> ? 'm' : std::is_same_v<Record, IpAddress> ? 'a' : 't';
  return kType + std::string(name);
}

std::chrono::seconds ttl_cap(DnsStatus status) {
  switch (status) {
    case DnsStatus::kOk:
      return kTtlMax;
    case DnsStatus::kNoData:
    case DnsStatus::kNxDomain:
      return kNegativeTtlMax;
    case DnsStatus::kFailed:
      break;
  }
  return kFailureTtl;
}

}  // namespace

CachingResolver::CachingResolver(Loop& loop, std::unique_ptr<Resolver> source, std::size_t entries_max)
    : loop_(loop), source_(std::move(source)), cache_(entries_max) {}

CachingResolver::~CachingResolver() = default;

template <class Record>
void CachingResolver::look_up(Ask<Record> ask, std::string_view given, Callback<Record> done) {
  if (given.ends_with('.')) given.remove_suffix(1);
  const std::string name = ascii::to_lower(given);
  const Entry* entry = cache_.find(key_of<Record>(name));
  if (entry != nullptr && entry->expires > loop_.now()) {
    auto answer = std::get<DnsAnswer<Record>>(entry->answer);
    answer.ttl = std::chrono::floor<std::chrono::seconds>(entry->expires - loop_.now());
    loop_.post([alive = std::weak_ptr(alive_), done = std::move(done), answer = std::move(answer)]() mutable {
      if (!alive.expired()) done(answer);
    });
    return;
  }
  auto& waiting = std::get<Waiting<Record>>(waiting_);
  auto [place, first] = waiting.try_emplace(name);
  place->second.push_back(std::move(done));
  // The source's promise that it calls back from outside the call is also ours; it is destroyed with us, and is silent
  // then.
  if (first) (*source_.*ask)(name, [this, name](const DnsAnswer<Record>& answer) { arrived<Record>(name, answer); });
}

template <class Record>
void CachingResolver::arrived(const std::string& name, DnsAnswer<Record> answer) {
  const bool failed = answer.status == DnsStatus::kFailed;
  answer.ttl = failed ? kFailureTtl : std::min(answer.ttl, ttl_cap(answer.status));
  // A TTL of 0 is for the questions that are waiting, and no others (RFC 1035 3.2.1).
  if (answer.ttl.count() > 0) cache_.put(key_of<Record>(name), {loop_.now() + answer.ttl, answer});
  auto callbacks = std::get<Waiting<Record>>(waiting_).extract(name);
  const std::weak_ptr alive = alive_;
  for (Callback<Record>& done : callbacks.mapped()) {
    done(answer);
    if (alive.expired()) return;  // It destroyed us.
  }
}

void CachingResolver::mx(std::string_view domain, Callback<MxRecord> done) {
  look_up<MxRecord>(&Resolver::mx, domain, std::move(done));
}

void CachingResolver::addresses(std::string_view host, Callback<IpAddress> done) {
  // An address is its own answer: nobody else is to be asked for it.
  if (const auto literal = IpAddress::parse(host)) {
    loop_.post([alive = std::weak_ptr(alive_), done = std::move(done), address = *literal]() mutable {
      if (!alive.expired()) done({.status = DnsStatus::kOk, .records = {address}, .ttl = kTtlMax, .detail = {}});
    });
    return;
  }
  look_up<IpAddress>(&Resolver::addresses, host, std::move(done));
}

void CachingResolver::txt(std::string_view name, Callback<std::string> done) {
  look_up<std::string>(&Resolver::txt, name, std::move(done));
}

}  // namespace mailsbuddy::net
