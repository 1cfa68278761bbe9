// socks5.h - what a client says to a SOCKS5 proxy before the connection is its own: RFC 1928, RFC 1929. Sans-I/O.
//
//   greeting  = %x05 count methods            ; we offer %x00 none, and with a user %x02 user and password
//   choice    = %x05 method                   ; %xFF: none of them
//   login     = %x01 length user length password
//   judged    = %x01 status                   ; %x00: welcome
//   request   = %x05 %x01 %x00 address port   ; CONNECT
//   reply     = %x05 status %x00 address port ; %x00: connected; what follows is the destination's
//   address   = %x01 4OCTET / %x03 length 1*OCTET / %x04 16OCTET
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

inline constexpr std::size_t kSocks5WordMax = 255;  // User and password: their lengths are an octet each.

// Threads: one owner. Send output() whenever it is not empty.
class Socks5Client {
 public:
  enum class State : unsigned char { kTalking, kConnected, kFailed };

  // Empty `user`: no login. Neither word longer than kSocks5WordMax.
  Socks5Client(const net::Endpoint& target, std::string user, std::string password);

  State state() const noexcept { return state_; }
  const std::string& error() const noexcept { return error_; }  // In kFailed: "host unreachable".
  std::string output();                                         // Once each. It has the password in it.
  std::size_t feed(std::string_view bytes);  // How many octets were for us; when connected, the others are not.

 private:
  enum class Awaited : unsigned char { kChoice, kJudged, kReply };

  std::size_t size_awaited() const noexcept;  // Of the whole answer, as far as what has come tells.
  void on_answer();
  void on_choice(unsigned char method);
  void request();
  void fail(std::string why);

  net::Endpoint target_;
  std::string user_;
  std::string password_;
  State state_ = State::kTalking;
  Awaited awaited_ = Awaited::kChoice;
  std::string output_;
  std::string answer_;  // As much of it as has come.
  std::string error_;
};

}  // namespace mailsbuddy::smtp
