// host_walk.h - the addresses that one opening of a connection may try, in the order of RFC 5321 5.1.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Hosts by preference, at random among equals, each resolved when its turn comes; of its addresses those that `local`
// can reach. Keeps the most telling failure of the tries. Threads: its loop's. Ownership: may be destroyed at any time,
// also from inside `found`, which is not called after that.
class HostWalk {
 public:
  struct Target {
    std::string host;
    net::IpAddress address;
  };
  using Found = UniqueFunction<void(std::optional<Target>)>;  // Empty: there is nothing left to try.

  HostWalk(net::Resolver& resolver, const net::IpAddress& local, std::vector<RouteHost> hosts, int tries_max,
           Random& random);

  void next(Found found);        // Calls at once when it needs no DNS.
  void failed(Outcome outcome);  // What became of a try.
  void skip_host() { addresses_.clear(); }  // None of the last target's other addresses.
  const Outcome& failure() const noexcept { return failure_; }

 private:
  void found_addresses(const net::DnsAnswer<net::IpAddress>& answer);

  net::Resolver& resolver_;
  net::IpAddress local_;
  std::vector<RouteHost> hosts_;
  std::size_t next_host_ = 0;
  std::vector<net::IpAddress> addresses_;  // Of the host before next_host_, the next one last.
  int tries_left_;
  Outcome failure_{.stage = Stage::kRoute, .cause = Cause::kConnectFailed, .reply = {}, .detail = "no host to try"};
  int failure_rank_ = -1;
  std::shared_ptr<void> alive_ = std::make_shared<char>();
};

// The address in "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3); the tag may be missing.
std::optional<net::IpAddress> parse_address_literal(std::string_view host);

}  // namespace mailsbuddy::smtp
