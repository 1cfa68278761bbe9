// report_address.h - addresses as they stand in texts that people were meant to read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mailsbuddy::bounce {

struct FoundAddress {
  std::string_view text;  // A view into the line: local@domain.
  std::size_t from = 0;   // Where it begins and ends there.
  std::size_t to = 0;
};

// The next address at or after `from`; its domain has a dot or is a literal. Addresses in URLs are none.
std::optional<FoundAddress> next_address(std::string_view line, std::size_t from) noexcept;

// The address in "rfc822;<ann@example.net>" (RFC 3464 2.1.2 and what is sent for it): type, brackets, comments and
// source route off, "\x{..}" of RFC 6533 decoded. Without an "@" it is what is there. Empty: nothing.
std::string typed_address(std::string_view value);

bool same_address(std::string_view a, std::string_view b) noexcept;  // Letter case apart.

}  // namespace mailsbuddy::bounce
