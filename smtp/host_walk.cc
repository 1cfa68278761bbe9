#include "smtp/host_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

// What an outcome says about the site, least first: that a name is missing, that it leads where no mail goes, that DNS
// fails, that a host cannot be reached, that it broke off, that it refused in words.
int rank(const Outcome& outcome) noexcept {
  if (outcome.cause == Cause::kNoSuchDomain) return 0;
  if (outcome.cause == Cause::kMailLoop || outcome.cause == Cause::kProhibitedAddress) return 1;
  if (outcome.stage == Stage::kRoute) return 2;
  if (outcome.stage == Stage::kConnect) return 3;
  return outcome.cause == Cause::kReply ? 5 : 4;
}

void shuffle_equals(std::vector<RouteHost>& hosts, Random& random) {
  std::ranges::stable_sort(hosts, {}, &RouteHost::preference);
  for (std::size_t first = 0, i = 0; i < hosts.size(); ++i) {
    if (hosts[i].preference != hosts[first].preference) first = i;
    std::swap(hosts[i], hosts[first + random.below(i - first + 1)]);  // Fisher-Yates, inside out.
  }
}

// Families in turns, each in its own order, the other first after one that did not connect: where one is broken the
// other is not five time-outs away.
std::vector<net::IpAddress> in_turns(const std::vector<net::IpAddress>& addresses, bool v4_first) {
  std::deque<net::IpAddress> families[2];
  for (const net::IpAddress& each : addresses) families[each.is_v4() == v4_first ? 0 : 1].push_back(each);
  std::vector<net::IpAddress> mixed;
  for (std::size_t turn = 0; mixed.size() < addresses.size(); ++turn) {
    auto& family = families[turn % 2];
    if (family.empty()) continue;
    mixed.push_back(family.front());
    family.pop_front();
  }
  return mixed;
}

// In BadHosts. A label may hold any octet: "192.0.2.1:25" as a name must not stand for somebody else's address.
std::string name_key(std::string_view host) { return fmt::format("name {}", host); }

}  // namespace

std::optional<net::IpAddress> parse_address_literal(std::string_view host) {
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return std::nullopt;
  host = host.substr(1, host.size() - 2);
  const bool tagged = ascii::istarts_with(host, "IPv6:");
  auto address = net::IpAddress::parse(tagged ? host.substr(5) : host);
  if (!address || (tagged && !address->is_v6())) return std::nullopt;
  return *address;
}

HostWalk::HostWalk(const net::Loop& loop, net::Resolver& resolver, const PoolOptions& options,
                   std::vector<RouteHost> hosts, Random& random)
    : loop_(loop),
      resolver_(resolver),
      options_(options),
      hosts_(std::move(hosts)),
      tries_left_(options.addresses_per_open_max) {
  shuffle_equals(hosts_, random);
}

void HostWalk::next(Found found) {
  while (tries_left_ > 0) {
    std::optional<Candidate> candidate;
    if (!ready_.empty() && resolved_enough()) {
      candidate = ready_.front();
      ready_.pop_front();
    } else if (next_host_ < hosts_.size()) {
      candidate = Candidate{.host = next_host_++, .address = {}};
    } else if (!(candidate = first_put_off())) {
      break;
    }
    if (!candidate->address) {
      if (resolve(*candidate, found)) return;
      continue;
    }
    const net::Endpoint remote = endpoint(*candidate);
    if (put_off(*candidate, remote.str()) || put_off(*candidate, pair_key(remote))) continue;
    --tries_left_;
    return found(Target{.host = hosts_[candidate->host].host, .remote = remote});
  }
  found(std::nullopt);
}

// True: DNS is asked, and next() goes on with `found` when it has answered.
bool HostWalk::resolve(const Candidate& candidate, Found& found) {
  const std::size_t host = candidate.host;
  const std::string& name = hosts_[host].host;
  if (const auto literal = parse_address_literal(name)) {
    found_addresses(host, {.status = net::DnsStatus::kOk, .records = {*literal}, .ttl = {}, .detail = {}});
    return false;
  }
  if (put_off(candidate, name_key(name))) return false;
  resolver_.addresses(name, [this, host, alive = std::weak_ptr(alive_),
                             found = std::move(found)](const net::DnsAnswer<net::IpAddress>& answer) mutable {
    if (alive.expired()) return;
    found_addresses(host, answer);
    next(std::move(found));
  });
  return true;
}

void HostWalk::found_addresses(std::size_t host, const net::DnsAnswer<net::IpAddress>& answer) {
  const std::string& name = hosts_[host].host;
  switch (answer.status) {
    case net::DnsStatus::kFailed:
      if (options_.bad_hosts != nullptr) options_.bad_hosts->failed(name_key(name), loop_.now());
      note({Stage::kRoute, Cause::kDnsFailure, {}, name + ": " + answer.detail});
      break;
    case net::DnsStatus::kNoData:
    case net::DnsStatus::kNxDomain:
      note({Stage::kRoute, Cause::kNoSuchDomain, {}, name + " has no address"});
      break;
    case net::DnsStatus::kOk:
      if (options_.bad_hosts != nullptr) options_.bad_hosts->worked(name_key(name));
      take_usable(host, answer.records);
      break;
  }
  if (resolved_enough() && ourselves_) drop_ourselves(*ourselves_);
}

void HostWalk::take_usable(std::size_t host, std::vector<net::IpAddress> records) {
  const std::string& name = hosts_[host].host;
  if (!options_.relay) {
    const auto ours = std::ranges::find_if(records, [this](const auto& each) { return options_.targets.ours(each); });
    if (ours != records.end()) {
      note({Stage::kRoute, Cause::kMailLoop, {}, fmt::format("{} is ourselves, {}", name, ours->str())});
      ourselves_ = host;
      return;
    }
    const net::IpAddress first = records.front();
    std::erase_if(records, [this](const net::IpAddress& each) { return options_.targets.prohibits(each); });
    if (records.empty()) {
      const std::string why = fmt::format("{} has the prohibited address {}", name, first.str());
      return note({Stage::kRoute, Cause::kProhibitedAddress, {}, why});
    }
  }
  const net::IpAddress& local = options_.local;
  std::erase_if(records, [&](const auto& each) { return !local.unspecified() && local.is_v4() != each.is_v4(); });
  if (records.empty()) {
    const std::string_view family = local.is_v4() ? "IPv4" : "IPv6";
    return note({Stage::kConnect, Cause::kConnectFailed, {}, fmt::format("{} has no {} address", name, family)});
  }
  const bool v4_first = silent_.unspecified() ? records.front().is_v4() : silent_.is_v6();
  for (const net::IpAddress& each : in_turns(records, v4_first)) ready_.push_back({.host = host, .address = each});
}

// Whoever is reached at our own address would send the message to us again (RFC 5321 5.1): hosts at that preference and
// worse are none to deliver to.
void HostWalk::drop_ourselves(std::size_t host) {
  const std::uint16_t preference = hosts_[host].preference;
  const auto dropped = [&](const Candidate& each) { return hosts_[each.host].preference >= preference; };
  std::erase_if(ready_, dropped);
  std::erase_if(put_off_, dropped);
  next_host_ = hosts_.size();  // They are sorted.
  ourselves_.reset();
}

// Whether what is ready may be tried: all hosts of its preference are known, where one of them could be ourselves.
bool HostWalk::resolved_enough() const {
  return options_.relay || !options_.targets.any_ours() || next_host_ == 0 || next_host_ == hosts_.size() ||
         hosts_[next_host_].preference != hosts_[next_host_ - 1].preference;
}

// True: what the key names is set aside, and so is the candidate.
bool HostWalk::put_off(const Candidate& candidate, std::string_view key) {
  if (options_.bad_hosts == nullptr || candidate.last_resort) return false;
  const TimePoint until = options_.bad_hosts->ask(key, loop_.now());
  if (until <= loop_.now()) return false;
  put_off_.push_back(candidate);
  put_off_.back().until = until;
  return true;
}

std::optional<HostWalk::Candidate> HostWalk::first_put_off() {
  const auto first = std::ranges::min_element(put_off_, {}, &Candidate::until);
  if (first == put_off_.end()) return std::nullopt;
  Candidate candidate = *first;
  candidate.last_resort = true;
  put_off_.erase(first);
  return candidate;
}

net::Endpoint HostWalk::endpoint(const Candidate& candidate) const {
  const std::uint16_t port = hosts_[candidate.host].port;
  return {.address = *candidate.address, .port = port != 0 ? port : options_.port};
}

// A host's words may be about the one who called: it is set aside for that egress IP alone.
std::string HostWalk::pair_key(const net::Endpoint& remote) const {
  return fmt::format("{}>{}", options_.local.str(), remote.str());
}

void HostWalk::failed(const Target& target, Outcome outcome, bool counts) {
  silent_ = outcome.stage == Stage::kConnect ? target.remote.address : net::IpAddress();
  if (counts && options_.bad_hosts != nullptr) {
    const bool words = outcome.cause == Cause::kReply;
    options_.bad_hosts->failed(words ? pair_key(target.remote) : target.remote.str(), loop_.now());
  }
  note(std::move(outcome));
}

void HostWalk::worked(const Target& target) {
  if (options_.bad_hosts == nullptr) return;
  options_.bad_hosts->worked(target.remote.str());
  options_.bad_hosts->worked(pair_key(target.remote));
}

void HostWalk::skip_host(const Target& target, Outcome why) {
  const auto its = [&](const Candidate& each) { return hosts_[each.host].host == target.host; };
  std::erase_if(ready_, its);
  std::erase_if(put_off_, its);
  note(std::move(why));
}

void HostWalk::note(Outcome outcome) {
  const int its_rank = rank(outcome);
  if (its_rank < failure_rank_) return;
  failure_rank_ = its_rank;
  failure_ = std::move(outcome);
}

}  // namespace mailsbuddy::smtp
