// maildir_watcher.h - takes messages out of a maildir's new/ folder, each once handled, and loses none.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy::cli {

enum class Handled : std::uint8_t {
  kSeen,    // It is dealt with: moved to cur/ as seen.
  kUnseen,  // Not a program's matter: moved to cur/ as unseen.
  kLater,   // It could not be dealt with: stays in new/.
};

// Threads: one at a time. Invariants: a file is moved after `handle` has returned, and nothing is deleted; after a
// crash between the two the message comes once more, so `handle` must bear that. A file is taken when two scans see it
// alike: programs that write into new/ instead of moving there are waited for. What cannot be read is moved to bad/.
class MaildirWatcher {
 public:
  // `message`: at most kMessageBytesMax octets of it.
  using Handle = std::function<Handled(std::string_view message)>;
  using Say = std::function<void(const std::string&)>;  // A word about a bad file.

  // What is read of one message: as much as decides what a report says (bounce::kReportBytesMax).
  static constexpr std::size_t kMessageBytesMax = 2u << 20;
  // Files looked at in one scan; the others wait for the next.
  static constexpr std::size_t kFilesMax = 10'000;

  // Errors: kIo: `path` is no folder, or its cur/ cannot be made. new/ may come later.
  static Result<MaildirWatcher> open(std::string path, Handle handle, Say say);

  std::size_t scan();  // How many messages were handled and moved.

 private:
  struct Sight {  // A file as it was seen.
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;
    auto operator<=>(const Sight&) const = default;
  };

  MaildirWatcher(std::string path, Handle handle, Say say);
  enum class Taken : std::uint8_t { kMoved, kLater, kStuck };
  Taken take(const std::string& name);
  bool move(const std::string& name, const std::string& folder, const std::string& to);
  Taken set_aside(const std::string& name, const std::string& why);

  std::string path_;
  Handle handle_;
  Say say_;
  std::map<std::string, Sight> seen_;  // What stayed in new/, in the order of names, which is that of arrival.
  std::set<std::string> stuck_;        // Files that could not be moved: not looked at again.
};

}  // namespace mailsbuddy::cli
