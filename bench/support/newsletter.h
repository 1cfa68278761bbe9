// newsletter.h - the message that the DKIM benches sign and verify.
#pragma once

#include <iterator>
#include <string>
#include <string_view>

namespace mailsbuddy::bench {

// Text in tables, indented as mail builders leave it: a message whose body has at least so many octets.
inline std::string newsletter(std::size_t body_bytes) {
  std::string text =
      "From: News <news@brand.example>\r\nTo: Ann <ann@receiver.example>\r\nSubject: What is new this week\r\n"
      "Date: Mon, 23 Nov 2026 19:57:48 +0000\r\nMessage-ID: <01jd.1.1@brand.example>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
      "List-Id: <spring.brand.example>\r\nList-Unsubscribe: "
      "<https://brand.example/u/0123456789abcdef0123456789abcdef>\r\n"
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: spring:brand:bulk:mailsbuddy\r\n\r\n";
  constexpr std::string_view kLines[] = {
      "<table role=3D\"presentation\" width=3D\"100%\" cellpadding=3D\"0\">\r\n",
      "  <tr>\r\n",
      "    <td style=3D\"padding:12px;font-family:Arial,sans-serif;color:#333333\">\r\n",
      "      The quick brown fox jumps over the lazy dog, and then does it once more=\r\n",
      " for all who were looking elsewhere, which is most of us on a Monday.\r\n",
      "    </td>\r\n",
      "  </tr>\r\n",
      "</table>\r\n"};
  const std::size_t end = text.size() + body_bytes;
  for (std::size_t i = 0; text.size() < end; ++i) text += kLines[i % std::size(kLines)];
  return text;
}

}  // namespace mailsbuddy::bench
