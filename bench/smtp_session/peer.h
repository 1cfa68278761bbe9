// peer.h - a server that takes everything, without I/O and without allocating: what a client's session is measured
// against.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::bench {

// Replies of the length that they have in the world.
inline constexpr std::string_view kGreeting = "220 mx.receiver.example ESMTP\r\n";
inline constexpr std::string_view kHello =
    "250-mx.receiver.example\r\n250-PIPELINING\r\n250-SIZE "
    "52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 CHUNKING\r\n";
inline constexpr std::string_view kOk = "250 2.1.5 Recipient accepted, thank you\r\n";
inline constexpr std::string_view kGo = "354 End data with <CR><LF>.<CR><LF>\r\n";
inline constexpr std::string_view kQueued = "250 2.0.0 Ok: queued as 4Z6Hx12gkTz9sQY.receiver.example\r\n";

// Takes whole commands and whole messages, as a session's outputs() has them when all of it is taken at once.
class Peer {
 public:
  Peer() { says_.reserve(1 << 16); }

  void hear(std::string_view octets) {
    while (!octets.empty()) {
      if (message_left_ > 0 || in_data_) {
        take_message(octets);
        continue;
      }
      const auto* const end = static_cast<const char*>(std::memchr(octets.data(), '\n', octets.size()));
      if (end == nullptr) return;
      command(octets.substr(0, static_cast<std::size_t>(end - octets.data())));
      octets.remove_prefix(static_cast<std::size_t>(end - octets.data()) + 1);
    }
  }

  void say(std::string_view reply) { says_.append(reply); }
  std::string_view says() const noexcept { return says_; }
  void said() noexcept { says_.clear(); }
  std::uint64_t messages() const noexcept { return messages_; }
  std::uint64_t octets() const noexcept { return octets_; }  // Of messages, the dot at the end of DATA aside.

 private:
  void take_message(std::string_view& octets) {
    const std::size_t size = in_data_ ? octets.size() : std::min<std::size_t>(message_left_, octets.size());
    octets_ += size - (in_data_ ? 3 : 0);
    message_left_ -= in_data_ ? 0 : size;
    octets.remove_prefix(size);
    if (message_left_ > 0) return;
    in_data_ = false;
    ++messages_;
    say(kQueued);
  }

  void command(std::string_view line) {
    if (line.starts_with("EHLO")) return say(kHello);
    if (line.starts_with("DATA")) {
      in_data_ = true;
      return say(kGo);
    }
    if (!line.starts_with("BDAT ")) return say(kOk);
    std::from_chars(line.data() + 5, line.data() + line.size(), message_left_);
  }

  std::string says_;
  bool in_data_ = false;
  std::uint64_t message_left_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t octets_ = 0;
};

// One session and its peer, and what they send each other.
class Talk {
 public:
  Talk(int messages_in_flight, const smtp::Transaction& transaction)
      : session_({.ehlo_name = "mx1.sender.example",
                  .tls = smtp::TlsPolicy::kNone,
                  .messages_in_flight = messages_in_flight}),
        transaction_(transaction) {
    session_.connected(now_);
    peer_.say(kGreeting);
  }

  // So many messages more, all under way answered. False: one was not delivered.
  bool send(std::uint64_t messages) {
    wanted_ = begun_ + messages;
    if (ready_) begin();
    while (delivered_ < wanted_ && good_) {
      exchange();
      while (session_.poll(event_)) on_event();
    }
    return good_ && peer_.messages() == delivered_;
  }

  const Peer& peer() const noexcept { return peer_; }

 private:
  void exchange() {
    std::size_t taken = 0;
    std::array<std::string_view, 64> pieces;
    const std::size_t count = session_.outputs(pieces);
    for (std::size_t i = 0; i < count; ++i) {
      peer_.hear(pieces[i]);
      taken += pieces[i].size();
    }
    session_.consume(taken, now_);
    session_.feed(peer_.says(), now_);
    peer_.said();
  }

  void begin() {
    ready_ = false;
    ++begun_;
    session_.begin(transaction_, now_);
  }

  void on_event() {
    using Kind = smtp::SessionEvent::Kind;
    switch (event_.kind) {
      case Kind::kReady:
        ready_ = true;
        if (begun_ < wanted_) begin();
        break;
      case Kind::kRecipient:
        ++delivered_;
        good_ = good_ && event_.outcome.delivered();
        break;
      case Kind::kClosed:
        good_ = false;
        break;
      default:
        break;
    }
    while (begun_ < wanted_ && session_.room()) begin();
  }

  smtp::ClientSession session_;
  smtp::Transaction transaction_;
  smtp::SessionEvent event_;
  Peer peer_;
  TimePoint now_{std::chrono::hours(24)};
  std::uint64_t begun_ = 0, wanted_ = 0, delivered_ = 0;
  bool ready_ = false, good_ = true;
};

}  // namespace mailsbuddy::bench
