#include "services/cli/inbound_maildir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace mailsbuddy::cli {
namespace {

Error io_error(std::string_view what, const std::string& path) {
  return {ErrorCode::kIo, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

class File {
 public:
  File(const std::string& path, int flags) : file_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool is_open() const noexcept { return file_ >= 0; }
  bool write(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) return false;
      bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return true;
  }
  bool sync() noexcept { return ::fsync(file_) == 0; }

 private:
  int file_;
};

std::string trace_of(const smtp::Submission& submission) {
  const auto& envelope = submission.envelope;
  std::string trace = fmt::format("Return-Path: <{}>\r\n", envelope.sender ? envelope.sender->str() : "");
  for (const auto& recipient : envelope.recipients)
    trace += fmt::format("Delivered-To: {}\r\n", recipient.address.str());
  return trace;
}

}  // namespace

Result<void> InboundMaildir::create() {
  for (const char* part : {"tmp", "new", "cur"}) {
    std::error_code error;
    std::filesystem::create_directories(path_ + "/" + part, error);
    if (error) return Error{ErrorCode::kIo, fmt::format("cannot make {}/{}: {}", path_, part, error.message())};
  }
  return {};
}

Result<void> InboundMaildir::write(const smtp::Submission& submission) {
  const std::string name = submission.id.str() + ".mailsbuddy";
  const std::string unfinished = path_ + "/tmp/" + name;
  const std::string finished = path_ + "/new/" + name;
  {
    File file(unfinished, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.is_open()) return io_error("cannot make", unfinished);
    if (!file.write(trace_of(submission)) || !file.write(submission.data) || !file.sync()) {
      const Error error = io_error("cannot write", unfinished);
      ::unlink(unfinished.c_str());
      return error;
    }
  }
  if (::rename(unfinished.c_str(), finished.c_str()) != 0) {
    const Error error = io_error("cannot make", finished);
    ::unlink(unfinished.c_str());
    return error;
  }
  File directory(path_ + "/new", O_RDONLY | O_DIRECTORY);  // The name is durable when its directory is.
  if (!directory.is_open() || !directory.sync()) return io_error("cannot sync", path_ + "/new");
  return {};
}

}  // namespace mailsbuddy::cli
