// mail.h - the mail of the benches: one template of about 10 KB, rows that fill it, and what must arrive of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::bench {

inline constexpr std::size_t kBodyBytes = 10'240;  // As `smtp-source -l 10240`; merge fields vary it by some octets.

// Of one message as received: the first 8 octets of SHA-256(recipient NUL body). Sums of it modulo 2^64 tell a set of
// messages from any other: lost, repeated and changed ones show, in whatever order they come.
std::uint64_t digest(std::string_view recipient, std::string_view body);

// One recipient: the address and three merge fields, made from its number alone.
struct Recipient {
  explicit Recipient(std::uint64_t number);
  std::string address;  // r<number>@receiver.example
  std::string name;     // With characters that HTML escapes.
  std::string city;
  std::string points;
};

// Threads: one owner. Views: until next().
class Rows final : public RowSource {
 public:
  explicit Rows(std::uint64_t count) : count_(count) {}
  std::span<const std::string> columns() const override { return columns_; }
  Result<std::optional<RowView>> next() override;
  void refused(const BadRow& row) override;  // Ends the program: every row is good.

 private:
  std::uint64_t count_;
  std::uint64_t number_ = 0;
  Recipient recipient_{0};
  std::array<std::string_view, 3> values_;
  std::vector<std::string> columns_{"name", "city", "points"};
};

// A campaign as a sender of newsletters has it: an HTML body of kBodyBytes with a dozen merge fields, list headers.
Campaign make_campaign();

// What the sink must have received of recipients 0 to count - 1. Made without the template: plain text replacement.
std::uint64_t expected_digest(std::uint64_t count);

// Ends the program with one line on standard error when `result` is an error.
void need(const Result<void>& result);
template <class T>
T need(Result<T> result) {
  if (!result) need(Result<void>(result.error()));
  return *std::move(result);
}

// The number in a command line argument; ends the program when it is none.
std::uint64_t to_number(std::string_view argument);

}  // namespace mailsbuddy::bench
