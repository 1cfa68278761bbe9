// raw_signer.h - signatures with whatever tags a test wants, made straight from RFC 6376 3.7 with OpenSSL and none of
// our own code: what a verifier is to be tested with must not come from its twin.
#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "mailsbuddy/dkim.h"
#include "tests/dkim/reference.h"

namespace mailsbuddy::dkim {

class RawKey {
 public:
  static RawKey rsa(unsigned bits) { return RawKey(EVP_RSA_gen(bits)); }
  static RawKey ed25519() { return RawKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

  bool is_rsa() const { return EVP_PKEY_is_a(key_.get(), "RSA") == 1; }

  std::string public_base64() const {
    std::string raw(32, '\0');
    if (is_rsa()) {
      unsigned char* der = nullptr;
      const int size = i2d_PUBKEY(key_.get(), &der);
      raw.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
      OPENSSL_free(der);
    } else {
      std::size_t size = raw.size();
      EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size);
    }
    std::string text;
    append_base64(text, raw);
    return text;
  }
  std::string record() const {
    return std::string("v=DKIM1; k=") + (is_rsa() ? "rsa" : "ed25519") + "; p=" + public_base64();
  }

  // In base 64. Of rsa-*: PKCS#1 over the hash of `data`; of ed25519-sha256: PureEdDSA over its hash.
  std::string sign(std::string_view data, const EVP_MD* md) const {
    const std::string digest = is_rsa() ? std::string(data) : hash(data, md);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::string signature(1024, '\0');
    std::size_t size = signature.size();
    BOOST_REQUIRE(EVP_DigestSignInit(context.get(), nullptr, is_rsa() ? md : nullptr, nullptr, key_.get()) > 0);
    BOOST_REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                                 reinterpret_cast<const unsigned char*>(digest.data()), digest.size()) > 0);
    std::string text;
    append_base64(text, std::string_view(signature).substr(0, size));
    return text;
  }

  static std::string hash(std::string_view data, const EVP_MD* md) {
    std::string digest(64, '\0');
    unsigned size = 0;
    EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, md, nullptr);
    digest.resize(size);
    return digest;
  }

 private:
  explicit RawKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}
  std::shared_ptr<EVP_PKEY> key_;
};

inline std::string reference_simple_body(std::string body) {
  if (!body.empty() && !body.ends_with("\r\n")) body += "\r\n";
  while (body.ends_with("\r\n\r\n")) body.resize(body.size() - 2);
  return body.empty() ? "\r\n" : body;
}

inline std::string reference_relaxed_field(std::string_view field) {
  const std::size_t colon = field.find(':');
  std::string out = ascii::to_lower(ascii::trim(field.substr(0, colon))) + ":";
  std::string value;
  for (const char c : field.substr(colon + 1)) {
    if (c == '\r' || c == '\n') continue;
    if (!ascii::is_wsp(c)) value += c;
    if (ascii::is_wsp(c) && !value.ends_with(' ')) value += ' ';
  }
  return out + std::string(ascii::trim(value));
}

// A draft of a message: fields without CRLF, from top to bottom, and a body.
struct Draft {
  std::vector<std::string> fields{"From: Ann <ann@brand.example>", "To: bob@example.net", "Subject: Hello  there",
                                  "Date: Mon, 23 Nov 2026 19:57:48 +0000"};
  std::string body = "Hello,\r\n\r\n  this is   text. \t\r\n\r\n";

  std::string str() const {
    std::string text;
    for (const std::string& field : fields) text += field + "\r\n";
    return text + "\r\n" + body;
  }
};

// The message with "DKIM-Signature: " + tags + "; bh=...; b=..." on top. `forms` has "relaxed/simple" and so on, as c=
// in `tags` should; `names` is what h= in `tags` should say. They may differ: that is a test.
inline std::string raw_signed(const Draft& draft, const RawKey& key, const std::string& tags, std::string_view forms,
                              const std::vector<std::string>& names, const EVP_MD* md = EVP_sha256(),
                              std::size_t length = std::string::npos, std::string_view field_name = "DKIM-Signature") {
  const bool relaxed_header = forms.starts_with("relaxed");
  const std::string body =
      forms.ends_with("/relaxed") ? reference_relaxed_body(draft.body) : reference_simple_body(draft.body);
  std::string bh;
  append_base64(bh, RawKey::hash(std::string_view(body).substr(0, length), md));
  std::string signed_text;
  std::vector<std::string> left = draft.fields;
  for (const std::string& name : names) {
    for (auto field = left.rbegin(); field != left.rend(); ++field) {
      if (!ascii::iequals(ascii::trim(std::string_view(*field).substr(0, field->find(':'))), name)) continue;
      signed_text += (relaxed_header ? reference_relaxed_field(*field) : *field) + "\r\n";
      left.erase(std::next(field).base());
      break;
    }
  }
  const std::string field = std::string(field_name) + ": " + tags + ";\r\n\tbh=" + bh + "; b=";
  signed_text += relaxed_header ? reference_relaxed_field(field) : field;
  return field + key.sign(signed_text, md) + "\r\n" + draft.str();
}

inline KeyLookup records_of(std::vector<std::pair<std::string, std::vector<std::string>>> zone) {
  return [zone = std::move(zone)](std::string_view name) -> KeyAnswer {
    for (const auto& [known, records] : zone) {
      if (ascii::iequals(known, name)) return {.kind = KeyAnswer::Kind::kFound, .records = records};
    }
    return {};
  };
}

}  // namespace mailsbuddy::dkim
