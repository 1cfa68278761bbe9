// chunk.h - rows of one job and domain packed into one value: varint count, then for each row its local part and its
// fields, each behind its length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spool/bytes.h"

namespace mailsbuddy::spool {

// Octets of rows in a chunk, after which the next one begins. A row is found by passing over those before it in its
// chunk; larger chunks compress no better, because RocksDB compresses blocks of about this size.
inline constexpr std::size_t kChunkBytesMax = 16u << 10;

class ChunkWriter {
 public:
  bool empty() const noexcept { return rows_ == 0; }
  bool full() const noexcept { return bytes_.size() >= kChunkBytesMax; }
  std::uint32_t rows() const noexcept { return rows_; }

  void add(std::string_view local, std::string_view fields) {
    put_string(bytes_, local);
    put_string(bytes_, fields);
    ++rows_;
  }
  // The value; the writer is empty again.
  std::string finish() {
    std::string value;
    value.reserve(bytes_.size() + 4);
    put_varint(value, rows_);
    value += bytes_;
    bytes_.clear();
    rows_ = 0;
    return value;
  }

 private:
  std::string bytes_;
  std::uint32_t rows_ = 0;
};

// Views: into the value.
class ChunkReader {
 public:
  struct Text {
    std::string_view local;
    std::string_view fields;
  };
  explicit ChunkReader(std::string_view value) noexcept : reader_(value), rows_(reader_.varint32()) {}
  std::uint32_t rows() const noexcept { return rows_; }
  std::uint32_t next_row() const noexcept { return at_; }  // What next() gives, counted from the chunk's first.

  // Empty: the end, or what follows is no row.
  std::optional<Text> next() noexcept {
    if (at_ >= rows_) return std::nullopt;
    Text text;
    text.local = reader_.string();
    text.fields = reader_.string();
    if (!reader_.good()) return std::nullopt;
    ++at_;
    return text;
  }

 private:
  Reader reader_;
  std::uint32_t rows_;
  std::uint32_t at_ = 0;
};

}  // namespace mailsbuddy::spool
