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

constexpr std::size_t kKeptBytesMax = 64 << 10;  // Of a field, which with z= may be as large as a header.

// A field on its way: up to "b=", or all of it if libopendkim made it.
struct BegunField {
  SignTask* task = nullptr;
  std::string field;
  bool complete = false;
};

// What a thread works with while it signs messages, kept for its next: a message takes nothing from the heap unless
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
  std::vector<BegunField> fields;         // Those before `fields_used` are of this batch, the rest is kept for its memory.
  std::size_t fields_used = 0;
  std::string unsigned_field;           // The one of sign_header().
  std::vector<DigestToSign> digests;    // Of those that are not complete, in their order.

  BegunField& add_field() {
    if (fields_used == fields.size()) fields.emplace_back();
    BegunField& added = fields[fields_used++];
    if (added.field.capacity() > kKeptBytesMax) std::string().swap(added.field);
    added.field.clear();
    return added;
  }

  static Workspace& of_this_thread() {
    thread_local Workspace workspace;
    return workspace;
  }
};

// One signature over one message.
class Signing {
 public:
  Signing(const Signer::Identity& identity, Workspace& work) : identity_(identity), work_(work) {}

  // The field up to "b=" into `field`, which is empty. False: OpenSSL refused.
  bool begin(const BodyHash& body, TimePoint now, std::string& field, Sha256& digest) {
    select();
    append_unsigned(body, now, field);
    append_canonical_header(work_.canonical, identity_.options.header,
                            {.name = kName, .value = std::string_view(field).substr(kName.size() + 1), .whole = field});
    work_.hash.begin();
    work_.hash.update(work_.canonical);
    return work_.hash.finish(digest);
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

void append_signed(std::string_view field, std::span<const unsigned char> signature, Workspace& work, std::string& out) {
  const std::size_t start = out.size();
  out += field;
  work.text.clear();
  append_base64(work.text, {reinterpret_cast<const char*>(signature.data()), signature.size()});
  Folder(out, start).stretch(work.text);
  out += "\r\n";
}

Result<void> check_from(const std::vector<Field>& fields) {
  const auto is_from = [](const Field& field) { return ascii::iequals(field.name, "From"); };
  const auto froms = std::ranges::count_if(fields, is_from);
  if (froms != 1) return invalid(froms == 0 ? "no From field" : "more than one From field");
  return {};
}

// One task's fields up to their signatures.
class Beginning {
 public:
  Beginning(SignTask& task, TimePoint now, Workspace& work) : task_(task), now_(now), work_(work) { work.bodies.clear(); }

  Result<void> add(const Signer::Identity& identity) {
    if (identity.opendkim) {
      BegunField& whole = work_.add_field();
      whole.task = &task_;
      whole.complete = true;
      return identity.opendkim->sign(task_.message, now_, whole.field);
    }
    auto body = hash_body(identity.options);
    if (!body) return std::move(body).error();
    BegunField& begun = work_.add_field();
    begun.task = &task_;
    begun.complete = false;
    DigestToSign& digest = work_.digests.emplace_back();
    digest.key = identity.key.get();
    if (!Signing(identity, work_).begin(**body, now_, begun.field, digest.digest)) return openssl_refused();
    return {};
  }

 private:
  // Once for each canonicalisation.
  Result<const BodyHash*> hash_body(const SignOptions& options) {
    if (!cut_) {
      if (auto done = cut_message(task_.message, work_.cut); !done) return std::move(done).error();
      if (auto good = check_from(work_.cut.fields); !good) return std::move(good).error();
      cut_ = true;
    }
    const auto same = std::ranges::find_if(work_.bodies, [&](const BodyHash& done) {
      return done.form == options.body && !done.length && !options.body_length;
    });
    if (same != work_.bodies.end()) return &*same;
    auto hashed = dkim::hash_body(work_.cut.body, options.body, options.body_length, work_.hash);
    if (!hashed) return std::move(hashed).error();
    return &work_.bodies.emplace_back(*hashed);
  }

  SignTask& task_;
  const TimePoint now_;
  Workspace& work_;
  bool cut_ = false;
};

// A task that fails leaves its `out` as it was.
void finish(Workspace& work) {
  std::size_t next = 0, start = 0;
  const SignTask* of = nullptr;
  for (const BegunField& each : std::span(work.fields).first(work.fields_used)) {
    SignTask& task = *each.task;
    if (of != &task) {
      of = &task;
      start = task.out->size();
    }
    const DigestToSign* const digest = each.complete ? nullptr : &work.digests[next++];
    if (!task.result) continue;
    if (digest == nullptr) {
      *task.out += each.field;
    } else if (digest->size > 0) {
      append_signed(each.field, std::span(digest->signature).first(digest->size), work, *task.out);
    } else {
      task.out->resize(start);
      task.result = openssl_refused();
    }
  }
}

template <class IdentityOf>
void sign_few(std::span<SignTask> tasks, TimePoint now, Workspace& work, IdentityOf identity_of) {
  work.fields_used = 0;
  work.digests.clear();
  for (SignTask& task : tasks) {
    const std::size_t fields = work.fields_used, digests = work.digests.size();
    Beginning beginning(task, now, work);
    task.result = {};
    for (const Signer* signer : task.signers) {
      task.result = beginning.add(identity_of(*signer));
      if (task.result) continue;
      work.fields_used = fields;
      work.digests.resize(digests);
      break;
    }
  }
  sign_digests(work.digests);
  finish(work);
}

}  // namespace

// A few after the other: what a thread keeps does not grow with the batch.
void sign_batch(std::span<SignTask> tasks, TimePoint now) {
  Workspace& work = Workspace::of_this_thread();
  const auto identity_of = [](const Signer& signer) -> const Signer::Identity& { return *signer.identity_; };
  for (; !tasks.empty(); tasks = tasks.subspan(std::min(kSignedAtOnce, tasks.size()))) {
    sign_few(tasks.first(std::min(kSignedAtOnce, tasks.size())), now, work, identity_of);
  }
}

Result<void> sign_all(std::span<const Signer* const> signers, std::string_view message, TimePoint now,
                      std::string& out) {
  SignTask task{.signers = signers, .message = message, .out = &out};
  sign_batch({&task, 1}, now);
  return std::move(task.result);
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
  DigestToSign digest;
  digest.key = identity_->key.get();
  if (work.unsigned_field.capacity() > kKeptBytesMax) std::string().swap(work.unsigned_field);
  work.unsigned_field.clear();
  if (!Signing(*identity_, work).begin(body, now, work.unsigned_field, digest.digest)) return openssl_refused();
  sign_digests({&digest, 1});
  if (digest.size == 0) return openssl_refused();
  append_signed(work.unsigned_field, std::span(digest.signature).first(digest.size), work, out);
  return {};
}

}  // namespace mailsbuddy::dkim
