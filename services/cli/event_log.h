// event_log.h - what `mailsbuddy send` keeps of events: counts per provider for people, JSON lines for programs.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::cli {

// Events by kind; kDeferred counts attempts, all others recipients.
struct KindCounts {
  std::array<std::uint64_t, kEventKinds> by_kind{};
  std::uint64_t of(EventKind kind) const noexcept { return by_kind[static_cast<std::size_t>(kind)]; }
  std::uint64_t final() const noexcept;  // Recipients settled.
};

std::string to_json(const Event& event);  // One line, without its end.
std::string to_json(const warming::Decision& decision);

// Threads: on_events() on the engine's event thread, the rest on any.
// Invariants: a batch is in the file whole, or refused and not in it: what a full disk took of it is cut off again;
// what a pipe took of it, whose reader took no more for a second, is not written twice. Standard error hears once what
// is wrong, and when it no longer is.
class EventLog final : public EventSink {
 public:
  ~EventLog() override;
  // `path` empty: no file. Errors: kIo.
  Result<void> open(const std::string& path, bool append = false);
  Result<void> on_events(std::span<const Event> events) override;
  Result<void> on_decisions(std::span<const warming::Decision> decisions) override;

  // What came back by mail is not among them: it is of no provider. "(none)": settled before a provider was known.
  std::map<std::string, KindCounts> by_provider() const;
  std::vector<std::string> take_decisions();              // In words, since the last call; the newest hundred.
  std::string last_trouble() const;                       // The newest deferral in words; empty: none.
  std::string file_trouble() const;                       // Why the last batch is not in the file; empty: it is.

 private:
  Result<void> write(std::string_view lines);
  int write_file(std::string_view lines);
  int write_pipe(std::string_view lines);

  mutable std::mutex mutex_;
  std::map<std::string, KindCounts> providers_;
  std::string last_trouble_;
  std::vector<std::string> decisions_;
  std::string path_;
  int file_ = -1;
  bool is_pipe_ = false;
  std::string piped_;  // Of a batch that was refused: what the pipe has.
  std::string file_trouble_;
};

}  // namespace mailsbuddy::cli
