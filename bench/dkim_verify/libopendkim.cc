#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <algorithm>

#include "bench/dkim_verify/contender.h"

namespace mailsbuddy::bench {
namespace {

unsigned char* octets(std::string_view text) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));  // Their C has no const; nothing is written.
}

DKIM_CBSTAT look_up(DKIM* dkim, DKIM_SIGINFO*, u_char* buffer, size_t size) noexcept {
  const auto& record = *static_cast<const std::string*>(dkim_get_user_context(dkim));
  if (record.size() + 1 > size) return DKIM_CBSTAT_ERROR;
  std::copy_n(record.c_str(), record.size() + 1, buffer);
  return DKIM_CBSTAT_CONTINUE;
}

class LibOpenDkim final : public Contender {
 public:
  explicit LibOpenDkim(std::string record) : record_(std::move(record)), library_(dkim_init(nullptr, nullptr)) {
    dkim_set_key_lookup(library_, look_up);
  }
  ~LibOpenDkim() override { dkim_close(library_); }

  bool verify(const std::string& message) override {
    DKIM_STAT status = DKIM_STAT_OK;
    DKIM* dkim = dkim_verify(library_, octets("bench"), nullptr, &status);
    if (dkim == nullptr) return false;
    dkim_set_user_context(dkim, &record_);
    status = dkim_chunk(dkim, octets(message), message.size());
    if (status == DKIM_STAT_OK) status = dkim_chunk(dkim, nullptr, 0);
    if (status == DKIM_STAT_OK) status = dkim_eom(dkim, nullptr);
    dkim_free(dkim);
    return status == DKIM_STAT_OK;
  }

 private:
  std::string record_;
  DKIM_LIB* library_;
};

}  // namespace

std::unique_ptr<Contender> make_libopendkim(const std::string& record) { return std::make_unique<LibOpenDkim>(record); }

}  // namespace mailsbuddy::bench
