// key_records.h - where `mailsbuddy dkim` looks keys up: a file of records, or the DNS.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/dkim.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::cli {

// Records from lines of NAME TAB TYPE TAB VALUE. TYPE is TXT, VALUE then being the text, its character-strings joined,
// and several lines of one name several records; or NXDOMAIN, SERVFAIL or TIMEOUT, without VALUE. Empty lines and a
// first line that begins with "name" TAB are passed over. What is not listed does not exist. Names match in any letter
// case.
class KeyRecords {
 public:
  // Errors: kInvalidArgument with the line's number: a line without TYPE, or another one; more than kRecordsMax.
  static Result<KeyRecords> parse(std::string_view text);
  dkim::KeyAnswer find(std::string_view name) const;

 private:
  std::map<std::string, dkim::KeyAnswer> answers_;  // By name in lower case.
};

// The DNS, waited for. Threads: one owner, who is no loop's thread.
class DnsKeys {
 public:
  // `servers`: IP[:PORT] each; none: the system's. Errors: kInvalidArgument, naming the server; make_runtime()'s.
  static Result<DnsKeys> make(const std::vector<std::string>& servers);
  dkim::KeyAnswer find(std::string_view name);

 private:
  std::unique_ptr<net::Runtime> runtime_;
};

}  // namespace mailsbuddy::cli
