// bytes.h - what is kept over restarts is made of: little-endian numbers and texts, with a check sum at the end.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/hash.h"
#include "mailsbuddy/base.h"

namespace mailsbuddy {

class BytesWriter {
 public:
  void u64(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
  }
  void i64(std::int64_t value) { u64(std::bit_cast<std::uint64_t>(value)); }
  void f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }
  void time(TimePoint value) { i64(value.time_since_epoch().count()); }
  void text(std::string_view value) {
    u64(value.size());
    bytes_ += value;
  }
  void raw(std::string_view value) { bytes_ += value; }
  std::string finish() && {
    u64(siphash64({}, bytes_));  // Against damage, not against forgers: the key is known.
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

// Reads past the end, or texts longer than allowed, make it bad and give zeros from then on.
class BytesReader {
 public:
  explicit BytesReader(std::string_view bytes) : bytes_(bytes) {}

  static bool intact(std::string_view& bytes) {  // Takes the check sum off.
    if (bytes.size() < 8) return false;
    const std::string_view body = bytes.substr(0, bytes.size() - 8);
    BytesReader sum(bytes.substr(body.size()));
    bytes = body;
    return sum.u64() == siphash64({}, body);
  }
  std::uint64_t u64() {
    const std::string_view taken = raw(8);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < taken.size(); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(taken[i])} << (8 * i);
    return value;
  }
  std::int64_t i64() { return std::bit_cast<std::int64_t>(u64()); }
  double f64() { return std::bit_cast<double>(u64()); }
  TimePoint time() { return TimePoint(Duration(i64())); }
  std::string_view text(std::size_t max) {
    const std::uint64_t size = u64();
    if (size <= max) return raw(static_cast<std::size_t>(size));
    bad_ = true;
    return {};
  }
  std::string_view raw(std::size_t size) {
    if (bad_ || bytes_.size() - at_ < size) {
      bad_ = true;
      return {};
    }
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  bool bad() const { return bad_; }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

}  // namespace mailsbuddy
