// dns_parse.h - what DNS messages say (RFC 1035, RFC 2308). Their bytes are a stranger's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

// Records of an answer that are looked at; the rest is ignored. RFC 5321 5.1 allows a limit on tried hosts; no honest
// set comes near, and a 64 KB message holds 4,000.
inline constexpr int kDnsRecordsMax = 256;
// CNAMEs followed within a message: the usual limit of resolvers.
inline constexpr int kDnsAliasesMax = 16;
// Of a TLSA record's data: a whole certificate, with room. Digests take 64 at most.
inline constexpr std::size_t kTlsaBytesMax = 8192;

// Records of the type asked for, owned by the question's name or by what its CNAMEs lead to, with the shortest TTL on
// the way; without records, NXDOMAIN or no data with the TTL from the SOA. kFailed with a reason for other response
// codes and for messages that cannot be read.
DnsAnswer<MxRecord> parse_mx(std::span<const std::uint8_t> message);  // Sorted, no duplicates.
DnsAnswer<IpAddress> parse_a(std::span<const std::uint8_t> message);
DnsAnswer<IpAddress> parse_aaaa(std::span<const std::uint8_t> message);
DnsAnswer<std::string> parse_txt(std::span<const std::uint8_t> message);
DnsAnswer<TlsaRecord> parse_tlsa(std::span<const std::uint8_t> message);  // Usable or not; data up to kTlsaBytesMax.
DnsAnswer<std::string> parse_cname(std::span<const std::uint8_t> message);  // The question's name's own.

// The octets of one TLSA record (RFC 6698 2.1). Empty: too short or too long.
std::optional<TlsaRecord> parse_tlsa_data(std::span<const std::uint8_t> data);

// One answer from the AAAA and the A one. If one of them failed the other's records stand, for `failure_ttl` at most.
DnsAnswer<IpAddress> merge(DnsAnswer<IpAddress> v6, const DnsAnswer<IpAddress>& v4, std::chrono::seconds failure_ttl);

}  // namespace mailsbuddy::net
