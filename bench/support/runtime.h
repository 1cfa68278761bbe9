// runtime.h - the engine's real runtime but for DNS: every domain has one MX host, and that is this host. So no
// contender waits for a name server, and none has to be set up.
#pragma once

#include <memory>

#include "mailsbuddy/net.h"

namespace mailsbuddy::bench {

// Threads, sockets and clock are those of net::make_runtime(). `example.org` has the MX host `mx.example.org`, so that
// each domain is a site of its own; all hosts have the address 127.0.0.1.
std::shared_ptr<net::Runtime> make_loopback_runtime();

}  // namespace mailsbuddy::bench
