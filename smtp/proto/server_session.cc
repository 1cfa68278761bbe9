#include "smtp/proto/server_session.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

using Kind = ServerEvent::Kind;

constexpr std::string_view kTooBig = "552 5.3.4 Message too big";
constexpr std::string_view kNotKnown = "500 5.5.1 Command not known";
constexpr std::string_view kNoParameter = "501 5.5.4 No argument allowed";
constexpr std::string_view kNeedsSmtputf8 = "553 5.6.7 Address needs SMTPUTF8";  // RFC 6531 3.5.

struct MailParameters {
  std::uint64_t size = 0;
  bool smtputf8 = false;
};

// The refusal; empty: all understood.
std::string_view parse_mail_parameters(std::string_view text, const ServerOptions& options,
                                       MailParameters& out) noexcept {
  while (!text.empty()) {
    const Parameter parameter = take_parameter(text);
    if (ascii::iequals(parameter.keyword, "SIZE")) {
      const std::optional<std::uint64_t> size = parse_size(parameter.value);
      if (!size) return "501 5.5.4 Bad SIZE";
      out.size = *size;
    } else if (ascii::iequals(parameter.keyword, "BODY")) {
      if (!ascii::iequals(parameter.value, "7BIT") && !ascii::iequals(parameter.value, "8BITMIME"))
        return "501 5.5.4 Bad BODY";
    } else if (ascii::iequals(parameter.keyword, "SMTPUTF8") && options.smtputf8 && parameter.value.empty()) {
      out.smtputf8 = true;
    } else {
      return "555 5.5.4 MAIL parameter not known";  // RFC 5321 4.1.1.11.
    }
  }
  return {};
}

}  // namespace

void ServerSession::greet() { output_.append("220 ").append(options_->host).append(" ESMTP\r\n"); }

void ServerSession::refuse(std::string_view reply) { close(reply); }

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
  if (!input_.empty()) input_ = kept_ = std::string(input_);  // It may be in kept_ already.
  return std::nullopt;
}

void ServerSession::answer(std::string_view reply) {
  assert(asked_ != Asked::kNothing && reply.size() >= 3);
  if (asked_ == Asked::kNothing) return;
  const Asked asked = std::exchange(asked_, Asked::kNothing);
  if (reply.starts_with("421")) return close(reply);
  const bool accepted = reply.front() == '2';
  say(reply);
  if (asked == Asked::kMail) {
    in_mail_ = accepted;
  } else if (asked == Asked::kRcpt) {
    if (accepted)
      ++recipients_;
    else
      rcpt_refused_ = true;
  } else {
    end_transaction();  // The caller knows.
  }
}

void ServerSession::tls_started() noexcept {
  tls_ = true;
  greeted_ = false;
  reading_ = Reading::kCommands;
}

ServerSession::Event ServerSession::step() {
  switch (reading_) {
    case Reading::kCommands:
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
  line_too_long_ = line_too_long_ || line_.size() + line.size() > kCommandLineMax;
  if (line_too_long_) {
    line_.clear();
    if (lf == std::string_view::npos) return {};
    line_too_long_ = false;
    return error("500 5.5.2 Line too long");
  }
  if (lf == std::string_view::npos || !line_.empty()) {
    line_.append(line);
    if (lf == std::string_view::npos) return {};
    current_.swap(line_);
    line_.clear();
    line = current_;
  }
  // RFC 5321 2.3.8: a line feed alone ends no line. Waiting for a CRLF instead would leave a person with netcat without
  // a word.
  if (!line.ends_with("\r\n")) return error("500 5.5.2 Lines end in CRLF");
  line.remove_suffix(2);
  const Command command = parse_command(line);
  if (!options_->pipelining && !input_.empty() && command.verb != Verb::kBdat) ++errors_;
  return run(command);
}

ServerSession::Event ServerSession::run(const Command& command) {
  switch (command.verb) {
    case Verb::kEhlo:
      return hello(command.argument, true);
    case Verb::kHelo:
      return hello(command.argument, false);
    case Verb::kMail:
      return mail(command.argument);
    case Verb::kRcpt:
      return rcpt(command.argument);
    case Verb::kData:
      return data(command.argument);
    case Verb::kBdat:
      return bdat(command.argument);
    case Verb::kRset:
      return rset(command.argument);
    case Verb::kNoop:
      return say("250 2.0.0 Ok");
    case Verb::kQuit:
      return quit(command.argument);
    case Verb::kStartTls:
      return start_tls(command.argument);
    case Verb::kVrfy:
      return say("252 2.0.0 Cannot verify, send and see");  // RFC 5321 3.5.3.
    case Verb::kExpn:
    case Verb::kHelp:
      return error("502 5.5.1 Command not implemented");
    case Verb::kUnknown:
      break;
  }
  return error(kNotKnown);
}

ServerSession::Event ServerSession::hello(std::string_view argument, bool extended) {
  if (argument.empty()) return error("501 5.5.4 Name missing");
  greeted_ = true;
  if (extended)
    announce();
  else
    output_.append("250 ").append(options_->host).append("\r\n");
  return end_transaction();  // RFC 5321 4.1.4: like RSET.
}

void ServerSession::announce() {
  const auto offer = [this](bool offered, std::string_view keyword) {
    if (offered) output_.append("250-").append(keyword).append("\r\n");
  };
  offer(true, options_->host);
  offer(options_->pipelining, "PIPELINING");
  if (options_->size_max == 0)
    offer(true, "SIZE");
  else
    output_.append("250-SIZE ").append(std::to_string(options_->size_max)).append("\r\n");
  offer(options_->start_tls && !tls_, "STARTTLS");
  offer(options_->chunking, "CHUNKING");
  offer(options_->smtputf8, "SMTPUTF8");
  offer(true, "8BITMIME");
  output_.append("250 ENHANCEDSTATUSCODES\r\n");
}

ServerSession::Event ServerSession::mail(std::string_view argument) {
  if (!greeted_) return error("503 5.5.1 Send EHLO first");
  if (in_mail_) return error("503 5.5.1 Nested MAIL");
  const std::optional<Path> path = take_path(argument, "FROM:", false);
  if (!path) return error("501 5.1.7 Bad sender address");
  MailParameters parameters;
  const std::string_view refusal = parse_mail_parameters(argument, *options_, parameters);
  if (!refusal.empty()) return error(refusal);
  if (!path->ascii && !parameters.smtputf8) return error(kNeedsSmtputf8);
  if (options_->size_max != 0 && parameters.size > options_->size_max) return say(kTooBig);
  smtputf8_ = parameters.smtputf8;
  return ask(Asked::kMail, path->mailbox);
}

ServerSession::Event ServerSession::rcpt(std::string_view argument) {
  if (!in_mail_ || chunked_) return error("503 5.5.1 Send MAIL first");
  if (recipients_ >= options_->recipients_max) return refuse_rcpt("452 4.5.3 Too many recipients");
  const std::optional<Path> path = take_path(argument, "TO:", true);
  std::string_view refusal;
  if (!path)
    refusal = "501 5.1.3 Bad recipient address";
  else if (!argument.empty())
    refusal = "555 5.5.4 RCPT parameter not known";
  else if (!path->ascii && !smtputf8_)
    refusal = kNeedsSmtputf8;
  if (refusal.empty()) return ask(Asked::kRcpt, path->mailbox);
  ++errors_;
  return refuse_rcpt(refusal);
}

ServerSession::Event ServerSession::refuse_rcpt(std::string_view reply) {
  rcpt_refused_ = true;
  return say(reply);
}

ServerSession::Event ServerSession::data(std::string_view argument) {
  if (!argument.empty()) return error(kNoParameter);
  // RFC 5321 3.3: 554 where every recipient was refused. A client that pipelines cannot know yet, so it is no error.
  if (in_mail_ && recipients_ == 0 && rcpt_refused_) return say("554 5.5.1 No valid recipients");
  if (recipients_ == 0 || chunked_) return error("503 5.5.1 Send RCPT first");
  if (!input_.empty()) ++errors_;  // RFC 2920 3.1: DATA is the last of its group. What follows is content all the same.
  dots_.restart();
  reading_ = Reading::kData;
  return say("354 End data with <CR><LF>.<CR><LF>");
}

ServerSession::Event ServerSession::read_data() {
  const std::string_view piece = dots_.read(input_);
  if (!dots_.done()) return content(piece);
  reading_ = Reading::kCommands;
  return end_of_message();
}

// RFC 3030 2: the chunk follows the command at once, so it is read and thrown away where it cannot be taken.
ServerSession::Event ServerSession::bdat(std::string_view argument) {
  if (!options_->chunking) return error(kNotKnown);
  const std::string_view digits = argument.substr(0, argument.find(' '));
  const std::optional<std::uint64_t> size = parse_size(digits);
  argument.remove_prefix(digits.size());
  argument.remove_prefix(std::min(argument.find_first_not_of(' '), argument.size()));
  chunk_last_ = ascii::iequals(argument, "LAST");
  if (!size || (!argument.empty() && !chunk_last_)) {
    ++errors_;
    close("501 5.5.4 Bad BDAT");  // Where the chunk ends and commands begin is not known.
    return {};
  }
  chunk_left_ = *size;
  chunk_void_ = recipients_ == 0;
  chunked_ = !chunk_void_;
  reading_ = Reading::kChunk;
  return {};
}

ServerSession::Event ServerSession::read_chunk() {
  const std::string_view piece = input_.substr(0, chunk_left_);
  input_.remove_prefix(piece.size());
  chunk_left_ -= piece.size();
  return chunk_void_ ? Event{} : content(piece);
}

ServerSession::Event ServerSession::end_of_chunk() {
  reading_ = Reading::kCommands;
  if (chunk_void_) return say("503 5.5.1 No valid recipients");  // Also of chunks pipelined behind a refused one.
  if (chunk_last_) return end_of_message();
  if (!oversized()) return say("250 2.0.0 Chunk taken");
  say(kTooBig);
  return end_transaction();
}

ServerSession::Event ServerSession::end_of_message() {
  if (!oversized()) return ask(Asked::kMessage, {});
  say(kTooBig);
  return end_transaction();
}

ServerSession::Event ServerSession::content(std::string_view piece) {
  message_bytes_ += piece.size();
  if (piece.empty() || oversized()) return {};
  return ServerEvent{Kind::kContent, piece};
}

ServerSession::Event ServerSession::rset(std::string_view argument) {
  if (!argument.empty()) return error(kNoParameter);
  say("250 2.0.0 Ok");
  return end_transaction();
}

ServerSession::Event ServerSession::quit(std::string_view argument) {
  if (!argument.empty()) return error(kNoParameter);
  close("221 2.0.0 Bye");
  return {};
}

ServerSession::Event ServerSession::start_tls(std::string_view argument) {
  if (!options_->start_tls) return error("502 5.5.1 STARTTLS not offered");
  if (tls_) return error("503 5.5.1 TLS is on");
  if (!argument.empty()) return error(kNoParameter);
  // RFC 3207 6: what came in clear behind STARTTLS could be anybody's and must not be read as said under TLS.
  if (!input_.empty()) ++errors_;
  input_ = {};
  say("220 2.0.0 Ready to start TLS");
  end_transaction();
  reading_ = Reading::kNothing;
  return ServerEvent{Kind::kStartTls};
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
    case Asked::kNothing:
      break;
  }
  return {};
}

ServerSession::Event ServerSession::end_transaction() {
  message_bytes_ = 0;
  recipients_ = 0;
  smtputf8_ = rcpt_refused_ = chunked_ = false;
  return std::exchange(in_mail_, false) ? Event{ServerEvent{Kind::kReset}} : Event{};
}

ServerSession::Event ServerSession::say(std::string_view reply) {
  output_.append(reply).append("\r\n");
  return {};
}

ServerSession::Event ServerSession::error(std::string_view reply) {
  if (++errors_ < kErrorsMax) return say(reply);
  close("421 4.7.0 Too many errors");
  return {};
}

void ServerSession::close(std::string_view reply) {
  if (closed_) return;
  closed_ = closing_ = true;
  input_ = {};
  asked_ = Asked::kNothing;
  reading_ = Reading::kNothing;
  say(reply);
}

}  // namespace mailsbuddy::smtp
