// client_table.h - what the clients of a listener have used up: connections, messages, failed AUTHs.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "core/base/hash.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Clients remembered, at some 150 octets each; a new one beyond them is refused until a sweep finds room.
inline constexpr std::size_t kClientsMax = 200'000;

// Whom a count belongs to: an IPv4 address, or an IPv6 /64.
struct ClientKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  static ClientKey of(const net::IpAddress& address) noexcept;
  bool operator==(const ClientKey&) const = default;
};

// Counts in windows: at most `count` in each span of `per`, the first of which begins with the first event. A client
// can do twice as much around the end of one; in exchange a count is sixteen octets.
class WindowCount {
 public:
  bool full(const ListenRate& rate, TimePoint now) const noexcept;
  void add(const ListenRate& rate, TimePoint now) noexcept;
  bool over(const ListenRate& rate, TimePoint now) const noexcept;  // The window is: nothing to remember.

 private:
  TimePoint start_{};
  std::uint64_t count_ = 0;
};

// Threads: all methods from any. Invariants: what take_...() gave is given back once.
class ClientTable {
 public:
  enum class Verdict : std::uint8_t { kTaken, kTooManyInAll, kTooManyOfClient, kTooFast };

  ClientTable(const ListenLimits& limits, std::uint64_t seed) : limits_(limits), clients_(0, Hasher{seed}) {}

  // `exempt`: only the number in all counts.
  Verdict take_connection(const net::IpAddress& client, bool exempt, TimePoint now);
  void release_connection(const net::IpAddress& client, bool exempt);
  // A trusted proxy named its client: the connection counts as the client's from now on.
  Verdict rename_connection(const net::IpAddress& from, bool exempt, const net::IpAddress& to, TimePoint now);
  bool take_message(const net::IpAddress& client, TimePoint now);
  bool may_authenticate(const net::IpAddress& client, TimePoint now);
  void authentication_failed(const net::IpAddress& client, TimePoint now);

  std::uint64_t open() const;

 private:
  struct Client {
    int open = 0;
    WindowCount connections, messages, failures;
  };
  struct Hasher {
    std::uint64_t seed;
    std::size_t operator()(const ClientKey& key) const noexcept;
  };
  Verdict take_of_client(const net::IpAddress& client, TimePoint now);
  void release_of_client(const net::IpAddress& client);
  Client* find_or_add(const net::IpAddress& client, TimePoint now);  // Null: the table is full.
  void sweep(TimePoint now);

  const ListenLimits limits_;
  mutable std::mutex mutex_;
  int open_ = 0;
  TimePoint next_sweep_{};
  std::unordered_map<ClientKey, Client, Hasher> clients_;
};

}  // namespace mailsbuddy::smtp
