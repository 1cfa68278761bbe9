// row_pipe.h - a campaign's rows on their way into Engine::start(), which pulls them on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

// A source that can be stopped from outside, and remembers what was refused.
// Threads: next() and refused() on the importing one, interrupt() any, bad_rows() once the import has ended.
class Import : public RowSource {
 public:
  static constexpr std::size_t kBadRowsMax = 10'000;  // Kept for the report; all are counted.

  Result<std::optional<RowView>> next() final;
  void refused(const BadRow& row) final {
    if (bad_rows_.size() < kBadRowsMax) bad_rows_.push_back(row);
  }
  void interrupt(std::string why);  // The import ends with kClosed, and nothing of it stays.
  std::vector<BadRow>& bad_rows() { return bad_rows_; }

 protected:
  virtual Result<std::optional<RowView>> pull() = 0;
  virtual void on_interrupt() {}
  bool interrupted() const { return interrupted_; }

 private:
  std::atomic<bool> interrupted_{false};
  std::string why_;  // Written before interrupted_.
  std::vector<BadRow> bad_rows_;
};

// Some rows, packed: texts one after the other, the address first.
struct RowBatch {
  static constexpr std::size_t kRowsMax = 1024;
  static constexpr std::size_t kBytesMax = 1u << 20;

  struct Row {
    std::uint64_t number = 0;
    std::string defect{};
  };
  std::string text;
  std::vector<std::size_t> ends;  // columns + 1 a row.
  std::vector<Row> rows;

  bool full() const { return rows.size() >= kRowsMax || text.size() >= kBytesMax; }
  void add(std::string_view value) {
    text += value;
    ends.push_back(text.size());
  }
};

// Rows that one thread makes under the GIL, batch by batch, while another imports: bounded, so that neither runs ahead.
class RowPipe final : public Import {
 public:
  static constexpr std::size_t kBatchesMax = 8;

  explicit RowPipe(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  std::span<const std::string> columns() const override { return columns_; }

  void push(RowBatch batch);
  void finish();                    // No more come.
  void import_ended();              // Nobody takes any more.
  bool wants_more() const;          // Under mutex(): there is room, or the import has ended.
  bool ended() const { return ended_; }
  std::mutex& mutex() { return mutex_; }
  std::condition_variable& changed() { return changed_; }

 private:
  Result<std::optional<RowView>> pull() override;
  void on_interrupt() override;

  const std::vector<std::string> columns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<RowBatch> batches_;
  bool finished_ = false;
  std::atomic<bool> ended_{false};
  RowBatch batch_;  // The one at hand, and how far it has been read.
  std::size_t row_ = 0;
  std::size_t at_ = 0;
  std::vector<std::string_view> values_;
};

}  // namespace mailsbuddy::python
