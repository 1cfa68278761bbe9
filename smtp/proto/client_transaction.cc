// One transaction: MAIL FROM, RCPT TO, DATA, the message, its reply. RFC 5321 3.3; grouped as RFC 2920 3.1 has it.
#include <fmt/format.h>

#include <algorithm>

#include "smtp/proto/client_session.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::string_view kEndOfData = ".\r\n";

bool has_non_ascii(std::string_view text) noexcept {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) return true;
  }
  return false;
}

// Of what is not in a quoted string.
constexpr bool is_path_fault(char c) noexcept { return c == ' ' || c == '<' || c == '>' || c == '"'; }

// Why `address` must not stand between "<" and ">" on the wire; empty: it may. Whatever the caller checked before, no
// address can end the path, add a parameter or begin another command. Path grammar: RFC 5321 4.1.2; a quoted local part
// may hold anything printable.
std::string_view address_fault(std::string_view address) noexcept {
  if (address.size() > kAddressMax) return "address too long";
  for (const char c : address) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) return "control character in the address";
  }
  std::size_t at = 0;
  if (address.starts_with('"')) {
    for (at = 1; at < address.size() && address[at] != '"'; ++at) {
      if (address[at] == '\\') ++at;
    }
    if (at + 1 >= address.size() || address[at + 1] != '@') return "quoted string without its end in the address";
    ++at;
  }
  const std::string_view rest = address.substr(at);
  return std::ranges::none_of(rest, is_path_fault) ? "" : "space, quote or angle bracket in the address";
}

std::string_view recipient_fault(std::string_view address) noexcept {
  return address.empty() ? "no address" : address_fault(address);
}

bool ends_as_data(std::string_view data) noexcept {
  return data == kEndOfData || (data.ends_with(kEndOfData) && data.substr(0, data.size() - 3).ends_with("\r\n"));
}

}  // namespace

// Replies come in order, so the end of data is where a transaction stops being in the way: from then on nothing that
// the next one's envelope is answered with can be taken for an answer to this one.
bool ClientSession::State::room() const noexcept {
  return step_ != Step::kClosed && under_way_ > 0 && under_way_ < mailings_.size() && pipelines() && last().message_put;
}

void ClientSession::State::begin(const Transaction& transaction, TimePoint now) {
  const bool first = under_way_ == 0;
  ++under_way_;
  Mailing& mailing = last();
  mailing.transaction = transaction;
  mailing.marks.assign(transaction.rcpt_to.size(), Mark::kPending);
  mailing.accepted = mailing.next_rcpt = 0;
  mailing.waits = !first;
  mailing.message_put = false;
  mailing.smtputf8 = transaction.smtputf8 || has_non_ascii(transaction.mail_from);
  for (const std::string_view address : transaction.rcpt_to) {
    mailing.smtputf8 = mailing.smtputf8 || (recipient_fault(address).empty() && has_non_ascii(address));
  }
  if (first) {
    if (step_ == Step::kReady) return start(now);
    settle_all(closed_);  // It closed before the caller could know.
    return done();
  }
  if (!clean(mailing)) return;  // Its faults are events, which have their turn when it comes to the front.
  mailing.waits = false;
  put_group(mailing, mailings_.size() > 2 && capabilities_.chunking);
}

// The front transaction, with nothing of another under way.
void ClientSession::State::start(TimePoint now) {
  Mailing& mailing = front();
  mailing.waits = false;
  notice_ = Notice::kNone;
  for (std::size_t i = 0; i < mailing.marks.size(); ++i) {
    const std::string_view fault = recipient_fault(mailing.transaction.rcpt_to[i]);
    if (!fault.empty()) settle(i, {Stage::kRcptTo, Cause::kProtocolError, {}, std::string(fault)});
  }
  if (const auto fault = fault_of(mailing)) {
    settle_all(*fault);
    return finish(now);
  }
  if (std::ranges::find(mailing.marks, Mark::kPending) == mailing.marks.end()) return finish(now);
  if (pipelines()) {
    put_group(mailing, needs_rset_);
  } else {
    put_mail_from(mailing);
  }
  enter_awaited(now);
}

// MAIL, all RCPTs and DATA, the last in its group (RFC 2920 3.1); or BDAT with the message at once, whose reply is that
// to the end of data. "The state of the transaction is indeterminate" after a BDAT that failed (RFC 3030 2): each that
// follows another begins with RSET.
void ClientSession::State::put_group(Mailing& mailing, bool reset) {
  if (reset) put({"RSET"}, Step::kRset);
  put_mail_from(mailing);
  while (put_next_rcpt_to(mailing)) {
  }
  if (!chunks(mailing.transaction)) return put({"DATA"}, Step::kData);
  const std::string_view message =
      mailing.transaction.data.substr(0, mailing.transaction.data.size() - kEndOfData.size());
  const fmt::format_int size(message.size());
  put({"BDAT ", {size.data(), size.size()}, " LAST"}, Step::kFinalDot);
  put_message(message);
  awaited_.back().end = mailing.end = put_end();
  mailing.message_put = true;
}

// Without a stuffed dot, and so the same without its end, as BDAT has it.
bool ClientSession::State::chunks(const Transaction& transaction) const noexcept {
  return mailings_.size() > 2 && capabilities_.chunking && pipelines() && transaction.message_bytes > 0 &&
         transaction.data.size() == transaction.message_bytes + kEndOfData.size();
}

// What makes the transaction impossible here, found without touching the wire.
std::optional<Outcome> ClientSession::State::fault_of(const Mailing& mailing) const {
  const auto fault = [](Cause cause, std::string detail) {
    return Outcome{.stage = Stage::kMailFrom, .cause = cause, .reply = {}, .detail = std::move(detail)};
  };
  const Transaction& transaction = mailing.transaction;
  if (const auto why = address_fault(transaction.mail_from); !why.empty()) {
    return fault(Cause::kProtocolError, std::string(why));
  }
  if (!ends_as_data(transaction.data)) return fault(Cause::kProtocolError, "the message has no end of data");
  if (capabilities_.size_max != 0 && transaction.message_bytes > capabilities_.size_max) {
    return fault(Cause::kTooLarge,
                 fmt::format("{} octets, the server takes {}", transaction.message_bytes, capabilities_.size_max));
  }
  if (mailing.smtputf8 && !capabilities_.smtputf8) return fault(Cause::kSmtpUtf8Unavailable, "SMTPUTF8 is not offered");
  return std::nullopt;
}

bool ClientSession::State::clean(const Mailing& mailing) const {
  const auto recipients = mailing.transaction.rcpt_to;
  return !recipients.empty() && !fault_of(mailing) &&
         std::ranges::all_of(recipients, [](std::string_view each) { return recipient_fault(each).empty(); });
}

void ClientSession::State::put_mail_from(const Mailing& mailing) {
  const Transaction& transaction = mailing.transaction;
  const fmt::format_int size(transaction.message_bytes);
  put({"MAIL FROM:<", transaction.mail_from, ">", capabilities_.size ? " SIZE=" : "",
       capabilities_.size ? std::string_view(size.data(), size.size()) : "",
       transaction.eight_bit && capabilities_.eight_bit_mime ? " BODY=8BITMIME" : "",
       mailing.smtputf8 ? " SMTPUTF8" : ""},
      Step::kMailFrom);
}

bool ClientSession::State::put_next_rcpt_to(Mailing& mailing) {
  std::size_t& next = mailing.next_rcpt;
  while (next < mailing.marks.size() && mailing.marks[next] != Mark::kPending) ++next;
  if (next == mailing.marks.size()) return false;
  put({"RCPT TO:<", mailing.transaction.rcpt_to[next], ">"}, Step::kRcptTo, next);
  ++next;
  return true;
}

// A server that keeps the old transaction would refuse the new MAIL FROM, and the recipients would pay for it.
void ClientSession::State::on_rset(const Reply& reply, TimePoint now) {
  if (reply.code >= 300) return fail(Cause::kProtocolError, "RSET refused", reply);
  needs_rset_ = false;
  if (!pipelines()) ready(now);
}

void ClientSession::State::on_mail_from(const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  if (reply.code >= 400) {
    settle_all({Stage::kMailFrom, Cause::kReply, reply, {}});
    if (!pipelines()) finish(now);  // Else the group's other replies are still to come.
    return;
  }
  needs_rset_ = true;
  if (!pipelines()) put_next_rcpt_to(front());
}

void ClientSession::State::on_rcpt_to(std::size_t recipient, const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  if (reply.code >= 400) {
    settle(recipient, {Stage::kRcptTo, Cause::kReply, reply, {}});
  } else if (front().marks[recipient] == Mark::kPending) {
    front().marks[recipient] = Mark::kAccepted;
    ++front().accepted;
  }
  if (!pipelines()) after_rcpt_to(now);
}

void ClientSession::State::after_rcpt_to(TimePoint now) {
  if (put_next_rcpt_to(front())) return;
  if (front().accepted == 0) return finish(now);
  put({"DATA"}, Step::kData);
}

void ClientSession::State::on_data(const Reply& reply, TimePoint now) {
  if (reply.code == 354) {
    Mailing& mailing = front();
    // "If the DATA command was accepted the client SMTP should send a single dot" (RFC 2920 3.1): without a recipient
    // the message stays here.
    put_message(mailing.accepted > 0 ? mailing.transaction.data : kEndOfData);
    mailing.message_put = mailing.accepted > 0;
    mailing.end = put_end();
    awaited_.push({.step = Step::kFinalDot, .recipient = 0, .end = mailing.end});
    if (room()) notice_ = Notice::kSending;
    return;
  }
  if (reply.code < 400) return refuse(reply);
  settle_all({Stage::kData, Cause::kReply, reply, {}});
  finish(now);
}

void ClientSession::State::on_final_dot(const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  // "The state of the transaction is indeterminate" after a BDAT that failed (RFC 3030 2): without its recipients the
  // server may hold the old one still, and the next MAIL FROM would pay for it.
  needs_rset_ = needs_rset_ && reply.code >= 400 && chunks(front().transaction);
  settle_all({Stage::kFinalDot, Cause::kReply, reply, {}});
  finish(now);
}

void ClientSession::State::settle(std::size_t recipient, const Outcome& outcome) {
  Mark& mark = front().marks[recipient];
  if (mark == Mark::kSettled) return;
  mark = Mark::kSettled;
  events_.push({.kind = SessionEvent::Kind::kRecipient, .recipient = recipient, .outcome = outcome});
}

void ClientSession::State::settle_all(const Outcome& outcome) {
  for (std::size_t i = 0; i < front().marks.size(); ++i) settle(i, outcome);
}

void ClientSession::State::done() {
  events_.push({.kind = SessionEvent::Kind::kTransactionDone});
  first_ = (first_ + 1) % mailings_.size();
  --under_way_;
}

// A server that pipelines gets its RSET together with the next MAIL FROM. Another one gets it now: once begin() is
// called, MAIL FROM is on its way.
void ClientSession::State::finish(TimePoint now) {
  done();
  if (under_way_ > 0) {
    if (front().waits) return start(now);
    if (room()) notice_ = Notice::kRoom;
    return;  // Its replies are to come.
  }
  if (!needs_rset_ || pipelines()) return ready(now);
  put({"RSET"}, Step::kRset);
  enter(Step::kRset, now);
}

// The session ends. A message that was sent as a whole and not answered may have been taken, but for a server that says
// that it is the one to stop; of one behind it, nothing but its envelope counts.
void ClientSession::State::end_all(const Outcome& reason) {
  for (bool first = true; under_way_ > 0; first = false) {
    Outcome outcome = reason;
    if (!first) outcome.stage = Stage::kMailFrom;
    const Mailing& mailing = front();
    if (mailing.message_put && mailing.end <= sent_ && reason.cause != Cause::kReply) outcome.stage = Stage::kFinalDot;
    settle_all(outcome);
    done();
  }
}

}  // namespace mailsbuddy::smtp
