// host_walk.h - the addresses that one opening of a connection may try, in the order of RFC 5321 5.1.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Hosts by preference, at random among equals, each resolved when its turn comes; of its addresses those that `local`
// can reach and that are no prohibited ones, IPv6 and IPv4 in turns. Where there are addresses of our own, all hosts of
// a preference are resolved before the first of them is tried: one that is ourselves ends the walk there. What is set
// aside comes last, the one whose time ends first before the others. Keeps the most telling failure of the tries.
// Threads: its loop's. Ownership: may be destroyed at any time, also from inside `found`, which is not called after
// that.
class HostWalk {
 public:
  struct Target {
    std::string host;
    net::Endpoint remote;
  };
  using Found = UniqueFunction<void(std::optional<Target>)>;  // Empty: there is nothing left to try.

  // `options` outlives the walk.
  HostWalk(const net::Loop& loop, net::Resolver& resolver, const PoolOptions& options, std::vector<RouteHost> hosts,
           Random& random);

  void next(Found found);  // Calls at once when it needs no DNS.
  // What became of the last target; `counts`: it is set aside for it.
  void failed(const Target& target, Outcome outcome, bool counts);
  void worked(const Target& target);
  void skip_host(const Target& target, Outcome why);  // None of its other addresses either.
  const Outcome& failure() const noexcept { return failure_; }

 private:
  struct Candidate {
    std::size_t host;
    std::optional<net::IpAddress> address;  // Empty: its name is to be resolved.
    TimePoint until{};                      // Set aside till then.
    bool last_resort = false;               // Tried although it is.
  };

  bool resolve(const Candidate& candidate, Found& found);
  void found_addresses(std::size_t host, const net::DnsAnswer<net::IpAddress>& answer);
  void take_usable(std::size_t host, std::vector<net::IpAddress> records);
  void drop_ourselves(std::size_t host);
  bool resolved_enough() const;
  bool put_off(const Candidate& candidate, std::string_view key);
  std::optional<Candidate> first_put_off();
  net::Endpoint endpoint(const Candidate& candidate) const;
  std::string pair_key(const net::Endpoint& remote) const;
  void note(Outcome outcome);

  const net::Loop& loop_;
  net::Resolver& resolver_;
  const PoolOptions& options_;
  std::vector<RouteHost> hosts_;
  std::size_t next_host_ = 0;             // The next to be resolved.
  std::optional<std::size_t> ourselves_;  // Of the hosts of this preference.
  std::deque<Candidate> ready_;           // Addresses to try, in order.
  std::vector<Candidate> put_off_;
  net::IpAddress silent_;  // The last target, if it did not connect.
  int tries_left_;
  Outcome failure_{.stage = Stage::kRoute, .cause = Cause::kConnectFailed, .reply = {}, .detail = "no host to try"};
  int failure_rank_ = -1;
  std::shared_ptr<void> alive_ = std::make_shared<char>();
};

// The address in "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3); the tag may be missing.
std::optional<net::IpAddress> parse_address_literal(std::string_view host);

}  // namespace mailsbuddy::smtp
