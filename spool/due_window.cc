#include "spool/due_window.h"

#include <iterator>

namespace mailsbuddy::spool {

const DueWindow::Known* DueWindow::find(const RowKey& row) const {
  const auto found = known_.find(row);
  return found == known_.end() ? nullptr : &found->second;
}

void DueWindow::put(const RowKey& row, const Waiting& waiting) {
  forget(row);
  known_[row] = Known{waiting, false, false};
  if (waiting.due != Waiting::kNever) near_.insert({waiting.due, row});
}

void DueWindow::take(const RowKey& row, const Waiting& waiting) {
  Known& known = known_[row];
  near_.erase({known.due, row});
  known = Known{waiting, true, known.written};
}

void DueWindow::release(const RowKey& row) {
  const auto found = known_.find(row);
  if (found != known_.end()) found->second.taken = false;
}

void DueWindow::forget(const RowKey& row) {
  const auto found = known_.find(row);
  if (found == known_.end()) return;
  near_.erase({found->second.due, row});
  known_.erase(found);
}

void DueWindow::forget_job(JobNumber job) {
  std::erase_if(near_, [job](const keys::Due& due) { return due.row.job == job; });
  std::erase_if(known_, [job](const auto& entry) { return entry.first.job == job; });
}

void DueWindow::written(const RowKey& row, std::int64_t due) {
  const auto found = known_.find(row);
  if (found == known_.end() || found->second.due != due) return;
  found->second.written = true;
  if (found->second.taken) return;
  if (keys::Due{due, row} >= horizon_) {
    near_.erase({due, row});
    known_.erase(found);
  } else if (near_.size() > kRowsMax) {
    trim();
  }
}

void DueWindow::trim() {
  for (auto last = near_.end(); near_.size() > kRowsMax / 2 && last != near_.begin();) {
    const auto entry = std::prev(last);
    const auto known = known_.find(entry->row);
    if (*entry < horizon_) horizon_ = *entry;
    if (!known->second.written) {
      last = entry;
      continue;
    }
    known_.erase(known);
    last = near_.erase(entry);
  }
}

bool DueWindow::load(const keys::Due& due, const Waiting& waiting) {
  if (!known_.try_emplace(due.row, Known{waiting, false, true}).second) return false;
  near_.insert(due);
  return true;
}

std::optional<keys::Due> DueWindow::earliest() const {
  if (near_.empty() || *near_.begin() >= horizon_) return std::nullopt;
  return *near_.begin();
}

std::optional<Waiting> DueWindow::take_earliest() {
  if (near_.empty()) return std::nullopt;
  Known& known = known_.at(near_.begin()->row);
  known.taken = true;
  near_.erase(near_.begin());
  return known;
}

std::vector<RowKey> DueWindow::of_job(JobNumber job) const {
  std::vector<RowKey> rows;
  for (const auto& [row, known] : known_) {
    if (row.job == job && !known.taken) rows.push_back(row);
  }
  return rows;
}

std::vector<RowKey> DueWindow::taken() const {
  std::vector<RowKey> rows;
  for (const auto& [row, known] : known_) {
    if (known.taken) rows.push_back(row);
  }
  return rows;
}

}  // namespace mailsbuddy::spool
