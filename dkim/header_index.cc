#include "dkim/header_index.h"

#include <bit>

#include "core/base/ascii.h"

namespace mailsbuddy::dkim {
namespace {

// FNV-1a of the name in lower case. Names chosen to collide cost a look at kHeaderFieldsMax numbers each, no more.
std::uint64_t hash_of(std::string_view name) noexcept {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(ascii::to_lower(c))) * 1099511628211U;
  return hash ^ (hash >> 32);
}

}  // namespace

HeaderIndex::HeaderIndex(std::span<const Field> fields)
    : fields_(fields), lowest_(std::bit_ceil(2 * fields.size() + 2), kNone), mask_(lowest_.size() - 1) {
  above_.resize(fields.size());
  hashes_.reserve(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    hashes_.push_back(hash_of(fields[i].name));
    std::int32_t& lowest = lowest_[slot_of(fields[i].name, hashes_.back())];
    above_[i] = lowest;
    lowest = static_cast<std::int32_t>(i);
  }
}

std::size_t HeaderIndex::slot_of(std::string_view name, std::uint64_t hash) const noexcept {
  const auto holds_another = [&](std::int32_t field) {
    const auto at = static_cast<std::size_t>(field);
    return field != kNone && (hashes_[at] != hash || !ascii::iequals(fields_[at].name, name));
  };
  std::size_t slot = static_cast<std::size_t>(hash) & mask_;
  while (holds_another(lowest_[slot])) slot = (slot + 1) & mask_;
  return slot;
}

std::size_t HeaderIndex::count(std::string_view name) const noexcept {
  std::size_t count = 0;
  for (auto at = lowest_[slot_of(name, hash_of(name))]; at != kNone; at = above_[static_cast<std::size_t>(at)]) ++count;
  return count;
}

const Field* HeaderIndex::Walk::take(std::string_view name) noexcept {
  std::int32_t& next = next_[index_.slot_of(name, hash_of(name))];
  if (next == kNone) return nullptr;
  const auto at = static_cast<std::size_t>(next);
  next = index_.above_[at];
  return &index_.fields_[at];
}

}  // namespace mailsbuddy::dkim
