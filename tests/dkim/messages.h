// messages.h - generated messages with everything odd that RFC 5322 allows and mail has in practice. The same from
// every run.
#pragma once

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

class Messages {
 public:
  explicit Messages(unsigned seed = 20'780) : random_(seed) {}

  std::string next() { return header() + "\r\n" + body(); }

  std::size_t below(std::size_t bound) { return random_() % bound; }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }

 private:
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
    if (chance(40)) fields.push_back("X-Long: " + std::string(20'000, 'l') + "\r\n");
    std::ranges::shuffle(fields, random_);
    std::string text;
    for (const std::string& field : fields) text += field;
    return text;
  }

  std::string body() {
    if (chance(12)) return "";
    std::string text;
    for (std::size_t lines = below(chance(20) ? 400 : 12); lines > 0; --lines) {
      if (chance(3)) text += white_space();
      for (std::size_t words = below(6); words > 0; --words) text += word() + (chance(2) ? white_space() : "");
      if (chance(2000)) text += std::string(70'000, 'L');
      text += "\r\n";
    }
    for (std::size_t empty = chance(3) ? below(6) : 0; empty > 0; --empty) text += chance(3) ? " \r\n" : "\r\n";
    if (chance(8)) text += "no line end";
    return text;
  }

  std::mt19937 random_;
};

// A message with a signature on top, and whether it should verify.
struct SignedMessage {
  std::string what;  // For a person: "17 simple/relaxed ed25519-sha256: another From".
  std::string text;
  bool verifies;
};

// Signed messages, all four canonicalisations with both algorithms in turn, a part of them tampered with after it.
class SignedMessages {
 public:
  static constexpr std::string_view kDomain = "brand.example";

  SignedMessages()
      : rsa_(PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value()),
        ed25519_(PrivateKey::generate_ed25519().value()) {
    using enum Canonicalisation;
    for (const auto header : {kSimple, kRelaxed}) {
      for (const auto body : {kSimple, kRelaxed}) {
        signers_.push_back(Signer::make(kDomain, "rsa", rsa_, {.header = header, .body = body}).value());
        signers_.push_back(Signer::make(kDomain, "ed", ed25519_, {.header = header, .body = body}).value());
        kinds_.push_back(std::string(to_string(header)) + "/" + std::string(to_string(body)));
      }
    }
  }

  // The record of a selector.
  std::string record(std::string_view selector) const { return (selector == "ed" ? ed25519_ : rsa_).record().str(); }

  SignedMessage next() {
    constexpr TimePoint kTime{std::chrono::seconds(1'700'000'000)};  // Past, so that no clock finds it in the future.
    const std::size_t which = number_ % signers_.size();
    const Signer& signer = signers_[which];
    const std::string message = messages_.next();
    std::string whole = signer.sign(message, kTime).value() + message;
    if (!whole.ends_with("\r\n")) whole += "\r\n";  // As every message arrives (RFC 5321 4.1.1.4).
    SignedMessage made{
        std::to_string(number_++) + " " + kinds_[which / 2] + " " + std::string(to_string(signer.algorithm())),
        std::move(whole), true};
    return messages_.chance(2) ? made : changed(std::move(made));
  }

 private:
  SignedMessage changed(SignedMessage made) {
    const auto on_top = [&](std::string_view what, std::string_view line, bool verifies) {
      return SignedMessage{made.what + ": " + std::string(what), std::string(line) + made.text, verifies};
    };
    switch (messages_.below(6)) {
      case 0:
        return on_top("a line on top", "Received: from x by y; today\r\n", true);
      case 1:
        return on_top("another From", "From: <evil@example.org>\r\n", false);
      case 2:
        return on_top("another Subject", "Subject: win\r\n", false);
      case 3:
        return on_top("another List-Unsubscribe", "List-Unsubscribe: <https://evil.example>\r\n", false);
      case 4:
        return {made.what + ": an empty line at the end", made.text + "\r\n", true};
      default:
        break;
    }
    const std::size_t at = made.text.find("news@brand.example");
    made.text.replace(at, 4, "newz");
    return {made.what + ": a changed From", std::move(made.text), false};
  }

  Messages messages_;
  PrivateKey rsa_;
  PrivateKey ed25519_;
  std::vector<Signer> signers_;
  std::vector<std::string> kinds_;
  std::size_t number_ = 0;
};

}  // namespace mailsbuddy::dkim
