// libopendkim 2.11 signs. Its options belong to a library handle, the time of a signature among them, so a handle is
// one signature's at a time; made once, kept for the next.
#include "dkim/opendkim_signer.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <mutex>

#include "core/base/ascii.h"
#include "dkim/canonicalise.h"
#include "dkim/message.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kLineMax = 998;  // RFC 5322 2.1.1

struct Close {
  void operator()(DKIM_LIB* library) const noexcept { dkim_close(library); }
  void operator()(DKIM* message) const noexcept { dkim_free(message); }
};
using Library = std::unique_ptr<DKIM_LIB, Close>;

unsigned char* octets(std::string_view text) noexcept {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));  // Their C has no const; nothing is written.
}

Error refused(DKIM_STAT status) {
  return {status == DKIM_STAT_SYNTAX ? ErrorCode::kInvalidArgument : ErrorCode::kInternal,
          fmt::format("libopendkim: {}", dkim_getresultstr(status))};
}

dkim_canon_t form(Canonicalisation form) noexcept {
  return form == Canonicalisation::kSimple ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
}

class Signing final : public OpenDkimSigner {
 public:
  Signing(const Signer::Identity& identity, const PrivateKey& key, const SignOptions& options)
      : domain_(identity.domain),
        selector_(identity.selector),
        options_(options),
        pem_(key.pem()),
        algorithm_(key.algorithm() == Algorithm::kRsaSha256 ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256) {
    for (const auto& name : identity.names) {
      names_.push_back(name.name);
      if (name.oversigned) oversigned_.push_back(name.name);
    }
  }
  ~Signing() override { OPENSSL_cleanse(pem_.data(), pem_.size()); }

  Result<void> sign(std::string_view message, TimePoint now, std::string& out) const override {
    CutMessage cut;
    if (auto done = cut_message(message, cut); !done) return done;
    const auto froms =
        std::ranges::count_if(cut.fields, [](auto& field) { return ascii::iequals(field.name, "From"); });
    // libopendkim would sign two; the same messages are refused by both engines.
    if (froms != 1) return invalid(froms == 0 ? "no From field" : "more than one From field");
    if (!only_crlf(cut.body)) return invalid("bare CR or LF in the body");
    Library library = take();
    if (!library) return Error{ErrorCode::kResourceExhausted, "libopendkim: out of memory"};
    auto done = sign(*library, cut, now, out);
    if (done) give_back(std::move(library));
    return done;
  }

 private:
  static Error invalid(const char* detail) { return {ErrorCode::kInvalidArgument, detail}; }

  Result<void> sign(DKIM_LIB& library, const CutMessage& cut, TimePoint now, std::string& out) const {
    auto time = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count());
    dkim_options(&library, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &time, sizeof time);
    DKIM_STAT status = DKIM_STAT_OK;
    const auto length = options_.body_length ? static_cast<ssize_t>(*options_.body_length) : ssize_t{-1};
    const std::unique_ptr<DKIM, Close> dkim(dkim_sign(&library, octets("mailsbuddy"), nullptr, octets(pem_),
                                                      octets(selector_), octets(domain_), form(options_.header),
                                                      form(options_.body), algorithm_, length, &status));
    if (!dkim) return refused(status);
    if (unfolded_) status = dkim_set_margin(dkim.get(), 0);
    if (status == DKIM_STAT_OK && !options_.identity.empty())
      status = dkim_set_signer(dkim.get(), octets(options_.identity));
    for (const Field& field : cut.fields) {
      if (status == DKIM_STAT_OK) status = dkim_header(dkim.get(), octets(field.whole), field.whole.size());
    }
    if (status == DKIM_STAT_OK) status = dkim_eoh(dkim.get());
    if (status == DKIM_STAT_OK && !cut.body.empty()) {
      status = dkim_body(dkim.get(), octets(cut.body), cut.body.size());
    }
    // It does not add the CRLF of RFC 6376 3.4.3 and 3.4.4 itself in all forms.
    if (status == DKIM_STAT_OK && !cut.body.empty() && !cut.body.ends_with("\r\n")) {
      status = dkim_body(dkim.get(), octets("\r\n"), 2);
    }
    if (status == DKIM_STAT_OK) status = dkim_eom(dkim.get(), nullptr);
    unsigned char* value = nullptr;
    std::size_t size = 0;
    constexpr std::string_view kName = "DKIM-Signature: ";
    if (status == DKIM_STAT_OK) status = dkim_getsighdr_d(dkim.get(), kName.size(), &value, &size);
    if (status != DKIM_STAT_OK) return refused(status);
    if (unfolded_ && kName.size() + size > kLineMax) {
      return Error{ErrorCode::kUnsupported, "libopendkim: the field is too long for one line"};
    }
    out += kName;
    append_crlf_lines(out, {reinterpret_cast<const char*>(value), size});
    return {};
  }

  // Their folds end in CRLF or LF, as it was built; the last line has no end.
  static void append_crlf_lines(std::string& out, std::string_view value) {
    for (const char c : value) {
      if (c == '\n' && out.back() != '\r') out += '\r';
      out += c;
    }
    out += "\r\n";
  }

  Library take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Library library = std::move(idle_.back());
        idle_.pop_back();
        return library;
      }
    }
    Library library(dkim_init(nullptr, nullptr));
    const auto set = [&](dkim_opts_t option, void* value, std::size_t size) {
      if (library && dkim_options(library.get(), DKIM_OP_SETOPT, option, value, size) != DKIM_STAT_OK) library.reset();
    };
    unsigned flags = DKIM_LIBFLAGS_NONE;
    if (options_.body_length) flags |= DKIM_LIBFLAGS_SIGNLEN;
    if (options_.copied_headers) flags |= DKIM_LIBFLAGS_ZTAGS;
    set(DKIM_OPTS_FLAGS, &flags, sizeof flags);
    auto lifetime = static_cast<std::uint64_t>(options_.expires_after.value_or(std::chrono::seconds(0)).count());
    set(DKIM_OPTS_SIGNATURETTL, &lifetime, sizeof lifetime);
    auto names = list(names_);
    set(DKIM_OPTS_SIGNHDRS, names.data(), sizeof(const char**));
    auto oversigned = list(oversigned_);
    set(DKIM_OPTS_OVERSIGNHDRS, oversigned.data(), sizeof(const char**));
    return library;
  }

  void give_back(Library library) const {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(library));
  }

  static std::vector<const char*> list(const std::vector<std::string>& names) {
    std::vector<const char*> pointers;
    for (const std::string& name : names) pointers.push_back(name.c_str());
    pointers.push_back(nullptr);
    return pointers;
  }

  const std::string domain_;
  const std::string selector_;
  const SignOptions options_;
  std::string pem_;
  const dkim_alg_t algorithm_;
  // libopendkim 2.11 beta 2 hashes an Ed25519 signature's field with b= folded otherwise than it writes it, which only
  // the simple form shows: such a field is asked for in one line.
  const bool unfolded_ = algorithm_ == DKIM_SIGN_ED25519SHA256 && options_.header == Canonicalisation::kSimple;
  std::vector<std::string> names_;
  std::vector<std::string> oversigned_;
  mutable std::mutex mutex_;
  mutable std::vector<Library> idle_;
};

}  // namespace

bool available(Backend) noexcept { return true; }

Result<std::shared_ptr<const OpenDkimSigner>> OpenDkimSigner::make(const Signer::Identity& identity,
                                                                   const PrivateKey& key, const SignOptions& options) {
  const auto unsupported = [](std::string detail) { return Error{ErrorCode::kUnsupported, std::move(detail)}; };
  if (!options.timestamp) return unsupported("libopendkim always writes t=");
  if (options.query_method != false) return unsupported("libopendkim does not write q= on its own");
  const Library library(dkim_init(nullptr, nullptr));
  if (key.algorithm() == Algorithm::kEd25519Sha256 &&
      (!library || dkim_libfeature(library.get(), DKIM_FEATURE_ED25519) == 0)) {
    return unsupported("this libopendkim was built without Ed25519");
  }
  return std::shared_ptr<const OpenDkimSigner>(std::make_shared<Signing>(identity, key, options));
}

}  // namespace mailsbuddy::dkim
