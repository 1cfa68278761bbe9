// Listing what is there. Who is in which state is known from memory; rows are read only of those that the query may
// want.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

constexpr std::size_t kVisitRows = 1024;        // Read at a time.
constexpr std::uint64_t kLookAtMax =
    1u << 18;  // Rows and domains in memory that one call of list() or count() looks at.
constexpr std::size_t kReadMax = 16u << 10;     // Rows that it reads from disk.

}  // namespace

Result<void> RocksSpool::visit_open(
    JobNumber number,
    const std::function<bool(std::string_view, std::string_view, std::string_view, State)>& visit) const {
  std::size_t place = 0;
  std::uint32_t row = 0;
  std::string unreadable;
  for (bool more = true; more;) {
    std::vector<RowKey> keys;
    std::vector<State> states;
    std::vector<std::string> names;
    {
      const Lock lock(mutex_);
      const JobLedger* job = ledger_.find(number);
      if (job == nullptr) break;
      for (; place < job->domains().size() && keys.size() < kVisitRows; ++place, row = 0) {
        const DomainLedger& domain = job->domains()[place];
        for (; row < domain.rows() && keys.size() < kVisitRows; ++row) {
          if (is_final(domain.state(row))) continue;
          keys.push_back({number, domain.domain, row});
          states.push_back(domain.state(row));
          names.emplace_back(names_.name(domain.domain));
        }
        if (row < domain.rows()) break;
      }
      more = place < job->domains().size();
    }
    const std::vector<RowText> texts = fetch(keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (texts[i].found == Found::kError && unreadable.empty()) {
        unreadable = fmt::format("row {} of {} cannot be read now: {}", keys[i].row, names[i], texts[i].reason);
      }
      if (texts[i].found == Found::kYes && !visit(texts[i].local, names[i], texts[i].fields, states[i])) return {};
    }
  }
  if (unreadable.empty()) return {};
  return Error{ErrorCode::kIo, std::move(unreadable)};
}

// Of those that were tried: from memory, and what is not there from disk, without the lock.
std::vector<std::optional<Waiting>> RocksSpool::waiting_of_all(const std::vector<ListedRow>& rows) const {
  std::vector<std::optional<Waiting>> out(rows.size());
  std::vector<bool> on_disk(rows.size());
  {
    const Lock lock(mutex_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const DomainLedger* domain = ledger_.find_row(rows[i].key);
      if (domain == nullptr || !domain->tried(rows[i].key.row)) continue;
      if (const auto* known = due_.find(rows[i].key)) out[i] = *known;
      on_disk[i] = !out[i];
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (on_disk[i]) out[i] = stored_waiting(rows[i].key);
  }
  return out;
}

// The cursor's domain is a place among the job's domains: they only become more.
bool RocksSpool::list(const ListQuery& query, ListCursor& cursor, std::size_t max, std::vector<ListedRow>& out) const {
  if (max == 0) return true;
  std::vector<ListedRow> found;
  std::vector<ListCursor> after;  // Where the listing goes on after each.
  bool more = false;
  {
    const Lock lock(mutex_);
    std::optional<DomainNumber> only;
    if (query.domain) {
      only = names_.find(*query.domain);
      if (!only) return false;
    }
    std::uint64_t looked_at = 0;
    const std::size_t wanted = query.local ? kReadMax : std::min(max, kReadMax);
    const auto enough = [&] { return looked_at >= kLookAtMax || found.size() >= wanted; };
    auto job = ledger_.jobs().lower_bound(query.job ? std::max(*query.job, cursor.job) : cursor.job);
    for (; job != ledger_.jobs().end() && !(query.job && job->first != *query.job); ++job) {
      if (job->first != cursor.job) cursor = {.job = job->first, .domain = 0, .row = 0};
      const auto& domains = job->second.domains();
      ++looked_at;
      if (only) {
        const std::size_t place = job->second.place(*only);
        if (cursor.domain > place) continue;
        if (cursor.domain < place) cursor = {.job = job->first, .domain = static_cast<DomainNumber>(place), .row = 0};
      }
      for (; cursor.domain < domains.size() && !enough(); ++cursor.domain, cursor.row = 0, ++looked_at) {
        const DomainLedger& domain = domains[cursor.domain];
        for (; cursor.row < domain.rows() && !enough(); ++looked_at) {
          const std::uint32_t row = cursor.row++;
          if ((query.states >> static_cast<unsigned>(domain.state(row)) & 1U) == 0) continue;
          ListedRow& listed = found.emplace_back();
          listed.key = {job->first, domain.domain, row};
          listed.state = domain.state(row);
          listed.notes = domain.notes_of(row);
          after.push_back(cursor);
        }
        if (cursor.row < domain.rows()) break;
        if (only) break;
      }
      if (enough()) {
        more = true;
        break;
      }
    }
  }
  std::vector<RowKey> keys;
  keys.reserve(found.size());
  for (const ListedRow& row : found) keys.push_back(row.key);
  std::vector<RowText> texts = fetch(keys);
  const auto tried = waiting_of_all(found);
  std::size_t added = 0;
  const Lock lock(mutex_);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (texts[i].found == Found::kNo) continue;  // Erased meanwhile.
    const bool readable = texts[i].found == Found::kYes;
    if (query.local && readable && !ascii::iequals(texts[i].local, *query.local)) continue;
    if (added++ == max) {
      cursor = after[i - 1];
      return true;
    }
    ListedRow& row = found[i];
    row.local = std::move(texts[i].local);
    if (!readable) row.unreadable = texts[i].reason.empty() ? "it cannot be read" : std::move(texts[i].reason);
    row.domain = names_.name(row.key.domain);
    if (const auto waiting = tried[i]) {
      row.attempts = waiting->attempts;
      if (row.state == State::kDeferred) row.due = TimePoint(Duration(waiting->due));
    }
    out.push_back(std::move(row));
  }
  return more;
}

// The cursor is as in list(). It is the job's: its number tells a new cursor.
bool RocksSpool::count(JobNumber number, std::optional<std::string_view> domain_name, ListCursor& cursor,
                       std::vector<DomainCounts>& out) const {
  const Lock lock(mutex_);
  const JobLedger* job = ledger_.find(number);
  if (job == nullptr) return false;
  if (cursor.job != number) cursor = {.job = number, .domain = 0, .row = 0};
  const auto& domains = job->domains();
  std::size_t end = domains.size();
  if (domain_name) {
    const auto only = names_.find(*domain_name);
    const std::size_t place = only ? job->place(*only) : end;
    if (place == end || cursor.domain > place) return false;
    if (cursor.domain < place) cursor = {.job = number, .domain = static_cast<DomainNumber>(place), .row = 0};
    end = place + 1;
  }
  for (std::uint64_t left = kLookAtMax; cursor.domain < end; ++cursor.domain, cursor.row = 0) {
    const DomainLedger& domain = domains[cursor.domain];
    const auto rows = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, domain.rows() - cursor.row));
    DomainCounts& counted = out.emplace_back();
    counted.domain = domain.domain;
    domain.count(cursor.row, rows, counted.counts);
    cursor.row += rows;
    left -= rows;
    if (cursor.row < domain.rows() || left <= 1) return true;
    --left;
  }
  return false;
}

}  // namespace mailsbuddy::spool
