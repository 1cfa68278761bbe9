// RFC 6376 3.6.1:
//   key-v-tag = %x76 [FWS] "=" [FWS] %x44.4B.49.4D.31                      ; "DKIM1", first if it stands
//   key-h-tag = %x68 [FWS] "=" [FWS] key-h-tag-alg *( [FWS] ":" [FWS] key-h-tag-alg )
//   key-k-tag = %x76 [FWS] "=" [FWS] key-k-tag-type
//   key-n-tag = %x6e [FWS] "=" [FWS] qp-section
//   key-p-tag = %x70 [FWS] "=" [ [FWS] base64string ]
//   key-s-tag = %x73 [FWS] "=" [FWS] key-s-tag-type *( [FWS] ":" [FWS] key-s-tag-type )
//   key-t-tag = %x74 [FWS] "=" [FWS] key-t-tag-flag *( [FWS] ":" [FWS] key-t-tag-flag )
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "dkim/tag_list.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kRecordBytesMax = 16 * 1024;  // RSA-4096 takes 800; a TXT record of DNS has at most 65,535.

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

std::vector<std::string> parts_of(std::optional<std::string_view> list) {
  std::vector<std::string> parts;
  while (const auto part = take_colon_part(list)) parts.emplace_back(*part);
  return parts;
}

bool has(const std::vector<std::string>& list, std::string_view wanted) noexcept {
  return std::ranges::any_of(list, [wanted](const std::string& each) { return ascii::iequals(each, wanted); });
}

void append_list(std::string& out, std::string_view tag, const std::vector<std::string>& list) {
  out += fmt::format("; {}=", tag);
  for (std::size_t i = 0; i < list.size(); ++i) out += (i == 0 ? "" : ":") + list[i];
}

}  // namespace

Result<KeyRecord> KeyRecord::parse(std::string_view txt) {
  if (txt.size() > kRecordBytesMax) return invalid(fmt::format("longer than {} octets", kRecordBytesMax));
  const auto tags = TagList::parse(txt);
  if (!tags) return tags.error();
  const auto version = tags->find("v");
  // "This tag MUST be the first tag in the record. Records beginning with a "v=" tag with any other value MUST be
  // discarded."
  if (version && tags->tags().front().name != "v") return invalid("v= is not the first tag");
  if (version && *version != "DKIM1") return invalid(fmt::format("v={} is not DKIM1", *version));
  const auto public_key = tags->find("p");
  if (!public_key) return invalid("no p=");
  auto decoded = decode_tag_base64(*public_key);
  if (!decoded) return invalid("p= is not base 64");

  KeyRecord record;
  record.public_key = *std::move(decoded);
  if (const auto type = tags->find("k")) record.key_type = ascii::to_lower(*type);
  if (const auto hashes = tags->find("h")) record.hashes = parts_of(hashes);
  if (const auto services = tags->find("s")) record.services = parts_of(services);
  if (const auto flags = tags->find("t")) record.flags = parts_of(flags);
  // Notes have no effect on verifying, so bad ones have none either.
  if (const auto notes = tags->find("n")) record.notes = decode_tag_quoted(*notes).value_or(std::string(*notes));
  return record;
}

std::string KeyRecord::str() const {
  std::string text = "v=DKIM1";
  if (!hashes.empty()) append_list(text, "h", hashes);
  text += "; k=" + key_type;
  if (!notes.empty()) {
    text += "; n=";
    append_tag_quoted(text, notes);
  }
  if (services != std::vector<std::string>{"*"}) append_list(text, "s", services);
  if (!flags.empty()) append_list(text, "t", flags);
  text += "; p=";
  append_base64(text, public_key);
  return text;
}

bool KeyRecord::allows_hash(std::string_view hash) const noexcept { return hashes.empty() || has(hashes, hash); }
bool KeyRecord::serves_email() const noexcept { return has(services, "*") || has(services, "email"); }
bool KeyRecord::has_flag(std::string_view flag) const noexcept { return has(flags, flag); }

}  // namespace mailsbuddy::dkim
