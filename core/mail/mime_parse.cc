// A message as a Content: which of its parts are the bodies and which are attachments.
#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"
#include "core/mail/mime_reader.h"

namespace mailsbuddy {
namespace {

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// Fields that the engine writes itself, and what earlier deliveries left behind.
constexpr std::string_view kDropped[] = {"from",
                                         "to",
                                         "cc",
                                         "bcc",
                                         "date",
                                         "message-id",
                                         "mime-version",
                                         "return-path",
                                         "received",
                                         "delivered-to",
                                         "dkim-signature",
                                         "authentication-results",
                                         "received-spf",
                                         "x-original-to",
                                         "x-received",
                                         "envelope-to"};

bool is_dropped(std::string_view name) {
  return ascii::istarts_with(name, "content-") || ascii::istarts_with(name, "arc-") ||
         ascii::istarts_with(name, "resent-") ||
         std::any_of(std::begin(kDropped), std::end(kDropped),
                     [name](std::string_view dropped) { return ascii::iequals(dropped, name); });
}

// "1.2" for the second part of the first part; empty for the message itself.
std::string place_of(const MimeTree& tree, std::size_t index) {
  const MimePart& part = tree.parts[index];
  if (part.number == 0) return {};
  const std::string around = place_of(tree, part.parent);  // As deep as kMimeDepthMax.
  return (around.empty() ? "" : around + ".") + std::to_string(part.number);
}

std::string where(const std::string& place) { return place.empty() ? "body: " : "part " + place + ": "; }

class Reader {
 public:
  explicit Reader(Content& content) noexcept : content_(content) {}

  Result<void> read(const MimePart& part, const std::string& place) {
    if (part.multipart()) return judge_multipart(part, place);
    auto bytes = decode(part, place);
    if (!bytes) return std::move(bytes).error();
    const bool named = !file_name(part).empty() || part.disposition.value == "attachment";
    std::string* body = part.type.value == "text/plain"  ? &content_.text
                        : part.type.value == "text/html" ? &content_.html
                                                         : nullptr;
    if (body == nullptr || named || !body->empty()) {
      attach(part, *std::move(bytes));
      return {};
    }
    return set_body(part, place, *std::move(bytes), *body);
  }

  // An image with a Content-ID is inline; a PDF that has one by its program's habit is not. The HTML tells.
  void finish() {
    for (std::size_t i = 0; i < content_.attachments.size(); ++i) {
      std::string& id = content_.attachments[i].content_id;
      if (outright_[i] && content_.html.find("cid:" + id) == std::string::npos) id.clear();
    }
  }

 private:
  static Result<void> judge_multipart(const MimePart& part, const std::string& place) {
    const std::string_view boundary = part.type.parameter("boundary");
    if (boundary.empty() || boundary.size() > kBoundaryMax)
      return invalid(where(place) + "multipart without a boundary");
    if (part.guessed || part.parts == 0) return invalid(where(place) + "multipart without parts");
    return {};
  }

  static Result<std::string> decode(const MimePart& part, const std::string& place) {
    constexpr std::string_view kKnown[] = {"", "7bit", "8bit", "binary", "base64", "quoted-printable"};
    if (std::ranges::find(kKnown, part.encoding) != std::end(kKnown)) return decoded_body(part);
    return invalid(where(place) + "unknown transfer encoding '" + part.encoding + "'");
  }

  // Lines of a Content end in LF, so that templates count them and compare them simply.
  static Result<void> set_body(const MimePart& part, const std::string& place, std::string bytes, std::string& body) {
    const std::string_view charset = part.type.parameter("charset");
    auto text = to_utf8(charset.empty() ? "utf-8" : charset, bytes);
    if (!text) return invalid(where(place) + "unknown charset '" + std::string(charset) + "'");
    for (std::size_t at = 0; at < text->size(); ++at) {
      if ((*text)[at] != '\r' || at + 1 == text->size() || (*text)[at + 1] != '\n') body.push_back((*text)[at]);
    }
    return {};
  }

  static std::string file_name(const MimePart& part) {
    const std::string_view name = part.disposition.parameter("filename");
    return std::string(name.empty() ? part.type.parameter("name") : name);
  }

  void attach(const MimePart& part, std::string bytes) {
    Attachment attachment{.filename = file_name(part), .data = std::move(bytes), .content_id = part.content_id};
    attachment.content_type =
        part.type.value.find('/') == std::string::npos ? "application/octet-stream" : part.type.value;
    const std::string_view charset = part.type.parameter("charset");
    if (!charset.empty() && is_ascii(charset))
      attachment.content_type.append("; charset=\"").append(charset).append("\"");
    content_.attachments.push_back(std::move(attachment));
    outright_.push_back(part.disposition.value == "attachment");
  }

  Content& content_;
  std::vector<bool> outright_;  // For each attachment: its Content-Disposition says attachment.
};

}  // namespace

namespace {

// The fields of the message itself that are kept.
Result<void> read_headers(std::string_view eml, Content& content) {
  if (eml.starts_with("From ")) eml.remove_prefix(std::min(eml.find('\n'), eml.size() - 1) + 1);  // An mbox's mark.
  std::size_t fields = 0;
  for (std::string_view rest = eml; const auto field = next_field(rest);) {
    if (field->name.empty()) {
      const auto line = std::count(eml.begin(), eml.begin() + (field->value.data() - eml.data()), '\n') + 1;
      return invalid("line " + std::to_string(line) + ": not a header field");
    }
    if (++fields > kMimeHeadersMax) return invalid("more than 1000 header fields");
    if (!is_dropped(field->name)) {
      content.headers.push_back({.name = std::string(field->name), .value = decode_header(unfold(field->value))});
    }
  }
  return {};
}

Result<void> judge_limits(const MimeTree& tree) {
  const std::string place = where(place_of(tree, tree.cut_at));
  switch (tree.cut) {
    case MimeCut::kNone:
      return {};
    case MimeCut::kDepth:
      return invalid(place + "multiparts nested deeper than 16");
    case MimeCut::kParts:
      return invalid(place + "more than 1000 parts");
    case MimeCut::kHeaders:
      return invalid(place + "more than 1000 header fields, or a megabyte of them");
  }
  return {};
}

}  // namespace

Result<Content> Content::parse_eml(std::string_view eml) {
  Content content;
  if (auto done = read_headers(eml, content); !done) return std::move(done).error();
  const MimeTree tree = read_mime(eml);
  if (auto done = judge_limits(tree); !done) return std::move(done).error();
  Reader reader(content);
  for (std::size_t i = 0; i < tree.parts.size(); ++i) {
    if (auto done = reader.read(tree.parts[i], place_of(tree, i)); !done) return std::move(done).error();
  }
  reader.finish();
  return content;
}

}  // namespace mailsbuddy
