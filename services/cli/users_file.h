// users_file.h - who may submit, from a file:
//
//   line  = user ":" hash [ ":" account [ ":" right *( "," right ) ] ]     ; "#" begins a comment line
//   hash  = what crypt(3) makes, of any method it has: openssl passwd -6, mkpasswd
//   right = "route"                     ; X-MB- header fields are heeded
//         / "from=" ( domain / address ); may send as these alone; without any: as anybody
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::cli {

// Threads: immutable once parsed.
class UsersFile {
 public:
  static Result<UsersFile> parse(std::string_view text);  // Errors: kInvalidArgument with the line's number.

  // Slow by design of crypt(3), and as slow for a user that is not there: not to be called where others wait.
  std::optional<smtp::Identity> judge(std::string_view user, std::string_view password) const;

 private:
  struct User {
    std::string hash;
    smtp::Identity identity;
  };
  std::map<std::string, User, std::less<>> users_;
  std::string any_hash_;  // For those who are not there.
};

}  // namespace mailsbuddy::cli
