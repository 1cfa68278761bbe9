// dkim.h - DKIM signatures (RFC 6376, RFC 8301, RFC 8463): keys and their rotation, key records, signing and
// verifying; and ARC (RFC 8617).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::dkim {

inline constexpr int kRsaBitsMin = 1024;      // RFC 8301 3.2: verifiers need not take less.
inline constexpr int kRsaBitsDefault = 2048;  // RFC 8301 3.2: signers SHOULD use at least this.
inline constexpr int kRsaBitsMax = 4096;      // RFC 8301 3.2: verifiers need not take more.

enum class Algorithm : std::uint8_t { kRsaSha256, kEd25519Sha256 };  // RFC 6376 3.3.2, RFC 8463
std::string_view to_string(Algorithm algorithm) noexcept;            // "rsa-sha256", ...
enum class Canonicalisation : std::uint8_t { kSimple, kRelaxed };    // RFC 6376 3.4
std::string_view to_string(Canonicalisation form) noexcept;          // "simple", ...

// Which implementation does the work. Both take the same options and give the same verdicts.
enum class Backend : std::uint8_t { kNative, kLibopendkim };
std::string_view to_string(Backend backend) noexcept;                // "native", "opendkim"
bool available(Backend backend) noexcept;                            // libopendkim: only where it was built in.

// What stands in the DNS for a selector (RFC 6376 3.6.1). Tags that 3.6.1 does not know are ignored, as it asks.
struct KeyRecord {
  std::string key_type = "rsa";            // k=: "rsa" or "ed25519" (RFC 8463 4); others parse, no signature uses them.
  std::string public_key{};                // p= decoded: for rsa DER, SubjectPublicKeyInfo or RSAPublicKey; for ed25519 the
                                           // 32 octets of RFC 8032. Empty: the key is revoked.
  std::vector<std::string> hashes{};       // h=, as they stand; empty: all.
  std::vector<std::string> services{"*"};  // s=
  std::vector<std::string> flags{};        // t=: "y": the domain tests DKIM; "s": i= must have the domain of d= itself.
  std::string notes{};                     // n=, decoded: for people.

  // Errors: kInvalidArgument: not a tag list; v= that is not first or not DKIM1; no p=, or p= that is not base 64.
  static Result<KeyRecord> parse(std::string_view txt);
  std::string str() const;                 // The TXT record's text, "v=DKIM1; k=rsa; p=...". Default values are left out.

  bool revoked() const noexcept { return public_key.empty(); }
  bool allows_hash(std::string_view hash) const noexcept;  // "sha256"
  bool serves_email() const noexcept;                      // s= has "*" or "email".
  bool has_flag(std::string_view flag) const noexcept;     // "y", "s"
};

// The size of the key in `record`: of RSA's modulus; 256 for Ed25519. Errors: kInvalidArgument: revoked, p= is no key
// of type k=, or k= is no type that DKIM has.
Result<int> key_bits(const KeyRecord& record);

struct KeyOptions {
  bool allow_short_rsa = false;  // RSA of kRsaBitsMin to 2047 bits: RFC 8301 3.2 has signers use 2048 at least.
};

// Gives a key's bytes, as PrivateKey::parse() takes them: from a vault or a database. They are wiped once parsed.
using KeySource = std::function<Result<std::string>()>;

// A private key, parsed once. Threads: immutable, signing from any number at once. Ownership: a cheap value (shared);
// the last one wipes the key.
class PrivateKey {
 public:
  // PEM or DER, PKCS#8 or PKCS#1, which of them is seen from the bytes. Errors: kInvalidArgument saying what it is
  // instead: no key, a public key, an encrypted key, an elliptic curve's; RSA under 2048 bits without allow_short_rsa,
  // under kRsaBitsMin or over kRsaBitsMax; a damaged key, whose signatures do not verify.
  static Result<PrivateKey> parse(std::string_view pem_or_der, KeyOptions options = {});
  // Errors: also kIo, kNotFound; all name the file. Its bytes are wiped once parsed.
  static Result<PrivateKey> from_file(const std::filesystem::path& file, KeyOptions options = {});
  static Result<PrivateKey> from_source(const KeySource& source, KeyOptions options = {});  // Errors: also the source's.
  static Result<PrivateKey> generate_rsa(int bits = kRsaBitsDefault, KeyOptions options = {});
  static Result<PrivateKey> generate_ed25519();

  Algorithm algorithm() const noexcept;
  int bits() const noexcept;   // Of RSA's modulus; 256 for Ed25519.
  std::string pem() const;     // PKCS#8, unencrypted. The caller's to wipe.
  KeyRecord record() const;    // What to publish.

  struct Key;                                                        // Private to the room,
  const std::shared_ptr<const Key>& key() const noexcept { return key_; }  // as is this.

 private:
  std::shared_ptr<const Key> key_;
};

// Whether `txt`, a TXT record's text, publishes the public half of `key` for mail. Errors: kInvalidArgument with the
// reason: no key record, revoked, another type, another key, h= without sha256, s= without email.
Result<void> check_record(const PrivateKey& key, std::string_view txt);

// `text` as quoted character-strings of at most 255 octets for a zone file (RFC 6376 3.6.2.2, RFC 1035 3.3.14).
std::string zone_file_strings(std::string_view text);

struct SignOptions {
  // Signed when present, each once more than it occurs when in `oversigned`, so that none can be added (RFC 6376 8.15).
  // What receivers show or act on, and what RFC 6376 5.4.1 lists; not what relays add or change.
  std::vector<std::string> headers{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version",
                                   "Content-Type", "Content-Transfer-Encoding", "In-Reply-To", "References", "List-Id",
                                   "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"};
  std::vector<std::string> oversigned{"From", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post"};
  Canonicalisation header = Canonicalisation::kRelaxed;  // c=. Simple breaks when a relay folds anew.
  Canonicalisation body = Canonicalisation::kRelaxed;
  std::optional<std::chrono::seconds> expires_after{};   // x=; empty: none. Delivery and forwarding take days.
  bool timestamp = true;                                 // t=
  std::string identity{};                                // i=: "news@brand.example" or "@brand.example", its domain that
                                                         // of d= or below it. Empty: none, which means "@" and d=.
  std::optional<std::uint64_t> body_length{};            // l=: only so many octets of the canonical body are signed. Empty:
                                                         // all of it. See Signer::warnings().
  bool copied_headers = false;                           // z=: the signed fields once more, to find out what changed them.
  bool query_method = false;                             // q=dns/txt, which is also what no q= means.
  Backend backend = Backend::kNative;
};

// The hash of a message's body, for all recipients who share it.
struct BodyHash {
  Canonicalisation form = Canonicalisation::kRelaxed;
  std::optional<std::uint64_t> length{};  // l=: the octets of the canonical body that were hashed; empty: all.
  std::array<unsigned char, 32> sha256{};
};

struct SignTask;

// Signs for one (domain, selector). Threads: immutable, signing from any number at once. A cheap value (shared).
class Signer {
 public:
  // Errors: kInvalidArgument: domain or selector is not a DNS name; From not among the signed headers (RFC 6376 5.4);
  // identity not in the domain. kUnsupported: the backend is not in this build, or cannot do what is asked.
  static Result<Signer> make(std::string_view domain, std::string_view selector, PrivateKey key, SignOptions options = {});

  // Appends the complete header field "DKIM-Signature: ...CRLF", folded, to stand before `message`, whose lines end in
  // CRLF. Natively it takes nothing from the heap but what `out` grows by, once a thread has signed a message of the
  // size. Errors: kInvalidArgument: no From, more than one From, or a bare CR or LF; kInternal: OpenSSL refused. `out`
  // is then as it was.
  Result<void> sign(std::string_view message, TimePoint now, std::string& out) const;
  Result<std::string> sign(std::string_view message, TimePoint now) const;

  // The same in two steps, for recipients who share a body: that is hashed once. `header` is the fields, with or
  // without the empty line; `body` what follows it. Errors: also kInvalidArgument: `body` was hashed for other options;
  // kUnsupported: the backend is libopendkim, which takes whole messages only.
  Result<BodyHash> hash_body(std::string_view body) const;
  Result<void> sign_header(std::string_view header, const BodyHash& body, TimePoint now, std::string& out) const;

  const std::string& domain() const noexcept;
  const std::string& selector() const noexcept;
  Algorithm algorithm() const noexcept;
  std::span<const std::string> warnings() const noexcept;  // What in the options is lawful and unwise, for people.

  struct Identity;  // Private to the room.

 private:
  friend class ArcSealer;
  friend void sign_batch(std::span<SignTask> tasks, TimePoint now);
  std::shared_ptr<const Identity> identity_;
};

// Several signatures over one message, the body read once for each canonicalisation among them: every signer's field,
// in their order, appended to `out`. Errors: as Signer::sign(); one that cannot sign leaves `out` as it was.
Result<void> sign_all(std::span<const Signer* const> signers, std::string_view message, TimePoint now, std::string& out);

struct SignTask {
  std::span<const Signer* const> signers;
  std::string_view message;
  std::string* out;       // The fields are appended to it. Each task's own.
  Result<void> result{};  // As sign_all() gives it.
};
// The same for several messages. Signatures by RSA-2048 keys, of one domain or of many, are made kSignedAtOnce at a
// time on a processor with AVX-512 IFMA: each then takes less than half of the time (bench/dkim_sign).
inline constexpr std::size_t kSignedAtOnce = 4;
void sign_batch(std::span<SignTask> tasks, TimePoint now);

inline constexpr std::size_t kSignersMax = 8;  // On one message. Receivers look at few: chasquid at 5, OpenDKIM at 128.

// Those who sign one message. Lives as long as the ring that it comes from.
class Signers {
 public:
  std::span<const Signer* const> view() const noexcept { return {signers_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }

 private:
  friend class KeyRing;
  std::array<const Signer*, kSignersMax> signers_{};
  std::size_t size_ = 0;
};

// Which identities sign for which domain of From. Each has a time from which it signs: of those of one domain and
// algorithm that have begun, the youngest signs, so that a key can be rotated while the old selector stays published.
// Threads: immutable once shared. Built by add(), then given to the engine; a reload is a new ring, swapped in whole.
class KeyRing {
 public:
  KeyRing();
  ~KeyRing();
  KeyRing(KeyRing&& other) noexcept;
  KeyRing& operator=(KeyRing&& other) noexcept;

  // For From in the signer's domain and below it (relaxed alignment, RFC 7489 3.1.1).
  // Errors: kAlreadyExists: the domain has one of this algorithm from that time on.
  Result<void> add(Signer signer, TimePoint signs_from = {});
  // For every message, besides the signers of its domain: the platform's own identity. Errors: as add(), and
  // kResourceExhausted: more than half of kSignersMax.
  Result<void> add_for_all(Signer signer, TimePoint signs_from = {});
  // As add(), the key fetched when it is first needed: the source is called once, under a lock of its own.
  // Errors: as add() and Signer::make(), as far as they are seen without the key.
  Result<void> add_lazy(std::string_view domain, std::string_view selector, Algorithm algorithm, KeySource source,
                        SignOptions options = {}, KeyOptions key_options = {}, TimePoint signs_from = {});

  // The signers for From in `from_domain`: those of the nearest domain that has any that have begun, itself or a
  // parent; then those for all. Empty: none. Errors: those of a lazy key: its source's, of another type than said.
  Result<Signers> signers_for(std::string_view from_domain, TimePoint now) const;
  bool empty() const noexcept { return entries_.empty(); }

 private:
  struct Entry;
  Result<void> insert(std::unique_ptr<Entry> entry);
  std::vector<std::unique_ptr<Entry>> entries_;  // By (for all or not, domain, algorithm), the youngest first.
};

// ---------------------------------------------------------------------------------------------------------------------
// Verifying

// The words of RFC 8601 2.7.1.
enum class Status : std::uint8_t {
  kNone,       // Not signed.
  kPass,       // Signed, and the signature holds.
  kFail,       // Signed, and the signature does not hold.
  kPolicy,     // Signed, and not looked at: beyond a cap of this verifier.
  kNeutral,    // Never said by this verifier: a signature it cannot use is kPermError, as RFC 6376 6.1 has it.
  kTempError,  // A key could not be had now; later it may.
  kPermError,  // The signature or its key cannot be used, now or ever (PERMFAIL of RFC 6376 6.1).
};
std::string_view to_string(Status status) noexcept;  // "none", "pass", "fail", "policy", "neutral", "temperror", ...

// Why a signature has its status: one value for every way in which RFC 6376 6.1 can end, and for each cap.
enum class Reason : std::uint8_t {
  kOk,
  // The message.
  kMessageSyntax,  // A line of the header that is no field, or a bare CR or LF there.
  kFromCount,      // Not exactly one From (RFC 5322 3.6): which author a signature speaks for is open (RFC 6376 8.15).
  kTooManyFields,  // More than kHeaderFieldsMax.
  kTooManySignatures,  // Beyond VerifyOptions::signatures_max.
  // The signature (RFC 6376 6.1.1).
  kBadSyntax,
  kMissingTag,
  kVersion,
  kUnknownAlgorithm,
  kUnknownCanonicalisation,
  kUnknownQueryMethod,
  kDomainMismatch,  // i= is not in d= or below.
  kFromNotSigned,
  kFuture,
  kExpired,
  kSha1,  // RFC 8301 3.1
  // The key (RFC 6376 6.1.2).
  kKeyLookupFailed,
  kNoKey,
  kKeySyntax,
  kKeyRevoked,
  kKeyTypeMismatch,
  kHashNotAllowed,
  kServiceNotEmail,
  kSubdomainNotAllowed,  // t=s, and i= is below d=.
  kKeyTooShort,          // RFC 8301 3.2
  kKeyTooLong,           // More than kRsaVerifyBitsMax.
  // The sums (RFC 6376 6.1.3).
  kBodyTooShort,  // l= is more than the body has.
  kBodyHashMismatch,
  kSignatureMismatch,
  // ARC (RFC 8617 5.2).
  kArcSet,  // A set is missing, incomplete or there twice, or its instance is no number from 1 to kArcInstancesMax.
  kArcChainStatus,   // cv= is not what its place in the chain demands, or has no meaning.
  kArcChainFailed,   // The last set says itself that the chain was broken when it came.
  kArcSealHasNames,  // h= in an ARC-Seal, or an ARC-Seal among the names of an ARC-Message-Signature.
  // This verifier.
  kUnavailable,  // The backend asked for is not in this build, or memory ran out.
};
std::string_view to_string(Reason reason) noexcept;  // For programs: "body-hash-mismatch".
std::string_view describe(Reason reason) noexcept;   // For people: "the body was changed after it was signed".

inline constexpr std::size_t kSignaturesMaxDefault = 10;  // Customer's and platform's, twice each, and some lists'.
inline constexpr std::size_t kHeaderFieldsMax = 4000;     // The longest that are lawful mail have a few hundred.
inline constexpr std::size_t kSignedNamesMax = 2000;      // In one h=; each is looked for, whether it is there or not.
inline constexpr std::size_t kKeyRecordsMax = 8;          // Records tried under one name (RFC 6376 6.1.2 step 4).
inline constexpr int kRsaVerifyBitsMax = 8192;            // RFC 8301 3.2 asks for 4096; cost grows with the square.

// What DNS says about one name.
struct KeyAnswer {
  enum class Kind : std::uint8_t { kFound, kNoSuchName, kTemporaryFailure };
  Kind kind = Kind::kNoSuchName;
  std::vector<std::string> records{};  // The TXT records, the character-strings of each joined (RFC 6376 3.6.2.2).
  std::string detail{};                // Of a failure, for people: "server 127.0.0.1:53 did not answer".
};
// Called from within verify(), once for each name, which is "s1._domainkey.brand.example" in the letter case of the
// signature.
using KeyLookup = std::function<KeyAnswer(std::string_view name)>;

// Public keys by the text of their record, parsed once; the one not used longest leaves first. For whoever verifies
// many messages of few signers: parsing an RSA key costs several times as much as verifying with it. What a name's
// record is, is asked anew each time. A record has at most 16 KB, so a full cache is of bounded size. Threads: any
// number at once. Ownership: outlives the verify() that uses it.
class KeyCache {
 public:
  explicit KeyCache(std::size_t keys_max = 1024);
  ~KeyCache();
  KeyCache(const KeyCache&) = delete;
  KeyCache& operator=(const KeyCache&) = delete;

  struct Impl;                              // Private to the room,
  Impl& impl() noexcept { return *impl_; }  // as is this.

 private:
  std::unique_ptr<Impl> impl_;
};

struct VerifyOptions {
  TimePoint now;                         // For t= and x=.
  bool allow_sha1 = false;               // rsa-sha1, as RFC 6376 had it; RFC 8301 3.1 forbids it.
  int rsa_bits_min = kRsaBitsMin;        // RFC 8301 3.2; RFC 6376 took 512.
  std::chrono::seconds clock_skew{300};  // How far the signer's clock and ours may be apart.
  // From the top, where the last signer put his; the others are kPolicy, in one result.
  std::size_t signatures_max = kSignaturesMaxDefault;
  Backend backend = Backend::kNative;
  KeyCache* key_cache = nullptr;  // Null: each key is parsed anew. kLibopendkim makes no use of it.
};

// One DKIM-Signature field, from top to bottom.
struct SignatureResult {
  std::string domain{};  // d=, and the others as they stand there, as far as they could be read.
  std::string selector{};
  std::string identity{};   // i=, decoded: any octets. Empty: none.
  std::string algorithm{};  // a=
  Status status = Status::kNone;
  Reason reason = Reason::kOk;
  std::string detail{};           // More than describe(reason), such as which tag; may be empty. May quote the message.
  std::string signature_start{};  // The first characters of b=, which tell signatures of one domain apart (RFC 6008).
  std::optional<std::uint64_t> body_length{};  // l=: what follows so many octets of body is not signed.
  int key_bits = 0;                            // 0: no key was read.
  bool testing = false;  // t=y: "MUST NOT treat messages from Signers in testing mode differently from unsigned email".
};

struct Verification {
  // kPass if a signature passes; otherwise what gives most hope: kTempError, kFail, kPermError, kPolicy; kNone: not
  // signed.
  Status status = Status::kNone;
  std::vector<SignatureResult> signatures{};

  // The value of an Authentication-Results field (RFC 8601), folded, without the CRLF that ends it:
  // "mx.example;\r\n\tdkim=pass (2048-bit key) header.d=brand.example header.s=s1 ...".
  std::string authentication_results(std::string_view authserv_id) const;
};

// The names that verify() or verify_arc() will ask for, each once: for whoever looks up without waiting, and verifies
// after.
std::vector<std::string> keys_needed(std::string_view message, std::size_t signatures_max = kSignaturesMaxDefault);
std::vector<std::string> arc_keys_needed(std::string_view message);

// Judges the signatures of `message`, whose lines end in CRLF (RFC 6376 6.1, RFC 8301, RFC 8463). Never fails:
// everything that can be wrong with a message is a Reason. Threads: any number at once. `lookup` must not throw.
Verification verify(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options);

// ---------------------------------------------------------------------------------------------------------------------
// ARC (RFC 8617)

inline constexpr int kArcInstancesMax = 50;  // RFC 8617 4.2.1

struct ArcSeal {
  int instance = 0;
  std::string domain{};
  std::string selector{};
};

struct ArcVerification {
  Status status = Status::kNone;  // kNone, kPass or kFail (RFC 8617 4.4).
  Reason reason = Reason::kOk;
  std::string detail{};
  int instances = 0;        // The highest instance that was seen.
  int failed_instance = 0;  // Whose set made it kFail; 0: none, or the chain as a whole.
  int oldest_pass = 0;  // The lowest instance whose ARC-Message-Signature still holds (5.2 step 5); 0: all, or kFail.
  bool temporary = false;  // Failed for a key that could not be had now.
  std::vector<ArcSeal>
      seals{};  // From instance 1; empty unless every set was complete. Worth trusting only when kPass.

  std::string authentication_results(std::string_view authserv_id) const;  // As Verification's, with "arc=".
};

ArcVerification verify_arc(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options);

struct ArcSealerOptions {
  // What the ARC-Message-Signature signs where it is there; From always. No ARC-Seal (RFC 8617 4.1.2).
  std::vector<std::string> headers{
      "From",          "To",         "Cc",           "Subject",          "Date",
      "Message-ID",    "Reply-To",   "MIME-Version", "Content-Type",     "Content-Transfer-Encoding",
      "In-Reply-To",   "References", "List-Id",      "List-Unsubscribe", "List-Unsubscribe-Post",
      "DKIM-Signature"};
};

// Adds ARC sets to messages that pass through. Threads: immutable, seal() from any number at once. A cheap value
// (shared).
class ArcSealer {
 public:
  // Errors: kInvalidArgument, as Signer::make().
  static Result<ArcSealer> make(std::string_view domain, std::string_view selector, PrivateKey key,
                                ArcSealerOptions options = {});

  // The three fields of the next set, each with its CRLF, to stand before `message` as it leaves (RFC 8617 5.1).
  // `authentication_results`: what was found when it came, "mx.example; dkim=pass ...", as authentication_results()
  // gives. `so_far`: verify_arc() of the message as it came. Errors: kInvalidArgument: no message as Signer::sign()
  // takes it, or line ends in `authentication_results` that are no folds; kUnsupported: the chain has kArcInstancesMax
  // sets or its last one says cv=fail, so that another says nothing; kUnavailable: so_far.temporary; kInternal: OpenSSL
  // refused.
  Result<std::string> seal(std::string_view message, std::string_view authentication_results,
                           const ArcVerification& so_far, TimePoint now) const;

 private:
  struct Identity;
  std::shared_ptr<const Identity> identity_;
};

}  // namespace mailsbuddy::dkim
