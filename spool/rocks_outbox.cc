// The outbox: events are numbered in the order of their commits; those of one write are one record.
#include <fmt/format.h>

#include <algorithm>

#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

// An outbox record: how many (varint), then each behind its length. Empty: it is none.
std::optional<std::vector<std::string_view>> read_events(std::string_view record) {
  Reader reader(record);
  std::vector<std::string_view> events;
  for (std::uint64_t left = reader.varint(); left > 0 && reader.good(); --left) events.push_back(reader.string());
  if (!reader.good() || !reader.at_end() || events.empty()) return std::nullopt;
  return events;
}

}  // namespace

std::vector<std::string> RocksSpool::peek_events(std::uint64_t skip, std::size_t max) const {
  std::uint64_t from = 0;
  std::uint64_t durable = 0;
  {
    const Lock lock(mutex_);
    durable = outbox_durable_;
    from = outbox_head_ + std::min<std::uint64_t>(skip, durable - outbox_head_);
  }
  const std::uint64_t to = from + std::min<std::uint64_t>(max, durable - from);
  std::vector<std::string> out;
  if (from == to) return out;
  auto scan = store_->scan(Family::kQueue, false);
  scan.seek_back(keys::outbox(from));
  if (!scan.valid_in("o") && scan.state() != Found::kError) scan.seek(keys::outbox(from));
  for (std::uint64_t next = from; next < to;) {
    const bool there = scan.valid_in("o");
    if (!there && scan.state() == Found::kError) break;
    const std::uint64_t first = there ? Reader(scan.key().substr(1)).big_endian<std::uint64_t>() : 0;
    const auto events = there && first <= next ? read_events(scan.value()) : std::nullopt;
    if (!events || first + events->size() <= next) {
      const auto readable = pass_over_events(scan, next, durable);
      if (!readable) break;  // Not now: what cannot be read may be read later.
      const std::uint64_t end = std::min(to, *readable);
      report_lost_events(next, end);
      out.resize(out.size() + (end - next));
      next = end;
      continue;
    }
    for (std::size_t i = next - first; i < events->size() && next < to; ++i, ++next) out.emplace_back((*events)[i]);
    scan.next();
  }
  return out;
}

// Once, however often they are looked at.
void RocksSpool::report_lost_events(std::uint64_t from, std::uint64_t to) const {
  {
    const Lock lock(mutex_);
    from = std::max(from, outbox_lost_);
    outbox_lost_ = std::max(outbox_lost_, to);
  }
  if (from < to) report({.what = fmt::format("outbox: {} events from number {} on cannot be read", to - from, from)});
}

// From `lost` on events cannot be read; where they can again. Empty: the disk does not say.
std::optional<std::uint64_t> RocksSpool::pass_over_events(Store::Scan& scan, std::uint64_t lost, std::uint64_t durable) {
  for (std::uint64_t step = 1; step != 0 && lost + step < durable; step *= 2) {
    scan.seek(keys::outbox(lost + step));
    if (scan.valid_in("o")) return Reader(scan.key().substr(1)).big_endian<std::uint64_t>();
    if (scan.state() == Found::kError) return std::nullopt;
  }
  return durable;
}

// The records of removed events go with the next group; how many of the first one's are gone goes with them.
void RocksSpool::remove_events(std::size_t count) {
  std::uint64_t from = 0;
  std::uint64_t head = 0;
  {
    const Lock lock(mutex_);
    from = outbox_head_;
    head = from + std::min<std::uint64_t>(count, outbox_durable_ - from);
  }
  if (head == from) return;
  std::vector<std::string> gone;
  {
    auto scan = store_->scan(Family::kQueue, false);
    for (scan.seek_back(keys::outbox(from)); scan.valid_in("o"); scan.next()) {
      const auto first = Reader(scan.key().substr(1)).big_endian<std::uint64_t>();
      if (first + Reader(scan.value()).varint() > head) break;
      gone.emplace_back(scan.key());
    }
  }
  const Lock lock(mutex_);
  outbox_head_ = std::max(outbox_head_, head);
  for (const std::string& key : gone) open_.changes.erase(Family::kQueue, key);
  std::string value;
  put_varint(value, outbox_head_);
  open_.changes.put(Family::kDefault, keys::meta("outbox_head"), value);
  work_.notify_one();
}

std::uint64_t RocksSpool::event_count() const {
  const Lock lock(mutex_);
  return outbox_tail_ - outbox_head_;
}

std::optional<std::string> RocksSpool::snapshot(std::string_view name) const {
  const Lock lock(mutex_);
  return snapshots_.find(name);
}

std::optional<std::string> RocksSpool::next_snapshot(std::string_view after) const {
  const Lock lock(mutex_);
  return snapshots_.next(after);
}

}  // namespace mailsbuddy::spool
