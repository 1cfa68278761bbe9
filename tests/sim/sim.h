// sim.h - the world the engine sees, simulated: clock, DNS, network and scripted receivers, seeded and in one thread.
//
// Time stands still while code runs and jumps to the next timer when nothing is left to do, so that days pass in
// milliseconds and every run of a scenario is the same.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::sim {

inline constexpr TimePoint kStart{std::chrono::seconds(1'800'000'000)};   // 2027-01-15 08:00:00 UTC.
inline constexpr Duration kLatency = std::chrono::milliseconds(1);        // One way, of every packet and DNS answer.

class SimLoop final : public net::Loop, public Clock {
 public:
  void post(Task task) override;  // From any thread: a durable spool's writer posts what it has written.
  TimePoint now() const noexcept override { return now_; }
  TimerWheel& timers() noexcept override { return wheel_; }
  bool is_owner() const noexcept override { return true; }

  void run_tasks();                      // What is posted, and what that posts.
  void run_until(TimePoint end);         // All tasks and timers up to `end`; then it is `end`.
  bool run_until(TimePoint end, const std::function<bool()>& done);  // Stops as soon as done() holds.
  void after(Duration delay, Task task);

 private:
  TimePoint now_ = kStart;
  TimerWheel wheel_{kStart};
  std::mutex tasks_mutex_;
  std::deque<Task> tasks_;  // Guarded by tasks_mutex_.
  std::set<std::unique_ptr<Timer>> delayed_;
};

// What a receiver does at one stage of a session.
struct Action {
  enum class Kind { kReply, kClose, kReset, kSilence, kRefuse, kGarbage, kFailTls };
  Kind kind = Kind::kReply;
  std::string reply;   // "250 2.1.5 Ok"; several lines are separated by '|'.
};

// A receiving host: per stage ("CONNECT", "GREETING", "EHLO", "STARTTLS", "TLS", "MAIL", "RCPT", "DATA", "DOT") a list
// of actions, one for each time the stage is reached; the last one stays. Without any: it accepts.
struct Receiver {
  std::map<std::string, std::deque<Action>> script;
  std::map<std::string, Action> by_recipient;   // RCPT replies for one address, before the script.
  bool start_tls = false;
  bool pipelining = true;
  bool chunking = false;
  bool eight_bit_mime = true;
  bool dsn = false;
  bool require_tls = false;
  bool splits_replies = false;                  // Each in a packet of its own, also those to commands that came together.
  bool hates_overlap = false;                   // 503 to a MAIL that was there before the reply to the message.
  Duration latency = kLatency;
  net::TlsFailure certificate = net::TlsFailure::kNone;  // What is wrong with it, for the web's roots.
  int connections_max = 0;                      // 0: no limit; beyond it 421 at the greeting.
  int messages_per_connection = 0;              // 0: no limit; beyond it 421 at MAIL.
  std::size_t recipients_max = 0;               // Of a transaction; 0: no limit; beyond it 452 4.5.3 at RCPT.

  struct Mail {
    std::string client;                         // IP address it came from.
    std::string from;
    std::string to;                             // The first one.
    std::string data;                           // As on the wire: after DATA it is dot-stuffed.
    bool tls = false;
    TimePoint at{};
    std::string envelope{};                     // Its MAIL and RCPT commands.
    std::vector<std::string> recipients{};      // All that were accepted, and by LMTP had a 2yz reply to the message.
  };
  std::vector<Mail> mails;
  // Instead of the script: the reply to RCPT. And instead of keeping them in `mails`: what becomes of a message.
  std::function<std::string(const std::string& client, const std::string& to)> judge;
  std::function<void(const Mail&)> take;
  std::map<std::string, int> open_from;         // Connections open now, by client.
  int connections = 0;                          // Open now.
  int connections_seen = 0;
  std::set<std::string> commands_seen;          // Verbs, for "never sent" checks.

  Action next(const std::string& stage, std::string_view fallback);
};

// The data of TLSA records that are about a receiver's certificate.
inline const std::string kRightKey(32, 'r');

struct World {
  SimLoop loop;
  std::map<std::string, std::vector<net::MxRecord>> mx;
  std::map<std::string, std::vector<net::IpAddress>> addresses;
  std::map<std::string, net::DnsStatus> broken;       // Names that answer with a failure.
  // Transport security; without `policies` the runtime has neither DNSSEC nor HTTPS.
  bool policies = false;
  std::set<std::string> secure;                       // Names whose MX and address records are signed.
  std::set<std::string> bogus;                        // Names whose records are signed, and forged.
  std::map<std::string, std::vector<net::TlsaRecord>> tlsa;    // "_25._tcp.HOST"; signed.
  std::map<std::string, std::vector<std::string>> texts;
  std::map<std::string, net::HttpsReply> pages;       // By host. Others cannot be connected to.
  std::vector<net::HttpsRequest> posts;               // All that had a body.
  std::map<std::string, Receiver> receivers;          // By IP address as text.
  std::function<void(const std::string&)> trace;      // Told of every line on every wire, when set.
};

std::shared_ptr<net::Runtime> make_runtime(World& world, std::uint64_t seed);

}  // namespace mailsbuddy::sim
