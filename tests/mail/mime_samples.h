// mime_samples.h - random Contents, the same for the same seed: what the round trip and the Python oracle read.
#pragma once

#include <string>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {

inline std::string random_words(Random& random, std::size_t most, bool lines) {
  static constexpr std::string_view kWords[] = {"plain",
                                                "w\u00f6rd",
                                                "\u4f60\u597d",
                                                "\U0001f600",
                                                "=20",
                                                "--=_x",
                                                "From ",
                                                ".",
                                                "a=b",
                                                "trailing ",
                                                "\ttab",
                                                "<b>bold</b>",
                                                "{{x}}",
                                                "=?utf-8?Q?x?=",
                                                "\"quoted\", too",
                                                "e\u0301",
                                                "x;y\\z",
                                                "100%",
                                                "https://b.c/?d=e&f",
                                                "(comment)",
                                                "_",
                                                "?"};
  std::string text;
  for (std::size_t count = random.below(most) + 1; count > 0; --count) {
    if (!text.empty()) text += lines && random.below(6) == 0 ? (random.below(8) == 0 ? "\n\n" : "\n") : " ";
    text += kWords[random.below(std::size(kWords))];
  }
  if (lines && random.below(10) == 0) text += std::string(1200, 'x');
  return text;
}

inline Content random_content(Random& random) {
  Content content;
  content.headers.push_back({"Subject", "s " + random_words(random, 12, false) + " e"});
  if (random.below(2) == 0) content.headers.push_back({"X-Extra", "v " + random_words(random, 40, false) + " e"});
  if (random.below(4) != 0) content.text = random_words(random, 60, true) + "\n";
  if (random.below(3) != 0) content.html = "<p>" + random_words(random, 60, true) + "</p>\n";
  if (content.text.empty() && content.html.empty()) content.text = "x\n";
  for (std::uint64_t count = random.below(4); count > 0; --count) {
    Attachment attachment{.filename = "n" + random_words(random, 8, false) + "n.bin"};
    for (char& c : attachment.filename) c = c == '\t' ? ' ' : c;
    for (std::uint64_t bytes = random.below(300); bytes > 0; --bytes) {
      attachment.data.push_back(static_cast<char>(random.below(256)));
    }
    if (random.below(2) == 0) {
      attachment.content_type = "image/png";
      attachment.content_id = "img" + std::to_string(count) + "@b.c";
      if (!content.html.empty()) content.html += "<img src=\"cid:" + attachment.content_id + "\">\n";
    }
    content.attachments.push_back(std::move(attachment));
  }
  return content;
}

}  // namespace mailsbuddy
