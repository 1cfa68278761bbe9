// dns_message.h - DNS messages made by hand, for the parser's tests and the test server (RFC 1035 4.1).
#pragma once

#include <arpa/nameser.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/net.h"

namespace mailsbuddy::net::test {

inline std::string u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
inline std::string u32(std::uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }

// "mx.example.net" as labels, uncompressed; "" is the root.
inline std::string wire_name(std::string_view name) {
  std::string wire;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    wire += static_cast<char>(label.size());
    wire += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return wire + '\0';
}

struct Record {
  std::string owner;
  int type = 0;
  std::uint32_t ttl = 0;
  std::string data;
};

inline Record mx(std::string owner, std::uint32_t ttl, unsigned preference, std::string_view host) {
  return {std::move(owner), ns_t_mx, ttl, u16(preference) + wire_name(host)};
}
inline Record cname(std::string owner, std::uint32_t ttl, std::string_view target) {
  return {std::move(owner), ns_t_cname, ttl, wire_name(target)};
}
inline Record address(std::string owner, std::uint32_t ttl, std::string_view text) {
  const IpAddress parsed = IpAddress::parse(text).value();
  return {std::move(owner), parsed.is_v4() ? ns_t_a : ns_t_aaaa, ttl, {parsed.bytes().begin(), parsed.bytes().end()}};
}
inline Record txt(std::string owner, std::uint32_t ttl, const std::vector<std::string>& strings) {
  std::string data;
  for (const std::string& text : strings) data += static_cast<char>(text.size()) + text;
  return {std::move(owner), ns_t_txt, ttl, data};
}
inline Record soa(std::string owner, std::uint32_t ttl, std::uint32_t minimum) {
  return {std::move(owner), ns_t_soa, ttl,
          wire_name("ns.test") + wire_name("root.test") + u32(1) + u32(2) + u32(3) + u32(4) + u32(minimum)};
}

struct Answer {
  int rcode = ns_r_noerror;
  std::vector<Record> answer{};
  std::vector<Record> authority{};
  bool truncated = false;
  bool silent = false;  // For the test server: no answer at all.
};

inline std::string message(unsigned id, std::string_view name, int type, const Answer& with) {
  std::string bytes = u16(id) + u16(0x8180U | (with.truncated ? 0x0200U : 0U) | static_cast<unsigned>(with.rcode)) +
                      u16(1) + u16(static_cast<unsigned>(with.answer.size())) +
                      u16(static_cast<unsigned>(with.authority.size())) + u16(0) + wire_name(name) +
                      u16(static_cast<unsigned>(type)) + u16(ns_c_in);
  for (const auto* section : {&with.answer, &with.authority})
    for (const Record& r : *section)
      bytes += wire_name(r.owner) + u16(static_cast<unsigned>(r.type)) + u16(ns_c_in) + u32(r.ttl) +
               u16(static_cast<unsigned>(r.data.size())) + r.data;
  return bytes;
}

}  // namespace mailsbuddy::net::test
