// header_index.h - header fields by name, from the bottom up, as h= takes them (RFC 6376 5.4.2).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dkim/message.h"

namespace mailsbuddy::dkim {

// Views into `fields`, which outlive it. Finding costs the same however many fields there are, so that a long h= over a
// long header costs their sum and not their product.
class HeaderIndex {
 public:
  explicit HeaderIndex(std::span<const Field> fields);

  std::size_t count(std::string_view name) const noexcept;

  // One walk for one signature: take() gives the lowest field of the name that it has not given yet; null: no more.
  class Walk {
   public:
    explicit Walk(const HeaderIndex& index) : index_(index), next_(index.lowest_) {}
    const Field* take(std::string_view name) noexcept;

   private:
    const HeaderIndex& index_;
    std::vector<std::int32_t> next_;  // By slot.
  };

 private:
  static constexpr std::int32_t kNone = -1;

  // Its own, or the free one it would have.
  std::size_t slot_of(std::string_view name, std::uint64_t hash) const noexcept;

  std::span<const Field> fields_;
  std::vector<std::int32_t> lowest_;   // By slot: the field with the highest number; kNone: the slot is free.
  std::vector<std::int32_t> above_;    // By field: the next one up of that name.
  std::vector<std::uint64_t> hashes_;  // By field, of its name.
  std::size_t mask_ = 0;
};

}  // namespace mailsbuddy::dkim
