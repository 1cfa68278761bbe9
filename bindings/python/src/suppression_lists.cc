#include "bindings/python/src/suppression_lists.h"

#include "bindings/python/src/convert.h"

namespace mailsbuddy::python {

namespace py = pybind11;

std::optional<SuppressionEntry> SuppressionSource::next() {
  if (at_ == batch_.size()) {
    if (ended_) return std::nullopt;
    const py::gil_scoped_acquire gil;
    batch_.clear();
    at_ = 0;
    try {
      fill();
    } catch (...) {  // Of what came before it, all goes in: "those before stay".
      error_ = std::current_exception();
      ended_ = true;
    }
    if (batch_.empty()) return std::nullopt;
  }
  return std::move(batch_[at_++]);
}

void SuppressionSource::fill() {
  while (batch_.size() < kBatch) {
    check_slice();
    if (handle_.closing()) raise(ErrorCode::kClosed, "the engine is being closed: the suppressions before this one are stored");
    PyObject* raw = PyIter_Next(entries_.ptr());
    if (raw == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
    ended_ = raw == nullptr;
    if (ended_) return;
    const auto entry = py::reinterpret_steal<py::object>(raw).cast<py::tuple>();
    SuppressionEntry made{.account = to_bytes(entry[0], "account"), .address = to_bytes(entry[1], "address")};
    made.suppressed.reason = to_reason_(to_bytes(entry[2], "reason"));
    if (!entry[3].is_none()) made.suppressed.since = to_time_point(entry[3], "since");
    batch_.push_back(std::move(made));
  }
}

void SuppressionSource::rethrow() {
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void SuppressionList::add(const SuppressionEntry& entry) {
  text_ += entry.account;
  const std::size_t account_end = text_.size();
  text_ += entry.address;
  items_.push_back({account_end, text_.size(), entry.suppressed});
}

py::list SuppressionList::take(std::size_t max) {
  const std::size_t end = at_ + std::min(max, items_.size() - at_);
  py::list list;
  const std::string_view text = text_;
  for (std::size_t start = at_ == 0 ? 0 : items_[at_ - 1].address_end; at_ < end; ++at_) {
    const Item& item = items_[at_];
    list.append(py::make_tuple(to_str(text.substr(start, item.account_end - start)),
                               to_str(text.substr(item.account_end, item.address_end - item.account_end)),
                               to_str(to_string(item.suppressed.reason)), to_datetime(item.suppressed.since)));
    start = item.address_end;
  }
  return list;
}

}  // namespace mailsbuddy::python
