// bytes.h - how the spool writes numbers and strings: varints (LEB128) in values, big-endian numbers in keys, so that
// keys sort as their numbers do. Reader takes anything and never reads past its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mailsbuddy::spool {

inline void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void put_string(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

template <class T>
void put_big_endian(std::string& out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

// Once something was not there, good() is false and all that follows is empty.
class Reader {
 public:
  explicit Reader(std::string_view in) noexcept : in_(in) {}
  bool good() const noexcept { return good_; }
  bool at_end() const noexcept { return in_.empty(); }
  std::string_view rest() const noexcept { return in_; }

  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::uint8_t octet = byte();
      value |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if ((octet & 0x80) == 0) return good_ ? value : 0;
    }
    good_ = false;
    return 0;
  }
  std::uint32_t varint32() noexcept {
    const std::uint64_t value = varint();
    if (value > UINT32_MAX) good_ = false;
    return good_ ? static_cast<std::uint32_t>(value) : 0;
  }
  std::string_view string() noexcept { return bytes(varint()); }
  std::string_view bytes(std::uint64_t size) noexcept {
    if (size > in_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  std::uint8_t byte() noexcept {
    const std::string_view one = bytes(1);
    return one.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(one[0]);
  }
  template <class T>
  T big_endian() noexcept {
    T value = 0;
    for (const char c : bytes(sizeof(T))) value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(c));
    return value;
  }

 private:
  std::string_view in_;
  bool good_ = true;
};

}  // namespace mailsbuddy::spool
