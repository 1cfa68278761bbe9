// mime.h - a message's MIME structure, made once, around two bodies that differ from message to message.
//
//   multipart/mixed            when there are attachments that are not inline
//     multipart/alternative    when there are both a text and an HTML body
//       text/plain
//       multipart/related      when inline attachments (those with a Content-ID) go with an HTML body
//         text/html
//         inline attachments
//     attachments
//
// The layer that has only one part is left out. An inline attachment without an HTML body is an attachment.
#pragma once

#include <string>
#include <string_view>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {

// RFC 5322 2.1.1, octets of a line without its CRLF.
inline constexpr std::size_t kLineMax = 998;

// Everything of a message from MIME-Version to the end except the two bodies: part headers, boundaries and attachments,
// already encoded. Only three strings, since only two places in them vary.
// Threads: immutable; append() from any number at once. Ownership: owns copies, nothing of `content` is kept by
// reference.
class MimeLayout {
 public:
  // The structure follows from which of text, html and attachments are not empty. Boundaries take 128 bits of `random`
  // each, so that no row's value can hold one but by knowing the seed.
  // Errors: kInvalidArgument, naming an attachment whose content type, file name or Content-ID cannot stand in a
  // header.
  static Result<MimeLayout> make(const Content& content, Random& random);

  // Appends the MIME headers, the empty line that ends the headers, and the bodies. A body that the content lacked is
  // ignored. `text` and `html` are UTF-8 with any line ends; they come out with CRLF at every line's end, the last
  // too. Encoding: 7bit if ASCII in lines of up to 998 octets, else quoted-printable.
  void append(std::string_view text, std::string_view html, std::string& out) const;

  bool has_text() const noexcept { return has_text_; }
  bool has_html() const noexcept { return has_html_; }
  // Octets that every message of this layout has, whatever its bodies.
  std::size_t fixed_bytes() const noexcept { return before_.size() + between_.size() + after_.size(); }

 private:
  bool has_text_ = false;
  bool has_html_ = false;
  std::string before_;   // To the end of the first body's Content-Type line.
  std::string between_;  // From after the first body to the second body's Content-Type line. Empty: one body only.
  std::string after_;    // From after the last body.
};

// Appends "Content-Transfer-Encoding: ...", an empty line and `body` in that encoding, as MimeLayout::append() says.
void append_encoded_body(std::string& out, std::string_view body);

// Appends `text` with every line end, be it CRLF, a lone LF or a lone CR, as CRLF, and one at the end unless empty.
void append_crlf(std::string& out, std::string_view text);

}  // namespace mailsbuddy
