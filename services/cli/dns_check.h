// dns_check.h - does a DNS server answer at all?
#pragma once

#include <string>

#include "mailsbuddy/base.h"

namespace mailsbuddy::cli {

// Sends one question over UDP, twice if need be, and takes any datagram as a sign of life: what it says does not
// matter. A dead server would otherwise be seen only as every recipient deferred. `server`: "IP" or "IP:PORT". Errors:
// kInvalidArgument: not an address; kUnavailable: it refuses or is silent.
Result<void> check_dns(const std::string& server);

}  // namespace mailsbuddy::cli
