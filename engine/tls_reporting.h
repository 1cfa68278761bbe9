// tls_reporting.h - the engine's own TLS reports (RFC 8460): counted by the workers, cut at midnight UTC, sent in the
// hours after.
//
// What is counted and not sent yet is kept in the spool, with the addresses that have it. A process that ends in good
// order loses none of it, one that is killed the counts of kKeepEvery at most. A mail is submitted with the note of
// whom it goes to, in one write: no restart repeats it. A POST whose answer the process did not live to note is
// repeated, under the same report-id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// Threads: made, keep_rest() and destroyed while the runtime rests; all else on loop(0)'s thread.
// Ownership: what it is made with outlives it.
class TlsReporting {
 public:
  struct Context {
    const EngineOptions& options;  // With tls_reporting.
    net::Runtime& runtime;
    spool::Spool& spool;
    // Asks every worker for what it has counted, which it then has no more; `done` on loop(0), once for each.
    std::function<void(std::function<void(smtp::TlsReports)> done)> collect;
    std::function<Result<MessageId>(Message, spool::Snapshot)> submit;  // Both or neither. On the CPU pool's threads.
  };
  explicit TlsReporting(Context context);

  void start();
  void stop();                              // Nothing follows, whatever is under way.
  void keep_rest(smtp::TlsReports counted);  // What the workers had counted since: kept for the next process.

 private:
  static constexpr Duration kKeepEvery = std::chrono::minutes(10);
  // "To avoid unintentionally overloading the system processing the reports": up to four hours (RFC 8460 4.1).
  static constexpr Duration kSpread = std::chrono::hours(4);
  static constexpr int kSendAtOnce = 16;             // Domains whose records are asked for.
  static constexpr std::size_t kAddressesMax = 10;   // Of one domain's record: each costs a message, or a request.
  static constexpr std::size_t kWaitingMax = 100'000;  // Reports: those beyond are dropped, and a line of the log says so.

  struct Sending {
    smtp::TlsReport report;
    std::vector<std::uint64_t> reached{};  // hash_of() addresses and URLs that have it, or refused it for good.
    int tries = 0;
    int posts = 0;       // Under way.
    bool again = false;  // One of this try failed and may yet succeed.
  };

  // `task` on loop(0), unless stop() came before.
  template <class Task>
  auto guarded(Task task);
  void load();
  void forget_strays();
  void wake();
  void counted(smtp::TlsReports counts);
  Duration later();         // A random part of kSpread.
  void cut(TimePoint end);  // The day is over: its reports wait to be sent.
  void wait(Sending sending, TimePoint until);
  bool try_again(const Sending& sending);  // False: its time is over.
  void find(Sending sending);
  void send(const std::string& id, const smtp::TlsRptRecord& wanted);
  std::string id_of(const smtp::TlsReport& report) const;
  // `reached`: with `to`. On the CPU pool.
  Result<void> mail(const smtp::TlsReport& report, const Address& to, const std::string& id,
                    const std::vector<std::uint64_t>& reached) const;
  void mailed(const std::string& id, const smtp::TlsRptRecord& wanted, std::vector<std::uint64_t> reached,
              bool refused);
  void post(Sending& sending, const std::string& url, const std::string& id);
  void posted(const std::string& id, const std::string& url, const net::HttpsReply& reply);
  void end_try(const std::string& id);
  enum class Done : bool { kForNow, kForGood };
  void done(const std::string& id, Done how);
  void keep();
  void arm();

  const Context context_;
  const TlsReportingOptions& who_;
  net::Loop& loop_;
  std::shared_ptr<void> alive_ = std::make_shared<char>();  // Until stop(): answers of DNS, HTTPS and the workers may come after it.
  smtp::TlsReports today_;
  TimePoint begin_;                         // Of what is in today_.
  TimePoint keep_at_;
  TimePoint kept_at_{};
  int to_count_ = 0;                        // Workers that were asked and have not answered.
  bool changed_ = false;                    // Not kept yet.
  std::multimap<TimePoint, Sending> waiting_;  // By when they are to be sent.
  std::map<std::string, Sending> under_way_;   // By report-id. Waiting still, for the spool.
  std::vector<std::string> done_;              // Report-ids: the spool need not know any more who has them.
  Random random_;
  Timer timer_;
};

}  // namespace mailsbuddy::engine
