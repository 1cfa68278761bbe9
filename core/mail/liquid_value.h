// liquid_value.h - what a Liquid expression is worth, and the memory and work that one render may use up.
#pragma once

#include <array>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/mail.h"

namespace mailsbuddy::liquid {

struct Member;

// What has been done to a text already, so that printing it does not do it twice.
enum class Form : std::uint8_t {
  kPlain,
  kHtml,  // By `escape` and its like: HTML text.
  kUrl,   // By `url_encode`.
  kRaw,   // By `raw`: the author vouches for it.
};

// One value: a scalar, or a view of a text, list or object that a row, the template or a Scratch owns. A row's fields
// are texts; one that holds a JSON array or object becomes a list or object where one is asked for (see
// Scratch::parse).
struct Value {
  enum class Kind : std::uint8_t { kNil, kBool, kInt, kFloat, kText, kList, kObject, kRange, kEmpty, kBlank };

  Kind kind = Kind::kNil;
  Form form = Form::kPlain;  // Of a text.
  std::uint32_t count = 0;   // Octets of a text, elements of a list, members of an object.
  union {
    bool truth;
    std::int64_t integer = 0;  // Of a range: its first number.
    double real;
    const char* chars;
    const Value* items;
    const Member* members;
  };
  std::int64_t last = 0;  // Of a range.

  static Value boolean(bool b) noexcept;
  static Value of(std::int64_t i) noexcept;
  static Value of(double d) noexcept;
  static Value of(std::string_view text, Form form = Form::kPlain) noexcept;  // Not copied; up to 4 GiB.
  static Value list(std::span<const Value> items) noexcept;
  static Value object(std::span<const Member> members) noexcept;
  static Value range(std::int64_t first, std::int64_t last) noexcept;
  static Value word(Kind kind) noexcept;  // kEmpty, kBlank.

  bool is(Kind k) const noexcept { return kind == k; }
  bool is_number() const noexcept { return kind == Kind::kInt || kind == Kind::kFloat; }
  std::string_view text() const noexcept { return kind == Kind::kText ? std::string_view(chars, count) : ""; }
  std::span<const Value> elements() const noexcept;      // Of a list; else empty.
  std::span<const Member> member_list() const noexcept;  // Of an object; else empty.
};

struct Member {
  std::string_view name;
  Value value;
};

// Memory and work of one render, both capped; and why it must stop, if it must.
// Threads: one owner. Ownership: what it hands out lives as long as it does.
class Scratch {
 public:
  Scratch(std::size_t max_bytes, std::size_t max_steps) noexcept;

  // One step, and one more for every 64 octets looked at, so that long texts are not free. False: stopped.
  bool spend(std::size_t octets = 0) noexcept;
  // The first reason stays. `why` is not copied.
  void stop(ErrorCode code, std::string_view why) noexcept;
  bool stopped() const noexcept { return !why_.empty(); }
  Error error() const { return {code_, std::string(why_)}; }

  char* bytes(std::size_t size);                                // Null: stopped.
  Value* values(std::size_t count);                             // Null: stopped.
  Member* members(std::size_t count);                           // Null: stopped.
  Value copy(std::string_view text, Form form = Form::kPlain);  // Nil: stopped.

  // The list or object that `value` is, or that its text is the JSON of; else nil. Texts are read once.
  Value parse(const Value& value);

  // A list, of what `value` holds: a list's elements, a range's numbers, an object's [name, value] pairs, a text that
  // is not empty as one element; else nothing.
  std::span<const Value> elements(const Value& value);

  std::size_t room() const noexcept { return max_bytes_ - used_bytes_; }

 private:
  void* take(std::size_t size, std::size_t alignment);

  alignas(16) std::array<std::byte, 2048> first_;
  std::pmr::monotonic_buffer_resource memory_{first_.data(), first_.size()};
  std::size_t max_bytes_;
  std::size_t used_bytes_ = 0;
  std::size_t steps_left_;
  ErrorCode code_ = ErrorCode::kInternal;
  std::string_view why_;
  struct Parsed {
    std::string_view json;
    Value value;
  };
  std::vector<Parsed> parsed_;
};

// A text being put together. Past `max` it takes no more, and finish() stops the Scratch.
class Builder {
 public:
  explicit Builder(Scratch& scratch) : scratch_(scratch), max_(scratch.room()) {}
  void add(std::string_view text) {
    if (text.size() > max_ - text_.size()) full_ = true;
    if (!full_) text_.append(text);
  }
  void add(char c) { add(std::string_view(&c, 1)); }
  bool full() const noexcept { return full_; }
  Value finish(Form form = Form::kPlain);

 private:
  Scratch& scratch_;
  std::size_t max_;
  std::string text_;
  bool full_ = false;
};

// RFC 8259, the whole of `text` and an array or an object; at most kJsonNestingMax deep. Nil: it is not, or stopped.
inline constexpr int kJsonNestingMax = 16;
Value parse_json(Scratch& scratch, std::string_view text);

// As printed: numbers in decimal, a list's elements one after the other, nothing for nil and objects.
// Texts are viewed, the rest is written to `scratch`.
std::string_view to_text(Scratch& scratch, const Value& value);

// A number as it is, or the number that a text is; nil: none.
Value to_number(const Value& value) noexcept;

bool truthy(const Value& value) noexcept;  // Not nil, false or an empty text.
bool equal(Scratch& scratch, const Value& a, const Value& b);
bool contains(Scratch& scratch, const Value& in, const Value& what);
// a < b: both numbers, or texts that are numbers beside a number; or both texts, as octets. Empty: they have no order.
std::optional<int> compare(const Value& a, const Value& b) noexcept;

// `key` of `value`: an object's member, a list's element by number (from the end if negative); `size`, `first`, `last`.
Value look_up(Scratch& scratch, const Value& value, const Value& key);

}  // namespace mailsbuddy::liquid
