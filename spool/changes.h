// changes.h - changes to the store that are written together: whole or not at all. Plain octets, which outlive the
// database handle that they are written with, and can be written again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "spool/bytes.h"

namespace mailsbuddy::spool {

enum class Family : std::uint8_t { kDefault, kRows, kQueue, kSuppression };  // Column families.
inline constexpr std::size_t kFamilies = 4;

class Changes {
 public:
  enum class Kind : std::uint8_t { kPut, kErase, kEraseRange };

  bool empty() const noexcept { return ops_.empty(); }
  std::size_t bytes() const noexcept { return ops_.size(); }
  void clear() noexcept { ops_.clear(); }

  void add(const Changes& others) { ops_ += others.ops_; }
  void put(Family family, std::string_view key, std::string_view value) { add(Kind::kPut, family, key, value); }
  void erase(Family family, std::string_view key) { add(Kind::kErase, family, key, {}); }
  void erase_range(Family family, std::string_view from, std::string_view to) {  // `to` is not in it.
    add(Kind::kEraseRange, family, from, to);
  }

  // visit(Kind, Family, key, value or end of range)
  template <class Visit>
  void each(Visit visit) const {
    for (Reader reader(ops_); !reader.at_end();) {
      const std::uint8_t what = reader.byte();
      const std::string_view key = reader.string();
      const std::string_view value = reader.string();
      visit(static_cast<Kind>(what >> 4), static_cast<Family>(what & 0x0f), key, value);
    }
  }

 private:
  void add(Kind kind, Family family, std::string_view key, std::string_view value) {
    ops_.push_back(static_cast<char>(static_cast<unsigned>(kind) << 4 | static_cast<unsigned>(family)));
    put_string(ops_, key);
    put_string(ops_, value);
  }
  std::string ops_;
};

}  // namespace mailsbuddy::spool
