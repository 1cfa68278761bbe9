// RFC 6376 3.5:
//   DKIM-Signature: v=1; a=algorithm; c=header/body; d=domain; s=selector; [ i=auid; ] [ q=dns/txt; ] [ l=octets; ]
//     [ t=seconds; ] [ x=seconds; ] h=name *( ":" name ); [ z=name:value *( "|" name:value ); ] bh=base64; b=base64
// and 3.7: the signature is over the hash of the signed fields in the order of h=, and of this field itself with an
// empty b=, which has no CRLF.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "dkim/body_hash.h"
#include "dkim/canonicalise.h"
#include "dkim/folder.h"
#include "dkim/identity.h"
#include "dkim/message.h"
#include "dkim/opendkim_signer.h"
#include "dkim/tag_list.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kName = "DKIM-Signature";

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
Error openssl_refused() { return {ErrorCode::kInternal, "OpenSSL refused to sign"}; }

std::string_view view(const Sha256& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

// A number's decimal digits, on the stack.
class Digits {
 public:
  explicit Digits(std::int64_t number)
      : size_(static_cast<std::size_t>(std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr -
                                       text_.data())) {}
  operator std::string_view() const noexcept { return {text_.data(), size_}; }  // NOLINT: implicit by design

 private:
  std::array<char, 24> text_;
  std::size_t size_;
};

// What a thread works with while it signs one message, kept for its next: a message takes nothing from the heap unless
// it is larger than all before. Of the thread and not of the signer: an engine has few threads and may have many
// thousand signers. Nothing in it is secret.
struct Workspace {
  Sha256Hash hash;
  CutMessage cut;
  std::string canonical;                // The signed fields, then the signature's own.
  std::vector<const Field*> selected;   // What h= names, in its order; null: a name for which there is no field.
  std::vector<std::string_view> names;  // The names that go with them.
  std::string text;                     // Base 64 and quoted text on their way.
  std::vector<BodyHash> bodies;

  static Workspace& of_this_thread() {
    thread_local Workspace workspace;
    return workspace;
  }
};

// One signature over one message.
class Signing {
 public:
  Signing(const Signer::Identity& identity, Workspace& work) : identity_(identity), work_(work) {}

  Result<void> append_field(const BodyHash& body, TimePoint now, std::string& out) {
    select();
    const std::size_t start = out.size();
    append_unsigned(body, now, out);
    const SignOptions& options = identity_.options;
    const std::string_view field = std::string_view(out).substr(start);
    append_canonical_header(work_.canonical, options.header,
                            {.name = kName, .value = field.substr(kName.size() + 1), .whole = field});
    work_.hash.begin();
    work_.hash.update(work_.canonical);
    Sha256 digest;
    std::array<unsigned char, kSignatureBytesMax> signature;
    const std::size_t size = work_.hash.finish(digest) ? identity_.key->sign(digest, signature) : 0;
    if (size == 0) {
      out.resize(start);
      return openssl_refused();
    }
    work_.text.clear();
    append_base64(work_.text, {reinterpret_cast<const char*>(signature.data()), size});
    Folder(out, start).stretch(work_.text);
    out += "\r\n";
    return {};
  }

 private:
  // Writes the canonical form of the fields to sign. Fields of one name are taken from the bottom up (RFC 6376 5.4.2);
  // a name that stands once more than there are fields means: no more of them (8.15).
  void select() {
    work_.canonical.clear();
    work_.selected.clear();
    work_.names.clear();
    const auto& fields = work_.cut.fields;
    for (const auto& wanted : identity_.names) {
      for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
        if (!ascii::iequals(field->name, wanted.name)) continue;
        append_canonical_header(work_.canonical, identity_.options.header, *field);
        work_.canonical += "\r\n";
        work_.names.push_back(wanted.name);
        work_.selected.push_back(&*field);
      }
      if (!wanted.oversigned) continue;
      work_.names.push_back(wanted.name);
      work_.selected.push_back(nullptr);
    }
  }

  // "DKIM-Signature: ... b=", folded. There is at least From in h=.
  void append_unsigned(const BodyHash& body, TimePoint now, std::string& out) {
    const SignOptions& options = identity_.options;
    const std::size_t start = out.size();
    out += kName;
    out += ':';
    Folder folder(out, start);
    folder.word({"v=1;"});
    folder.word({"a=", to_string(identity_.key->algorithm), ";"});
    folder.word({"c=", to_string(options.header), "/", to_string(options.body), ";"});
    folder.word({"d=", identity_.domain, ";"});
    folder.word({"s=", identity_.selector, ";"});
    if (!identity_.auid.empty()) folder.word({"i=", identity_.auid, ";"});
    if (options.query_method) folder.word({"q=dns/txt;"});
    if (body.length) folder.word({"l=", Digits(static_cast<std::int64_t>(*body.length)), ";"});
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    if (options.timestamp) folder.word({"t=", Digits(seconds.count()), ";"});
    if (options.expires_after) folder.word({"x=", Digits((seconds + *options.expires_after).count()), ";"});
    for (std::size_t i = 0; i < work_.names.size(); ++i) {
      const std::string_view after = i + 1 < work_.names.size() ? ":" : ";";
      i == 0 ? folder.word({"h=", work_.names[i], after}) : folder.part({work_.names[i], after});
    }
    if (options.copied_headers) append_copies(folder);
    work_.text.clear();
    append_base64(work_.text, view(body.sha256));
    folder.word({"bh=", work_.text, ";"});
    folder.word({"b="});
  }

  // sig-z-tag-copy = hdr-name [FWS] ":" qp-hdr-value; a line may be cut after any of its characters that are not
  // encoded and after any that are (RFC 6376 2.11).
  void append_copies(Folder& folder) {
    std::string_view before = "z=";
    for (const Field* field : work_.selected) {
      if (field == nullptr) continue;
      work_.text.clear();
      append_tag_quoted(work_.text, field->value, "|");
      before == "z=" ? folder.word({before, field->name, ":"}) : folder.part({before, field->name, ":"});
      for (std::string_view rest = work_.text; !rest.empty();) {
        const std::string_view piece = rest.substr(0, rest.front() == '=' ? 3 : 1);
        folder.part({piece});
        rest.remove_prefix(piece.size());
      }
      before = "|";
    }
    folder.part({";"});
  }

  const Signer::Identity& identity_;
  Workspace& work_;
};

Result<void> check_from(const std::vector<Field>& fields) {
  const auto is_from = [](const Field& field) { return ascii::iequals(field.name, "From"); };
  const auto froms = std::ranges::count_if(fields, is_from);
  if (froms != 1) return invalid(froms == 0 ? "no From field" : "more than one From field");
  return {};
}

}  // namespace

Result<void> sign_all(std::span<const Signer* const> signers, std::string_view message, TimePoint now,
                      std::string& out) {
  Workspace& work = Workspace::of_this_thread();
  const std::size_t start = out.size();
  bool cut = false;
  work.bodies.clear();
  const auto sign = [&](const Signer::Identity& identity) -> Result<void> {
    if (identity.opendkim) return identity.opendkim->sign(message, now, out);
    if (!cut) {
      if (auto done = cut_message(message, work.cut); !done) return done;
      if (auto good = check_from(work.cut.fields); !good) return good;
      cut = true;
    }
    const SignOptions& options = identity.options;
    auto body = std::ranges::find_if(work.bodies, [&](const BodyHash& done) {
      return done.form == options.body && !done.length && !options.body_length;
    });
    if (body == work.bodies.end()) {
      auto hashed = hash_body(work.cut.body, options.body, options.body_length, work.hash);
      if (!hashed) return std::move(hashed).error();
      body = work.bodies.insert(work.bodies.end(), *hashed);
    }
    return Signing(identity, work).append_field(*body, now, out);
  };
  for (const Signer* signer : signers) {
    if (auto done = sign(*signer->identity_); !done) {
      out.resize(start);
      return done;
    }
  }
  return {};
}

Result<void> Signer::sign(std::string_view message, TimePoint now, std::string& out) const {
  const Signer* const self = this;
  return sign_all({&self, 1}, message, now, out);
}

Result<std::string> Signer::sign(std::string_view message, TimePoint now) const {
  std::string field;
  if (auto done = sign(message, now, field); !done) return std::move(done).error();
  return field;
}

Result<BodyHash> Signer::hash_body(std::string_view body) const {
  const SignOptions& options = identity_->options;
  return dkim::hash_body(body, options.body, options.body_length, Workspace::of_this_thread().hash);
}

Result<void> Signer::sign_header(std::string_view header, const BodyHash& body, TimePoint now, std::string& out) const {
  if (identity_->opendkim) return Error{ErrorCode::kUnsupported, "libopendkim signs whole messages only"};
  if (body.form != identity_->options.body || body.length.has_value() != identity_->options.body_length.has_value()) {
    return invalid("the body was hashed for other options");
  }
  Workspace& work = Workspace::of_this_thread();
  if (auto done = cut_message(header, work.cut); !done) return done;
  if (auto good = check_from(work.cut.fields); !good) return good;
  return Signing(*identity_, work).append_field(body, now, out);
}

}  // namespace mailsbuddy::dkim
