// What libopendkim signs, whole and changed, before our verifier and libopendkim's own: they must agree on pass or not
// pass, but for what the table argues.
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <boost/test/unit_test.hpp>
#include <map>

#include "tests/dkim/known_leak.h"
#include "tests/dkim/messages.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kTime{std::chrono::seconds(1'700'000'000)};  // Past, so that no clock finds it in the future.
constexpr int kMessages = 10'000;

// Of changed messages: where libopendkim passes and we do not, our reason; and one the other way round. Whatever has no
// line here fails the test.
const std::map<std::string_view, std::string_view> kArgued = {
    {"from-count",
     "RFC 5322 3.6 has exactly one From, and RFC 6376 3.8 lets a verifier refuse what is no message: which "
     "author a reader is shown is open, and only one is signed (8.15)"},
    {"no body",
     "RFC 5322 3.5: the body, and the empty line before it, may be missing. libopendkim finds no end of the header "
     "then and refuses; we pass it"},
    {"controls",
     "RFC 6376 2.8: WSP is SP and HTAB. libopendkim's relaxed forms take VT, FF and a bare CR for white space, too, "
     "and leave NUL out, so that such a change goes unseen; they are octets that were not signed"},
    {"message-syntax", "a bare CR or LF in the header, or a line that is no field, is no message of RFC 5322 2.2"},
    {"bad-syntax",
     "RFC 6376 6.1.1: \"MUST meticulously validate the format and values\": a name in h= that is no field "
     "name, base 64 with other characters, a tag list with an unknown character"},
};

std::map<std::string, std::string>& records() {
  static std::map<std::string, std::string> known;
  return known;
}

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO* signature, u_char* buffer, size_t size) noexcept {
  const auto text = [](const u_char* value) { return std::string(reinterpret_cast<const char*>(value)); };
  const auto found =
      records().find(text(dkim_sig_getselector(signature)) + "._domainkey." + text(dkim_sig_getdomain(signature)));
  if (found == records().end()) return DKIM_CBSTAT_NOTFOUND;
  if (found->second.size() + 1 > size) return DKIM_CBSTAT_ERROR;
  std::copy_n(found->second.c_str(), found->second.size() + 1, buffer);
  return DKIM_CBSTAT_CONTINUE;
}

bool passes_theirs(DKIM_LIB* library, std::string message) {
  DKIM_STAT status = DKIM_STAT_OK;
  DKIM* dkim = dkim_verify(library, reinterpret_cast<const u_char*>("test"), nullptr, &status);
  BOOST_REQUIRE(dkim != nullptr);
  status = dkim_chunk(dkim, reinterpret_cast<u_char*>(message.data()), message.size());
  if (status == DKIM_STAT_OK) status = dkim_chunk(dkim, nullptr, 0);
  if (status == DKIM_STAT_OK) status = dkim_eom(dkim, nullptr);
  dkim_free(dkim);
  return status == DKIM_STAT_OK;
}

Verification ours(std::string_view message, KeyCache& cache) {
  const KeyLookup lookup = [](std::string_view name) -> KeyAnswer {
    const auto found = records().find(std::string(name));
    if (found == records().end()) return {};
    return {.kind = KeyAnswer::Kind::kFound, .records = {found->second}};
  };
  VerifyOptions options{.now = kTime};
  options.key_cache = &cache;
  return verify(message, lookup, options);
}

std::string changed(Messages& random, std::string text) {
  static constexpr std::string_view kWhite[] = {" ", "\t", "  ", " \r\n\t"};
  const std::size_t at = random.below(text.size());
  switch (random.below(7)) {
    case 0:
    case 1:
      text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
      return text;
    case 2: {
      const std::size_t space = text.find_first_of(" \t", at);
      return space == std::string::npos ? text : text.replace(space, 1, kWhite[random.below(4)]);
    }
    case 3:
      return (random.chance(2) ? "Subject: added\r\n" : "X-Added: x\r\n") + text;
    case 4:
      return text + (random.chance(2) ? "\r\n" : "x\r\n");
    case 5: {
      const std::size_t line = text.find("\r\n", at);
      const std::size_t end = line == std::string::npos ? line : text.find("\r\n", line + 2);
      return end == std::string::npos ? text : text.erase(line, end - line);
    }
    default:
      return "From: <evil@example.org>\r\n" + text;
  }
}

bool has_controls(std::string_view text) {
  using namespace std::string_view_literals;
  bool bare = false;
  for (std::size_t at = 0; (at = text.find('\r', at)) != text.npos; ++at) bare |= text.substr(at, 2) != "\r\n";
  return bare || text.find_first_of("\v\f\0"sv) != text.npos;
}

// Where a change begins, for people.
std::string difference(std::string_view before, std::string_view after) {
  const auto at = std::mismatch(before.begin(), before.end(), after.begin(), after.end()).first - before.begin();
  const std::size_t from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(at - 40, 0));
  std::string text;
  for (const std::string_view side : {before, after}) {
    text += "\n  ";
    for (const char c : side.substr(std::min(from, side.size()), 80)) {
      text += c > ' ' && c < 127 ? std::string(1, c) : "<" + std::to_string(static_cast<unsigned char>(c)) + ">";
    }
  }
  return text;
}

std::vector<Signer> signers() {
  using enum Canonicalisation;
  const PrivateKey rsa = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  const PrivateKey ed25519 = PrivateKey::generate_ed25519().value();
  records()["rsa._domainkey.brand.example"] = rsa.record().str();
  records()["ed._domainkey.brand.example"] = ed25519.record().str();
  std::vector<Signer> made;
  for (const auto header : {kSimple, kRelaxed}) {
    for (const auto body : {kSimple, kRelaxed}) {
      // Oversigning is left out: with it the additions could not pass, and there would be less to agree on.
      SignOptions options{.oversigned = {}, .header = header, .body = body, .backend = Backend::kLibopendkim};
      made.push_back(Signer::make("brand.example", "rsa", rsa, options).value());
      made.push_back(Signer::make("brand.example", "ed", ed25519, options).value());
    }
  }
  return made;
}

BOOST_AUTO_TEST_CASE(agrees_with_libopendkim) {
  const KnownLeak leak;
  DKIM_LIB* library = dkim_init(nullptr, nullptr);
  dkim_set_key_lookup(library, look_up);
  const auto all = signers();
  Messages messages(6376);
  KeyCache cache;
  std::map<std::string, int> argued;
  int passed = 0;
  for (int i = 0; i < kMessages; ++i) {
    std::string message = messages.next();
    if (!message.ends_with("\r\n")) message += "\r\n";  // It refuses a last line without an end.
    auto field = all[static_cast<std::size_t>(i) % all.size()].sign(message, kTime);
    BOOST_REQUIRE_MESSAGE(field.has_value(), (field ? std::string() : field.error().detail));
    std::string text = *field + message;
    const bool whole = i / 8 % 2 == 0;
    if (!whole) text = changed(messages, std::move(text));
    const Verification got = ours(text, cache);
    const bool passes = got.status == Status::kPass;
    passed += passes ? 1 : 0;
    if (passes == passes_theirs(library, text)) {
      BOOST_TEST((passes || !whole), "message " << i << " does not pass");
      continue;
    }
    std::string reason(got.signatures.empty() ? "none" : to_string(got.signatures.front().reason));
    if (passes && text.find("\r\n\r\n") == std::string::npos) reason = "no body";
    if (!passes && has_controls(text)) reason = "controls";
    if (!whole && (passes == (reason == "no body")) && kArgued.contains(reason)) {
      ++argued[reason];
    } else {
      BOOST_ERROR("message " << i << ": " << (passes ? "passes only here: " : "passes only there: ") << reason
                             << difference(*field + message, text));
    }
  }
  BOOST_TEST(passed > kMessages / 2);
  for (const auto& [reason, count] : argued)
    BOOST_TEST_MESSAGE(count << " argued: " << reason << ": " << kArgued.at(reason));
  dkim_close(library);
}

}  // namespace
}  // namespace mailsbuddy::dkim
