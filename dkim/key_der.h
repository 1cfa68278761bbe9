// key_der.h - the two forms of private key that DKIM signs with, read without OpenSSL's decoders: those of 3.0 give the
// memory of every copy they make of a key back as it is.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>

#include "dkim/openssl.h"

namespace mailsbuddy::dkim {

// A string's octets, cleared when it goes, also those past its end.
class WipedString {
 public:
  explicit WipedString(std::string text = {}) noexcept : text_(std::move(text)) {}
  WipedString(const WipedString&) = delete;
  WipedString& operator=(const WipedString&) = delete;
  ~WipedString() {
    text_.resize(text_.capacity());
    OPENSSL_cleanse(text_.data(), text_.size());
  }
  std::string& text() noexcept { return text_; }

 private:
  std::string text_;
};

// Null: not one of these forms, or not whole; what it is instead is for OpenSSL to say.
OpenSslPtr<EVP_PKEY> read_pem_key(std::string_view pem);
OpenSslPtr<EVP_PKEY> read_der_key(std::string_view der);

}  // namespace mailsbuddy::dkim
