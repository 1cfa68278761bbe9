// One transaction: MAIL FROM, RCPT TO, DATA, the message, its reply. RFC 5321 3.3; grouped as RFC 2920 3.1 has it.
#include <fmt/format.h>

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
  return address.find_first_of(" <>\"", at) == std::string_view::npos ? ""
                                                                      : "space, quote or angle bracket in the address";
}

bool ends_as_data(std::string_view data) noexcept {
  return data == kEndOfData || (data.ends_with(kEndOfData) && data.substr(0, data.size() - 3).ends_with("\r\n"));
}

}  // namespace

void ClientSession::State::begin(const Transaction& transaction, TimePoint now) {
  transaction_ = transaction;
  marks_.assign(transaction.rcpt_to.size(), Mark::kPending);
  accepted_ = next_rcpt_ = message_at_ = 0;
  if (step_ != Step::kReady) {  // It closed before the caller could know.
    settle_all(closed_);
    events_.push({.kind = SessionEvent::Kind::kTransactionDone});
    return;
  }
  in_transaction_ = true;
  notice_ = Notice::kNone;
  smtputf8_ = transaction.smtputf8 || has_non_ascii(transaction.mail_from);
  for (std::size_t i = 0; i < marks_.size(); ++i) {
    const std::string_view address = transaction.rcpt_to[i];
    const std::string_view fault = address.empty() ? "no address" : address_fault(address);
    if (!fault.empty()) settle(i, {Stage::kRcptTo, Cause::kProtocolError, {}, std::string(fault)});
    smtputf8_ = smtputf8_ || (fault.empty() && has_non_ascii(address));
  }
  if (const auto fault = fault_of(transaction)) {
    settle_all(*fault);
    return finish(now);
  }
  while (next_rcpt_ < marks_.size() && marks_[next_rcpt_] == Mark::kSettled) ++next_rcpt_;
  if (next_rcpt_ == marks_.size()) return finish(now);

  if (pipelines()) {
    if (needs_rset_) put({"RSET"}, Step::kRset);
    put_mail_from();
    while (put_next_rcpt_to()) {
    }
    put({"DATA"}, Step::kData);  // Last in its group (RFC 2920 3.1).
  } else {
    put_mail_from();
  }
  enter(awaited_.front().step, now);
}

// What makes the transaction impossible here, found without touching the wire.
std::optional<Outcome> ClientSession::State::fault_of(const Transaction& transaction) const {
  const auto fault = [](Cause cause, std::string detail) {
    return Outcome{.stage = Stage::kMailFrom, .cause = cause, .reply = {}, .detail = std::move(detail)};
  };
  if (const auto why = address_fault(transaction.mail_from); !why.empty()) {
    return fault(Cause::kProtocolError, std::string(why));
  }
  if (!ends_as_data(transaction.data)) return fault(Cause::kProtocolError, "the message has no end of data");
  if (capabilities_.size_max != 0 && transaction.message_bytes > capabilities_.size_max) {
    return fault(Cause::kTooLarge,
                 fmt::format("{} octets, the server takes {}", transaction.message_bytes, capabilities_.size_max));
  }
  if (smtputf8_ && !capabilities_.smtputf8) return fault(Cause::kSmtpUtf8Unavailable, "SMTPUTF8 is not offered");
  return std::nullopt;
}

void ClientSession::State::put_mail_from() {
  const fmt::format_int size(transaction_.message_bytes);
  put({"MAIL FROM:<", transaction_.mail_from, ">", capabilities_.size ? " SIZE=" : "",
       capabilities_.size ? std::string_view(size.data(), size.size()) : "",
       transaction_.eight_bit && capabilities_.eight_bit_mime ? " BODY=8BITMIME" : "", smtputf8_ ? " SMTPUTF8" : ""},
      Step::kMailFrom);
}

bool ClientSession::State::put_next_rcpt_to() {
  while (next_rcpt_ < marks_.size() && marks_[next_rcpt_] != Mark::kPending) ++next_rcpt_;
  if (next_rcpt_ == marks_.size()) return false;
  put({"RCPT TO:<", transaction_.rcpt_to[next_rcpt_], ">"}, Step::kRcptTo, next_rcpt_);
  ++next_rcpt_;
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
  if (!pipelines()) put_next_rcpt_to();
}

void ClientSession::State::on_rcpt_to(std::size_t recipient, const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  if (reply.code >= 400) {
    settle(recipient, {Stage::kRcptTo, Cause::kReply, reply, {}});
  } else if (marks_[recipient] == Mark::kPending) {
    marks_[recipient] = Mark::kAccepted;
    ++accepted_;
  }
  if (!pipelines()) after_rcpt_to(now);
}

void ClientSession::State::after_rcpt_to(TimePoint now) {
  if (put_next_rcpt_to()) return;
  if (accepted_ == 0) return finish(now);
  put({"DATA"}, Step::kData);
}

void ClientSession::State::on_data(const Reply& reply, TimePoint now) {
  if (reply.code == 354) {
    if (accepted_ > 0) return enter(Step::kMessage, now);
    // "If the DATA command was accepted the client SMTP should send a single dot" (RFC 2920 3.1): the message stays
    // here.
    out_.append(kEndOfData);
    awaited_.push({.step = Step::kFinalDot, .recipient = 0, .end = sent_ + (out_.size() - out_at_)});
    return;
  }
  if (reply.code < 400) return refuse(reply);
  settle_all({Stage::kData, Cause::kReply, reply, {}});
  finish(now);
}

void ClientSession::State::on_final_dot(const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  needs_rset_ = false;
  settle_all({Stage::kFinalDot, Cause::kReply, reply, {}});
  finish(now);
}

void ClientSession::State::settle(std::size_t recipient, const Outcome& outcome) {
  if (marks_[recipient] == Mark::kSettled) return;
  marks_[recipient] = Mark::kSettled;
  events_.push({.kind = SessionEvent::Kind::kRecipient, .recipient = recipient, .outcome = outcome});
}

void ClientSession::State::settle_all(const Outcome& outcome) {
  for (std::size_t i = 0; i < marks_.size(); ++i) settle(i, outcome);
}

// A server that pipelines gets its RSET together with the next MAIL FROM. Another one gets it now: once begin() is called,
// MAIL FROM is on its way.
void ClientSession::State::finish(TimePoint now) {
  in_transaction_ = false;
  events_.push({.kind = SessionEvent::Kind::kTransactionDone});
  if (!needs_rset_ || pipelines()) return ready(now);
  put({"RSET"}, Step::kRset);
  enter(Step::kRset, now);
}

}  // namespace mailsbuddy::smtp
