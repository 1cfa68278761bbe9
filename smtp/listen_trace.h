// listen_trace.h - one of a listener's connections for those who follow it.
//
// A follower's filter may be about what is known late: who logs in, for whom a message is. What was said until then is
// kept and given when it fits, so that a transcript begins at its beginning; of messages that do not fit nothing is
// given.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/followers.h"
#include "smtp/ip_range.h"
#include "smtp/transcript.h"

namespace mailsbuddy::smtp {

// A ListenTraceFilter, looked through.
struct ListenWanted {
  // Errors: kInvalidArgument: its client is no address and no range.
  static Result<ListenWanted> make(ListenTraceFilter filter);

  ListenTraceFilter filter;
  std::optional<IpRange> clients{};
};

using ListenFollowers = Followers<ListenWanted, TraceRecord, kTraceRecordsMax>;

// Threads: its connection's. Ownership: `followers` outlives it.
// Invariants: keeps kOpeningMax lines of kKeptLineMax octets at most for each who follows.
class ListenTrace {
 public:
  struct Connection {
    net::Endpoint local;
    net::Endpoint client;     // Port 0: not known.
    bool may_change = false;  // The client: PROXY or XCLIENT may name another.
    bool open = false;        // It has said something already.
    std::string user{};
  };
  ListenTrace(ListenFollowers& followers, Connection connection);

  void look();  // For who has come and gone since; between messages.
  bool wanted() const noexcept { return !watches_.empty(); }  // Else nobody's filter fits this client.
  void step(TimePoint now, std::string_view text) { transcript_.step(now, text); }
  void heard(TimePoint now, std::string_view bytes) { transcript_.sent(now, bytes); }
  void said(TimePoint now, std::string_view bytes) { transcript_.received(now, bytes); }
  void client(TimePoint now, const net::Endpoint& client, std::string_view by);  // Another than was thought.
  void user(std::string user);
  void sender(std::string_view mail_from);  // Its MAIL was heard last.
  void between_messages();

 private:
  struct Line {
    TimePoint time;
    TraceLine::Kind kind;
    std::string text;
  };
  struct Watch {
    std::shared_ptr<ListenFollowers::One> to;
    bool fits = false;
    std::deque<Line> kept{};  // While it does not: what was said before the first message, and between messages.
    std::size_t opening = 0;  // Of them: before the first message.
  };
  class Lines;

  bool fits_client(const ListenWanted& wanted) const;
  bool fits(const ListenWanted& wanted) const;
  void judge();
  void on_line(const TraceLine& line);
  static void keep(Watch& watch, Line line);
  void give(const Watch& watch, Line line) const;

  ListenFollowers& followers_;
  std::uint64_t version_ = 0;  // Of the followers, when it was looked last.
  std::vector<Watch> watches_;
  TraceRecord tags_;
  net::IpAddress client_;
  const bool client_may_change_;
  std::string sender_;  // Domain.
  bool in_message_ = false;
  bool begun_ = false;  // The first message has.
  TraceBodies bodies_ = TraceBodies::kNone;
  Transcript transcript_;
};

}  // namespace mailsbuddy::smtp
