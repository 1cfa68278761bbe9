// history.h - a random life of a spool, and what must be there after it was cut short at any point.
//
// Operations follow from a seed and a model alone, never from what a spool answers: whoever knows the seed and how many
// operations began, returned and became durable can work out all states that the spool may be in. create() and append()
// are there once they returned; the one under way is there whole or not at all. Of all other operations, which are
// ordered, all up to some point are there, and none that was durable is after it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mailsbuddy/spool.h"
#include "spool/ledger.h"  // waits()

namespace mailsbuddy::spool {

struct ModelRow {
  std::string local;
  State state = State::kQueued;
  std::uint16_t attempts = 0;
  std::uint8_t mark = 0;
  std::int64_t due = 0;
  std::uint8_t notes = 0;
  auto operator<=>(const ModelRow&) const = default;
};

struct ModelJob {
  std::string content;
  std::string control;
  std::map<std::string, std::vector<ModelRow>> domains;
  bool operator==(const ModelJob&) const = default;
};

// All that a spool keeps.
struct Model {
  std::map<std::string, ModelJob> jobs;
  std::vector<std::string> events;
  std::map<std::string, int> suppressed;
  std::map<std::string, std::uint64_t> tallies;
  std::map<std::string, std::string> snapshots;
  std::uint64_t made = 0;  // Numbers names.
  bool operator==(const Model&) const = default;
};

struct Operation {
  enum class Kind { kCreate, kAppend, kControl, kCommit, kErase, kRemoveEvents, kHold };
  struct Change {
    std::string domain;
    std::uint32_t row = 0;
    State state = State::kQueued;
    std::uint16_t attempts = 0;
    std::uint8_t mark = 0;
    std::int64_t due = 0;
    int note = -1;
    std::string event;
  };
  Kind kind = Kind::kCommit;
  std::string job;
  std::vector<std::pair<std::string, std::string>> rows;  // Domain, local part.
  std::vector<Change> changes;
  std::string value;    // Content, control, snapshot.
  std::string address;  // Suppressed, or tallied.
  std::uint64_t number = 0;

  bool returns_durable() const { return kind == Kind::kCreate || kind == Kind::kAppend || kind == Kind::kControl; }
  bool stands_alone() const { return kind == Kind::kCreate || kind == Kind::kAppend; }
};

class History {
 public:
  History(std::uint64_t seed, Model start) : random_(seed), model_(std::move(start)) {}
  Operation next();  // As if all before were done.
  const Model& model() const { return model_; }

 private:
  void make_rows(Operation& operation, std::size_t max);
  void make_changes(Operation& operation);
  Random random_;
  Model model_;
};

void apply(const Operation& operation, Model& model);
// False: the spool refused, and it is not there. `durable` runs when it is (once for all of its kind that is not at
// once).
bool apply(const Operation& operation, Spool& spool, Task durable);

// What is in the spool, all of it read by every way there is. Throws nothing; what is wrong in itself goes into
// `wrong`.
Model look_at(Spool& spool, const Model& like, std::vector<std::string>& wrong);

struct Progress {
  std::uint32_t begun = 0;
  std::uint32_t returned = 0;
  std::uint32_t durable = 0;  // Operations before this number are.
};
// What is there of operations that were cut short.
struct Explanation {
  std::uint32_t upto = 0;  // Those that are ordered, before this number.
  bool last = false;       // The create() or append() that had not returned, too.
};
// What explains `found`; empty: nothing does.
std::optional<Explanation> explain(const Model& found, const Model& start, const std::vector<Operation>& operations,
                                   const Progress& progress);
Model replay(Model start, const std::vector<Operation>& operations, const Progress& progress,
             const Explanation& there);
std::string difference(const Model& a, const Model& b);  // The first, for a person.

}  // namespace mailsbuddy::spool
