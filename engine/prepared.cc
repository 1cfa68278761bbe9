#include "engine/prepared.h"

#include "engine/fields.h"

namespace mailsbuddy::engine {

// The report's parameters are views into the row, which moves.
void lead_with_next(Prepared& message) {
  const PreparedPtr next = std::move(message.others.front());
  message.others.erase(message.others.begin());
  message.job = std::move(next->job);
  message.row = std::move(next->row);
  message.recipient = std::move(next->recipient);
  message.since = next->since;
  message.holds = next->holds;
  message.claimed = next->claimed;
  message.part = next->part;
  message.dsn = unpack_report(message.row.fields);
}

// The octets are copied: those of the first part may be under way before the second part goes.
PreparedPtr split(Prepared& message, std::size_t index) {
  const auto from = message.others.begin() + static_cast<std::ptrdiff_t>(index - 1);
  PreparedPtr rest = std::move(*from);
  rest->others.assign(std::make_move_iterator(from + 1), std::make_move_iterator(message.others.end()));
  message.others.erase(from, message.others.end());
  rest->seven_bit = message.seven_bit;
  rest->mail_from = message.mail_from;
  rest->wire = message.wire;
  rest->message_bytes = message.message_bytes;
  rest->eight_bit = message.eight_bit;
  rest->smtputf8 = message.smtputf8;
  rest->stays_eight_bit = message.stays_eight_bit;
  return rest;
}

}  // namespace mailsbuddy::engine
