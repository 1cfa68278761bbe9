// keys.h - the keys of the tables in the durable spool. docs/spool_format.md has the grammar of keys and values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mailsbuddy/spool.h"
#include "spool/bytes.h"

namespace mailsbuddy::spool::keys {

// Column family "default". All of a job lies together, in this order.
enum class Part : char { kHead = '0', kControl = '1', kExtent = '2', kPage = '3', kWaiting = '4' };

inline std::string job(JobNumber number) {
  std::string key("J");
  put_big_endian(key, number);
  return key;
}
inline std::string job(JobNumber number, Part part) {
  std::string key = job(number);
  key.push_back(static_cast<char>(part));
  return key;
}
inline std::string extent(JobNumber number, std::uint32_t sequence) {
  std::string key = job(number, Part::kExtent);
  put_big_endian(key, sequence);
  return key;
}
inline std::string row(JobNumber number, Part part, DomainNumber domain, std::uint32_t row) {
  std::string key = job(number, part);
  put_big_endian(key, domain);
  put_big_endian(key, row);
  return key;
}
inline std::string page(JobNumber number, DomainNumber domain, std::uint32_t first_row) {
  return row(number, Part::kPage, domain, first_row);
}
inline std::string waiting(const RowKey& key) { return row(key.job, Part::kWaiting, key.domain, key.row); }

inline std::string domain(DomainNumber number) {
  std::string key("D");
  put_big_endian(key, number);
  return key;
}
inline bool is_domain(std::string_view key) noexcept { return key.starts_with('D'); }
inline std::string meta(std::string_view name) { return "M" + std::string(name); }
inline bool is_snapshot(std::string_view key) noexcept { return key.starts_with('S'); }
inline std::string snapshot(std::string_view name) { return "S" + std::string(name); }
inline std::string tally(std::string_view hash) { return "T" + std::string(hash); }

// Column family "rows".
inline std::string content(JobNumber number) {
  std::string key;
  put_big_endian(key, number);
  key.push_back('c');
  return key;
}
inline std::string chunk(const RowKey& first) {
  std::string key;
  put_big_endian(key, first.job);
  key.push_back('r');
  put_big_endian(key, first.domain);
  put_big_endian(key, first.row);
  return key;
}
inline std::string rows_of(JobNumber number) {
  std::string key;
  put_big_endian(key, number);
  return key;
}

// Column family "queue".
struct Due {
  std::int64_t at = 0;
  RowKey row;
  auto operator<=>(const Due&) const = default;
};
inline std::string due(const Due& due) {
  std::string key("d");
  put_big_endian(key, static_cast<std::uint64_t>(due.at) ^ std::uint64_t{1} << 63);
  put_big_endian(key, due.row.job);
  put_big_endian(key, due.row.domain);
  put_big_endian(key, due.row.row);
  return key;
}
inline Due read_due(std::string_view key) {
  Reader reader(key.substr(1));
  Due due;
  due.at = static_cast<std::int64_t>(reader.big_endian<std::uint64_t>() ^ std::uint64_t{1} << 63);
  due.row.job = reader.big_endian<JobNumber>();
  due.row.domain = reader.big_endian<DomainNumber>();
  due.row.row = reader.big_endian<std::uint32_t>();
  return due;
}
inline std::string journal(std::uint64_t sequence) {
  std::string key("j");
  put_big_endian(key, sequence);
  return key;
}
inline std::string outbox(std::uint64_t first_event) {
  std::string key("o");
  put_big_endian(key, first_event);
  return key;
}

}  // namespace mailsbuddy::spool::keys
