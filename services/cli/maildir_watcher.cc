// A maildir (https://cr.yp.to/proto/maildir.html): a program that delivers writes a file into tmp/ and moves it to
// new/; a reader moves it on to cur/ and adds ":2," and flags to its name, S for seen.
#include "services/cli/maildir_watcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace mailsbuddy::cli {
namespace {

std::string words_of(int code) { return std::generic_category().message(code); }

// Up to `max` octets.
Result<std::string> read_regular(const std::string& path, std::size_t max) {
  // Neither a link to elsewhere nor a pipe that never ends.
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return Error{ErrorCode::kIo, words_of(errno)};
  std::string bytes;
  struct stat status {};
  int code = ::fstat(file, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EISDIR;
  char block[64u << 10];
  while (code == 0 && bytes.size() < max) {
    const ssize_t got = ::read(file, block, std::min(sizeof block, max - bytes.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) code = errno;
    if (got <= 0) break;
    bytes.append(block, static_cast<std::size_t>(got));
  }
  ::close(file);
  if (code != 0) return Error{ErrorCode::kIo, code == EISDIR ? "not a file" : words_of(code)};
  return bytes;
}

}  // namespace

Result<MaildirWatcher> MaildirWatcher::open(std::string path, Handle handle, Say say) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return Error{ErrorCode::kIo, fmt::format("{}: {}", path, error ? error.message() : "not a folder")};
  }
  if (::mkdir((path + "/cur").c_str(), 0777) != 0 && errno != EEXIST) {
    return Error{ErrorCode::kIo, fmt::format("{}/cur: {}", path, words_of(errno))};
  }
  return MaildirWatcher(std::move(path), std::move(handle), std::move(say));
}

MaildirWatcher::MaildirWatcher(std::string path, Handle handle, Say say)
    : path_(std::move(path)), handle_(std::move(handle)), say_(std::move(say)) {}

std::size_t MaildirWatcher::scan() {
  std::map<std::string, Sight> now;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_ + "/new", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    struct stat status {};
    if (name.starts_with('.') || ::lstat(entry->path().c_str(), &status) != 0) continue;
    now[name] = {static_cast<std::uint64_t>(status.st_size),
                 std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
    if (now.size() == kFilesMax) break;
  }
  std::erase_if(stuck_, [&now](const std::string& name) { return !now.contains(name); });
  std::size_t handled = 0;
  for (const auto& [name, sight] : now) {
    const auto before = seen_.find(name);
    if (before == seen_.end() || before->second != sight || stuck_.contains(name)) continue;
    const Taken taken = take(name);
    handled += taken == Taken::kMoved ? 1 : 0;
    if (taken == Taken::kStuck) stuck_.insert(name);
  }
  seen_ = std::move(now);
  return handled;
}

MaildirWatcher::Taken MaildirWatcher::take(const std::string& name) {
  const auto message = read_regular(fmt::format("{}/new/{}", path_, name), kMessageBytesMax);
  if (!message) return set_aside(name, message.error().detail);
  const Handled handled = handle_(*message);
  if (handled == Handled::kLater) return Taken::kLater;
  const std::string to = name.substr(0, name.find(":2,")) + (handled == Handled::kSeen ? ":2,S" : ":2,");
  return move(name, "cur", to) ? Taken::kMoved : Taken::kStuck;
}

// Never over another file: names in a maildir are unique, but whoever copies folders about may have made two.
bool MaildirWatcher::move(const std::string& name, const std::string& folder, const std::string& to) {
  const std::string from = fmt::format("{}/new/{}", path_, name);
  for (int copy = 0; copy < 100; ++copy) {
    const std::string target = fmt::format("{}/{}/{}{}", path_, folder, copy == 0 ? "" : fmt::format("{}.", copy), to);
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno != EEXIST) break;
  }
  say_(fmt::format("{}: cannot be moved to {}: {}", from, folder, words_of(errno)));
  return false;
}

MaildirWatcher::Taken MaildirWatcher::set_aside(const std::string& name, const std::string& why) {
  say_(fmt::format("{}/new/{}: {}; it is set aside in bad/", path_, name, why));
  if (::mkdir((path_ + "/bad").c_str(), 0777) != 0 && errno != EEXIST) return Taken::kStuck;
  move(name, "bad", name);
  return Taken::kStuck;  // Or gone.
}

}  // namespace mailsbuddy::cli
