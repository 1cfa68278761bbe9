// spool.h - where accepted mail lives until every recipient is settled: the contract of the store, its durable form on
// RocksDB, and its in-memory twin. The durable form's files are described in docs/spool_format.md.
//
// A job is one content with one policy and its recipient rows: a campaign with millions of rows, or a single message
// with one row per recipient. Rows are packed per (job, domain), because mail leaves per domain.
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
  kQueued,     // Never tried, or given back.
  kClaimed,    // May be on the wire.
  kDeferred,   // To be tried again when due.
  kHeld,       // A person decides: its last attempt is unknown and the policy says hold, or it was told to wait.
  kDelivered,  // From here on final.
  kBounced,
  kSuppressed,
  kExpired,
  kCancelled,
  kFailed,  // Could not be made (rendered, signed), or unknown and the policy says drop.
};
inline constexpr std::size_t kStateCount = 10;
constexpr bool is_final(State state) noexcept { return state >= State::kDelivered; }
std::string_view to_string(State state) noexcept;  // "queued", ...

using Counts = std::array<std::uint64_t, kStateCount>;  // Rows by State.

// A row handed out for delivery.
struct Row {
  RowKey key;
  std::uint64_t position = 0;  // Where the spool finds it again; opaque.
  std::uint16_t attempts = 0;  // Made so far.
  std::uint8_t mark = 0;       // Settlement::mark, when it was deferred.
  std::string local;           // Local part of the address.
  std::string fields;          // As given to append().
};

struct RowInput {
  std::string_view domain;  // Lower case, A-label form.
  std::string_view local;
  std::string_view fields;  // Opaque to the spool.
};

struct JobRecord {
  std::string id;       // Unique among jobs. The caller's.
  std::string content;  // Opaque to the spool: what the engine needs to make messages.
  TimePoint created{};
  std::string control{};  // Opaque: the little that changes while the job is there (paused, import complete, ...).
};

// How far a job's domain has been read. Starts at the first row; only read() moves it.
struct Cursor {
  std::uint64_t position = 0;
  std::uint32_t row = 0;
};

// A row's change of state, with the event that reports it in the same write. Of one that is kHeld, from those who were
// handed it before: a final state settles it; any other leaves it as it is, and but for kQueued they have it no more.
struct Settlement {
  RowKey key;
  std::uint64_t position = 0;  // Row::position.
  State state = State::kQueued;
  std::uint16_t attempts = 0;
  TimePoint due{};        // When state is kDeferred.
  std::uint8_t mark = 0;  // When state is kDeferred: opaque, comes back with the row.
  std::string event{};    // Opaque; empty: none. Appended to the outbox.
};

// What came back about a row: complaints and the like, numbered by the caller. A row has each kind once, at most; what
// came before stays, and its state is another matter.
inline constexpr std::size_t kNoteKinds = 8;
using NoteCounts = std::array<std::uint64_t, kNoteKinds>;
struct Note {
  RowKey key;
  std::uint8_t kind = 0;  // Below kNoteKinds.
  std::string event{};    // Opaque; empty: none. Appended to the outbox, if the row had none of the kind.
};

// An address of an account. Compared as octets; the caller normalises. Neither part holds a NUL.
struct AccountAddress {
  std::string account;
  std::string address;
};

// A suppression of this account holds for every account.
inline constexpr std::string_view kEveryAccount = "*";

// An address may also be suppressed by what it hashes to: AccountAddress::address is then this prefix and 64 lower-case
// hexadecimal digits, the HMAC-SHA-256 of the address under SuppressionKey.
inline constexpr std::string_view kHashedPrefix = "hmac-sha256:";
using SuppressionKey = std::string;                                               // Empty: none. Octets, 16 at least.
std::string hashed_address(const SuppressionKey& key, std::string_view address);  // With the prefix.

struct Suppression {
  std::uint8_t reason = 0;  // The caller's.
  TimePoint since{};
};
struct NewSuppression {
  AccountAddress who;
  Suppression suppression;
};

// A number that the caller keeps on an address, such as how often it bounced lately.
struct Tally {
  AccountAddress who;
  std::uint64_t value = 0;  // 0: removed.
  TimePoint as_of{};        // Now.
  TimePoint forget{};       // From then on the spool may drop it.
};

// State of the caller's that is no row's, such as how far the warm-up of an IP has come. Opaque; kept under a name, the
// last one stands. Without octets: there is none of that name from then on.
struct Snapshot {
  std::string name;
  std::string bytes;  // Empty: it is dropped.
};

// Everything one worker changes at once: applied whole or not at all, in the order of the members; settlements before
// claims, so that a row can be given back and claimed again in one batch.
struct Batch {
  std::vector<Settlement> settlements;
  std::vector<RowKey> claims;  // kQueued or kDeferred -> kClaimed, before the end of data may be sent. Not kHeld.
  std::vector<Note> notes{};
  std::vector<NewSuppression> suppressions{};
  std::vector<Tally> tallies{};
  std::vector<Snapshot> snapshots{};
  std::vector<std::string> events{};  // Of no row; appended to the outbox.
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
  std::uint8_t notes = 0;  // Bit `kind`: it has one of that kind.
};

inline constexpr std::size_t kTalliesMax = 1'000'000;  // Some 150 MB in memory.

// Which rows list() gives: those to which all of it applies.
struct ListQuery {
  std::optional<JobNumber> job{};
  std::optional<std::string> domain{};
  std::optional<std::string> local{};  // Letter case of ASCII aside. Rows that cannot be read may have it: they are given.
  std::uint32_t states = ~0U;          // Bits by State: 1 << kQueued | 1 << kDeferred, ...
};
// How far a listing has come; made by list(), opaque. Rows that come while it is under way may be missed.
struct ListCursor {
  JobNumber job = 0;
  DomainNumber domain = 0;
  std::uint32_t row = 0;
};
struct ListedRow {
  RowKey key;
  std::string local;
  std::string domain;
  State state = State::kQueued;
  std::uint8_t notes = 0;
  std::uint16_t attempts = 0;
  TimePoint due{};           // When state is kDeferred.
  std::string unreadable{};  // Why its local part cannot be read, now or ever. Empty: it was, and if it is empty, it was erased.
};

// Whether what is accepted can be stored.
struct Pressure {
  enum class Kind : std::uint8_t {
    kNone,
    kFull,    // Little room is left: append() and create() with rows refuse, what is there goes on.
    kFailed,  // The disk refuses: nothing is durable until it takes writes again, which is tried without end.
  };
  Kind kind = Kind::kNone;
  std::string detail{};               // One line for a person; empty for kNone.
  std::uint64_t waiting_batches = 0;  // commit()s that are not durable yet.
};

// Something of the store that cannot be read. What it was about is set aside: rows are kFailed, the rest goes on.
struct Defect {
  std::string what;  // Names it, and says what is wrong.
  JobNumber job = 0;
  std::uint64_t rows = 0;  // How many it cost.
};

// An address to be forgotten. Its rows lose local part and fields for good; those that are neither final nor claimed
// become kCancelled.
struct AddressErasure {
  std::string local;          // Letter case of ASCII aside.
  std::string domain;         // Lower case, A-label form.
  bool suppressions = false;  // Of any account. To forget one is to mail it again, if it is imported again.
  bool tallies = true;
  // What the spool cannot read: called with each event of the outbox, and each job that has a row of the address. True:
  // it was changed. Must not call the spool.
  std::function<bool(std::string& event)> rewrite_event{};
  std::function<bool(JobRecord& job)> rewrite_job{};  // Not its id.
};
struct AddressErased {
  std::uint64_t rows = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t claimed = 0;  // May be on the wire: the event of each is still to come, and names the address.
  std::uint64_t events = 0;
  std::uint64_t jobs = 0;
  std::uint64_t suppressions = 0;
  std::uint64_t tallies = 0;
};

// Threads: every method from any thread. Ownership: copies what it keeps.
// Invariants: a row is in exactly one State; counts() agree with the rows at every moment; read() and take_due() hand
// out each row once until it is settled as kQueued (then the caller has it), kDeferred (then take_due() has it again)
// or kHeld (then only take_waiting() has it).
class Spool {
 public:
  virtual ~Spool() = default;

  // Errors: kAlreadyExists: a job has that id.
  virtual Result<JobNumber> create(JobRecord record) = 0;
  // create() and append() in one: whole or not at all, for the price of one write. Errors: of both.
  // `snapshots`: likewise with it; of names that nobody commits meanwhile.
  virtual Result<JobNumber> create(JobRecord record, std::span<const RowInput> rows,
                                   std::vector<Snapshot> snapshots) = 0;
  Result<JobNumber> create(JobRecord record, std::span<const RowInput> rows) {
    return create(std::move(record), rows, {});
  }
  // Replaces JobRecord::control. Durable on return. Errors: kNotFound.
  virtual Result<void> set_control(JobNumber job, std::string control) = 0;
  // The jobs that are there, by number: what a process that opens a spool finds.
  struct StoredJob {
    JobNumber number = 0;
    JobRecord record;
  };
  virtual std::vector<StoredJob> jobs() const = 0;
  // The same one by one, for there may be a million messages, until `visit` returns false. `visit` may call the spool.
  // Errors: kIo: of some the record cannot be read now; they are named, and the others were visited.
  virtual Result<void> visit_jobs(const std::function<bool(const StoredJob&)>& visit) const = 0;
  virtual std::optional<JobRecord> job(JobNumber number) const = 0;  // Reads it. Empty: there is none.
  // Durable on return. Errors: kResourceExhausted, kIo: nothing of `rows` is stored. (If the process ends before the
  // disk takes writes again, all of them may be: never a part.) Not to be called from a `durable` task. Gives their
  // keys.
  virtual Result<std::vector<RowKey>> append(JobNumber job, std::span<const RowInput> rows) = 0;
  // Forgets a job with its rows: an import that failed as a whole, or a settled job that is no longer asked about. At
  // once for the caller, durably with the next commit() or sync().
  virtual void erase(JobNumber job) = 0;

  struct DomainRows {
    DomainNumber domain = 0;
    std::string name;
    std::uint32_t rows = 0;
    std::uint32_t queued = 0;  // Those among them that are kQueued.
  };
  virtual std::vector<DomainRows> domains(JobNumber job) const = 0;

  // Up to `max` rows from `cursor` on that are kQueued, but not given back, appended to `out`. False: no more after
  // them.
  virtual bool read(JobNumber job, DomainNumber domain, Cursor& cursor, std::size_t max, std::vector<Row>& out) = 0;

  // Up to `max` rows due at `now`, earliest first, appended to `out`. They stay kDeferred until claimed.
  virtual void take_due(TimePoint now, std::size_t max, std::vector<Row>& out) = 0;
  virtual TimePoint next_due() const = 0;  // TimePoint::max(): none.
  // The same for one job's deferred and held rows, due or not: to cancel them.
  virtual void take_waiting(JobNumber job, std::size_t max, std::vector<Row>& out) = 0;

  // For an engine that opens where another one was: what that one was handed out and has neither claimed nor settled is
  // handed out again.
  virtual void hand_out_anew() = 0;

  // For commands about rows that the caller may have, or not. Settles those of them that are neither kClaimed nor final
  // already; the others stay as they are, and their events are dropped. Which were settled, by place. States: final
  // ones, and kHeld, which is no change of what is known of a row: attempts and mark stay. A caller that was handed one
  // sees by look() that it is final or held before it sends it: claim it first, then look. Settlement::position is not
  // needed. Durable with the next sync().
  virtual std::vector<bool> withdraw(std::vector<Settlement> settlements) = 0;
  // Rows that wait (deferred or held) and are not handed out become kDeferred and due at `due`, unless they are due
  // earlier; what is known of them stays. Held ones that a caller has become kQueued: it has them, as before they were
  // held. How many of both. Durable with the next sync().
  virtual std::size_t make_due(std::span<const RowKey> rows, TimePoint due) = 0;
  // As state(), for the caller that was handed the row: if it is held, that caller has it no more. One that was held
  // when it was claimed, and is not held now, is not kClaimed either: it is to be claimed again.
  virtual std::optional<State> look(const RowKey& key) = 0;
  virtual std::optional<State> state(const RowKey& key) const = 0;  // Reads nothing. Empty: there is no such row.

  // Up to `max` rows that are kClaimed, each once until it is settled. For an engine that opens, before it claims any:
  // the one before may have sent them or not. Errors: kIo: the disk cannot be read now; those that are not in `out`
  // come again.
  virtual Result<void> take_unsettled(std::size_t max, std::vector<Row>& out) = 0;

  // `durable` runs once the batch survives what the spool promises, on any thread, also from inside the call. All
  // methods see the batch at once, except peek_events(), which gives what is durable. It is never lost while the
  // process runs: what cannot be written is tried again until it can, `durable` waits, and pressure() says so.
  virtual void commit(Batch batch, Task durable) = 0;

  // Waits until all that was committed and erased is durable and its tasks have run. Errors: the disk refused; it is
  // still tried. Not to be called from a `durable` task.
  virtual Result<void> sync() = 0;
  // Writes what is there, runs its tasks, and returns; none runs afterwards. What the disk refuses now is lost. Then
  // commit() does nothing and append() says kClosed. To be called before what the tasks refer to goes away.
  virtual void close() = 0;
  virtual Pressure pressure() const = 0;
  virtual std::vector<Defect> defects() const = 0;  // Found since the spool was opened.

  virtual Counts counts(JobNumber job) const = 0;
  virtual NoteCounts note_counts(JobNumber job) const = 0;            // Rows that have a note of each kind.
  virtual std::optional<RowRecord> row(const RowKey& key) const = 0;  // Empty: there is no such row, or no more.
  virtual std::uint64_t open_rows() const = 0;  // Rows of all jobs that are neither final nor kHeld.
  virtual std::string domain_name(DomainNumber domain) const = 0;

  // The rows of a job that are not final, in no order, until `visit` returns false. `visit` must not call the spool.
  // Errors: kIo: some cannot be read now; the first is named, and the others were visited.
  virtual Result<void> visit_open(JobNumber job,
                                  const std::function<bool(std::string_view local, std::string_view domain,
                                                           std::string_view fields, State state)>& visit) const = 0;

  // Up to `max` rows that `query` wants, from `cursor` on, appended to `out`. False: the end. One call looks at a
  // bounded number of rows, so that it may give few or none and still say true.
  virtual bool list(const ListQuery& query, ListCursor& cursor, std::size_t max, std::vector<ListedRow>& out) const = 0;

  // Rows of one job by domain and state, from `cursor` on, appended to `out`; `domain`: of this one alone. A row is
  // counted once, as it is when its turn comes; a domain with many comes in parts. Nothing is read from disk. False:
  // the end. One call counts a bounded number of rows, at some nanoseconds each.
  struct DomainCounts {
    DomainNumber domain = 0;
    Counts counts{};
  };
  virtual bool count(JobNumber job, std::optional<std::string_view> domain, ListCursor& cursor,
                     std::vector<DomainCounts>& out) const = 0;

  // The outbox: events in the order of their commits. What is not removed is handed out again. event_count() includes
  // those that are not durable yet. Up to `max` behind the first `skip`; what cannot be read of them is empty.
  virtual std::vector<std::string> peek_events(std::uint64_t skip, std::size_t max) const = 0;
  virtual void remove_events(std::size_t count) = 0;  // The first `count`.
  virtual std::uint64_t event_count() const = 0;

  virtual std::optional<std::string> snapshot(std::string_view name) const = 0;  // Empty: there is none of that name.
  // The first name behind `after`, by their octets. Empty: there is none.
  virtual std::optional<std::string> next_snapshot(std::string_view after) const = 0;

  // Suppression. What is suppressed keeps its first reason. Durable on return. Errors: kInvalidArgument: it comes
  // hashed, and there is no SuppressionKey.
  virtual Result<void> suppress(NewSuppression suppression) = 0;
  // By the account or by kEveryAccount, plain or hashed.
  virtual std::optional<Suppression> suppressed(std::string_view account, std::string_view address) const = 0;
  // False: it was not, by that account itself. Durable on return.
  virtual Result<bool> unsuppress(std::string_view account, std::string_view address) = 0;
  // Takes what `next` gives until it gives none, in batches; how many. Durable on return. `next` must not call the
  // spool. Errors: those before stay.
  virtual Result<std::uint64_t> import_suppressions(const std::function<std::optional<NewSuppression>()>& next) = 0;
  // All of them in no order, until `visit` returns false. `visit` must not call the spool.
  virtual Result<void> visit_suppressions(const std::function<bool(const NewSuppression&)>& visit) const = 0;
  // Up to `max` of them from `cursor` on, appended to `out`. The cursor is opaque, and empty at first. False: the end.
  // What stays suppressed comes once, what is added or removed meanwhile may come or not.
  virtual Result<bool> list_suppressions(std::string& cursor, std::size_t max,
                                         std::vector<NewSuppression>& out) const = 0;

  // Called with each event of the outbox; true: it was changed. How many were. Must not call the spool. Durable on
  // return; scrub() takes what was there from the files.
  virtual Result<std::uint64_t> rewrite_events(const std::function<bool(std::string& event)>& rewrite) = 0;
  // Durable on return, and its octets are gone from the files.
  virtual Result<AddressErased> erase_address(const AddressErasure& erasure) = 0;
  // Waits until the octets of all that was erased are gone from the files. Long: it rewrites them.
  virtual Result<void> scrub() = 0;

  // Tallies. At most kTalliesMax are kept: once there are so many, and none to forget, new ones are not.
  virtual bool any_tally() const noexcept = 0;                                                // Costs nothing.
  virtual std::uint64_t tally(std::string_view account, std::string_view address) const = 0;  // 0: none.
};

// Lost with the process. With a key, what is suppressed is kept hashed.
std::unique_ptr<Spool> make_memory_spool(SuppressionKey suppression_key = {});

enum class Durability : std::uint8_t {
  kPowerLoss,  // fsync(2) before anything is called durable: survives the machine's fall, if its disks tell the truth.
  kProcessCrash,  // Given to the operating system: survives the process, kill -9 included, but not the machine.
};

struct RocksSpoolOptions {
  std::string directory;  // Made if it is not there; its parent must be. Required.
  Durability durability = Durability::kPowerLoss;
  SuppressionKey suppression_key{};          // With one, what is suppressed is stored hashed, and looked up both ways: then
                                             // every opening needs the same one.
  std::uint64_t reserve_bytes = 256u << 20;  // With less free on the disk, new rows are refused, so that what was
                                             // accepted can still be settled.
  std::size_t cache_bytes = 64u << 20;       // Of what was read; the write buffers take up to 100 MB besides.
  std::shared_ptr<LogSink> log{};
};

// On RocksDB, in a directory of its own. Threads: one of its own, on which `durable` tasks run. After opening all is as
// it was when the last write became durable: rows that were kClaimed come by take_unsettled(). Errors: kUnavailable:
// another process has it open, or it is of a newer format; kInvalidArgument: the directory holds something else, or
// suppressions hashed with another key; kIo, kResourceExhausted: the system's words.
Result<std::unique_ptr<Spool>> open_rocks_spool(RocksSpoolOptions options);

}  // namespace mailsbuddy::spool
