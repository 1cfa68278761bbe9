#include "tests/spool/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace mailsbuddy::spool {
namespace {

constexpr std::size_t kJobsMax = 12;
constexpr int kAddresses = 20;

std::string fields_of(const std::string& local) { return "fields of " + local + std::string(local.size() * 3, '.'); }

State to_state(std::uint64_t number) {
  static constexpr State kStates[] = {State::kQueued,    State::kClaimed,  State::kClaimed, State::kClaimed,
                                      State::kDeferred,  State::kDeferred, State::kHeld,    State::kDelivered,
                                      State::kDelivered, State::kBounced,  State::kFailed};
  return kStates[number % std::size(kStates)];
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Making

void History::make_rows(Operation& operation, std::size_t max) {
  const std::uint64_t count = random_.below(max + 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    operation.rows.emplace_back(fmt::format("d{}.test", random_.below(6)), fmt::format("u{}", model_.made++));
  }
}

void History::make_changes(Operation& operation) {
  auto job = model_.jobs.begin();
  std::advance(job, static_cast<std::ptrdiff_t>(random_.below(model_.jobs.size())));
  operation.job = job->first;
  std::set<std::pair<std::string, std::uint32_t>> used;
  for (auto& [domain, rows] : job->second.domains) {
    for (std::uint64_t left = random_.below(4); left > 0; --left) {
      const auto row = static_cast<std::uint32_t>(random_.below(rows.size()));
      if (!used.emplace(domain, row).second) continue;
      Operation::Change change{.domain = domain, .row = row, .state = to_state(random_())};
      change.attempts = static_cast<std::uint16_t>(rows[row].attempts + random_.below(2));
      if (random_.below(8) == 0) change.note = static_cast<int>(random_.below(kNoteKinds));
      if (waits(change.state)) {
        change.mark = static_cast<std::uint8_t>(random_.below(9));
        change.due = static_cast<std::int64_t>(random_.below(1000)) - 500;
      }
      if (change.state != State::kClaimed && random_.below(2) == 0) change.event = fmt::format("e{}", model_.made++);
      operation.changes.push_back(change);
    }
  }
}

Operation History::next() {
  Operation operation;
  operation.number = random_();
  const std::uint64_t dice = random_.below(100);
  if (model_.jobs.empty() || (dice < 12 && model_.jobs.size() < kJobsMax)) {
    operation.kind = Operation::Kind::kCreate;
    operation.job = fmt::format("j{}", model_.made++);
    operation.value = std::string(random_.below(300), 'c');
    make_rows(operation, 6);
  } else if (dice < 24) {
    operation.kind = Operation::Kind::kAppend;
    make_changes(operation);
    operation.changes.clear();
    make_rows(operation, 60);
  } else if (dice < 28) {
    operation.kind = Operation::Kind::kControl;
    make_changes(operation);
    operation.changes.clear();
    operation.value = fmt::format("control {}", model_.made++);
  } else if (dice < 34) {
    operation.kind = Operation::Kind::kErase;
    make_changes(operation);
    operation.changes.clear();
  } else if (dice < 44) {
    operation.kind = Operation::Kind::kRemoveEvents;
    operation.number = random_.below(5);
  } else if (dice < 50) {
    operation.kind = Operation::Kind::kHold;
    make_changes(operation);
  } else {
    make_changes(operation);
    operation.value = fmt::format("snapshot {}", model_.made++);
    operation.address = fmt::format("a{}@x.test", random_.below(kAddresses));
  }
  apply(operation, model_);
  return operation;
}

// ---------------------------------------------------------------------------------------------------------------------
// Doing

void apply(const Operation& operation, Model& model) {
  using Kind = Operation::Kind;
  switch (operation.kind) {
    case Kind::kCreate:
      model.jobs[operation.job] = {.content = operation.value, .control = {}, .domains = {}};
      [[fallthrough]];
    case Kind::kAppend:
      for (const auto& [domain, local] : operation.rows)
        model.jobs[operation.job].domains[domain].push_back({.local = local});
      return;
    case Kind::kControl:
      if (model.jobs.contains(operation.job)) model.jobs[operation.job].control = operation.value;
      return;
    case Kind::kErase:
      model.jobs.erase(operation.job);
      return;
    case Kind::kRemoveEvents:
      model.events.erase(model.events.begin(), model.events.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                                                          operation.number, model.events.size())));
      return;
    case Kind::kHold:
      for (const auto& change : operation.changes) {
        if (!model.jobs.contains(operation.job)) break;
        if (change.state == State::kClaimed) continue;
        ModelRow& row = model.jobs[operation.job].domains[change.domain][change.row];
        if (is_final(row.state) || row.state == State::kClaimed || row.state == State::kHeld) continue;
        row.state = State::kHeld;
        if (!change.event.empty()) model.events.push_back(change.event);
      }
      return;
    case Kind::kCommit:
      break;
  }
  const auto job = model.jobs.find(operation.job);
  for (const auto& change : operation.changes) {
    if (job == model.jobs.end()) break;
    ModelRow& row = job->second.domains[change.domain][change.row];
    if (is_final(row.state) || change.state == State::kClaimed) continue;
    if (row.state == State::kHeld && !is_final(change.state)) continue;  // A person's to decide.
    row.state = change.state;
    row.attempts = change.attempts;
    row.mark = waits(change.state) ? change.mark : row.mark;
    row.due = waits(change.state) ? change.due : row.due;
    if (!change.event.empty()) model.events.push_back(change.event);
  }
  for (const auto& change : operation.changes) {
    if (job == model.jobs.end()) break;
    ModelRow& row = job->second.domains[change.domain][change.row];
    if (change.state == State::kClaimed && !is_final(row.state) && row.state != State::kHeld)
      row.state = State::kClaimed;
  }
  for (const auto& change : operation.changes) {
    if (job == model.jobs.end() || change.note < 0) continue;
    ModelRow& row = job->second.domains[change.domain][change.row];
    row.notes = static_cast<std::uint8_t>(row.notes | 1U << change.note);
  }
  model.suppressed.try_emplace(operation.address, static_cast<int>(operation.number & 0x7f));
  if (operation.number % 3 == 0) {
    model.tallies.erase(operation.address);
  } else {
    model.tallies[operation.address] = operation.number | 1;
  }
  model.snapshots[fmt::format("s{}", operation.number % 4)] = operation.value;
}

namespace {

JobNumber number_of(Spool& spool, const std::string& id) {
  JobNumber number = 0;
  static_cast<void>(spool.visit_jobs([&](const Spool::StoredJob& job) {
    if (job.record.id == id) number = job.number;
    return number == 0;
  }));
  return number;
}

std::map<std::string, DomainNumber> domains_of(Spool& spool, JobNumber job) {
  std::map<std::string, DomainNumber> numbers;
  for (const auto& domain : spool.domains(job)) numbers[domain.name] = domain.domain;
  return numbers;
}

Batch batch_of(const Operation& operation, Spool& spool) {
  Batch batch;
  const JobNumber job = number_of(spool, operation.job);
  const auto domains = domains_of(spool, job);
  for (const auto& change : operation.changes) {
    const auto domain = domains.find(change.domain);
    if (domain == domains.end()) continue;
    const RowKey key{job, domain->second, change.row};
    if (change.note >= 0) batch.notes.push_back({.key = key, .kind = static_cast<std::uint8_t>(change.note)});
    if (change.state == State::kClaimed) {
      batch.claims.push_back(key);
      continue;
    }
    batch.settlements.push_back({.key = key,
                                 .state = change.state,
                                 .attempts = change.attempts,
                                 .due = TimePoint(Duration(change.due)),
                                 .mark = change.mark,
                                 .event = change.event});
  }
  const AccountAddress who{"brand", operation.address};
  batch.suppressions = {{who, {.reason = static_cast<std::uint8_t>(operation.number & 0x7f)}}};
  batch.tallies = {{who, operation.number % 3 == 0 ? 0 : operation.number | 1, TimePoint(), TimePoint::max()}};
  batch.snapshots = {{fmt::format("s{}", operation.number % 4), operation.value}};
  return batch;
}

}  // namespace

bool apply(const Operation& operation, Spool& spool, Task durable) {
  using Kind = Operation::Kind;
  std::vector<std::string> fields;
  std::vector<RowInput> rows;
  for (const auto& [domain, local] : operation.rows) fields.push_back(fields_of(local));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    rows.push_back({operation.rows[i].first, operation.rows[i].second, fields[i]});
  }
  switch (operation.kind) {
    case Kind::kCreate:
      return spool.create({.id = operation.job, .content = operation.value}, rows).has_value();
    case Kind::kAppend:
      return spool.append(number_of(spool, operation.job), rows).has_value();
    case Kind::kControl:
      return spool.set_control(number_of(spool, operation.job), operation.value).has_value();
    case Kind::kErase:
      spool.erase(number_of(spool, operation.job));
      return true;
    case Kind::kRemoveEvents:
      // Only what is durable can be removed; the model knows of no such difference.
      if (operation.number > 0 && !spool.sync()) return false;
      spool.remove_events(operation.number);
      return true;
    case Kind::kHold: {
      Batch batch = batch_of(operation, spool);
      for (Settlement& each : batch.settlements) each.state = State::kHeld;
      spool.withdraw(std::move(batch.settlements));
      return true;
    }
    case Kind::kCommit:
      spool.commit(batch_of(operation, spool), std::move(durable));
      return true;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Looking

namespace {

using Keys = std::map<RowKey, ModelRow>;

void look_at_rows(Spool& spool, Model& model, Keys& keys, std::vector<std::string>& wrong) {
  std::map<JobNumber, std::string> ids;
  static_cast<void>(spool.visit_jobs([&](const Spool::StoredJob& job) {
    model.jobs[job.record.id] = {.content = job.record.content, .control = job.record.control, .domains = {}};
    ids[job.number] = job.record.id;
    return true;
  }));
  ListCursor cursor;
  std::vector<ListedRow> rows;
  while (spool.list({}, cursor, 100, rows)) {
  }
  std::map<JobNumber, Counts> counts;
  for (const ListedRow& row : rows) {
    ++counts[row.key.job][static_cast<std::size_t>(row.state)];
    auto& of_domain = model.jobs[ids[row.key.job]].domains[row.domain];
    if (row.key.row != of_domain.size())
      wrong.push_back(fmt::format("row {} of {} out of turn", row.key.row, row.domain));
    of_domain.push_back({.local = row.local, .state = row.state, .notes = row.notes});
    keys[row.key] = of_domain.back();
    const auto known = spool.row(row.key);
    if (!known || known->local != row.local || known->state != row.state) wrong.push_back("row() differs from list()");
  }
  std::uint64_t open = 0;
  for (const auto& [number, id] : ids) {
    if (spool.counts(number) != counts[number]) wrong.push_back("counts() of " + id);
    for (std::size_t state = 0; state < kStateCount; ++state) {
      if (!is_final(static_cast<State>(state)) && static_cast<State>(state) != State::kHeld)
        open += counts[number][state];
    }
  }
  if (open != spool.open_rows()) wrong.push_back(fmt::format("open_rows() is {}, not {}", spool.open_rows(), open));
}

// What is handed out, with what the row was when it was last tried.
void hand_out(const std::vector<Row>& rows, State expected, const Keys& keys, std::map<RowKey, Row>& out,
              std::vector<std::string>& wrong) {
  for (const Row& row : rows) {
    const auto found = keys.find(row.key);
    if (found == keys.end() || found->second.local != row.local || row.fields != fields_of(row.local)) {
      wrong.push_back(fmt::format("{} was handed out with other fields", row.local));
    } else if (found->second.state != expected &&
               !(expected == State::kDeferred && found->second.state == State::kHeld)) {
      wrong.push_back(fmt::format("{} is {} and was handed out as {}", row.local, to_string(found->second.state),
                                  to_string(expected)));
    }
    if (!out.emplace(row.key, row).second) wrong.push_back(row.local + " was handed out twice");
  }
}

}  // namespace

Model look_at(Spool& spool, const Model& like, std::vector<std::string>& wrong) {
  Model model;
  Keys keys;
  look_at_rows(spool, model, keys, wrong);
  std::map<RowKey, Row> out;
  std::map<RowKey, std::int64_t> due;
  std::vector<Row> rows;
  TimePoint last = TimePoint::min();
  for (TimePoint next = spool.next_due(); next != TimePoint::max(); next = spool.next_due()) {
    if (next < last) wrong.push_back("next_due() goes back");
    last = next;
    rows.clear();
    spool.take_due(next, 1, rows);
    if (rows.size() != 1) wrong.push_back("nothing is due at next_due()");
    if (rows.size() != 1) break;
    due[rows[0].key] = next.time_since_epoch().count();
    hand_out(rows, State::kDeferred, keys, out, wrong);
  }
  rows.clear();
  if (!spool.take_unsettled(1'000'000, rows)) wrong.push_back("what is unsettled cannot be read");
  hand_out(rows, State::kClaimed, keys, out, wrong);
  std::map<std::string, JobNumber> numbers;
  static_cast<void>(spool.visit_jobs([&](const Spool::StoredJob& job) {
    numbers[job.record.id] = job.number;
    return true;
  }));
  for (auto& [id, job] : model.jobs) {
    const JobNumber number = numbers[id];
    rows.clear();
    spool.take_waiting(number, 1'000'000, rows);
    hand_out(rows, State::kDeferred, keys, out, wrong);
    for (const auto& domain : spool.domains(number)) {
      Cursor cursor;
      rows.clear();
      while (spool.read(number, domain.domain, cursor, 7, rows)) {
      }
      hand_out(rows, State::kQueued, keys, out, wrong);
      auto& of_domain = job.domains[domain.name];
      for (std::uint32_t i = 0; i < of_domain.size(); ++i) {
        const RowKey key{number, domain.domain, i};
        const auto found = out.find(key);
        if (is_final(of_domain[i].state)) continue;
        if (found == out.end()) {
          wrong.push_back(
              fmt::format("{} is {} and was not handed out", of_domain[i].local, to_string(of_domain[i].state)));
          continue;
        }
        of_domain[i].attempts = found->second.attempts;
        of_domain[i].mark = found->second.mark;
        of_domain[i].due = due.contains(key) ? due[key] : 0;
      }
    }
  }
  model.events = spool.peek_events(0, 1'000'000);
  if (model.events.size() != spool.event_count()) wrong.push_back("event_count()");
  for (int i = 0; i < kAddresses; ++i) {
    const std::string address = fmt::format("a{}@x.test", i);
    if (const auto found = spool.suppressed("brand", address)) model.suppressed[address] = found->reason;
    if (const auto tally = spool.tally("brand", address); tally != 0) model.tallies[address] = tally;
  }
  for (const auto& [name, value] : like.snapshots) {
    if (const auto found = spool.snapshot(name)) model.snapshots[name] = *found;
  }
  for (const Defect& defect : spool.defects()) wrong.push_back(defect.what);
  return model;
}

// ---------------------------------------------------------------------------------------------------------------------
// Judging

namespace {

// What can be asked of a spool: a final row's attempts, and a claimed one's due, are nobody's business any more.
Model visible(Model model) {
  for (auto& [id, job] : model.jobs) {
    for (auto& [domain, rows] : job.domains) {
      for (ModelRow& row : rows) {
        if (is_final(row.state)) row = {.local = row.local, .state = row.state, .notes = row.notes};
        if (row.state != State::kDeferred) row.due = 0;
      }
    }
  }
  model.made = 0;
  return model;
}

}  // namespace

Model replay(Model start, const std::vector<Operation>& operations, const Progress& progress,
             const Explanation& there) {
  for (std::uint32_t i = 0; i < progress.begun; ++i) {
    const bool is_there = operations[i].stands_alone() ? i < progress.returned || there.last : i < there.upto;
    if (is_there) apply(operations[i], start);
  }
  return start;
}

std::optional<Explanation> explain(const Model& found, const Model& start, const std::vector<Operation>& operations,
                                   const Progress& progress) {
  for (std::uint32_t upto = progress.durable; upto <= progress.begun; ++upto) {
    for (const bool last : {false, true}) {
      if (visible(replay(start, operations, progress, {upto, last})) == found) return Explanation{upto, last};
    }
  }
  return std::nullopt;
}

std::string difference(const Model& a_, const Model& b) {
  const Model a = visible(a_);
  for (const auto& [id, job] : a.jobs) {
    if (!b.jobs.contains(id)) return id + " is missing";
    const ModelJob& other = b.jobs.at(id);
    if (job.content != other.content || job.control != other.control) return id + ": content or control";
    for (const auto& [domain, rows] : job.domains) {
      const auto found = other.domains.find(domain);
      if (found == other.domains.end() || found->second.size() != rows.size()) return id + ": rows of " + domain;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const ModelRow& one = rows[i];
        const ModelRow& two = found->second[i];
        if (one == two) continue;
        const auto text = [](const ModelRow& row) {
          return fmt::format("{} {} attempts={} mark={} due={} notes={}", row.local, to_string(row.state), row.attempts,
                             row.mark, row.due, row.notes);
        };
        return fmt::format("{}: {} | {}", id, text(one), text(two));
      }
    }
  }
  if (a.jobs.size() != b.jobs.size()) return "a job more";
  if (a.events != b.events) return fmt::format("events: {} | {}", a.events.size(), b.events.size());
  if (a.suppressed != b.suppressed) return "suppressed";
  if (a.tallies != b.tallies) return "tallies";
  if (a.snapshots != b.snapshots) return "snapshots";
  return "none";
}

}  // namespace mailsbuddy::spool
