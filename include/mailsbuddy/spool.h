// spool.h - where accepted mail lives until every recipient is settled: the contract of the store, and its in-memory form.
//
// A job is one content with one policy and its recipient rows: a campaign with millions of rows, or a single message with
// one row per recipient. Rows are packed per (job, domain), because mail leaves per domain.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::spool {

using JobNumber = std::uint32_t;     // Given by create(), from 1.
using DomainNumber = std::uint32_t;  // Given on first use of a domain, from 0; one for all jobs.

// Names a row for good: its job, its domain, and its place among the job's rows of that domain.
struct RowKey {
  JobNumber job = 0;
  DomainNumber domain = 0;
  std::uint32_t row = 0;
  auto operator<=>(const RowKey&) const = default;
};

enum class State : std::uint8_t {
  kQueued,      // Never tried, or given back.
  kClaimed,     // May be on the wire.
  kDeferred,    // To be tried again when due.
  kHeld,        // Its last attempt is unknown and the policy says hold: a person decides.
  kDelivered,   // From here on final.
  kBounced,
  kSuppressed,
  kExpired,
  kCancelled,
  kFailed,      // Could not be made (rendered, signed), or unknown and the policy says drop.
};
inline constexpr std::size_t kStateCount = 10;
constexpr bool is_final(State state) noexcept { return state >= State::kDelivered; }
std::string_view to_string(State state) noexcept;  // "queued", ...

using Counts = std::array<std::uint64_t, kStateCount>;  // Rows by State.

// A row handed out for delivery.
struct Row {
  RowKey key;
  std::uint64_t position = 0;   // Where the spool finds it again; opaque.
  std::uint16_t attempts = 0;   // Made so far.
  std::uint8_t mark = 0;        // Settlement::mark, when it was deferred.
  std::string local;            // Local part of the address.
  std::string fields;           // As given to append().
};

struct RowInput {
  std::string_view domain;      // Lower case, A-label form.
  std::string_view local;
  std::string_view fields;      // Opaque to the spool.
};

struct JobRecord {
  std::string id;               // Unique among jobs. The caller's.
  std::string content;          // Opaque to the spool: what the engine needs to make messages.
  TimePoint created{};
  std::string control{};        // Opaque: the little that changes while the job is there (paused, import complete, ...).
};

// How far a job's domain has been read. Starts at the first row; only read() moves it.
struct Cursor {
  std::uint64_t position = 0;
  std::uint32_t row = 0;
};

// A row's change of state, with the event that reports it in the same write.
struct Settlement {
  RowKey key;
  std::uint64_t position = 0;   // Row::position.
  State state = State::kQueued;
  std::uint16_t attempts = 0;
  TimePoint due{};              // When state is kDeferred.
  std::uint8_t mark = 0;        // When state is kDeferred: opaque, comes back with the row.
  std::string event{};          // Opaque; empty: none. Appended to the outbox.
};

// What came back about a row: complaints and the like, numbered by the caller. A row has each kind once, at most; what
// came before stays, and its state is another matter.
inline constexpr std::size_t kNoteKinds = 8;
using NoteCounts = std::array<std::uint64_t, kNoteKinds>;
struct Note {
  RowKey key;
  std::uint8_t kind = 0;        // Below kNoteKinds.
  std::string event{};          // Opaque; empty: none. Appended to the outbox, if the row had none of the kind.
};

// An address of an account. Compared as octets; the caller normalises. Neither part holds a NUL.
struct AccountAddress {
  std::string account;
  std::string address;
};

struct Suppression {
  std::uint8_t reason = 0;      // The caller's.
  TimePoint since{};
};
struct NewSuppression {
  AccountAddress who;
  Suppression suppression;
};

// A number that the caller keeps on an address, such as how often it bounced lately.
struct Tally {
  AccountAddress who;
  std::uint64_t value = 0;      // 0: removed.
  TimePoint as_of{};            // Now.
  TimePoint forget{};           // From then on the spool may drop it.
};

// State of the caller's that is no row's, such as how far the warm-up of an IP has come. Opaque; kept under a name, the
// last one stands.
struct Snapshot {
  std::string name;
  std::string bytes;
};

// Everything one worker changes at once: applied whole or not at all, in the order of the members; settlements before
// claims, so that a row can be given back and claimed again in one batch.
struct Batch {
  std::vector<Settlement> settlements;
  std::vector<RowKey> claims;            // kQueued or kDeferred -> kClaimed, before the end of data may be sent.
  std::vector<Note> notes{};
  std::vector<NewSuppression> suppressions{};
  std::vector<Tally> tallies{};
  std::vector<Snapshot> snapshots{};
  std::vector<std::string> events{};     // Of no row; appended to the outbox.
  bool empty() const noexcept {
    return claims.empty() && settlements.empty() && notes.empty() && suppressions.empty() && tallies.empty() &&
           snapshots.empty() && events.empty();
  }
};

// What is known of a row for as long as its job is there, also when it is final.
struct RowRecord {
  std::string local;
  std::string domain;
  State state = State::kQueued;
  std::uint8_t notes = 0;       // Bit `kind`: it has one of that kind.
};

inline constexpr std::size_t kTalliesMax = 1'000'000;  // Some 150 MB in memory.

// Threads: every method from any thread. Ownership: copies what it keeps.
// Invariants: a row is in exactly one State; counts() agree with the rows at every moment; read() and take_due() hand out
// each row once until it is settled as kQueued (then the caller has it), kDeferred (then take_due() has it again) or kHeld
// (then only take_waiting() has it).
class Spool {
 public:
  virtual ~Spool() = default;

  // Errors: kAlreadyExists: a job has that id.
  virtual Result<JobNumber> create(JobRecord record) = 0;
  // Replaces JobRecord::control. Durable on return. Errors: kNotFound.
  virtual Result<void> set_control(JobNumber job, std::string control) = 0;
  // The jobs that are there, by number: what a process that opens a spool finds.
  struct StoredJob {
    JobNumber number = 0;
    JobRecord record;
  };
  virtual std::vector<StoredJob> jobs() const = 0;
  // Durable on return. Errors: kResourceExhausted: nothing of `rows` is stored.
  virtual Result<void> append(JobNumber job, std::span<const RowInput> rows) = 0;
  // Forgets a job with its rows: an import that failed as a whole, or a settled job that is no longer asked about.
  virtual void erase(JobNumber job) = 0;

  struct DomainRows {
    DomainNumber domain = 0;
    std::string name;
    std::uint32_t rows = 0;
  };
  virtual std::vector<DomainRows> domains(JobNumber job) const = 0;

  // Up to `max` rows from `cursor` on that are kQueued, appended to `out`. False: there are no more after them.
  virtual bool read(JobNumber job, DomainNumber domain, Cursor& cursor, std::size_t max, std::vector<Row>& out) = 0;

  // Up to `max` rows due at `now`, earliest first, appended to `out`. They stay kDeferred until claimed.
  virtual void take_due(TimePoint now, std::size_t max, std::vector<Row>& out) = 0;
  virtual TimePoint next_due() const = 0;  // TimePoint::max(): none.
  // The same for one job's deferred and held rows, due or not: to cancel them.
  virtual void take_waiting(JobNumber job, std::size_t max, std::vector<Row>& out) = 0;

  // Up to `max` rows that are kClaimed, each once until it is settled. For an engine that opens, before it claims any: the
  // one before may have sent them or not.
  virtual void take_unsettled(std::size_t max, std::vector<Row>& out) = 0;

  // `durable` runs once the batch survives what the spool promises, on any thread, also from inside the call.
  virtual void commit(Batch batch, Task durable) = 0;

  virtual Counts counts(JobNumber job) const = 0;
  virtual NoteCounts note_counts(JobNumber job) const = 0;         // Rows that have a note of each kind.
  virtual std::optional<RowRecord> row(const RowKey& key) const = 0;  // Empty: there is no such row, or no more.
  virtual std::uint64_t open_rows() const = 0;  // Rows of all jobs that are neither final nor kHeld.
  virtual std::string domain_name(DomainNumber domain) const = 0;

  // The rows of a job that are not final, in no order, until `visit` returns false. `visit` must not call the spool.
  virtual void visit_open(JobNumber job, const std::function<bool(std::string_view local, std::string_view domain,
                                                                 std::string_view fields, State state)>& visit) const = 0;

  // The outbox: events in the order of their commits. What is not removed is handed out again.
  virtual std::vector<std::string> peek_events(std::size_t max) const = 0;
  virtual void remove_events(std::size_t count) = 0;  // The first `count`.
  virtual std::uint64_t event_count() const = 0;

  virtual std::optional<std::string> snapshot(std::string_view name) const = 0;  // Empty: there is none of that name.

  // Suppression. What is suppressed keeps its first reason. Durable on return.
  virtual Result<void> suppress(NewSuppression suppression) = 0;
  virtual std::optional<Suppression> suppressed(std::string_view account, std::string_view address) const = 0;

  // Tallies. At most kTalliesMax are kept: once there are so many, and none to forget, new ones are not.
  virtual bool any_tally() const noexcept = 0;  // Costs nothing.
  virtual std::uint64_t tally(std::string_view account, std::string_view address) const = 0;  // 0: none.
};

// Lost with the process.
std::unique_ptr<Spool> make_memory_spool();

}  // namespace mailsbuddy::spool
