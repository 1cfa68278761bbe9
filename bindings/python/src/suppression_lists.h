// suppression_lists.h - suppressions on their way between Python and the engine, many at a time.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/src/engine_handle.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

// Entries of a Python iterator of tuples (account, address, reason, since or None), fetched under the GIL some at a
// time. Threads: one. What the iterator raises ends it, and so does the engine's close(); it is kept for rethrow().
class SuppressionSource {
 public:
  static constexpr std::size_t kBatch = 1024;

  SuppressionSource(const EngineHandle& handle, pybind11::iterator entries, SuppressionReason (*to_reason)(const std::string& word))
      : handle_(handle), entries_(std::move(entries)), to_reason_(to_reason) {}
  std::optional<SuppressionEntry> next();  // Without the GIL.
  void rethrow();                          // With it.

 private:
  void fill();  // With the GIL.

  const EngineHandle& handle_;
  pybind11::iterator entries_;
  SuppressionReason (*to_reason_)(const std::string& word);
  std::vector<SuppressionEntry> batch_;
  std::size_t at_ = 0;
  bool ended_ = false;
  std::exception_ptr error_;
};

// All that Engine::export_suppressions() has, packed: some 50 octets each. It is read before anything is given to
// Python, so that whoever goes through it holds up no thread of the engine's and may call the engine.
class SuppressionList {
 public:
  void add(const SuppressionEntry& entry);
  std::size_t size() const { return items_.size(); }
  pybind11::list take(std::size_t max);  // The next ones; none: the end.

 private:
  struct Item {
    std::size_t account_end = 0;
    std::size_t address_end = 0;
    Suppressed suppressed{};
  };
  std::string text_;
  std::vector<Item> items_;
  std::size_t at_ = 0;
};

}  // namespace mailsbuddy::python
