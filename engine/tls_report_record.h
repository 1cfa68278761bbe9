// tls_report_record.h - TLS reports that are not sent yet, as the spool keeps them.
//
//   record = version count *(domain begin end policies) checksum      all numbers 8 octets, little-endian
//   policies = count *(type text mx-hosts successful failed details)  lists and texts: their length, then their parts
//   details = count *(type sending-ip mx-host receiving-ip reason sessions)
//
// and who has one of them already:
//
//   reached = version count *(hash of an address) checksum            erase_address() finds none to erase
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::engine {

std::string encode_tls_reports(std::span<const smtp::TlsReport> reports);
// Errors: kInvalidArgument: it is damaged, or of another version.
Result<std::vector<smtp::TlsReport>> decode_tls_reports(std::string_view record);

std::string encode_reached(const std::vector<std::uint64_t>& addresses);
Result<std::vector<std::uint64_t>> decode_reached(std::string_view record);  // Errors: as above.

}  // namespace mailsbuddy::engine
