// transcript.h - what goes over one connection, as lines for people: messages shortened, credentials masked, nothing in
// it that a terminal would obey.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Sees the octets of both directions in clear, in pieces of any size, and finds by the client's commands and the
// server's 354 and 334 what of them are messages and credentials. `sent` is the client's, on a server too; there each
// command must come before the reply to it, and the next after that. Begun between transactions.
// Threads: one owner. Invariants: holds no more than two lines of kTraceLineMax.
class Transcript {
 public:
  // `open`: what was said before is not known. It may have been an AUTH that failed.
  explicit Transcript(std::unique_ptr<Trace> to, bool open = false) : to_(std::move(to)), auth_failed_(open) {}

  void step(TimePoint now, std::string_view text);
  void sent(TimePoint now, std::string_view bytes);
  void received(TimePoint now, std::string_view bytes);

 private:
  enum class Sending : std::uint8_t { kCommands, kData, kChunk };
  struct Line {
    std::string text;                   // Its beginning.
    std::uint64_t octets = 0;           // All of it, with its end.
    char last = 0;                      // The octet that came last.
    bool crlf = false;                  // Its end is CR LF.
    bool add(std::string_view& bytes);  // True: it is complete, and `bytes` is what follows it.
    std::string_view content() const;   // Without its end.
    void clear();
  };

  void on_command(TimePoint now);
  bool on_credentials(TimePoint now, std::string_view line);  // True: it has some, and was shown without.
  void on_message_line(TimePoint now);
  void on_reply(TimePoint now);
  void begin_message(Sending how);
  void end_message(TimePoint now);
  void show(TimePoint now, TraceLine::Kind kind, const Line& line);
  void say(TimePoint now, TraceLine::Kind kind, std::string_view text);
  bool escape(std::string_view text);  // As words_. False: its beginning, for it is longer than kTraceLineMax.

  std::unique_ptr<Trace> to_;
  Line sent_;
  Line received_;
  std::string words_;  // Scratch: what is shown.
  Sending sending_ = Sending::kCommands;
  bool auth_ = false;         // Between AUTH and its last reply: what we send are credentials.
  bool auth_failed_ = false;  // A client that does not wait for replies goes on with credentials.
  bool line_begins_ = true;   // The message's line before ended in CRLF.
  bool in_header_ = false;
  TraceBodies bodies_ = TraceBodies::kHeaders;
  std::uint64_t chunk_left_ = 0;  // Octets of a BDAT.
  std::uint64_t shown_ = 0;       // Octets of the message.
  std::uint64_t hidden_ = 0;      // Octets of the message that were not shown.
};

}  // namespace mailsbuddy::smtp
