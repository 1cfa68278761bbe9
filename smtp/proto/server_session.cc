#include "smtp/proto/server_session.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/proto/server_replies.h"

namespace mailsbuddy::smtp {

using Kind = ServerEvent::Kind;

namespace {
// The replies to one read of short commands are hundreds of kilobytes: not to be kept for the connection's life.
constexpr std::size_t kOutputKept = 16 << 10;
}  // namespace

void ServerSession::greet() { output_.append("220 ").append(options_->host).append(" ESMTP\r\n"); }

void ServerSession::refuse(std::string_view reply) { close(reply); }

// ---------------------------------------------------------------------------------------------------------------------
// In and out

void ServerSession::feed(std::string_view bytes) {
  if (input_.empty()) {
    input_ = bytes;
    return;
  }
  kept_ = std::string(input_).append(bytes);
  input_ = kept_;
}

std::optional<ServerEvent> ServerSession::poll() {
  while (asked_ == Asked::kNothing) {
    if (std::exchange(closing_, false)) return ServerEvent{Kind::kClose};
    const bool chunk_done = reading_ == Reading::kChunk && chunk_left_ == 0;  // Perhaps with nothing behind it.
    if (!chunk_done && input_.empty()) return std::nullopt;
    if (const Event event = chunk_done ? end_of_chunk() : step()) return event;
  }
  if (!input_.empty() && !in_kept(input_)) {
    kept_ = input_;
    input_ = kept_;
  }
  return std::nullopt;
}

bool ServerSession::in_kept(std::string_view view) const noexcept {
  const std::less_equal<> before;  // Of pointers that need not be into one object.
  return before(kept_.data(), view.data()) && before(view.data() + view.size(), kept_.data() + kept_.size());
}

void ServerSession::answer(std::string_view reply) {
  assert(asked_ != Asked::kNothing && reply.size() >= 3);
  if (asked_ == Asked::kNothing) return;
  const Asked asked = std::exchange(asked_, Asked::kNothing);
  if (asked == Asked::kAuth) auth_.wipe();
  if (reply.starts_with("421")) return close(reply);
  const bool accepted = reply.front() == '2';
  const bool counts = options_->refusals_are_errors && (asked == Asked::kMail || asked == Asked::kRcpt);
  if (accepted || !counts)
    say(reply);
  else
    error(reply);
  if (closed_) return;
  switch (asked) {
    case Asked::kMail:
      in_mail_ = accepted;
      return;
    case Asked::kRcpt:
      recipients_ += accepted ? 1 : 0;
      rcpt_refused_ = rcpt_refused_ || !accepted;
      return;
    case Asked::kAuth:
      authenticated_ = accepted;
      return;
    case Asked::kXclient:
      // Once: whoever speaks next through the proxy may be the client itself.
      xclient_trusted_ = xclient_trusted_ && !accepted;
      if (accepted) forget_peer();
      return;
    case Asked::kMessage:
    case Asked::kNothing:
      end_transaction();  // The caller knows.
      return;
  }
}

ServerSession::Event ServerSession::step() {
  switch (reading_) {
    case Reading::kCommands:
    case Reading::kResponse:
      return read_line();
    case Reading::kData:
      return read_data();
    case Reading::kChunk:
      return read_chunk();
    case Reading::kNothing:
      break;
  }
  input_ = {};
  return {};
}

// A whole line is used where it stands; only one that came in pieces is copied together.
ServerSession::Event ServerSession::read_line() {
  const std::size_t lf = input_.find('\n');
  std::string_view line = input_.substr(0, lf == std::string_view::npos ? lf : lf + 1);
  input_.remove_prefix(line.size());
  heard(line);
  line_too_long_ = line_too_long_ || line_.size() + line.size() > options_->command_line_max;
  if (line_too_long_) {
    wipe(line_);
    if (lf == std::string_view::npos) return {};
    line_too_long_ = false;
    if (reading_ == Reading::kResponse) auth_.wipe();
    reading_ = Reading::kCommands;  // RFC 4954 4: an exchange whose response is too long has failed.
    return error("500 5.5.2 Line too long");
  }
  if (lf == std::string_view::npos || !line_.empty()) {
    line_.append(line);
    if (lf == std::string_view::npos) return {};
    current_.swap(line_);
    line_.clear();
    line = current_;
  }
  return run_line(line);
}

ServerSession::Event ServerSession::run_line(std::string_view line) {
  const bool response = std::exchange(reading_, Reading::kCommands) == Reading::kResponse;
  // RFC 5321 2.3.8: a line feed alone ends no line. Waiting for a CRLF instead would leave a person with netcat without
  // a word.
  if (!line.ends_with("\r\n")) {
    auth_.wipe();
    return error("500 5.5.2 Lines end in CRLF");
  }
  line.remove_suffix(2);
  if (response) return auth_response(line);
  // Of what is not printable nothing can come: it would end in a header, a log, or another server's command line.
  if (std::any_of(line.begin(), line.end(), ascii::is_control)) return error("501 5.5.2 Control character");
  const Command command = parse_command(line);
  if (!options_->pipelining && !input_.empty() && command.verb != Verb::kBdat) ++errors_;
  if (command.verb == Verb::kUnknown) return foreign(line);
  return run(command);
}

// A browser that was led here speaks HTTP, with lines of the page's choice in it: nothing behind them may be a command.
ServerSession::Event ServerSession::foreign(std::string_view line) {
  constexpr std::array<std::string_view, 7> kForeign = {"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "HOST:"};
  const std::string_view verb = line.substr(0, line.find(' '));
  const auto* const found =
      std::find_if(kForeign.begin(), kForeign.end(), [&](std::string_view each) { return ascii::iequals(each, verb); });
  if (found == kForeign.end()) return error(kNotKnown);
  ++errors_;
  close("421 4.7.0 This is SMTP");
  return {};
}

void ServerSession::consume(std::size_t count) {
  output_.erase(0, count);
  if (output_.empty() && output_.capacity() > kOutputKept) std::string().swap(output_);
}

// ---------------------------------------------------------------------------------------------------------------------
// Commands

ServerSession::Event ServerSession::run(const Command& command) {
  if (const std::string_view refusal = must_come_first(command.verb); !refusal.empty() && command.verb != Verb::kBdat)
    return error(refusal);
  switch (command.verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
    case Verb::kStartTls:
    case Verb::kAuth:
    case Verb::kXclient:
      return access(command);
    case Verb::kMail:
    case Verb::kRcpt:
    case Verb::kData:
    case Verb::kBdat:
    case Verb::kRset:
      return transaction(command);
    case Verb::kNoop:
      return say("250 2.0.0 Ok");
    case Verb::kQuit:
      return quit(command.argument);
    case Verb::kVrfy:
      return say("252 2.0.0 Cannot verify, send and see");  // RFC 5321 3.5.3.
    case Verb::kHelp:
      return say("214 2.0.0 See RFC 5321");
    case Verb::kExpn:
      return error("502 5.5.1 Command not implemented");
    case Verb::kUnknown:
      break;
  }
  return error(kNotKnown);
}

ServerSession::Event ServerSession::quit(std::string_view argument) {
  if (!argument.empty()) return error(kNoParameter);
  close("221 2.0.0 Bye");
  return {};
}

ServerSession::Event ServerSession::ask(Asked what, std::string_view text) {
  asked_ = what;
  switch (what) {
    case Asked::kMail:
      return ServerEvent{Kind::kMail, text};
    case Asked::kRcpt:
      return ServerEvent{Kind::kRcpt, text};
    case Asked::kMessage:
      return ServerEvent{Kind::kMessage};
    case Asked::kAuth:
      return ServerEvent{Kind::kAuth};
    case Asked::kXclient:
      return ServerEvent{Kind::kXclient};
    case Asked::kNothing:
      break;
  }
  return {};
}

ServerSession::Event ServerSession::say(std::string_view reply) {
  output_.append(reply).append("\r\n");
  return {};
}

ServerSession::Event ServerSession::error(std::string_view reply) {
  if (++errors_ < options_->errors_max) return say(reply);
  close("421 4.7.0 Too many errors");
  return {};
}

void ServerSession::close(std::string_view reply) {
  if (closed_) return;
  closed_ = closing_ = true;
  input_ = {};
  asked_ = Asked::kNothing;
  reading_ = Reading::kNothing;
  auth_.wipe();
  say(reply);
}

}  // namespace mailsbuddy::smtp
