// Handing rows out. Who is to be handed out is known from memory; what the rows say is read from disk, without the
// lock.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "core/base/log.h"
#include "spool/chunk.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

constexpr std::size_t kDefectsMax = 1000;  // Named; beyond that they are only counted in the last one.

// Where the due index can be read again after a block that cannot: looked for in steps that double. The end: nowhere.
keys::Due next_readable(Store::Scan& scan, const keys::Due& after) {
  constexpr keys::Due kEnd{Waiting::kNever, {}};
  const std::int64_t from = std::max<std::int64_t>(after.at, 0);
  for (std::int64_t step = 1; step < Waiting::kNever - from; step *= 2) {
    scan.seek(keys::due({from + step, {}}));
    if (scan.valid_in("d")) return std::min(kEnd, keys::read_due(scan.key()));
    if (scan.valid() || scan.state() == Found::kNo || step > Waiting::kNever / 2) break;
  }
  return kEnd;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// The text of rows

// `rows` in any order; fastest when sorted.
std::vector<RocksSpool::RowText> RocksSpool::fetch(std::span<const RowKey> rows) const {
  std::vector<RowText> out(rows.size());
  auto scan = store_->scan(Family::kRows);
  std::optional<ChunkReader> chunk;
  RowKey first;  // Of the chunk.
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RowKey& wanted = rows[i];
    const bool here = chunk && first.job == wanted.job && first.domain == wanted.domain &&
                      wanted.row >= first.row + chunk->next_row() && wanted.row < first.row + chunk->rows();
    if (!here) {
      chunk.reset();
      const std::string key = keys::chunk(wanted);
      scan.seek_back(key);
      if (!scan.valid_in(std::string_view(key).substr(0, key.size() - 4))) {
        out[i].found = scan.valid() ? Found::kNo : scan.state();
        out[i].reason = out[i].found == Found::kNo ? "its record is missing" : scan.reason();
        continue;
      }
      first = wanted;
      first.row = Reader(scan.key().substr(key.size() - 4)).big_endian<std::uint32_t>();
      chunk.emplace(scan.value());
    }
    std::optional<ChunkReader::Text> text;
    while (first.row + chunk->next_row() <= wanted.row && (text = chunk->next())) {
    }
    if (!text || first.row + chunk->next_row() != wanted.row + 1) {
      out[i].found = Found::kCorrupt;
      out[i].reason = wanted.row - first.row >= chunk->rows() ? "its record is missing" : "its record is no rows";
      chunk.reset();
      continue;
    }
    out[i] = {.found = Found::kYes, .local = std::string(text->local), .fields = std::string(text->fields)};
  }
  return out;
}

void RocksSpool::report(Defect defect) const {
  log(options_.log.get(), LogLevel::kError, "spool", "{}", defect.what);
  const std::lock_guard lock(defects_mutex_);
  if (defects_.size() < kDefectsMax) {
    defects_.push_back(std::move(defect));
  } else {
    defects_.back().rows += defect.rows;
  }
}

std::vector<Defect> RocksSpool::defects() const {
  const std::lock_guard lock(defects_mutex_);
  return defects_;
}

// A row that cannot be read is kFailed, with no event: nobody can say whose it would be.
void RocksSpool::set_aside(const RowKey& key, const std::string& reason) {
  std::string what;
  {
    const Lock lock(mutex_);
    const DomainLedger* domain = ledger_.find_row(key);
    if (domain == nullptr || is_final(domain->state(key.row))) return;  // Erased meanwhile, for one.
    what =
        fmt::format("job '{}': row {} of {}: {}", ledger_.find(key.job)->id, key.row, names_.name(key.domain), reason);
    Settlement failed{.key = key, .state = State::kFailed};
    settle(failed);
    open_.must_sync = true;
    work_.notify_one();
  }
  report({.what = std::move(what), .job = key.job, .rows = 1});
}

// Appends `rows` with their text, those that can be read. How many are done with: fewer than all, when the disk cannot
// be read now.
std::size_t RocksSpool::hand_out(std::vector<Row> rows, std::vector<Row>& out) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&rows](std::size_t a, std::size_t b) { return rows[a].key < rows[b].key; });
  std::vector<RowKey> sorted;
  sorted.reserve(rows.size());
  for (const std::size_t i : order) sorted.push_back(rows[i].key);
  std::vector<RowText> texts = fetch(sorted);
  std::vector<RowText*> by_place(rows.size());
  for (std::size_t i = 0; i < order.size(); ++i) by_place[order[i]] = &texts[i];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    RowText& text = *by_place[i];
    if (text.found == Found::kError) return i;
    if (text.found != Found::kYes) {
      set_aside(rows[i].key, text.reason);
      continue;
    }
    rows[i].local = std::move(text.local);
    rows[i].fields = std::move(text.fields);
    out.push_back(std::move(rows[i]));
  }
  return rows.size();
}

// ---------------------------------------------------------------------------------------------------------------------
// Queued

// A row that was tried, and that the caller has from now on.
void RocksSpool::add_tried(Row& row, const DomainLedger& domain) {
  if (!domain.tried(row.key.row)) return;
  const auto waiting = waiting_of(row.key, domain);
  if (!waiting) return;
  row.attempts = waiting->attempts;
  row.mark = waiting->mark;
  due_.take(row.key, *waiting);
}

// It was tried, and who was handed it gave it back without letting go of it.
bool RocksSpool::is_given_back(const RowKey& key, const DomainLedger& domain) const {
  if (!domain.tried(key.row)) return false;
  const auto* known = due_.find(key);
  return known != nullptr && known->taken;
}

bool RocksSpool::read(JobNumber number, DomainNumber domain_number, Cursor& cursor, std::size_t max,
                      std::vector<Row>& out) {
  std::vector<Row> rows;
  Cursor next = cursor;
  bool more = false;
  {
    const Lock lock(mutex_);
    JobLedger* job = ledger_.find(number);
    DomainLedger* domain = job == nullptr ? nullptr : job->find(domain_number);
    if (domain == nullptr) return false;
    for (; next.row < domain->rows() && rows.size() < max; ++next.row) {
      const RowKey key{number, domain_number, next.row};
      if (domain->state(next.row) != State::kQueued || is_given_back(key, *domain)) continue;
      Row& row = rows.emplace_back();
      row.key = key;
      add_tried(row, *domain);
    }
    domain->read_to = std::max(domain->read_to, next.row);
    more = next.row < domain->rows();
  }
  if (!rows.empty()) {
    const std::vector<Row> wanted = rows;
    const std::size_t done = hand_out(std::move(rows), out);
    if (done < wanted.size()) {  // The disk cannot be read now.
      const Lock lock(mutex_);
      for (std::size_t i = done; i < wanted.size(); ++i) put_back(wanted[i].key);
      cursor.row = wanted[done].key.row;
      if (DomainLedger* domain = ledger_.find_row(wanted[done].key)) domain->read_to = cursor.row;
      return true;
    }
  }
  cursor = next;
  return more;
}

// ---------------------------------------------------------------------------------------------------------------------
// Deferred

// The next part of the index into the window. Entries of erased jobs go. False: the disk cannot be read now, and what
// it would have given is still to come.
bool RocksSpool::load_due() {
  auto scan = store_->scan(Family::kQueue);
  keys::Due horizon = due_.horizon();
  std::size_t loaded = 0;
  for (scan.seek(keys::due(horizon)); scan.valid_in("d") && loaded < DueWindow::kLoadRows; scan.next()) {
    const keys::Due due = keys::read_due(scan.key());
    if (due.at == Waiting::kNever) break;  // Held.
    horizon = due;
    ++horizon.row.row;
    const DomainLedger* domain = ledger_.find_row(due.row);
    if (domain == nullptr) {
      erase_due(due);
    } else if (domain->state(due.row.row) == State::kDeferred) {
      Reader reader(scan.value());
      Waiting waiting{.due = due.at, .attempts = reader.big_endian<std::uint16_t>(), .mark = reader.byte()};
      loaded += due_.load(due, waiting) ? 1 : 0;
    }
  }
  if (scan.valid() || scan.state() == Found::kNo) {
    const bool more = scan.valid_in("d") && keys::read_due(scan.key()).at != Waiting::kNever;
    due_.set_horizon(more ? horizon : keys::Due{Waiting::kNever, {}});
    return true;
  }
  due_.set_horizon(horizon);
  if (scan.state() == Found::kError) return false;
  report({.what = "due index: " + scan.reason()});
  restore_due(horizon, next_readable(scan, horizon));
  return true;
}

// Between the two the index cannot be read. Which rows are deferred the ledger says, and when they are due their
// waiting records, or nothing: then at once. The earliest go into the window; the rest is found in the same way when
// its turn comes, which costs a look at every row, and may: damage is rare.
void RocksSpool::restore_due(const keys::Due& from, const keys::Due& to) {
  std::map<keys::Due, Waiting> found;
  const auto look_at = [&](const RowKey& key) {
    if (due_.find(key) != nullptr) return;
    const Waiting waiting =
        stored_waiting(key).value_or(Waiting{.due = from.at == Waiting::kNotDue ? 0 : from.at, .attempts = 1});
    const keys::Due due{waiting.due, key};
    if (due < from || due >= to) return;
    found.emplace(due, waiting);
    if (found.size() > DueWindow::kLoadRows) found.erase(std::prev(found.end()));
  };
  for (const auto& [number, job] : ledger_.jobs()) {
    if (job.counts[static_cast<std::size_t>(State::kDeferred)] == 0) continue;
    for (const DomainLedger& domain : job.domains()) {
      for (RowKey key{number, domain.domain, 0}; key.row < domain.rows(); ++key.row) {
        if (domain.state(key.row) == State::kDeferred) look_at(key);
      }
    }
  }
  for (const auto& [due, waiting] : found) due_.load(due, waiting);
  if (found.size() < DueWindow::kLoadRows) return due_.set_horizon(to);
  keys::Due horizon = found.rbegin()->first;
  ++horizon.row.row;
  due_.set_horizon(horizon);
}

// Empty: none.
std::optional<keys::Due> RocksSpool::earliest_due() {
  for (;;) {
    const auto due = due_.earliest();
    if (!due) {
      if (due_.all_loaded() || !load_due()) return std::nullopt;
      continue;
    }
    const DomainLedger* domain = ledger_.find_row(due->row);
    if (domain != nullptr && domain->state(due->row.row) == State::kDeferred) return due;
    due_.forget(due->row);
  }
}

void RocksSpool::take_due(TimePoint now, std::size_t max, std::vector<Row>& out) {
  std::vector<Row> rows;
  {
    const Lock lock(mutex_);
    while (rows.size() < max) {
      const auto due = earliest_due();
      if (!due || due->at > now.time_since_epoch().count()) break;
      const auto waiting = due_.take_earliest();
      Row& row = rows.emplace_back();
      row.key = due->row;
      row.attempts = waiting->attempts;
      row.mark = waiting->mark;
    }
  }
  if (rows.empty()) return;
  const std::vector<Row> taken = rows;
  const std::size_t done = hand_out(std::move(rows), out);
  const Lock lock(mutex_);
  for (std::size_t i = done; i < taken.size(); ++i) {  // They come again.
    put_back(taken[i].key);
  }
}

TimePoint RocksSpool::next_due() const {
  const Lock lock(mutex_);
  const auto due = const_cast<RocksSpool*>(this)->earliest_due();  // Loads: what it says stays the same.
  if (due) return TimePoint(Duration(due->at));
  return due_.all_loaded() ? TimePoint::max() : TimePoint(Duration(due_.horizon().at));  // Not before that.
}

void RocksSpool::take_waiting(JobNumber number, std::size_t max, std::vector<Row>& out) {
  std::vector<Row> rows;
  {
    const Lock lock(mutex_);
    JobLedger* job = ledger_.find(number);
    if (job == nullptr || job->tried == 0) return;
    const auto take = [&](const RowKey& key) {
      const DomainLedger* domain = ledger_.find_row(key);
      if (domain == nullptr || !waits(domain->state(key.row))) return;
      Row& row = rows.emplace_back();
      row.key = key;
      add_tried(row, *domain);
    };
    std::vector<RowKey> near = due_.of_job(number);
    std::erase_if(near, [this](const RowKey& key) {
      const DomainLedger* domain = ledger_.find_row(key);
      return domain == nullptr || !waits(domain->state(key.row));
    });
    if (near.size() > max) near.resize(max);
    std::for_each(near.begin(), near.end(), take);
    auto scan = store_->scan(Family::kDefault);
    const std::string prefix = keys::job(number, keys::Part::kWaiting);
    job->waiting_from.job = number;
    for (scan.seek(keys::waiting(job->waiting_from)); rows.size() < max && scan.valid_in(prefix); scan.next()) {
      Reader reader(scan.key().substr(prefix.size()));
      RowKey key{.job = number, .domain = reader.big_endian<DomainNumber>(), .row = reader.big_endian<std::uint32_t>()};
      if (due_.find(key) == nullptr) take(key);
      ++key.row;
      job->waiting_from = key;
    }
  }
  if (rows.empty()) return;
  const std::vector<Row> taken = rows;
  const std::size_t done = hand_out(std::move(rows), out);
  const Lock lock(mutex_);
  for (std::size_t i = done; i < taken.size(); ++i) put_back(taken[i].key);
}

// Taken, and not handed out after all.
void RocksSpool::put_back(const RowKey& key) {
  const DomainLedger* domain = ledger_.find_row(key);
  const auto* known = due_.find(key);
  if (domain == nullptr || known == nullptr) return;
  if (domain->state(key.row) == State::kQueued) due_.release(key);  // read() has it again.
  if (!waits(domain->state(key.row))) return;
  const Waiting waiting = *known;
  due_.put(key, waiting);
  open_.waiting.emplace_back(key, waiting.due);
  JobLedger& job = *ledger_.find(key.job);
  job.waiting_from = std::min(job.waiting_from, key);
}

void RocksSpool::hand_out_anew() {
  const Lock lock(mutex_);
  unsettled_.clear();
  for (const RowKey& key : due_.taken()) put_back(key);
  for (auto& [number, job] : ledger_.jobs()) {
    for (DomainLedger& domain : job.domains()) domain.read_to = 0;
  }
}

// Those that nobody has.
std::vector<Row> RocksSpool::claimed_rows(std::size_t max) {
  std::vector<Row> rows;
  const Lock lock(mutex_);
  for (const auto& [number, job] : ledger_.jobs()) {
    if (job.counts[static_cast<std::size_t>(State::kClaimed)] == 0) continue;
    for (const DomainLedger& domain : job.domains()) {
      for (RowKey key{number, domain.domain, 0}; key.row < domain.rows() && rows.size() < max; ++key.row) {
        if (domain.state(key.row) != State::kClaimed || !unsettled_.insert(key).second) continue;
        Row& row = rows.emplace_back();
        row.key = key;
        add_tried(row, domain);
      }
    }
  }
  return rows;
}

// Goes on when none of those it found can be read at all: nothing in `out` is the end.
Result<void> RocksSpool::take_unsettled(std::size_t max, std::vector<Row>& out) {
  const std::size_t before = out.size();
  while (out.size() == before) {
    std::vector<Row> rows = claimed_rows(max);
    if (rows.empty()) break;
    const std::vector<Row> taken = rows;
    const std::size_t done = hand_out(std::move(rows), out);
    if (done == taken.size()) continue;
    const Lock lock(mutex_);
    for (std::size_t i = done; i < taken.size(); ++i) unsettled_.erase(taken[i].key);
    return Error{ErrorCode::kIo, fmt::format("spool {}: {} rows that were on their way cannot be read now",
                                             store_->directory(), taken.size() - done)};
  }
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// Asking

std::optional<State> RocksSpool::state(const RowKey& key) const {
  const Lock lock(mutex_);
  const DomainLedger* domain = ledger_.find_row(key);
  if (domain == nullptr) return std::nullopt;
  return domain->state(key.row);
}

std::optional<State> RocksSpool::look(const RowKey& key) {
  const Lock lock(mutex_);
  const DomainLedger* domain = ledger_.find_row(key);
  if (domain == nullptr) return std::nullopt;
  if (domain->state(key.row) == State::kHeld) put_back(key);
  return domain->state(key.row);
}

Counts RocksSpool::counts(JobNumber number) const {
  const Lock lock(mutex_);
  const JobLedger* job = ledger_.find(number);
  return job == nullptr ? Counts{} : job->counts;
}

NoteCounts RocksSpool::note_counts(JobNumber number) const {
  const Lock lock(mutex_);
  const JobLedger* job = ledger_.find(number);
  return job == nullptr ? NoteCounts{} : job->note_counts;
}

std::uint64_t RocksSpool::open_rows() const {
  const Lock lock(mutex_);
  return ledger_.open_rows();
}

std::string RocksSpool::domain_name(DomainNumber domain) const {
  const Lock lock(mutex_);
  return std::string(names_.name(domain));
}

std::vector<Spool::DomainRows> RocksSpool::domains(JobNumber number) const {
  std::vector<DomainRows> out;
  const Lock lock(mutex_);
  const JobLedger* job = ledger_.find(number);
  if (job == nullptr) return out;
  out.reserve(job->domains().size());
  for (const DomainLedger& domain : job->domains()) {
    Counts counts{};
    domain.count(0, domain.rows(), counts);
    out.push_back({domain.domain, std::string(names_.name(domain.domain)), domain.rows(),
                   static_cast<std::uint32_t>(counts[static_cast<std::size_t>(State::kQueued)])});
  }
  std::sort(out.begin(), out.end(), [](const DomainRows& a, const DomainRows& b) { return a.domain < b.domain; });
  return out;
}

std::optional<RowRecord> RocksSpool::row(const RowKey& key) const {
  RowRecord record;
  {
    const Lock lock(mutex_);
    const DomainLedger* domain = ledger_.find_row(key);
    if (domain == nullptr) return std::nullopt;
    record = {.local = {},
              .domain = std::string(names_.name(key.domain)),
              .state = domain->state(key.row),
              .notes = domain->notes_of(key.row)};
  }
  RowText text = std::move(fetch({&key, 1}).front());
  if (text.found != Found::kYes) return std::nullopt;
  record.local = std::move(text.local);
  return record;
}

}  // namespace mailsbuddy::spool
