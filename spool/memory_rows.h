// memory_rows.h - one job's rows of one domain in memory: packed into chunks, which give their memory back once all of
// their rows are final. Threads: one at a time. Views: until rows are added or settled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ascii.h"
#include "mailsbuddy/spool.h"
#include "spool/bytes.h"

namespace mailsbuddy::spool::memory {

inline constexpr std::size_t kChunkBytes = 64u << 10;  // Rows are packed into chunks, so that growth copies little and
                                                       // settled rows give their memory back.

inline std::size_t get_varint(std::string_view bytes, std::size_t& at) {
  std::size_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto octet = static_cast<unsigned char>(bytes[at++]);
    value |= static_cast<std::size_t>(octet & 0x7f) << shift;
    if ((octet & 0x80) == 0) return value;
  }
}

inline std::string_view get_string(std::string_view bytes, std::size_t& at) {
  const std::size_t size = get_varint(bytes, at);
  at += size;
  return bytes.substr(at - size, size);
}

// An erased row keeps its length, so that no position moves, and is written over with NULs.
inline std::string_view known(std::string_view text) { return text.starts_with('\0') ? std::string_view() : text; }

struct Chunk {
  std::string bytes;       // Rows: varint length, local part, varint length, fields. Once all are final, the local
                           // parts alone: reports come back about them.
  std::uint32_t size = 0;  // Octets of all its rows, also when they are gone.
  std::uint32_t first_row = 0;
  std::uint32_t rows = 0;
  std::uint32_t open = 0;  // Rows that are not final.
};

// Where a look for rows of one store has come to, so that of rising row numbers none is passed over twice.
struct Walk {
  std::uint64_t chunk = 0;
  std::uint32_t row = 0;
  std::size_t offset = 0;    // Of the row in its chunk,
  bool with_fields = false;  // which had its rows' fields then.
};

// One job's rows of one domain. A position is chunk << 32 | offset.
struct DomainStore {
  std::vector<Chunk> chunks;
  std::vector<State> states;        // By row number.
  std::vector<std::uint8_t> notes;  // By row number, bits by kind; empty: none has one.
  std::uint32_t read_to = 0;        // Rows before it were handed out.

  void append(std::string_view local, std::string_view fields) {
    const std::size_t need = local.size() + fields.size() + 20;
    if (chunks.empty() || chunks.back().open == 0 || chunks.back().bytes.size() + need > kChunkBytes) {
      if (!chunks.empty()) chunks.back().bytes.shrink_to_fit();
      chunks.push_back({.bytes = {}, .first_row = static_cast<std::uint32_t>(states.size())});
    }
    Chunk& chunk = chunks.back();
    put_varint(chunk.bytes, local.size());
    chunk.bytes += local;
    put_varint(chunk.bytes, fields.size());
    chunk.bytes += fields;
    chunk.size = static_cast<std::uint32_t>(chunk.bytes.size());
    ++chunk.rows;
    ++chunk.open;
    states.push_back(State::kQueued);
  }

  // Reads the row at `position` and moves it to the next one.
  void read_row(std::uint64_t& position, Row& row) const {
    std::size_t offset = position & 0xffff'ffff;
    if (offset == chunks[position >> 32].size) {
      offset = 0;
      position = ((position >> 32) + 1) << 32;
    }
    const std::string_view bytes = chunks[position >> 32].bytes;
    row.position = position;
    row.local = known(get_string(bytes, offset));
    const std::string_view fields = get_string(bytes, offset);
    // By the local part alone: fields whose first value is empty begin with a NUL of their own.
    row.fields = row.local.empty() ? std::string_view() : fields;
    position = (position & ~std::uint64_t{0xffff'ffff}) | offset;
  }

  // Moves a cursor that stands in a chunk whose rows are all final, and gone, behind it.
  bool skip_finished(Cursor& cursor) const {
    const std::uint64_t index = cursor.position >> 32;
    const Chunk& chunk = chunks[index];
    if (chunk.open > 0 || (cursor.position & 0xffff'ffff) == chunk.size) return false;
    cursor = {.position = (index + 1) << 32, .row = chunk.first_row + chunk.rows};
    return true;
  }

  void finish(std::uint64_t position) {
    Chunk& chunk = chunks[position >> 32];
    if (--chunk.open > 0) return;
    std::string locals;
    std::size_t at = 0;
    for (std::uint32_t row = 0; row < chunk.rows; ++row) {
      const std::string_view local = get_string(chunk.bytes, at);
      get_string(chunk.bytes, at);
      put_varint(locals, local.size());
      locals += local;
    }
    locals.shrink_to_fit();
    chunk.bytes.swap(locals);  // Moving a short string would keep the long one's buffer.
  }

  std::uint64_t chunk_of(std::uint32_t row) const {
    const auto after =
        std::upper_bound(chunks.begin(), chunks.end(), row,
                         [](std::uint32_t wanted, const Chunk& chunk) { return wanted < chunk.first_row; });
    return static_cast<std::uint64_t>(std::prev(after) - chunks.begin());
  }

  // Cost: that of passing over the rows before it in its chunk, from where the walk is, if it is among them.
  std::uint64_t position_of(std::uint32_t row, Walk& walk) const {
    const std::uint64_t index = chunk_of(row);
    const Chunk& chunk = chunks[index];
    const bool with_fields = chunk.open > 0;
    if (walk.chunk != index || walk.row > row || walk.with_fields != with_fields) {
      walk = {.chunk = index, .row = chunk.first_row, .offset = 0, .with_fields = with_fields};
    }
    for (; walk.row < row; ++walk.row) {
      get_string(chunk.bytes, walk.offset);
      if (with_fields) get_string(chunk.bytes, walk.offset);
    }
    return index << 32 | walk.offset;
  }

  std::string_view local_of(std::uint32_t row, Walk& walk) const {
    const std::uint64_t position = position_of(row, walk);
    std::size_t at = position & 0xffff'ffff;
    return known(get_string(chunks[position >> 32].bytes, at));
  }

  // Writes over the rows of a local part; visit(row) for each.
  template <class Visit>
  void erase(std::string_view local, Visit visit) {
    for (Chunk& chunk : chunks) {
      std::size_t at = 0;
      for (std::uint32_t row = 0; row < chunk.rows; ++row) {
        const bool has_fields = chunk.open > 0;
        const bool is_it = ascii::iequals(get_string(chunk.bytes, at), local);
        if (is_it)
          std::fill_n(chunk.bytes.begin() + static_cast<std::ptrdiff_t>(at - local.size()), local.size(), '\0');
        if (has_fields) {
          const std::size_t size = get_string(chunk.bytes, at).size();
          if (is_it) std::fill_n(chunk.bytes.begin() + static_cast<std::ptrdiff_t>(at - size), size, '\0');
        }
        if (is_it) visit(chunk.first_row + row);
      }
    }
  }
};

}  // namespace mailsbuddy::spool::memory
