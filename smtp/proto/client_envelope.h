// client_envelope.h - what a transaction puts behind MAIL and RCPT, and what must not stand there.
//
//   mail-param = SP "SIZE=" 1*20DIGIT / SP "BODY=8BITMIME" / SP "SMTPUTF8" / SP "REQUIRETLS"   ; RFC 1870, 6152, 6531,
//   8689
//              / SP "RET=" ( "FULL" / "HDRS" ) / SP "ENVID=" xtext                             ; RFC 3461 4.3, 4.4
//   rcpt-param = SP "NOTIFY=" ( "NEVER" / element *( "," element ) ) / SP "ORCPT=" atom ";" orcpt-address  ; RFC
//   3461 4.1, 4.2 orcpt-address = xtext / utf-8-addr-xtext / utf-8-addr-unitext                              ; RFC 6533
//   3
//
// Each is said where the server offers its extension. Whatever the caller checked before, nothing of a transaction can
// end a path, add a parameter or begin another command.
#pragma once

#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

inline constexpr std::string_view kEndOfData = ".\r\n";

// Why it must not stand there; empty: it may.
std::string_view address_fault(std::string_view address) noexcept;  // MAIL: empty is the null path.
std::string_view recipient_fault(std::string_view address) noexcept;
std::string_view envid_fault(std::string_view envid) noexcept;
std::string_view orcpt_fault(std::string_view orcpt);

bool ends_as_data(std::string_view data) noexcept;  // A line's end, or nothing, and kEndOfData.

// Append what follows the path; `smtputf8`: the transaction needs it. Without a fault in what they are given.
void append_mail_parameters(const Transaction& transaction, bool smtputf8, const Capabilities& offered,
                            std::string& line);
void append_rcpt_parameters(const RecipientDsn& dsn, bool smtputf8, std::string& line);

}  // namespace mailsbuddy::smtp
