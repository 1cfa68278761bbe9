// login_url.h - "scheme://user:password@place", as relays and proxies are written:
//
//   url   = scheme "://" [ word [ ":" word ] "@" ] place
//   word  = *( %x21-7E but "%" / "%" 2HEXDIG )          ; RFC 3986 2.1
#pragma once

#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy::smtp {

struct LoginUrl {
  std::string scheme;  // In lower case.
  std::string user;
  std::string password;
  std::string place;  // What follows.

  static Result<LoginUrl> parse(std::string_view text);  // Errors: kInvalidArgument, without the password.
};

}  // namespace mailsbuddy::smtp
