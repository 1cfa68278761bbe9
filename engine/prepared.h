// prepared.h - a message on its way: one row of a campaign, or recipients of a single message that share a transaction.
//
// Threads: its own task's, then its worker's. Ownership: a message owns its further recipients. Invariants: while the
// message is under way their order stays, for the session knows them by it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/job.h"

namespace mailsbuddy::engine {

// Where a recipient stands in the transaction that is under way.
enum class Part : std::uint8_t {
  kOpen,   // Its outcome is to come, or there is no transaction yet.
  kEnded,  // It has had it.
  kAgain,  // The transaction had no place for it: it goes in another.
};

// Claimed, and from make() on ready to be sent.
struct Prepared {
  JobPtr job;
  spool::Row row;
  std::string recipient;  // RCPT TO.
  TimePoint since{};      // When it could first have gone.
  bool holds = false;     // A place at the pacer, as Pacer::hold() has it.
  bool claimed = false;   // Or so it was asked for: not if it was held then.
  Part part = Part::kOpen;

  warming::Pacer::Places places{};  // At the pacer: of a whole message.

  // Further recipients, of single messages alone. Of these counts what is a recipient's: the above and `dsn`.
  std::vector<std::unique_ptr<Prepared>> others;

  bool seven_bit = false;  // To be made so: a server here does not offer 8BITMIME.

  std::string mail_from;  // From here on filled by make().
  std::string wire;       // Dot-stuffed, with the end of data.
  std::uint64_t message_bytes = 0;
  bool eight_bit = false;
  bool smtputf8 = false;
  smtp::RecipientDsn dsn;          // Into `row`.
  std::string stays_eight_bit;     // Why it could not be made 7-bit.
  bool unread = false;             // Its data could not be read from the spool: to be made again.
  std::optional<Outcome> failure;  // It could not be made: stage kMake.

  // While it is under way with several recipients: all of them, as the session was given them. Views into this.
  std::vector<std::string_view> rcpt_to;
  std::vector<smtp::RecipientDsn> rcpt_dsn;

  std::size_t recipients() const noexcept { return 1 + others.size(); }
  Prepared& at(std::size_t index) { return index == 0 ? *this : *others[index - 1]; }
};

using PreparedPtr = std::unique_ptr<Prepared>;

// The first of the others takes the place of the message's first recipient, who is gone.
void lead_with_next(Prepared& message);

// The recipients from `index` on, as a message of their own. There must be some, and index > 0.
PreparedPtr split(Prepared& message, std::size_t index);

template <class Visit>
void each_recipient(Prepared& message, Visit visit) {
  for (std::size_t i = 0; i < message.recipients(); ++i) visit(message.at(i));
}

// Asks of each recipient once, in their order. False: none is left, and the message is as it was but for its others.
template <class Keep>
bool keep_recipients(Prepared& message, Keep keep) {
  const bool first = keep(message);
  std::erase_if(message.others, [&keep](const PreparedPtr& each) { return !keep(*each); });
  if (!first && message.others.empty()) return false;
  if (!first) lead_with_next(message);
  return true;
}

}  // namespace mailsbuddy::engine
