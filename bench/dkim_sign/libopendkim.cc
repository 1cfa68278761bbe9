// libopendkim without us around it: one library handle, a message handle for each message, the whole message in one
// chunk.
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <vector>

#include "bench/dkim_sign/contender.h"
#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

unsigned char* octets(std::string_view text) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));  // Their C has no const; nothing is written.
}

void require(DKIM_STAT status) {
  if (status != DKIM_STAT_OK) need(Result<void>(Error{ErrorCode::kInternal, dkim_getresultstr(status)}));
}

class LibOpenDkim final : public Contender {
 public:
  explicit LibOpenDkim(const dkim::PrivateKey& key)
      : rsa_(key.algorithm() == dkim::Algorithm::kRsaSha256), pem_(key.pem()), library_(dkim_init(nullptr, nullptr)) {
    auto time = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(kTime).time_since_epoch().count());
    require(dkim_options(library_, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &time, sizeof time));
    set_names(DKIM_OPTS_SIGNHDRS, dkim::SignOptions().headers);
    set_names(DKIM_OPTS_OVERSIGNHDRS, dkim::SignOptions().oversigned);
  }
  ~LibOpenDkim() override { dkim_close(library_); }

  std::string_view sign(const std::string& message) override {
    DKIM_STAT status = DKIM_STAT_OK;
    DKIM* dkim = dkim_sign(library_, octets("bench"), nullptr, octets(pem_), octets(kSelector), octets(kDomain),
                           DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, rsa_ ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256,
                           -1, &status);
    require(status);
    require(dkim_chunk(dkim, octets(message), message.size()));
    require(dkim_chunk(dkim, nullptr, 0));
    require(dkim_eom(dkim, nullptr));
    constexpr std::string_view kName = "DKIM-Signature: ";
    unsigned char* value = nullptr;
    std::size_t size = 0;
    require(dkim_getsighdr_d(dkim, kName.size(), &value, &size));
    field_ = kName;
    field_.append(reinterpret_cast<const char*>(value), size);
    field_ += "\r\n";
    dkim_free(dkim);
    return field_;
  }

 private:
  void set_names(dkim_opts_t option, const std::vector<std::string>& names) {
    std::vector<const char*> pointers;
    for (const std::string& name : names) pointers.push_back(name.c_str());
    pointers.push_back(nullptr);
    require(dkim_options(library_, DKIM_OP_SETOPT, option, pointers.data(), sizeof(const char**)));
  }

  bool rsa_;
  std::string pem_;
  DKIM_LIB* library_;
  std::string field_;
};

}  // namespace

std::unique_ptr<Contender> make_libopendkim(const dkim::PrivateKey& key) { return std::make_unique<LibOpenDkim>(key); }

}  // namespace mailsbuddy::bench
