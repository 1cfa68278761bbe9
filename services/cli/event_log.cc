#include "services/cli/event_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "services/cli/say.h"
#include "services/cli/signals.h"

namespace mailsbuddy::cli {
namespace {

std::string iso_time(TimePoint time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(milliseconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds.time_since_epoch().count()),
                     (milliseconds - seconds).count());
}

constexpr std::size_t kDecisionsShown = 100;
constexpr int kUnreadMs = 1000;  // So long a pipe may be full.

// What came from elsewhere may hold anything; what is no UTF-8 becomes U+FFFD.
std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// A process that was killed may have left a line that is cut off. Its event was not acknowledged, and comes again.
void drop_cut_line(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return;
  constexpr std::uintmax_t kStep = 64u << 10;
  std::ifstream in(path, std::ios::binary);
  const std::uintmax_t size = std::filesystem::file_size(path, none);
  for (std::uintmax_t end = size; in && end > 0;) {
    std::string part(std::min(end, kStep), '\0');
    end -= part.size();
    in.seekg(static_cast<std::streamoff>(end)).read(part.data(), static_cast<std::streamsize>(part.size()));
    const std::size_t newline = part.rfind('\n');
    if (newline == std::string::npos && end > 0) continue;
    const std::uintmax_t kept = newline == std::string::npos ? 0 : end + newline + 1;
    if (in && kept < size) std::filesystem::resize_file(path, kept, none);
    return;
  }
}

// Lines that a pipe takes whole or not at all; one that is longer may be cut.
std::size_t whole_lines(std::string_view lines) noexcept {
  if (lines.size() <= PIPE_BUF) return lines.size();
  const std::size_t last = lines.rfind('\n', PIPE_BUF - 1);
  return (last != std::string_view::npos ? last : lines.find('\n')) + 1;
}

}  // namespace

std::string to_json(const warming::Decision& decision) {
  return dump({{"time", iso_time(decision.time)},
               {"kind", "decision"},
               {"decision", to_string(decision.kind)},
               {"provider", decision.provider},
               {"subject", decision.ip},
               {"rule", decision.rule},
               {"seen", decision.seen},
               {"what", decision.what},
               {"old", decision.old_value},
               {"new", decision.new_value}});
}

std::string to_json(const Event& event) {
  nlohmann::ordered_json json{{"time", iso_time(event.time)},
                              {"kind", to_string(event.kind)},
                              {"campaign", event.campaign},
                              {"job", event.job},
                              {"recipient", event.recipient},
                              {"row", event.row},
                              {"attempt", event.attempt},
                              {"stage", to_string(event.outcome.stage)},
                              {"cause", to_string(event.outcome.cause)}};
  const Reply& reply = event.outcome.reply;  // A report's may have any of the three.
  if (reply.code != 0) json["code"] = reply.code;
  if (reply.enhanced) json["enhanced"] = reply.enhanced->str();
  if (reply.code != 0 || !reply.text.empty()) json["text"] = reply.text;
  if (!event.outcome.detail.empty()) json["detail"] = event.outcome.detail;
  json["class"] = bounce::to_string(event.verdict.klass);
  json["permanence"] = bounce::to_string(event.verdict.permanence);
  json["scope"] = bounce::to_string(event.verdict.scope);
  json["reaction"] = bounce::to_string(event.verdict.reaction);
  json["rule"] = event.rule;
  if (!event.provider.empty()) json["provider"] = event.provider;
  if (!event.egress.empty()) json["egress"] = event.egress;
  if (!event.mx_host.empty()) {
    json["mx"] = event.mx_host;
    json["tls"] = event.tls;
    if (event.tls_verified != net::TlsVerify::kNone)
      json["tls_verified"] = event.tls_verified == net::TlsVerify::kDane ? "dane" : "webpki";
  }
  if (event.kind == EventKind::kDeferred) json["due"] = iso_time(event.due);
  return dump(json);
}

std::uint64_t KindCounts::final() const noexcept {
  std::uint64_t recipients = 0;
  for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
    if (is_final(static_cast<EventKind>(kind))) recipients += by_kind[kind];
  }
  return recipients;
}

EventLog::~EventLog() {
  if (file_ >= 0) ::close(file_);
}

Result<void> EventLog::open(const std::string& path, bool append) {
  if (path.empty()) return {};
  if (append) drop_cut_line(path);
  path_ = path;
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC), 0666);
  if (file_ < 0) return Error{ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno))};
  struct stat what {};
  is_pipe_ = ::fstat(file_, &what) == 0 && S_ISFIFO(what.st_mode);
  if (is_pipe_) ::fcntl(file_, F_SETFL, O_APPEND | O_NONBLOCK);  // After open(), which waits for its reader.
  return {};
}

// Errors: of errno, 0: none.
int EventLog::write_file(std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t written = ::write(file_, lines.data(), lines.size());
    if (written >= 0)
      lines.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

// As above. What the pipe has cannot be taken back: it is left out when the batch comes again.
int EventLog::write_pipe(std::string_view lines) {
  if (!lines.starts_with(piped_)) piped_.clear();  // Another batch, for one in it was erased meanwhile.
  for (std::string_view rest = lines.substr(piped_.size()); !rest.empty();) {
    const ssize_t written = ::write(file_, rest.data(), whole_lines(rest));
    if (written >= 0) {
      piped_.append(rest.substr(0, static_cast<std::size_t>(written)));
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd reader{file_, POLLOUT, 0};
      if (::poll(&reader, 1, kUnreadMs) == 0) return EAGAIN;
    } else if (errno != EINTR) {
      const int error = errno;
      int left = 0;  // The next reader has what the last one left; if that is nothing, it begins with a whole line.
      if (error == EPIPE && ::ioctl(file_, FIONREAD, &left) == 0 && left == 0) piped_.clear();
      return error;
    }
  }
  piped_.clear();
  return 0;
}

Result<void> EventLog::write(std::string_view lines) {
  if (file_ < 0) return {};
  block_sigpipe();                                                   // On this thread, which is the engine's.
  const off_t before = is_pipe_ ? -1 : ::lseek(file_, 0, SEEK_END);  // -1: it cannot be cut.
  const int error = is_pipe_ ? write_pipe(lines) : write_file(lines);
  const std::lock_guard lock(mutex_);
  if (error == 0) {
    if (!file_trouble_.empty()) say("events are written to {} again, none was lost\n", path_);
    file_trouble_.clear();
    return {};
  }
  if (before >= 0) static_cast<void>(::ftruncate(file_, before) == 0);
  const std::string trouble = fmt::format("{}: {}", path_, error == EAGAIN ? "nobody reads it" : std::strerror(error));
  if (file_trouble_.empty()) say("events wait until they can be written: {}\n", trouble);
  file_trouble_ = trouble;
  return Error{ErrorCode::kIo, trouble};
}

// Written without the lock: a pipe's reader may take its time, and who shows the progress does not wait for it.
Result<void> EventLog::on_events(std::span<const Event> events) {
  std::string lines;
  if (file_ >= 0) {
    for (const Event& event : events) (lines += to_json(event)) += '\n';
  }
  if (auto written = write(lines); !written) return written;
  const std::lock_guard lock(mutex_);
  for (const Event& event : events) {
    if (event.kind <= EventKind::kHeld) {
      KindCounts& counts = providers_[event.provider.empty() ? "(none)" : event.provider];
      ++counts.by_kind[static_cast<std::size_t>(event.kind)];
    }
    if (event.kind == EventKind::kDeferred) last_trouble_ = event.recipient + ": " + event.outcome.str();
  }
  return {};
}

Result<void> EventLog::on_decisions(std::span<const warming::Decision> decisions) {
  std::string lines;
  if (file_ >= 0) {
    for (const warming::Decision& each : decisions) (lines += to_json(each)) += '\n';
  }
  if (auto written = write(lines); !written) return written;
  const std::lock_guard lock(mutex_);
  for (const warming::Decision& each : decisions) decisions_.push_back(each.str());
  if (decisions_.size() > kDecisionsShown) decisions_.erase(decisions_.begin(), decisions_.end() - kDecisionsShown);
  return {};
}

std::vector<std::string> EventLog::take_decisions() {
  const std::lock_guard lock(mutex_);
  return std::exchange(decisions_, {});
}

std::map<std::string, KindCounts> EventLog::by_provider() const {
  const std::lock_guard lock(mutex_);
  return providers_;
}

std::string EventLog::file_trouble() const {
  const std::lock_guard lock(mutex_);
  return file_trouble_;
}

std::string EventLog::last_trouble() const {
  const std::lock_guard lock(mutex_);
  return last_trouble_;
}

}  // namespace mailsbuddy::cli
