// names.h - the names of domains by number and back, for millions of them: some 35 octets each besides the name's own.
// Threads: one at a time. Views: as long as the table.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.h"
#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool {

class Names {
 public:
  explicit Names(SipKey key) noexcept : key_(key) {}  // Names come from callers' lists: nobody may choose collisions.

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(names_.size()); }
  std::string_view name(DomainNumber number) const noexcept {
    return number < names_.size() ? names_[number] : std::string_view();
  }
  std::optional<DomainNumber> find(std::string_view name) const noexcept;
  DomainNumber intern(std::string_view name);
  // While a spool is opened; found only after index(). Numbers between stay without a name.
  void set(DomainNumber number, std::string_view name);
  void index();

 private:
  static constexpr std::size_t kBlockBytes = 64u << 10;

  std::string_view keep(std::string_view name);
  std::size_t slot_of(std::string_view name) const noexcept;
  void make_slots(std::size_t count);

  SipKey key_;
  std::deque<std::string> blocks_;  // Never grown beyond what was reserved, so that views stay.
  std::vector<std::string_view> names_;
  std::vector<std::uint32_t> slots_;  // Number + 1; 0: free. A power of two of them.
  std::size_t used_ = 0;
};

}  // namespace mailsbuddy::spool
