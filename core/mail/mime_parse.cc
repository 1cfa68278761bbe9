// RFC 2045 and 2046 as read:
//
//   entity    = header-section CRLF body
//   multipart = [preamble CRLF] delimiter entity *( CRLF delimiter entity ) CRLF close-delimiter [CRLF epilogue]
//   delimiter = "--" boundary *WSP CRLF ; close-delimiter = "--" boundary "--"
#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kMimeDepthMax = 16;    // Mail programs nest four deep; every level reads the body once more.
constexpr std::size_t kMimePartsMax = 1000;  // In the whole message.
constexpr std::size_t kEmlHeadersMax = 1000;
constexpr std::size_t kBoundaryMax = 200;  // RFC 2046 5.1.1 allows 70; some programs write more.

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

// The MIME fields of one entity.
struct Entity {
  ParameterizedValue type{.value = "text/plain", .parameters = {}};  // RFC 2045 5.2
  ParameterizedValue disposition;
  std::string encoding;
  std::string content_id;
  std::string_view body;
};

void read_field(Entity& entity, const RawField& field) {
  if (ascii::iequals(field.name, "Content-Type")) {
    entity.type = parse_parameters(field.value);
  } else if (ascii::iequals(field.name, "Content-Disposition")) {
    entity.disposition = parse_parameters(field.value);
  } else if (ascii::iequals(field.name, "Content-Transfer-Encoding")) {
    entity.encoding = ascii::to_lower(unfold(field.value));
  } else if (ascii::iequals(field.name, "Content-ID")) {
    std::string id = unfold(field.value);
    std::erase_if(id, [](char c) { return c == '<' || c == '>' || !ascii::is_visible(c); });
    entity.content_id = std::move(id);
  }
}

Entity read_entity(std::string_view raw) {
  Entity entity;
  while (const auto field = next_field(raw)) read_field(entity, *field);
  entity.body = raw;
  return entity;
}

// ---------------------------------------------------------------------------------------------------------------------
// Multipart

enum class Delimiter { kNone, kOpen, kClose };

Delimiter delimiter(std::string_view line, std::string_view boundary) noexcept {
  if (!line.starts_with("--") || !line.substr(2).starts_with(boundary)) return Delimiter::kNone;
  line.remove_prefix(2 + boundary.size());
  if (line.starts_with("--")) return Delimiter::kClose;
  return ascii::trim(line).empty() ? Delimiter::kOpen : Delimiter::kNone;
}

// Between the delimiters; at most kMimePartsMax + 1. A missing close delimiter is overlooked, as mail programs do.
std::vector<std::string_view> split_parts(std::string_view body, std::string_view boundary) {
  std::vector<std::string_view> parts;
  std::size_t part = std::string_view::npos;  // Where the current one starts; none yet.
  const auto finish = [&](std::size_t end) {
    if (part == std::string_view::npos) return;
    std::string_view text = body.substr(part, end - part);
    if (text.ends_with('\n')) text.remove_suffix(1);  // It belongs to the delimiter.
    if (text.ends_with('\r')) text.remove_suffix(1);
    parts.push_back(text);
  };
  for (std::size_t at = 0; at < body.size() && parts.size() <= kMimePartsMax;) {
    const std::size_t next = std::min(body.find('\n', at), body.size() - 1) + 1;
    const Delimiter found = delimiter(body.substr(at, next - at), boundary);
    if (found != Delimiter::kNone) {
      finish(at);
      part = next;
    }
    if (found == Delimiter::kClose) return parts;
    at = next;
  }
  if (part != std::string_view::npos && parts.size() <= kMimePartsMax) parts.push_back(body.substr(part));
  return parts;
}

// ---------------------------------------------------------------------------------------------------------------------
// Walking the tree

class Reader {
 public:
  explicit Reader(Content& content) noexcept : content_(content) {}

  // `place` is "1.2" for the second part of the first part; empty for the message itself.
  Result<void> read(const Entity& entity, const std::string& place, std::size_t depth) {
    if (entity.type.value.starts_with("multipart/")) return read_multipart(entity, place, depth);
    auto bytes = decode(entity, place);
    if (!bytes) return std::move(bytes).error();
    const bool named = !file_name(entity).empty() || entity.disposition.value == "attachment";
    std::string* body = entity.type.value == "text/plain"  ? &content_.text
                        : entity.type.value == "text/html" ? &content_.html
                                                           : nullptr;
    if (body == nullptr || named || !body->empty()) {
      attach(entity, *std::move(bytes));
      return {};
    }
    return set_body(entity, place, *std::move(bytes), *body);
  }

  // An image with a Content-ID is inline; a PDF that has one by its program's habit is not. The HTML tells.
  void finish() {
    for (std::size_t i = 0; i < content_.attachments.size(); ++i) {
      std::string& id = content_.attachments[i].content_id;
      if (outright_[i] && content_.html.find("cid:" + id) == std::string::npos) id.clear();
    }
  }

 private:
  static std::string where(const std::string& place) { return place.empty() ? "body: " : "part " + place + ": "; }

  Result<void> read_multipart(const Entity& entity, const std::string& place, std::size_t depth) {
    const std::string_view boundary = entity.type.parameter("boundary");
    if (boundary.empty() || boundary.size() > kBoundaryMax)
      return invalid(where(place) + "multipart without a boundary");
    if (depth == kMimeDepthMax) return invalid(where(place) + "multiparts nested deeper than 16");
    const auto parts = split_parts(entity.body, boundary);
    if (parts.empty()) return invalid(where(place) + "multipart without parts");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string part = (place.empty() ? "" : place + ".") + std::to_string(i + 1);
      if (++parts_ > kMimePartsMax) return invalid(where(part) + "more than 1000 parts");
      if (auto done = read(read_entity(parts[i]), part, depth + 1); !done) return done;
    }
    return {};
  }

  static Result<std::string> decode(const Entity& entity, const std::string& place) {
    if (entity.encoding == "base64") return decode_base64_lenient(entity.body);
    if (entity.encoding == "quoted-printable") return decode_quoted_printable(entity.body);
    if (entity.encoding.empty() || entity.encoding == "7bit" || entity.encoding == "8bit" ||
        entity.encoding == "binary") {
      return std::string(entity.body);
    }
    return invalid(where(place) + "unknown transfer encoding '" + entity.encoding + "'");
  }

  // Lines of a Content end in LF, so that templates count them and compare them simply.
  static Result<void> set_body(const Entity& entity, const std::string& place, std::string bytes, std::string& body) {
    const std::string_view charset = entity.type.parameter("charset");
    auto text = to_utf8(charset.empty() ? "utf-8" : charset, bytes);
    if (!text) return invalid(where(place) + "unknown charset '" + std::string(charset) + "'");
    for (std::size_t at = 0; at < text->size(); ++at) {
      if ((*text)[at] != '\r' || at + 1 == text->size() || (*text)[at + 1] != '\n') body.push_back((*text)[at]);
    }
    return {};
  }

  static std::string file_name(const Entity& entity) {
    const std::string_view name = entity.disposition.parameter("filename");
    return std::string(name.empty() ? entity.type.parameter("name") : name);
  }

  void attach(const Entity& entity, std::string bytes) {
    Attachment attachment{.filename = file_name(entity), .data = std::move(bytes), .content_id = entity.content_id};
    attachment.content_type =
        entity.type.value.find('/') == std::string::npos ? "application/octet-stream" : entity.type.value;
    const std::string_view charset = entity.type.parameter("charset");
    if (!charset.empty() && is_ascii(charset))
      attachment.content_type.append("; charset=\"").append(charset).append("\"");
    content_.attachments.push_back(std::move(attachment));
    outright_.push_back(entity.disposition.value == "attachment");
  }

  Content& content_;
  std::vector<bool> outright_;  // For each attachment: its Content-Disposition says attachment.
  std::size_t parts_ = 0;
};

}  // namespace

Result<Content> Content::parse_eml(std::string_view eml) {
  if (eml.starts_with("From ")) eml.remove_prefix(std::min(eml.find('\n'), eml.size() - 1) + 1);  // An mbox's mark.
  Content content;
  Entity entity;
  std::size_t fields = 0;
  for (std::string_view whole = eml; const auto field = next_field(eml);) {
    if (field->name.empty()) {
      const auto line = std::count(whole.begin(), whole.begin() + (field->value.data() - whole.data()), '\n') + 1;
      return invalid("line " + std::to_string(line) + ": not a header field");
    }
    if (++fields > kEmlHeadersMax) return invalid("more than 1000 header fields");
    read_field(entity, *field);
    if (!is_dropped(field->name)) {
      content.headers.push_back({.name = std::string(field->name), .value = decode_header(unfold(field->value))});
    }
  }
  entity.body = eml;
  Reader reader(content);
  if (auto done = reader.read(entity, "", 0); !done) return std::move(done).error();
  reader.finish();
  return content;
}

}  // namespace mailsbuddy
