#include "smtp/sink_maildir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace mailsbuddy::smtp {
namespace {

Error io_error(std::string_view doing, std::string_view path, int code) {
  return {ErrorCode::kIo, fmt::format("{} {}: {}", doing, path, std::generic_category().message(code))};
}

// 0, or errno.
int write_all(int file, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

std::string trace_fields(std::string_view mail_from, std::string_view recipients) {
  std::string fields = fmt::format("Return-Path: <{}>\r\n", mail_from);
  while (!recipients.empty()) {
    const std::size_t end = recipients.find('\n');
    fmt::format_to(std::back_inserter(fields), "Delivered-To: {}\r\n", recipients.substr(0, end));
    recipients.remove_prefix(end + 1);
  }
  return fields;
}

}  // namespace

Result<void> SinkMaildir::create() {
  for (const std::string_view part : {"", "/tmp", "/new", "/cur"}) {
    const std::string directory = fmt::format("{}{}", path_, part);
    if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST)
      return io_error("cannot make the maildir directory", directory, errno);
  }
  if (::access(fmt::format("{}/tmp", path_).c_str(), W_OK | X_OK) != 0)
    return io_error("cannot write to the maildir", path_, errno);
  return {};
}

Result<void> SinkMaildir::write(std::string_view mail_from, std::string_view recipients, std::string_view message,
                                TimePoint now) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(now).time_since_epoch().count();
  const std::string name =
      fmt::format("{}.M{:06}P{}Q{}.sink", micros / 1'000'000, micros % 1'000'000, ::getpid(), sequence_.fetch_add(1));
  const std::string tmp = fmt::format("{}/tmp/{}", path_, name);
  const int file = ::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return io_error("cannot make", tmp, errno);
  int code = write_all(file, trace_fields(mail_from, recipients));
  if (code == 0) code = write_all(file, message);
  if (::close(file) != 0 && code == 0) code = errno;
  if (code == 0 && std::rename(tmp.c_str(), fmt::format("{}/new/{}", path_, name).c_str()) != 0) code = errno;
  if (code == 0) return {};
  ::unlink(tmp.c_str());
  return io_error("cannot write", tmp, code);
}

}  // namespace mailsbuddy::smtp
