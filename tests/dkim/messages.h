// messages.h - signed messages with everything odd that RFC 5322 allows, whole and tampered with, for other people's
// verifiers. The same from every run but for the key.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

struct SignedMessage {
  std::string what;  // For a person: "17 with another From".
  std::string text;
  bool verifies;
};

class Messages {
 public:
  Messages() : key_(PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value()) {}

  const PrivateKey& key() const { return key_; }

  std::vector<SignedMessage> make(int count) {
    const Signer signer = Signer::make("brand.example", "s1", key_).value();
    constexpr TimePoint kTime{std::chrono::seconds(1'700'000'000)};  // Past, so that no clock finds it in the future.
    std::vector<SignedMessage> made;
    for (int i = 0; i < count; ++i) {
      const std::string header = this->header();
      const std::string body = this->body();
      const std::string message = header + "\r\n" + body;
      std::string whole = signer.sign(message, kTime).value() + message;
      if (!whole.ends_with("\r\n")) whole += "\r\n";  // As every message arrives (RFC 5321 4.1.1.4).
      const std::string number = std::to_string(i);
      made.push_back({number, whole, true});
      made.push_back({number + " with a line on top", "Received: from x by y; today\r\n" + whole, true});
      made.push_back({number + " with an empty line at the end", whole + "\r\n", true});
      made.push_back({number + " with another From", "From: <evil@example.org>\r\n" + whole, false});
      made.push_back({number + " with another Subject", "Subject: win\r\n" + whole, false});
      made.push_back(
          {number + " with another List-Unsubscribe", "List-Unsubscribe: <https://evil.example>\r\n" + whole, false});
      made.push_back({number + " with more text", whole + "x\r\n", false});
      made.push_back(
          {number + " with a changed From", replaced(whole, "news@brand.example", "newz@brand.example"), false});
    }
    return made;
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }

  static std::string replaced(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
  }

  std::string white_space() {
    static constexpr std::string_view kKinds[] = {" ", "  ", "\t", " \t ", "\t\t"};
    return std::string(kKinds[below(std::size(kKinds))]);
  }

  std::string word() {
    static constexpr std::string_view kWords[] = {"news",
                                                  "=?utf-8?q?caf=C3=A9?=",
                                                  "\xc3\xa9t\xc3\xa9",
                                                  "\"a\\\"b\"",
                                                  "b=",
                                                  "bh=x;",
                                                  "a:b",
                                                  "\xff\xfe",
                                                  "(comment)",
                                                  ";",
                                                  "=20",
                                                  ".",
                                                  "<x@y>"};
    return chance(3) ? std::string(1 + below(12), 'w') : std::string(kWords[below(std::size(kWords))]);
  }

  // Unstructured text, folded here and there.
  std::string value() {
    if (chance(10)) return chance(2) ? "" : " ";
    std::string text = chance(5) ? "" : white_space();
    for (std::size_t words = 1 + below(chance(10) ? 200 : 8); words > 0; --words) {
      text += word();
      if (words > 1) text += (chance(4) ? "\r\n" : "") + white_space();
    }
    if (chance(4)) text += white_space();
    return text;
  }

  std::string spelled(std::string name) {
    for (char& c : name) {
      if (chance(12)) c = static_cast<char>(c ^ (std::isalpha(static_cast<unsigned char>(c)) != 0 ? 0x20 : 0));
    }
    return name;
  }

  std::string header() {
    static constexpr std::string_view kNames[] = {
        "To",          "Cc",           "Subject",      "Date",       "Message-ID",       "Reply-To",
        "List-Id",     "MIME-Version", "Content-Type", "References", "List-Unsubscribe", "List-Unsubscribe-Post",
        "Feedback-ID", "Received",     "X-Mailer"};
    std::vector<std::string> fields{spelled("From") + ": News" + white_space() + "<news@brand.example>\r\n"};
    for (std::size_t count = below(14); count > 0; --count) {
      const std::string name(kNames[below(std::size(kNames))]);
      fields.push_back(spelled(name) + ":" + value() + "\r\n");
    }
    if (chance(20)) fields.push_back("X-Long: " + std::string(20'000, 'l') + "\r\n");
    std::ranges::shuffle(fields, random_);
    std::string text;
    for (const std::string& field : fields) text += field;
    return text;
  }

  std::string body() {
    if (chance(12)) return "";
    std::string text;
    for (std::size_t lines = below(chance(10) ? 400 : 12); lines > 0; --lines) {
      if (chance(3)) text += white_space();
      for (std::size_t words = below(6); words > 0; --words) text += word() + (chance(2) ? white_space() : "");
      if (chance(400)) text += std::string(70'000, 'L');
      text += "\r\n";
    }
    for (std::size_t empty = chance(3) ? below(6) : 0; empty > 0; --empty) text += chance(3) ? " \r\n" : "\r\n";
    if (chance(8)) text += "no line end";
    return text;
  }

  std::mt19937 random_{20'780};
  PrivateKey key_;
};

}  // namespace mailsbuddy::dkim
