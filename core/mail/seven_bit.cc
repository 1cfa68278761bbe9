// RFC 6152 3 and RFC 2045 6: a message for a server that takes no octets above 127. A part's place in the message is
// known from the reader's views into it; what is between two of them is copied.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"
#include "core/mail/mime_reader.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kMessagesMax = 8;  // Messages in messages; forwards of forwards nest three deep.

enum class Kind { kLeaf, kMultipart, kMessage, kSealed };

// What a part is to us. Sealed: its octets are signed or encrypted as they stand (RFC 1847), or its type allows no
// encoding (RFC 2046 5.2). message/global and its kin do (RFC 6532 3.7, RFC 6533 6).
Kind kind_of(const MimePart& part, const MimePart& parent) {
  std::string_view type = part.type.value;
  if (part.number != 0 && parent.type.value == "multipart/digest" && header_of(part, "Content-Type").empty())
    type = "message/rfc822";  // RFC 2046 5.1.5.
  if (type == "multipart/signed" || type == "multipart/encrypted") return Kind::kSealed;
  if (part.multipart()) return Kind::kMultipart;
  if (type == "message/rfc822") return Kind::kMessage;
  return type.starts_with("message/") && !type.starts_with("message/global") ? Kind::kSealed : Kind::kLeaf;
}

// 2 octets more for each that is encoded, or a third more for all.
bool base64_is_shorter(std::string_view body) noexcept {
  const auto encoded = std::count_if(body.begin(), body.end(), [](char c) {
    return static_cast<unsigned char>(c) > 126 || c == '=' || (ascii::is_control(c) && !ascii::is_space(c));
  });
  return static_cast<std::size_t>(encoded) * 6 > body.size();
}

class Downgrade {
 public:
  Downgrade(std::string_view message, std::string& out, std::size_t messages_around)
      : message_(message), out_(out), around_(messages_around), tree_(read_mime(message)) {}

  Result<void> run() {
    if (tree_.cut != MimeCut::kNone) return refuse("its structure is beyond what is read", tree_.cut_at);
    for (std::size_t i = 0; i < tree_.parts.size(); ++i) {
      if (tree_.parts[i].headers.data() < message_.data() + at_) continue;  // In one that was copied whole.
      if (auto done = convert(i); !done) return done;
    }
    copy_ignored(message_.size());
    return {};
  }

 private:
  Error refuse(std::string_view why, std::size_t part) const {
    std::string place;
    for (std::size_t i = part; i < tree_.parts.size() && tree_.parts[i].number != 0; i = tree_.parts[i].parent) {
      place =
          place.empty() ? fmt::to_string(tree_.parts[i].number) : fmt::format("{}.{}", tree_.parts[i].number, place);
    }
    const std::string where = place.empty() ? "message" : "part " + place;
    return {ErrorCode::kUnsupported, fmt::format("{}: {}", where, why)};
  }

  std::size_t offset(std::string_view view) const noexcept {
    return static_cast<std::size_t>(view.data() - message_.data());
  }

  // Delimiters, and what is before the first and after the last one, which no reader shows (RFC 2046 5.1.1).
  void copy_ignored(std::size_t end) {
    for (; at_ < end; ++at_) out_.push_back(static_cast<unsigned char>(message_[at_]) < 0x80 ? message_[at_] : '?');
  }

  Result<void> convert(std::size_t index) {
    const MimePart& part = tree_.parts[index];
    if (!is_ascii(part.headers)) return refuse("a header field is not ASCII", index);
    copy_ignored(offset(part.headers));
    const bool ascii = is_ascii(part.body);
    const bool identity =
        part.encoding.empty() || part.encoding == "7bit" || part.encoding == "8bit" || part.encoding == "binary";
    if (!ascii && !identity) return refuse("octets above 127 in '" + part.encoding + "'", index);
    switch (kind_of(part, tree_.parts[part.parent])) {
      case Kind::kSealed:
        return ascii ? copy(part) : refuse("octets above 127 in " + part.type.value, index);
      case Kind::kMultipart:
        if (!ascii && (part.guessed || part.parts == 0)) return refuse("octets above 127 and no boundary", index);
        copy_headers(part, "7bit");
        copy_ignored(offset(part.body));
        if (ascii && part.parts == 0) copy_ignored(offset(part.body) + part.body.size());
        return {};
      case Kind::kMessage:
        return convert_message(part, index);
      case Kind::kLeaf:
        break;
    }
    return convert_leaf(part, ascii);
  }

  Result<void> convert_message(const MimePart& part, std::size_t index) {
    if (around_ >= kMessagesMax) return refuse("messages nested deeper than 8", index);
    copy_headers(part, "7bit");
    copy_ignored(offset(part.body));
    at_ += part.body.size();
    if (part.body.empty()) return {};
    auto done = Downgrade(part.body, out_, around_ + 1).run();
    return done ? Result<void>() : refuse("in it, " + done.error().detail, index);
  }

  Result<void> convert_leaf(const MimePart& part, bool ascii) {
    if (ascii && part.encoding != "binary") {
      copy_headers(part, "7bit");
      copy_ignored(offset(part.body) + part.body.size());
      return {};
    }
    const bool base64 = base64_is_shorter(part.body);
    copy_headers(part, base64 ? "base64" : "quoted-printable");
    copy_ignored(offset(part.body));
    at_ += part.body.size();
    if (!base64) {
      append_quoted_printable(out_, part.body);
      return {};
    }
    append_base64_lines(out_, part.body);
    if (at_ < message_.size() && out_.ends_with("\r\n")) out_.resize(out_.size() - 2);  // The delimiter brings its own.
    return {};
  }

  Result<void> copy(const MimePart& part) {
    const std::size_t end = offset(part.body) + part.body.size();
    out_.append(message_.substr(at_, end - at_));
    at_ = end;
    return {};
  }

  // The header section with `encoding` in place of 8bit and binary, or of nothing where that says something new.
  void copy_headers(const MimePart& part, std::string_view encoding) {
    const bool says_7bit = part.encoding.empty() || part.encoding == "7bit";
    const bool keeps = encoding == "7bit" && (says_7bit || (part.encoding != "8bit" && part.encoding != "binary"));
    bool version = false, type = false;
    for (std::string_view rest = part.headers; !rest.empty();) {
      const std::string_view before = rest;
      const auto field = next_field(rest);
      if (!field) break;
      version = version || ascii::iequals(field->name, "MIME-Version");
      type = type || ascii::iequals(field->name, "Content-Type");
      if (keeps || !ascii::iequals(field->name, "Content-Transfer-Encoding"))
        out_.append(before.substr(0, before.size() - rest.size()));
    }
    at_ = offset(part.headers) + part.headers.size();
    if (keeps) return;
    if (!part.headers.empty() && !out_.ends_with('\n')) out_.append("\r\n");
    if (!version && part.number == 0) out_.append("MIME-Version: 1.0\r\n");
    if (!type && encoding != "7bit") {  // RFC 1428 3: where nothing is known.
      out_.append("Content-Type: text/plain; charset=");
      out_.append(is_valid_utf8(part.body) ? "utf-8\r\n" : "unknown-8bit\r\n");
    }
    out_.append("Content-Transfer-Encoding: ").append(encoding).append("\r\n");
  }

  std::string_view message_;
  std::string& out_;
  std::size_t around_;
  MimeTree tree_;
  std::size_t at_ = 0;  // What is before it is in out_.
};

}  // namespace

Result<std::string> to_seven_bit(std::string_view message) {
  std::string out;
  if (is_ascii(message)) return out.assign(message);
  out.reserve(message.size() + message.size() / 4);
  if (auto done = Downgrade(message, out, 0).run(); !done) return std::move(done).error();
  return out;
}

}  // namespace mailsbuddy
