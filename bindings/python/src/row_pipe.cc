#include "bindings/python/src/row_pipe.h"

namespace mailsbuddy::python {

Result<std::optional<RowView>> Import::next() {
  if (!interrupted_) {
    auto row = pull();
    if (!interrupted_) return row;
  }
  return Error{ErrorCode::kClosed, why_};
}

void Import::interrupt(std::string why) {
  if (interrupted_) return;
  why_ = std::move(why);
  interrupted_ = true;
  on_interrupt();
}

void RowPipe::push(RowBatch batch) {
  const std::lock_guard lock(mutex_);
  batches_.push_back(std::move(batch));
  changed_.notify_all();
}

void RowPipe::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

void RowPipe::import_ended() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

bool RowPipe::wants_more() const { return ended_ || batches_.size() < kBatchesMax; }

void RowPipe::on_interrupt() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

Result<std::optional<RowView>> RowPipe::pull() {
  while (row_ == batch_.rows.size()) {  // The last batch may be empty.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batches_.empty() || finished_ || interrupted(); });
    if (batches_.empty()) return std::optional<RowView>();
    batch_ = std::move(batches_.front());
    batches_.pop_front();
    changed_.notify_all();
    row_ = at_ = 0;
  }
  const std::size_t first = row_ * (columns_.size() + 1);
  const auto text = [this](std::size_t index) {
    const std::size_t start = at_;
    at_ = batch_.ends[index];
    return std::string_view(batch_.text).substr(start, at_ - start);
  };
  RowView view{.number = batch_.rows[row_].number, .address = text(first), .values = {}, .defect = batch_.rows[row_].defect};
  values_.clear();
  for (std::size_t i = 1; i <= columns_.size(); ++i) values_.push_back(text(first + i));
  view.values = values_;
  ++row_;
  return std::optional<RowView>(view);
}

}  // namespace mailsbuddy::python
