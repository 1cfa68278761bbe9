// RFC 2045 and 2046 as read:
//
//   entity    = header-section CRLF body
//   multipart = [preamble CRLF] delimiter entity *( CRLF delimiter entity ) CRLF close-delimiter [CRLF epilogue]
//   delimiter = "--" boundary *WSP CRLF ; close-delimiter = "--" boundary "--"
//
// The delimiters of all multiparts around a place are known there, so one pass finds every part, whatever the depth. An
// outer delimiter ends the parts within it, closed or not.
#include "core/mail/mime_reader.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"

namespace mailsbuddy {
namespace {

enum class Delimiter { kNone, kOpen, kClose };

Delimiter delimiter(std::string_view line, std::string_view boundary) noexcept {
  line.remove_prefix(2);
  if (!line.starts_with(boundary)) return Delimiter::kNone;
  line.remove_prefix(boundary.size());
  if (line.starts_with("--")) return Delimiter::kClose;
  return ascii::trim(line).empty() ? Delimiter::kOpen : Delimiter::kNone;
}

std::string_view line_at(std::string_view text, std::size_t at) noexcept {
  return text.substr(at, std::min(text.find('\n', at), text.size() - 1) + 1 - at);
}

void read_field(MimePart& part, const RawField& field) {
  if (!ascii::istarts_with(field.name, "Content-")) return;
  if (ascii::iequals(field.name, "Content-Type")) {
    part.type = parse_parameters(field.value);
    part.type.value.resize(std::min(part.type.value.find_first_of(" \t"), part.type.value.size()));  // "text/plain charset=x"
  } else if (ascii::iequals(field.name, "Content-Disposition")) {
    part.disposition = parse_parameters(field.value);
  } else if (ascii::iequals(field.name, "Content-Transfer-Encoding")) {
    part.encoding = ascii::to_lower(unfold(field.value));
  } else if (ascii::iequals(field.name, "Content-ID")) {
    part.content_id = unfold(field.value);
    std::erase_if(part.content_id, [](char c) { return c == '<' || c == '>' || !ascii::is_visible(c); });
  }
}

// Whether `body` has the delimiter near its front.
bool has_delimiter(std::string_view body, std::string_view boundary) {
  if (boundary.empty() || boundary.size() > kBoundaryMax) return false;
  std::string wanted = "--";
  wanted += boundary;
  body = body.substr(0, kMimePreambleMax);
  for (std::size_t at = body.find(wanted); at != std::string_view::npos; at = body.find(wanted, at + 1)) {
    if (at == 0 || body[at - 1] == '\n') return true;
  }
  return false;
}

// What stands after "--" on the first line that a header field of a part follows.
std::string_view guess_boundary(std::string_view body) noexcept {
  body = body.substr(0, kMimePreambleMax);
  for (std::size_t at = 0; at < body.size();) {
    const std::string_view line = line_at(body, at);
    at += line.size();
    const std::string_view boundary = line.starts_with("--") ? ascii::trim(line.substr(2)) : std::string_view();
    if (!boundary.empty() && boundary.size() <= kBoundaryMax && ascii::istarts_with(body.substr(at), "Content-")) {
      return boundary;
    }
  }
  return {};
}

class TreeReader {
 public:
  explicit TreeReader(std::string_view raw) noexcept : raw_(raw) {}

  MimeTree read() && {
    open(0);
    while (at_ < raw_.size() && !open_.empty()) {
      const Found found = next_delimiter();
      if (found.what == Delimiter::kNone) break;
      const std::size_t multipart = open_[found.level].part;
      finish(multipart + 1, end_before(at_));
      open_.resize(found.level + (found.what == Delimiter::kClose ? 0 : 1));
      at_ += line_at(raw_, at_).size();
      if (found.what == Delimiter::kClose) continue;  // An epilogue follows.
      if (tree_.parts.size() > kMimePartsMax) {
        cut(MimeCut::kParts, tree_.parts.size());
        add(multipart);
        break;
      }
      open(multipart);
    }
    finish(0, raw_.size());
    return std::move(tree_);
  }

 private:
  struct Open {
    std::size_t part;
    std::string boundary;
  };
  struct Found {
    Delimiter what = Delimiter::kNone;
    std::size_t level = 0;
  };

  void cut(MimeCut why, std::size_t part) {
    if (tree_.cut != MimeCut::kNone) return;
    tree_.cut = why;
    tree_.cut_at = part;
  }

  // Of the multiparts that are open, the outermost one whose delimiter the line is.
  Found delimiter_at(std::size_t at) const noexcept {
    if (raw_.substr(at, 2) != "--") return {};
    const std::string_view line = line_at(raw_, at);
    for (std::size_t level = 0; level < open_.size(); ++level) {
      const Delimiter what = delimiter(line, open_[level].boundary);
      if (what != Delimiter::kNone) return {what, level};
    }
    return {};
  }

  // Moves to the next delimiter, from the beginning of a line.
  Found next_delimiter() noexcept {
    while (at_ < raw_.size()) {
      if (const Found found = delimiter_at(at_); found.what != Delimiter::kNone) return found;
      at_ = std::min(raw_.find("\n--", at_), raw_.size() - 1) + 1;
    }
    return {};
  }

  // What a multipart begins with, up to the next delimiter of those around it: what follows that says nothing about its
  // own.
  std::string_view own_front() const noexcept {
    const std::string_view front = raw_.substr(at_, kMimePreambleMax);
    for (std::size_t at = 0; at < front.size(); at = std::min(front.find("\n--", at), front.size() - 1) + 1) {
      if (delimiter_at(at_ + at).what != Delimiter::kNone) return front.substr(0, at);
    }
    return front;
  }

  // The line end before a delimiter belongs to it.
  std::size_t end_before(std::size_t at) const noexcept {
    if (at > 0 && raw_[at - 1] == '\n') --at;
    if (at > 0 && raw_[at - 1] == '\r') --at;
    return at;
  }

  std::size_t add(std::size_t parent) {
    const std::size_t index = tree_.parts.size();
    MimePart& part = tree_.parts.emplace_back();
    starts_.push_back(at_);
    if (index == 0) return index;
    part.parent = parent;
    part.number = ++tree_.parts[parent].parts;
    part.depth = tree_.parts[parent].depth + 1;
    return index;
  }

  // Takes a header section, which ends at an empty line or, if its writer forgot that, at a delimiter.
  std::string_view take_headers() {
    const std::size_t from = at_;
    while (at_ < raw_.size() && at_ - from < kMimeHeaderBytesMax) {
      if (!open_.empty() && delimiter_at(at_).what != Delimiter::kNone) return raw_.substr(from, at_ - from);
      const std::string_view line = line_at(raw_, at_);
      const std::string_view headers = raw_.substr(from, at_ - from);
      at_ += line.size();
      if (line == "\n" || line == "\r\n") return headers;
    }
    if (at_ - from >= kMimeHeaderBytesMax) cut(MimeCut::kHeaders, tree_.parts.size() - 1);
    return raw_.substr(from, at_ - from);
  }

  void open(std::size_t parent) {
    const std::size_t index = add(parent);
    const std::string_view headers = take_headers();
    starts_[index] = at_;
    MimePart& part = tree_.parts[index];
    part.headers = headers;
    std::size_t fields = 0;
    for (std::string_view rest = headers; const auto field = next_field(rest);) {
      if (++fields > kMimeHeadersMax) {
        cut(MimeCut::kHeaders, index);
        break;
      }
      read_field(part, *field);
    }
    if (part.multipart()) enter(part, index);
  }

  void enter(MimePart& part, std::size_t index) {
    if (part.depth >= kMimeDepthMax) return cut(MimeCut::kDepth, index);
    const std::string_view body = own_front();
    std::string boundary(part.type.parameter("boundary"));
    part.guessed = !has_delimiter(body, boundary);
    if (part.guessed) boundary = guess_boundary(body);
    if (!boundary.empty()) open_.push_back({index, std::move(boundary)});
  }

  // The bodies of all parts from `first` on that have not ended yet end here.
  void finish(std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < tree_.parts.size(); ++i) {
      MimePart& part = tree_.parts[i];
      if (part.body.data() == nullptr) part.body = raw_.substr(starts_[i], std::max(end, starts_[i]) - starts_[i]);
    }
  }

  std::string_view raw_;
  std::size_t at_ = 0;
  MimeTree tree_;
  std::vector<std::size_t> starts_;  // Of the parts' bodies.
  std::vector<Open> open_;           // Outermost first.
};

}  // namespace

MimeTree read_mime(std::string_view message) {
  if (message.starts_with("From ")) message.remove_prefix(line_at(message, 0).size());  // An mbox's mark.
  return TreeReader(message).read();
}

std::string header_of(const MimePart& part, std::string_view name) {
  return find_header(part.headers, name).value_or(std::string());
}

namespace {

std::string decoded(std::string_view encoding, std::string_view body) {
  if (encoding == "base64") return decode_base64_lenient(body);
  if (encoding == "quoted-printable") return decode_quoted_printable(body);
  return std::string(body);
}

}  // namespace

std::string decoded_body(const MimePart& part) { return decoded(part.encoding, part.body); }

std::string text_of(const MimePart& part, std::string_view body) {
  std::string bytes = decoded(part.encoding, body);
  if (bytes.find("\x1b$") != std::string::npos) {  // Only RFC 1468's charset has it; many do not declare it.
    if (auto text = to_utf8("iso-2022-jp", bytes)) return *std::move(text);
  }
  if (is_ascii(bytes)) return bytes;
  const std::string_view charset = part.type.parameter("charset");
  const bool says_nothing = charset.empty() || ascii::iequals(charset, "us-ascii");
  if ((says_nothing || ascii::iequals(charset, "utf-8")) && is_valid_utf8(bytes)) return bytes;
  if (!says_nothing) {
    if (auto text = to_utf8(charset, bytes)) return *std::move(text);
  }
  return is_valid_utf8(bytes) ? bytes : to_utf8("windows-1252", bytes).value_or(std::string());
}

}  // namespace mailsbuddy
