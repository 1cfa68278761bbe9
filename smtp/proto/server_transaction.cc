// The commands of a mail transaction: MAIL, RCPT, DATA, BDAT, RSET, and the message itself.
#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/proto/server_replies.h"
#include "smtp/proto/server_session.h"

namespace mailsbuddy::smtp {
namespace {

using Kind = ServerEvent::Kind;

constexpr std::string_view kNeedsSmtputf8 = "553 5.6.7 Address needs SMTPUTF8";  // RFC 6531 3.5.
constexpr std::string_view kBareLineEnd = "550 5.6.11 CR or LF alone in the message";

}  // namespace

ServerSession::Event ServerSession::transaction(const Command& command) {
  switch (command.verb) {
    case Verb::kMail:
      return mail(command.argument);
    case Verb::kRcpt:
      return rcpt(command.argument);
    case Verb::kData:
      return data(command.argument);
    case Verb::kBdat:
      return bdat(command.argument);
    default:
      return rset(command.argument);
  }
}

ServerSession::Event ServerSession::mail(std::string_view argument) {
  if (!greeted_) return error("503 5.5.1 Send EHLO first");
  if (in_mail_) return error("503 5.5.1 Nested MAIL");
  const std::optional<Path> path = take_path(argument, "FROM:", false);
  if (!path) return error("501 5.1.7 Bad sender address");
  const std::string_view refusal = parse_mail_parameters(argument, *options_, mail_parameters_);
  if (!refusal.empty()) return error(refusal);
  if (!path->ascii && !mail_parameters_.smtputf8) return error(kNeedsSmtputf8);
  if (options_->size_max != 0 && mail_parameters_.size > options_->size_max) return say(kTooBig);
  line_ends_.restart();
  return ask(Asked::kMail, path->mailbox);
}

ServerSession::Event ServerSession::rcpt(std::string_view argument) {
  if (!in_mail_ || chunked_) return error("503 5.5.1 Send MAIL first");
  if (recipients_ >= options_->recipients_max) return refuse_rcpt("452 4.5.3 Too many recipients");
  const std::optional<Path> path = take_path(argument, "TO:", true);
  std::string_view refusal;
  if (!path)
    refusal = "501 5.1.3 Bad recipient address";
  else if (!path->ascii && !mail_parameters_.smtputf8)
    refusal = kNeedsSmtputf8;
  else
    refusal = parse_rcpt_parameters(argument, *options_, mail_parameters_.smtputf8, rcpt_parameters_);
  if (refusal.empty()) return ask(Asked::kRcpt, path->mailbox);
  rcpt_refused_ = true;
  return error(refusal);
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
  const std::string_view raw = input_;
  const std::string_view piece = dots_.read(input_);
  heard(raw.substr(0, raw.size() - input_.size()));
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
  heard(piece);
  chunk_left_ -= piece.size();
  return chunk_void_ ? Event{} : content(piece);
}

ServerSession::Event ServerSession::end_of_chunk() {
  reading_ = Reading::kCommands;
  if (chunk_void_) {  // Also of chunks pipelined behind a refused one.
    const std::string_view refusal = must_come_first(Verb::kBdat);
    if (!refusal.empty()) return error(refusal);
    return say("503 5.5.1 No valid recipients");
  }
  if (chunk_last_) return end_of_message();
  if (!oversized()) return say("250 2.0.0 Chunk taken");
  say(kTooBig);
  return end_transaction();
}

ServerSession::Event ServerSession::end_of_message() {
  if (!oversized() && (options_->bare_line_ends || !line_ends_.bare())) return ask(Asked::kMessage, {});
  if (!oversized()) ++errors_;
  say(oversized() ? kTooBig : kBareLineEnd);
  return end_transaction();
}

ServerSession::Event ServerSession::content(std::string_view piece) {
  message_bytes_ += piece.size();
  if (piece.empty() || oversized()) return {};
  if (!options_->bare_line_ends) {
    line_ends_.read(piece);
    if (line_ends_.bare_before_end()) return {};  // It will be refused: nobody needs it.
  }
  return ServerEvent{Kind::kContent, piece};
}

ServerSession::Event ServerSession::rset(std::string_view argument) {
  if (!argument.empty()) return error(kNoParameter);
  say("250 2.0.0 Ok");
  return end_transaction();
}

ServerSession::Event ServerSession::end_transaction() {
  message_bytes_ = 0;
  recipients_ = 0;
  rcpt_refused_ = chunked_ = false;
  return std::exchange(in_mail_, false) ? Event{ServerEvent{Kind::kReset}} : Event{};
}

}  // namespace mailsbuddy::smtp
