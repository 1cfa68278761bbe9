#include "smtp/client_table.h"

#include <cstring>

#include "smtp/ip_range.h"

namespace mailsbuddy::smtp {
namespace {

constexpr Duration kSweepInterval = std::chrono::seconds(10);

std::uint64_t word(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

}  // namespace

ClientKey ClientKey::of(const net::IpAddress& address) noexcept {
  const net::IpAddress plain = unmapped(address);
  if (plain.is_v4()) return {0, word(plain.bytes())};
  return {plain.is_v6() ? word(plain.bytes().first(8)) : 0, ~std::uint64_t{0}};
}

std::size_t ClientTable::Hasher::operator()(const ClientKey& key) const noexcept {
  std::array<char, sizeof(ClientKey)> bytes;
  std::memcpy(bytes.data(), &key, sizeof key);
  return siphash64({seed, 0}, {bytes.data(), bytes.size()});  // Keyed: clients choose their addresses.
}

bool WindowCount::over(const ListenRate& rate, TimePoint now) const noexcept { return now >= start_ + rate.per; }

bool WindowCount::full(const ListenRate& rate, TimePoint now) const noexcept {
  return rate.count != 0 && !over(rate, now) && count_ >= rate.count;
}

void WindowCount::add(const ListenRate& rate, TimePoint now) noexcept {
  if (rate.count == 0) return;
  if (over(rate, now)) {
    start_ = now;
    count_ = 0;
  }
  ++count_;
}

// ---------------------------------------------------------------------------------------------------------------------

ClientTable::Client* ClientTable::find_or_add(const net::IpAddress& client, TimePoint now) {
  sweep(now);
  const ClientKey key = ClientKey::of(client);
  const auto found = clients_.find(key);
  if (found != clients_.end()) return &found->second;
  if (clients_.size() >= kClientsMax) return nullptr;
  return &clients_[key];
}

void ClientTable::sweep(TimePoint now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepInterval;
  std::erase_if(clients_, [&](const auto& each) {
    const Client& client = each.second;
    return client.open == 0 && client.connections.over(limits_.connections_per_client, now) &&
           client.messages.over(limits_.messages_per_client, now) &&
           client.failures.over(limits_.auth_failures_per_client, now);
  });
}

ClientTable::Verdict ClientTable::take_of_client(const net::IpAddress& address, TimePoint now) {
  Client* const client = find_or_add(address, now);
  if (client == nullptr) return Verdict::kTooManyInAll;
  if (client->open >= limits_.connections_per_client_max) return Verdict::kTooManyOfClient;
  if (client->connections.full(limits_.connections_per_client, now)) return Verdict::kTooFast;
  client->connections.add(limits_.connections_per_client, now);
  ++client->open;
  return Verdict::kTaken;
}

void ClientTable::release_of_client(const net::IpAddress& address) {
  const auto found = clients_.find(ClientKey::of(address));
  if (found != clients_.end() && found->second.open > 0) --found->second.open;
}

ClientTable::Verdict ClientTable::take_connection(const net::IpAddress& client, bool exempt, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (open_ >= limits_.connections_max) return Verdict::kTooManyInAll;
  const Verdict verdict = exempt ? Verdict::kTaken : take_of_client(client, now);
  open_ += verdict == Verdict::kTaken ? 1 : 0;
  return verdict;
}

void ClientTable::release_connection(const net::IpAddress& client, bool exempt) {
  const std::lock_guard lock(mutex_);
  --open_;
  if (!exempt) release_of_client(client);
}

ClientTable::Verdict ClientTable::rename_connection(const net::IpAddress& from, bool exempt, const net::IpAddress& to,
                                                    TimePoint now) {
  const std::lock_guard lock(mutex_);
  const Verdict verdict = take_of_client(to, now);
  if (verdict == Verdict::kTaken && !exempt) release_of_client(from);
  return verdict;
}

bool ClientTable::take_message(const net::IpAddress& address, TimePoint now) {
  if (limits_.messages_per_client.count == 0) return true;  // The common case takes no lock.
  const std::lock_guard lock(mutex_);
  Client* const client = find_or_add(address, now);
  if (client == nullptr || client->messages.full(limits_.messages_per_client, now)) return false;
  client->messages.add(limits_.messages_per_client, now);
  return true;
}

bool ClientTable::may_authenticate(const net::IpAddress& address, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const Client* const client = find_or_add(address, now);
  return client != nullptr && !client->failures.full(limits_.auth_failures_per_client, now);
}

void ClientTable::authentication_failed(const net::IpAddress& address, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Client* const client = find_or_add(address, now);
  if (client != nullptr) client->failures.add(limits_.auth_failures_per_client, now);
}

std::uint64_t ClientTable::open() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(open_);
}

}  // namespace mailsbuddy::smtp
