#include "spool/names.h"

#include <algorithm>
#include <utility>

namespace mailsbuddy::spool {

std::size_t Names::slot_of(std::string_view name) const noexcept {
  std::size_t at = siphash64(key_, name) & (slots_.size() - 1);
  while (slots_[at] != 0 && names_[slots_[at] - 1] != name) at = (at + 1) & (slots_.size() - 1);
  return at;
}

std::optional<DomainNumber> Names::find(std::string_view name) const noexcept {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t found = slots_[slot_of(name)];
  if (found == 0) return std::nullopt;
  return found - 1;
}

DomainNumber Names::intern(std::string_view name) {
  if (const auto found = find(name)) return *found;
  const DomainNumber number = size();
  set(number, name);
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    make_slots(std::max<std::size_t>(256, slots_.size() * 2));
  } else {
    slots_[slot_of(name)] = number + 1;
    ++used_;
  }
  return number;
}

void Names::set(DomainNumber number, std::string_view name) {
  if (number >= names_.size()) names_.resize(number + std::size_t{1});
  names_[number] = keep(name);
}

// All at once, so that a million names are hashed once and not again each time that the table grows.
void Names::index() {
  std::size_t count = 256;
  while (names_.size() * 4 > count * 3) count *= 2;
  make_slots(count);
}

std::string_view Names::keep(std::string_view name) {
  if (blocks_.empty() || blocks_.back().size() + name.size() > blocks_.back().capacity()) {
    blocks_.emplace_back().reserve(std::max(kBlockBytes, name.size()));
  }
  std::string& block = blocks_.back();
  const std::size_t at = block.size();
  block += name;
  return std::string_view(block).substr(at);
}

void Names::make_slots(std::size_t count) {
  slots_.assign(count, 0);
  used_ = 0;
  for (DomainNumber number = 0; number < size(); ++number) {
    if (names_[number].empty()) continue;
    slots_[slot_of(names_[number])] = number + 1;
    ++used_;
  }
}

}  // namespace mailsbuddy::spool
