// One transaction: MAIL FROM, RCPT TO, DATA, the message, its reply. RFC 5321 3.3; grouped as RFC 2920 3.1 has it.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/encoding.h"
#include "smtp/proto/client_envelope.h"
#include "smtp/proto/client_session.h"

namespace mailsbuddy::smtp {
namespace {

std::string_view domain_of(std::string_view address) noexcept {
  return address.substr(std::min(address.rfind('@'), address.size()));
}

// "452 too many recipients" (RFC 5321 4.5.3.1.10), as older servers 552; 4.5.3 by whatever code.
bool is_full(const Reply& reply) noexcept {
  if (reply.enhanced) return reply.enhanced->subject == 5 && reply.enhanced->detail == 3;
  return reply.code == 452 || reply.code == 552;
}

}  // namespace

// Replies come in order, so the end of data is where a transaction stops being in the way: from then on nothing that
// the next one's envelope is answered with can be taken for an answer to this one.
bool ClientSession::State::room() const noexcept {
  return step_ != Step::kClosed && under_way_ > 0 && under_way_ < mailings_.size() && pipelines() &&
         last().message_put && !used_up();
}

bool ClientSession::State::used_up() const noexcept {
  return capabilities_.mails_max != 0 && mails_ >= capabilities_.mails_max;
}

std::size_t ClientSession::State::recipients_max() const noexcept {
  std::size_t most = std::min(std::max<std::size_t>(options_.recipients_max, 1), recipients_learned_);
  if (capabilities_.recipients_max != 0) most = std::min<std::uint64_t>(most, capabilities_.recipients_max);
  return most;
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
  mailing.smtputf8 = transaction.smtputf8 || !is_ascii(transaction.mail_from);
  for (const std::string_view address : transaction.rcpt_to) {
    mailing.smtputf8 = mailing.smtputf8 || (!is_ascii(address) && recipient_fault(address).empty());
  }
  if (first) {
    if (step_ == Step::kReady) return start(now);
    settle_all(closed_);  // It closed before the caller could know.
    return done();
  }
  if (!clean(mailing)) return;  // Its faults are events, which have their turn when it comes to the front.
  mailing.waits = false;
  put_group(mailing, chunking());
}

// The front transaction, with nothing of another under way.
void ClientSession::State::start(TimePoint now) {
  Mailing& mailing = front();
  mailing.waits = false;
  notice_ = Notice::kNone;
  for (std::size_t i = 0; i < mailing.marks.size(); ++i) {
    const std::string_view fault = fault_of_recipient(mailing.transaction, i);
    if (!fault.empty()) settle(i, Outcome{Stage::kRcptTo, Cause::kProtocolError, {}, std::string(fault)});
  }
  if (const auto fault = fault_of(mailing)) {
    settle_all(*fault);
    return finish(now);
  }
  settle_surplus(mailing);
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
  return chunking() && transaction.message_bytes > 0 &&
         transaction.data.size() == transaction.message_bytes + kEndOfData.size();
}

std::string_view ClientSession::State::fault_of_recipient(const Transaction& transaction, std::size_t recipient) {
  const std::string_view fault = recipient_fault(transaction.rcpt_to[recipient]);
  return fault.empty() && !transaction.dsn.empty() ? orcpt_fault(transaction.dsn[recipient].orcpt) : fault;
}

// Who has no place in this transaction is told before it begins, so that the others are not held up by refusals.
void ClientSession::State::settle_surplus(const Mailing& mailing) {
  const auto addresses = mailing.transaction.rcpt_to;
  const std::size_t most = recipients_max();
  const std::uint64_t domains_max = capabilities_.recipient_domains_max;
  std::size_t named = 0, domains = 0;
  for (std::size_t i = 0; i < mailing.marks.size(); ++i) {
    if (mailing.marks[i] != Mark::kPending) continue;
    bool fits = named < most;
    if (fits && domains_max != 0) {  // Who counts domains takes few recipients: no need to be clever.
      const auto known = [&](std::size_t other) {
        return mailing.marks[other] == Mark::kPending && domain_of(addresses[other]) == domain_of(addresses[i]);
      };
      std::size_t other = 0;
      while (other < i && !known(other)) ++other;
      fits = other < i || domains < domains_max;
      if (fits && other == i) ++domains;
    }
    if (fits) {
      ++named;
    } else {
      settle(i, Outcome{Stage::kRcptTo, Cause::kTransactionFull, {}, fmt::format("{} recipients are in it", named)});
    }
  }
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
  // SMTPUTF8 is not offered without 8BITMIME (RFC 6531 3.1 (8)), even where that is not said.
  if (transaction.eight_bit && !capabilities_.eight_bit_mime && !mailing.smtputf8)
    return fault(Cause::kEightBitUnavailable, "8BITMIME is not offered");
  if (transaction.require_tls && !(tls_ && verified_ && capabilities_.require_tls)) {
    return fault(Cause::kRequireTlsUnavailable, !tls_                        ? "there is no TLS"
                                                : !capabilities_.require_tls ? "REQUIRETLS is not offered"
                                                                             : "the server is not verified");
  }
  if (const auto why = envid_fault(transaction.envid); !why.empty())
    return fault(Cause::kProtocolError, std::string(why));
  if (!transaction.dsn.empty() && transaction.dsn.size() != transaction.rcpt_to.size())
    return fault(Cause::kProtocolError, "DSN parameters for other recipients");
  return std::nullopt;
}

bool ClientSession::State::clean(const Mailing& mailing) const {
  const std::size_t count = mailing.marks.size();
  if (count == 0 || count > recipients_max() || (capabilities_.recipient_domains_max != 0 && count > 1)) return false;
  if (fault_of(mailing)) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (!fault_of_recipient(mailing.transaction, i).empty()) return false;
  }
  return true;
}

void ClientSession::State::put_mail_from(const Mailing& mailing) {
  ++mails_;
  const std::size_t before = commands_.size();
  commands_.append("MAIL FROM:<").append(mailing.transaction.mail_from).push_back('>');
  append_mail_parameters(mailing.transaction, mailing.smtputf8, capabilities_, commands_);
  end_line(before, Step::kMailFrom);
}

bool ClientSession::State::put_next_rcpt_to(Mailing& mailing) {
  std::size_t& next = mailing.next_rcpt;
  while (next < mailing.marks.size() && mailing.marks[next] != Mark::kPending) ++next;
  if (next == mailing.marks.size()) return false;
  const std::size_t before = commands_.size();
  commands_.append("RCPT TO:<").append(mailing.transaction.rcpt_to[next]).push_back('>');
  if (capabilities_.dsn && !mailing.transaction.dsn.empty())
    append_rcpt_parameters(mailing.transaction.dsn[next], mailing.smtputf8, commands_);
  end_line(before, Step::kRcptTo, next);
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
    settle_all({Stage::kMailFrom, reply});
    if (!pipelines()) finish(now);  // Else the group's other replies are still to come.
    return;
  }
  needs_rset_ = true;
  if (!pipelines()) put_next_rcpt_to(front());
}

void ClientSession::State::on_rcpt_to(std::size_t recipient, const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  if (reply.code >= 400 && is_full(reply) && front().accepted > 0) {
    recipients_learned_ = std::min(recipients_learned_, front().accepted);
    settle(recipient, Outcome{Stage::kRcptTo, Cause::kTransactionFull, reply, "the server takes no more of them"});
  } else if (reply.code >= 400) {
    settle(recipient, {Stage::kRcptTo, reply});
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
    // RFC 2033 4.2: it must not, and for no recipient there is no reply that would say where we are.
    if (lmtp() && mailing.accepted == 0) return fail(Cause::kProtocolError, "354 without a recipient", reply);
    // "If the DATA command was accepted the client SMTP should send a single dot" (RFC 2920 3.1): without a recipient
    // the message stays here.
    put_message(mailing.accepted > 0 ? mailing.transaction.data : kEndOfData);
    mailing.message_put = mailing.accepted > 0;
    mailing.end = put_end();
    awaited_.push({.step = Step::kFinalDot, .recipient = 0, .end = mailing.end});
    // Also where no further one may follow: this one's envelope may have gone long before.
    if (mailing.message_put && mailings_.size() > 1 && pipelines()) notice_ = Notice::kSending;
    return;
  }
  if (reply.code < 400) return refuse(reply);
  settle_all({Stage::kData, reply});
  finish(now);
}

void ClientSession::State::on_final_dot(const Reply& reply, TimePoint now) {
  if (reply.code >= 300 && reply.code < 400) return refuse(reply);
  if (lmtp()) return on_each_final_dot(reply, now);
  // "The state of the transaction is indeterminate" after a BDAT that failed (RFC 3030 2): without its recipients the
  // server may hold the old one still, and the next MAIL FROM would pay for it.
  needs_rset_ = needs_rset_ && reply.code >= 400 && chunks(front().transaction);
  settle_all({Stage::kFinalDot, reply});
  finish(now);
}

// RFC 2033 4.2: a reply for each recipient that was accepted, in the order of the RCPTs.
void ClientSession::State::on_each_final_dot(const Reply& reply, TimePoint now) {
  Mailing& mailing = front();
  std::size_t recipient = 0;
  while (mailing.marks[recipient] != Mark::kAccepted) ++recipient;
  settle(recipient, {Stage::kFinalDot, reply});
  if (--mailing.accepted > 0) return awaited_.push_front({Step::kFinalDot, 0, mailing.end});
  needs_rset_ = false;
  finish(now);
}

void ClientSession::State::settle(std::size_t recipient, const OutcomeView& outcome) {
  Mark& mark = front().marks[recipient];
  if (mark == Mark::kSettled) return;
  mark = Mark::kSettled;
  events_.push(SessionEvent::Kind::kRecipient, recipient, outcome);
}

void ClientSession::State::settle_all(const OutcomeView& outcome) {
  for (std::size_t i = 0; i < front().marks.size(); ++i) settle(i, outcome);
}

void ClientSession::State::done() {
  static const Outcome kNone;
  events_.push(SessionEvent::Kind::kTransactionDone, 0, kNone);
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
  if (!needs_rset_ || pipelines() || used_up()) return ready(now);
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
