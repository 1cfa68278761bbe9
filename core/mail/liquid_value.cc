#include "core/mail/liquid_value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/base/ascii.h"
#include "core/mail/liquid_utf8.h"

namespace mailsbuddy::liquid {

using Kind = Value::Kind;

Value Value::boolean(bool b) noexcept {
  Value value;
  value.kind = Kind::kBool;
  value.truth = b;
  return value;
}

Value Value::of(std::int64_t i) noexcept {
  Value value;
  value.kind = Kind::kInt;
  value.integer = i;
  return value;
}

Value Value::of(double d) noexcept {
  Value value;
  value.kind = Kind::kFloat;
  value.real = d;
  return value;
}

Value Value::of(std::string_view text, Form form) noexcept {
  Value value;
  value.kind = Kind::kText;
  value.form = form;
  value.count = static_cast<std::uint32_t>(text.size());
  value.chars = text.data();
  return value;
}

Value Value::list(std::span<const Value> items) noexcept {
  Value value;
  value.kind = Kind::kList;
  value.count = static_cast<std::uint32_t>(items.size());
  value.items = items.data();
  return value;
}

Value Value::object(std::span<const Member> members) noexcept {
  Value value;
  value.kind = Kind::kObject;
  value.count = static_cast<std::uint32_t>(members.size());
  value.members = members.data();
  return value;
}

Value Value::range(std::int64_t first, std::int64_t last) noexcept {
  Value value;
  value.kind = Kind::kRange;
  value.integer = first;
  value.last = last;
  return value;
}

Value Value::word(Kind kind) noexcept {
  Value value;
  value.kind = kind;
  return value;
}

std::span<const Value> Value::elements() const noexcept {
  return kind == Kind::kList ? std::span(items, count) : std::span<const Value>();
}

std::span<const Member> Value::member_list() const noexcept {
  return kind == Kind::kObject ? std::span(members, count) : std::span<const Member>();
}

// ---------------------------------------------------------------------------------------------------------------------

Scratch::Scratch(std::size_t max_bytes, std::size_t max_steps) noexcept
    : max_bytes_(max_bytes), steps_left_(max_steps) {}

bool Scratch::spend(std::size_t octets) noexcept {
  const std::size_t steps = 1 + octets / 64;
  if (steps > steps_left_) {
    stop(ErrorCode::kResourceExhausted, "the template takes too many steps");
    return false;
  }
  steps_left_ -= steps;
  return true;
}

void Scratch::stop(ErrorCode code, std::string_view why) noexcept {
  if (stopped()) return;
  code_ = code;
  why_ = why;
}

void* Scratch::take(std::size_t size, std::size_t alignment) {
  if (size > max_bytes_ - used_bytes_) {
    stop(ErrorCode::kResourceExhausted, "the template makes too much text");
    return nullptr;
  }
  used_bytes_ += size;
  return memory_.allocate(size == 0 ? 1 : size, alignment);
}

char* Scratch::bytes(std::size_t size) { return static_cast<char*>(take(size, 1)); }

Value* Scratch::values(std::size_t count) {
  auto* values = static_cast<Value*>(take(count * sizeof(Value), alignof(Value)));
  if (values != nullptr) std::uninitialized_default_construct_n(values, count);
  return values;
}

Member* Scratch::members(std::size_t count) {
  auto* members = static_cast<Member*>(take(count * sizeof(Member), alignof(Member)));
  if (members != nullptr) std::uninitialized_default_construct_n(members, count);
  return members;
}

Value Scratch::copy(std::string_view text, Form form) {
  char* copy = bytes(text.size());
  if (copy == nullptr) return {};
  if (!text.empty()) std::memcpy(copy, text.data(), text.size());
  return Value::of(std::string_view(copy, text.size()), form);
}

Value Scratch::parse(const Value& value) {
  if (value.is(Kind::kList) || value.is(Kind::kObject)) return value;
  const std::string_view json = ascii::trim(value.text());
  if (json.empty() || (json.front() != '[' && json.front() != '{')) return {};
  // A loop asks for the same few texts again and again. Past the cap they are read again: slower, and still bounded by
  // the steps.
  constexpr std::size_t kParsedMax = 16;
  for (const Parsed& parsed : parsed_) {
    if (parsed.json.data() == json.data() && parsed.json.size() == json.size()) return parsed.value;
  }
  const Value parsed = parse_json(*this, json);
  if (parsed_.size() < kParsedMax) parsed_.push_back({json, parsed});
  return parsed;
}

std::span<const Value> Scratch::elements(const Value& value) {
  const Value collection = parse(value);
  if (collection.is(Kind::kList)) return collection.elements();
  if (collection.is(Kind::kObject)) {
    const auto members = collection.member_list();
    Value* pairs = values(members.size());
    for (std::size_t i = 0; pairs != nullptr && i < members.size(); ++i) {
      Value* pair = spend() ? values(2) : nullptr;
      if (pair == nullptr) return {};
      pair[0] = Value::of(members[i].name);
      pair[1] = members[i].value;
      pairs[i] = Value::list({pair, 2});
    }
    return pairs != nullptr ? std::span<const Value>(pairs, members.size()) : std::span<const Value>();
  }
  if (value.is(Kind::kRange) && value.integer <= value.last) {
    const std::uint64_t count = static_cast<std::uint64_t>(value.last) - static_cast<std::uint64_t>(value.integer) + 1;
    const bool fits = count != 0 && count < UINT32_MAX && spend(count * 64);
    if (!fits) stop(ErrorCode::kResourceExhausted, "the template takes too many steps");
    Value* numbers = fits ? values(count) : nullptr;
    if (numbers == nullptr) return {};
    for (std::uint64_t i = 0; i < count; ++i) numbers[i] = Value::of(value.integer + static_cast<std::int64_t>(i));
    return {numbers, count};
  }
  Value* one = value.text().empty() ? nullptr : values(1);
  if (one == nullptr) return {};
  *one = value;
  return {one, 1};
}

Value Builder::finish(Form form) {
  if (!full_) return scratch_.copy(text_, form);
  scratch_.stop(ErrorCode::kResourceExhausted, "the template makes too much text");
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------

namespace {

// As Ruby's and Python's Liquid print it: always with a point or an exponent. They calculate in decimal; 15 digits,
// which a double always has, give the same for prices and the like (19.9 times 3 is 59.7, not 59.699999999999996).
std::string real_text(double real) {
  std::string text = fmt::format("{:.15g}", real);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

void add_text(Builder& to, const Value& value) {
  switch (value.kind) {
    case Kind::kBool:
      return to.add(value.truth ? "true" : "false");
    case Kind::kInt:
      return to.add(fmt::format_int(value.integer).str());
    case Kind::kFloat:
      return to.add(real_text(value.real));
    case Kind::kText:
      return to.add(value.text());
    case Kind::kRange:
      return to.add(fmt::format("{}..{}", value.integer, value.last));
    case Kind::kList:
      for (const Value& item : value.elements()) add_text(to, item);  // As deep as JSON or `split` nests.
      return;
    case Kind::kNil:
    case Kind::kObject:
    case Kind::kEmpty:
    case Kind::kBlank:
      return;
  }
}

}  // namespace

std::string_view to_text(Scratch& scratch, const Value& value) {
  if (value.is(Kind::kText)) return value.text();
  if (value.is(Kind::kBool)) return value.truth ? "true" : "false";
  if (value.is(Kind::kNil) || !scratch.spend()) return {};
  Builder text(scratch);
  add_text(text, value);
  return text.finish().text();
}

Value to_number(const Value& value) noexcept {
  if (value.is_number()) return value;
  std::string_view text = ascii::trim(value.text());
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  // from_chars() would take "inf", "nan" and hexadecimal digits' friends.
  if (text.empty() || text.find_first_not_of("-.0123456789") != std::string_view::npos) return {};
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  if (auto [stop, error] = std::from_chars(text.data(), end, integer); error == std::errc() && stop == end) {
    return Value::of(integer);
  }
  double real = 0;
  if (auto [stop, error] = std::from_chars(text.data(), end, real); error == std::errc() && stop == end) {
    return Value::of(real);
  }
  return {};
}

bool truthy(const Value& value) noexcept {
  switch (value.kind) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return value.truth;
    case Kind::kText:
      return value.count != 0;
    default:
      return true;
  }
}

namespace {

bool is_blank(const Value& value, bool spaces_too) noexcept {
  switch (value.kind) {
    case Kind::kNil:
      return true;
    case Kind::kBool:
      return spaces_too && !value.truth;
    case Kind::kText:
      return (spaces_too ? ascii::trim(value.text()) : value.text()).empty();
    case Kind::kList:
    case Kind::kObject:
      return value.count == 0;
    case Kind::kEmpty:
    case Kind::kBlank:
      return true;
    default:
      return false;
  }
}

int order(double a, double b) noexcept { return a < b ? -1 : a > b ? 1 : 0; }

double real_of(const Value& number) noexcept {
  return number.is(Kind::kInt) ? static_cast<double>(number.integer) : number.real;
}

}  // namespace

std::optional<int> compare(const Value& a, const Value& b) noexcept {
  if (a.is(Kind::kText) && b.is(Kind::kText)) {
    const int c = a.text().compare(b.text());
    return c < 0 ? -1 : c > 0 ? 1 : 0;
  }
  if (!a.is_number() && !b.is_number()) return std::nullopt;
  const Value x = to_number(a);
  const Value y = to_number(b);
  if (x.is(Kind::kNil) || y.is(Kind::kNil)) return std::nullopt;
  if (x.is(Kind::kInt) && y.is(Kind::kInt)) return x.integer < y.integer ? -1 : x.integer > y.integer ? 1 : 0;
  return order(real_of(x), real_of(y));
}

// Lists and objects compare element by element; JSON nests no deeper than kJsonNestingMax, so the recursion is short.
bool equal(Scratch& scratch, const Value& a, const Value& b) {
  if (!scratch.spend(a.is(Kind::kText) ? a.count : 0)) return false;
  if (a.is(Kind::kEmpty) || a.is(Kind::kBlank)) return is_blank(b, a.is(Kind::kBlank));
  if (b.is(Kind::kEmpty) || b.is(Kind::kBlank)) return is_blank(a, b.is(Kind::kBlank));
  if (a.is_number() || b.is_number()) return compare(a, b) == 0;
  if (a.kind != b.kind || a.count != b.count) return false;
  switch (a.kind) {
    case Kind::kNil:
      return true;
    case Kind::kBool:
      return a.truth == b.truth;
    case Kind::kText:
      return a.text() == b.text();
    case Kind::kRange:
      return a.integer == b.integer && a.last == b.last;
    case Kind::kList:
      for (std::size_t i = 0; i < a.count; ++i) {
        if (!equal(scratch, a.items[i], b.items[i])) return false;
      }
      return true;
    case Kind::kObject:
      for (std::size_t i = 0; i < a.count; ++i) {
        if (a.members[i].name != b.members[i].name) return false;
        if (!equal(scratch, a.members[i].value, b.members[i].value)) return false;
      }
      return true;
    default:
      return false;
  }
}

bool contains(Scratch& scratch, const Value& in, const Value& what) {
  const Value collection = scratch.parse(in);
  if (collection.is(Kind::kList)) {
    for (const Value& item : collection.elements()) {
      if (equal(scratch, item, what)) return true;
    }
    return false;
  }
  const std::string_view part = to_text(scratch, what);
  if (collection.is(Kind::kObject)) {
    for (const Member& member : collection.member_list()) {
      if (!scratch.spend()) return false;
      if (member.name == part) return true;
    }
    return false;
  }
  if (!in.is(Kind::kText) || what.is(Kind::kNil)) return false;
  // string_view::find() is quadratic for hostile texts; memmem() is not.
  return scratch.spend(in.count + part.size()) &&
         (part.empty() || memmem(in.text().data(), in.text().size(), part.data(), part.size()) != nullptr);
}

Value look_up(Scratch& scratch, const Value& value, const Value& key) {
  const Value collection = scratch.parse(value);
  const Value number = key.is(Kind::kInt) ? key : collection.is(Kind::kList) ? to_number(key) : Value();
  const auto items = collection.elements();
  if (number.is(Kind::kInt) && !collection.is(Kind::kObject)) {
    const auto size = static_cast<std::int64_t>(items.size());
    const std::int64_t index = number.integer < 0 ? number.integer + size : number.integer;
    return index >= 0 && index < size ? items[static_cast<std::size_t>(index)] : Value();
  }
  const std::string_view name = to_text(scratch, key);
  for (const Member& member : collection.member_list()) {
    if (!scratch.spend()) return {};
    if (member.name == name) return member.value;
  }
  if (name == "size") {
    if (!collection.is(Kind::kNil)) return Value::of(std::int64_t{collection.count});
    if (!value.is(Kind::kText) || !scratch.spend(value.count)) return {};
    return Value::of(static_cast<std::int64_t>(utf8_length(value.text())));
  }
  if (value.is(Kind::kRange) && name == "first") return Value::of(value.integer);
  if (value.is(Kind::kRange) && name == "last") return Value::of(value.last);
  if (items.empty()) return {};
  return name == "first" ? items.front() : name == "last" ? items.back() : Value();
}

}  // namespace mailsbuddy::liquid
