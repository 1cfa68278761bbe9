// RFC 8259, read into a Scratch. Loops, not recursion, over an explicit stack of open arrays and objects.
//   value = false / null / true / object / array / number / string
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

#include "core/base/ascii.h"
#include "core/mail/liquid_value.h"

namespace mailsbuddy::liquid {
namespace {

class Json {
 public:
  Json(Scratch& scratch, std::string_view text) : scratch_(scratch), rest_(text) {}

  // One value after another; a closing bracket turns what stands on `values_` since the opening one into one value.
  Value run() {
    while (scratch_.spend()) {
      skip_space();
      if (rest_.empty()) return {};
      if (rest_.front() == '[' || rest_.front() == '{') {
        if (!open()) return {};
        skip_space();
        if (!starts(closing())) continue;
        rest_.remove_prefix(1);
        close();
      } else if (!scalar()) {
        return {};
      }
      if (!after_value()) return {};
      if (depth_ == 0) {
        skip_space();
        return rest_.empty() && !scratch_.stopped() ? values_.front() : Value();
      }
    }
    return {};
  }

 private:
  struct Level {
    bool object;
    std::size_t first;  // Where its values begin on `values_`.
  };

  void skip_space() {
    while (!rest_.empty() && ascii::is_space(rest_.front())) rest_.remove_prefix(1);
  }
  bool starts(char c) const { return !rest_.empty() && rest_.front() == c; }
  char closing() const { return levels_[depth_ - 1].object ? '}' : ']'; }

  bool open() {
    if (depth_ == levels_.size()) return false;
    levels_[depth_++] = {starts('{'), values_.size()};
    rest_.remove_prefix(1);
    skip_space();
    return !levels_[depth_ - 1].object || starts('}') || name();
  }

  void close() {
    const Level level = levels_[--depth_];
    const std::size_t count = values_.size() - level.first;
    Value made;
    if (level.object) {
      Member* members = scratch_.members(count / 2);
      for (std::size_t i = 0; members != nullptr && i < count / 2; ++i) {
        members[i] = {values_[level.first + 2 * i].text(), values_[level.first + 2 * i + 1]};
      }
      if (members != nullptr) made = Value::object({members, count / 2});
    } else if (Value* items = scratch_.values(count); items != nullptr) {
      for (std::size_t i = 0; i < count; ++i) items[i] = values_[level.first + i];
      made = Value::list({items, count});
    }
    values_.resize(level.first);
    values_.push_back(made);
  }

  // A comma, and an object's next name; or closing brackets, as many as there are.
  bool after_value() {
    while (depth_ > 0) {
      skip_space();
      if (starts(',')) {
        rest_.remove_prefix(1);
        skip_space();
        return !levels_[depth_ - 1].object || name();
      }
      if (!starts(closing())) return false;
      rest_.remove_prefix(1);
      close();
    }
    return true;
  }

  bool name() {
    if (!starts('"') || !string()) return false;
    skip_space();
    if (!starts(':')) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool scalar() {
    if (rest_.front() == '"') return string();
    if (word("true")) return push(Value::boolean(true));
    if (word("false")) return push(Value::boolean(false));
    if (word("null")) return push({});
    std::size_t size = 0;
    while (size < rest_.size() && (ascii::is_digit(rest_[size]) || std::strchr("+-.eE", rest_[size]) != nullptr) &&
           rest_[size] != '\0') {
      ++size;
    }
    const char* begin = rest_.data();
    const char* end = begin + size;
    rest_.remove_prefix(size);
    std::int64_t integer = 0;
    if (auto [stop, error] = std::from_chars(begin, end, integer); error == std::errc() && stop == end) {
      return push(Value::of(integer));
    }
    double real = 0;
    auto [stop, error] = std::from_chars(begin, end, real);
    return error == std::errc() && stop == end && push(Value::of(real));
  }

  bool word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool push(Value value) {
    values_.push_back(value);
    return true;
  }

  // Without escapes it is a view; with them a copy, which is never longer.
  bool string() {
    rest_.remove_prefix(1);
    std::size_t end = 0;
    bool escaped = false;
    for (; end < rest_.size() && rest_[end] != '"'; ++end) {
      if (rest_[end] == '\\') escaped = true, ++end;
    }
    if (end >= rest_.size() || !scratch_.spend(end)) return false;
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return escaped ? unescape(text) : push(Value::of(text));
  }

  bool unescape(std::string_view text) {
    char* const begin = scratch_.bytes(text.size());
    if (begin == nullptr) return false;
    char* out = begin;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        *out++ = text[i];
        continue;
      }
      constexpr std::string_view kFrom = "\"\\/bfnrt";
      constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
      ++i;
      if (const std::size_t at = kFrom.find(text[i]); at != std::string_view::npos) {
        *out++ = kTo[at];
        continue;
      }
      std::uint32_t c = 0;
      if (text[i] != 'u' || !hex4(text, i + 1, c)) return false;
      i += 4;
      std::uint32_t low = 0;
      if (c >= 0xd800 && c < 0xdc00 && text.substr(i + 1, 2) == "\\u" && hex4(text, i + 3, low) && low >= 0xdc00 &&
          low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        i += 6;
      }
      out = write_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
    return push(Value::of(std::string_view(begin, static_cast<std::size_t>(out - begin))));
  }

  static bool hex4(std::string_view text, std::size_t at, std::uint32_t& c) {
    if (at + 4 > text.size()) return false;
    c = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      const int digit = ascii::hex_value(text[i]);
      if (digit < 0) return false;
      c = c << 4 | static_cast<std::uint32_t>(digit);
    }
    return true;
  }

  // At most as long as the escapes: 3 octets for 6 characters, 4 for 12.
  static char* write_utf8(char* out, std::uint32_t c) {
    const auto tail = [&](int shift) { *out++ = static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
      *out++ = static_cast<char>(c);
    } else if (c < 0x800) {
      *out++ = static_cast<char>(0xc0 | c >> 6), tail(0);
    } else if (c < 0x10000) {
      *out++ = static_cast<char>(0xe0 | c >> 12), tail(6), tail(0);
    } else {
      *out++ = static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0);
    }
    return out;
  }

  Scratch& scratch_;
  std::string_view rest_;
  std::array<Level, kJsonNestingMax> levels_{};
  std::size_t depth_ = 0;
  std::vector<Value> values_;
};

}  // namespace

Value parse_json(Scratch& scratch, std::string_view text) {
  if (text.empty() || (text.front() != '[' && text.front() != '{')) return {};
  return Json(scratch, text).run();
}

}  // namespace mailsbuddy::liquid
