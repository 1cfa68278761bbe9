// caller.h - what a caller of the engine brings in tests: rows, and a sink that keeps its events.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::sim {

struct Collector final : EventSink {
  std::vector<Event> events;
  Result<void> on_events(std::span<const Event> batch) override {
    events.insert(events.end(), batch.begin(), batch.end());
    return {};
  }
};

// Addresses without fields. An import of them may be cut short by an error at their end.
class Rows final : public RowSource {
 public:
  explicit Rows(std::vector<std::string> addresses, std::optional<Error> end = {})
      : addresses_(std::move(addresses)), end_(std::move(end)) {}
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == addresses_.size() && end_) return *end_;
    if (at_ == addresses_.size()) return std::optional<RowView>();
    ++at_;
    return std::optional<RowView>({.number = at_, .address = addresses_[at_ - 1], .values = {}});
  }
  void refused(const BadRow& row) override { bad.push_back(row.address); }
  std::vector<std::string> bad;

 private:
  std::vector<std::string> addresses_;
  std::optional<Error> end_;
  std::size_t at_ = 0;
};

}  // namespace mailsbuddy::sim
