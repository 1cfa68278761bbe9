// fields.h - a row's merge fields in the packed form the spool keeps: per field a varint length and its octets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::engine {

// Names the engine gives to templates besides the row's own columns, in this order after them.
inline constexpr std::string_view kEngineFields[] = {"mb_address", "mb_campaign", "mb_account", "mb_token"};

// A message's row has no merge fields; it keeps there what is asked of the recipient's server. Nothing asked: no octet.
std::string pack_report(std::uint8_t notify, std::string_view orcpt);
smtp::RecipientDsn unpack_report(std::string_view packed);  // A view into `packed`.

void append_field(std::string& packed, std::string_view value);

// Appends views into `packed` to `out`, as many as there are.
void unpack_fields(std::string_view packed, std::vector<std::string_view>& out);

}  // namespace mailsbuddy::engine
