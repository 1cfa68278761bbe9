// retry.h - when to try again.
#pragma once

#include "mailsbuddy/base.h"

namespace mailsbuddy::engine {

// The wait after the given attempt (from 1): 10, 20, 40, 80 minutes, then 2 hours, each up to a fifth shorter or longer so
// that what failed together does not come back together. RFC 5321 4.5.4.1 asks for 30 minutes in general and allows
// sooner first tries; greylisting wants 5 to 15 minutes.
Duration retry_delay(std::uint32_t attempt, Random& random);

// How long a lane or a domain is left alone after so many failures in a row (from 1): 1, 2, 4, 8, then 15 minutes.
Duration set_aside_delay(int failures);

}  // namespace mailsbuddy::engine
