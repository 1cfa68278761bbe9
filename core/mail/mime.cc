#include "core/mail/mime.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/base/text_scan.h"
#include "core/mail/header.h"

namespace mailsbuddy {
namespace {

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// ---------------------------------------------------------------------------------------------------------------------
// Bodies

// How many octets at the front are printable ASCII, eight at a time: of a word that is, no octet has its high bit, is
// below space (its high bit shows after a subtraction of 0x20) or is DEL (it shows after an addition of one).
std::size_t printable_run(std::string_view text) noexcept {
  constexpr std::uint64_t kEveryByte = 0x0101010101010101U;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, sizeof word);
    if (((word | (word + kEveryByte) | (word - ' ' * kEveryByte)) & (0x80 * kEveryByte)) != 0) break;
  }
  while (at < text.size() && text[at] >= ' ' && text[at] < 0x7f) ++at;
  return at;
}

struct Shape {
  bool seven_bit = true;  // RFC 2045 2.7, and no control characters but tabs: some relays change them.
  bool crlf = true;       // Every line end is CRLF, the last one included.
};

// Of nearly all bodies scan_text() knows all. Else one more pass: it stops where quoted-printable is certain and only
// the line ends are left to be judged.
Shape shape_of(std::string_view body) noexcept {
  const TextScan scan = scan_text(body);
  if (!scan.long_line || scan.control) {
    return {.seven_bit = !scan.control, .crlf = !scan.bare && (body.empty() || body.ends_with("\r\n"))};
  }
  Shape shape;
  std::size_t line_start = 0;
  for (std::size_t at = 0; at < body.size();) {
    at += printable_run(body.substr(at));
    if (at == body.size()) break;
    const char c = body[at];
    if (c == '\r' || c == '\n') {
      if (at - line_start > kLineMax) shape.seven_bit = false;
      const bool pair = c == '\r' && body.substr(at + 1).starts_with('\n');
      if (!pair) shape.crlf = false;
      at += pair ? 2 : 1;
      line_start = at;
      continue;
    }
    if (c != '\t') shape.seven_bit = false;
    if (!shape.seven_bit && !shape.crlf) return shape;
    ++at;
  }
  if (body.size() - line_start > kLineMax) shape.seven_bit = false;
  if (!body.empty() && !body.ends_with("\r\n")) shape.crlf = false;
  return shape;
}

// ---------------------------------------------------------------------------------------------------------------------
// Structure

// "=_" occurs in no quoted-printable text, and no base64 (RFC 2045 6.7). Only 7bit bodies need the random part.
std::string make_boundary(Random& random) {
  std::string boundary = "=_";
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t bits = random();
    char bytes[sizeof bits];
    std::memcpy(bytes, &bits, sizeof bits);
    append_hex(boundary, {bytes, sizeof bytes});
  }
  return boundary;
}

void open_multipart(std::string& out, std::string_view subtype, std::string_view boundary) {
  out.append("Content-Type: multipart/").append(subtype).append(";\r\n boundary=\"").append(boundary).append("\"\r\n");
}
// The line end before a boundary belongs to it, not to the part that it ends (RFC 2046 5.1.1).
void open_part(std::string& out, std::string_view boundary) { out.append("\r\n--").append(boundary).append("\r\n"); }
void close_multipart(std::string& out, std::string_view boundary) {
  out.append("\r\n--").append(boundary).append("--\r\n");
}

constexpr std::string_view kTextType = "Content-Type: text/plain; charset=utf-8\r\n";
constexpr std::string_view kHtmlType = "Content-Type: text/html; charset=utf-8\r\n";

bool is_inline(const Attachment& attachment) noexcept { return !attachment.content_id.empty(); }

bool all_visible(std::string_view text, std::string_view except) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [except](char c) { return ascii::is_visible(c) && except.find(c) == std::string_view::npos; });
}

// type "/" subtype, perhaps with parameters; both tokens (RFC 2045 5.1).
bool is_content_type(std::string_view text) noexcept {
  constexpr std::string_view kTspecials = "()<>@,;:\\\"/[]?=";
  const std::string_view media = ascii::trim(text.substr(0, text.find(';')));
  const std::size_t slash = media.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == media.size()) return false;
  return all_visible(media.substr(0, slash), kTspecials) && all_visible(media.substr(slash + 1), kTspecials) &&
         std::none_of(text.begin(), text.end(), ascii::is_control);
}

// RFC 2046 5.1 and 5.2.1: messages and multiparts may not be in base64, lest encodings nest.
bool is_composite(std::string_view type) noexcept {
  return ascii::istarts_with(type, "message/") || ascii::istarts_with(type, "multipart/");
}

Result<void> check(const Attachment& attachment) {
  const std::string who = "attachment '" + attachment.filename + "': ";
  if (!is_content_type(attachment.content_type)) return invalid(who + "content type is not type/subtype");
  if (!all_visible(attachment.content_id, "<>"))
    return invalid(who + "a character in the Content-ID that none may have");
  if (is_composite(attachment.content_type) && !shape_of(attachment.data).seven_bit) {
    return invalid(who + "messages and multiparts may not be encoded (RFC 2046 5.2.1) and this one is not 7bit");
  }
  return {};
}

void append_attachment(std::string& out, const Attachment& attachment, bool in_line) {
  append_header(out, "Content-Type", attachment.content_type);
  out.append("Content-Disposition: ").append(in_line ? "inline" : "attachment");
  if (!attachment.filename.empty()) append_parameter(out, "filename", attachment.filename);
  out.append("\r\n");
  if (is_inline(attachment)) append_header(out, "Content-ID", "<" + attachment.content_id + ">");
  if (is_composite(attachment.content_type)) {
    append_encoded_body(out, attachment.data);
    return;
  }
  out.append("Content-Transfer-Encoding: base64\r\n\r\n");
  append_base64_lines(out, attachment.data);
}

}  // namespace

void append_crlf(std::string& out, std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    for (std::size_t cr; (cr = line.find('\r')) != std::string_view::npos; line.remove_prefix(cr + 1)) {
      out.append(line.substr(0, cr)).append("\r\n");
    }
    out.append(line).append("\r\n");
  }
}

void append_encoded_body(std::string& out, std::string_view body) {
  const Shape shape = shape_of(body);
  out.append(shape.seven_bit ? "Content-Transfer-Encoding: 7bit\r\n\r\n"
                             : "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
  if (shape.seven_bit) {
    if (shape.crlf) {
      out.append(body);
    } else {
      append_crlf(out, body);
    }
    return;
  }
  std::string lines;
  if (!shape.crlf) {
    lines.reserve(body.size() + body.size() / 16 + 2);
    append_crlf(lines, body);
    body = lines;
  }
  append_quoted_printable(out, body);
}

Result<MimeLayout> MimeLayout::make(const Content& content, Random& random) {
  std::vector<const Attachment*> inlines, regular;
  for (const Attachment& attachment : content.attachments) {
    if (auto checked = check(attachment); !checked) return std::move(checked).error();
    (is_inline(attachment) && !content.html.empty() ? inlines : regular).push_back(&attachment);
  }
  MimeLayout layout;
  layout.has_html_ = !content.html.empty();
  layout.has_text_ = !content.text.empty() || (!layout.has_html_ && regular.empty());  // A message has a body.
  const std::string mixed = regular.empty() ? "" : make_boundary(random);
  const std::string alternative = layout.has_text_ && layout.has_html_ ? make_boundary(random) : "";
  const std::string related = inlines.empty() ? "" : make_boundary(random);

  std::string* to = &layout.before_;
  const auto open = [&to](std::string_view subtype, const std::string& boundary) {
    if (boundary.empty()) return;
    open_multipart(*to, subtype, boundary);
    open_part(*to, boundary);
  };
  to->append("MIME-Version: 1.0\r\n");
  open("mixed", mixed);
  open("alternative", alternative);
  if (layout.has_text_) {
    to->append(kTextType);
    to = layout.has_html_ ? &layout.between_ : &layout.after_;
    if (!alternative.empty()) open_part(*to, alternative);
  }
  if (layout.has_html_) {
    open("related; type=\"text/html\"", related);
    to->append(kHtmlType);
    to = &layout.after_;
    for (const Attachment* attachment : inlines) {
      open_part(*to, related);
      append_attachment(*to, *attachment, true);
    }
    if (!related.empty()) close_multipart(*to, related);
  }
  if (!alternative.empty()) close_multipart(*to, alternative);
  bool first = !layout.has_text_ && !layout.has_html_;  // Then open() has begun the first attachment's part.
  for (const Attachment* attachment : regular) {
    if (!first) open_part(*to, mixed);
    first = false;
    append_attachment(*to, *attachment, is_inline(*attachment));
  }
  if (!mixed.empty()) close_multipart(*to, mixed);
  return layout;
}

void MimeLayout::append(std::string_view text, std::string_view html, std::string& out) const {
  out.append(before_);
  if (has_text_) append_encoded_body(out, text);
  out.append(between_);
  if (has_html_) append_encoded_body(out, html);
  out.append(after_);
}

Result<std::string> build_message(const Content& content, std::string_view leading_headers, Random& random) {
  auto layout = MimeLayout::make(content, random);
  if (!layout) return std::move(layout).error();
  std::string message(leading_headers);
  for (const HeaderField& field : content.headers) {
    if (!is_header_name(field.name)) return invalid("header '" + field.name + "': not a field name (RFC 5322 3.6.8)");
    if (!is_valid_utf8(field.value)) return invalid("header " + field.name + ": not UTF-8");
    if (field.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return invalid("header " + field.name + ": a line end or NUL in its value");
    }
    append_header(message, field.name, field.value);
  }
  layout->append(content.text, content.html, message);
  return message;
}

}  // namespace mailsbuddy
