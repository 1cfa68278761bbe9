// tallies.h - tallies by a hash of account and address: no address is kept, in memory or on disk.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/hash.h"
#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool {

// What stands for (account, address) in keys: address first, so that all accounts' entries of an address lie together.
// Keyed by a secret of the spool.
struct AddressHash {
  std::uint64_t address = 0;
  std::uint64_t account = 0;
  bool operator==(const AddressHash&) const = default;

  static AddressHash of(const SipKey& key, std::string_view account, std::string_view address) {
    return {siphash64(key, address), siphash64({key.k1, key.k0}, account)};
  }
  std::string bytes() const {
    std::string out(16, '\0');
    std::memcpy(out.data(), &address, 8);
    std::memcpy(out.data() + 8, &account, 8);
    return out;
  }
  static AddressHash from(std::string_view bytes) {
    AddressHash hash;
    if (bytes.size() != 16) return hash;
    std::memcpy(&hash.address, bytes.data(), 8);
    std::memcpy(&hash.account, bytes.data() + 8, 8);
    return hash;
  }
};
struct AddressHashHash {
  std::size_t operator()(const AddressHash& hash) const noexcept { return hash.address ^ hash.account * 31; }
};

struct KeptTally {
  std::uint64_t value = 0;
  TimePoint forget{};
};
using Tallies = std::unordered_map<AddressHash, KeptTally, AddressHashHash>;

}  // namespace mailsbuddy::spool
