#include <optional>

#include "bench/dkim_verify/contender.h"

namespace mailsbuddy::bench {
namespace {

class Verifies final : public Contender {
 public:
  Verifies(const std::string& record, bool cached)
      : lookup_([record](std::string_view) {
          return dkim::KeyAnswer{.kind = dkim::KeyAnswer::Kind::kFound, .records = {record}};
        }) {
    if (cached) options_.key_cache = &cache_.emplace();
  }

  bool verify(const std::string& message) override {
    return dkim::verify(message, lookup_, options_).status == dkim::Status::kPass;
  }

 private:
  dkim::KeyLookup lookup_;
  std::optional<dkim::KeyCache> cache_;
  dkim::VerifyOptions options_{.now = kTime};
};

}  // namespace

std::unique_ptr<Contender> make_mailsbuddy(const std::string& record, bool cached) {
  return std::make_unique<Verifies>(record, cached);
}

}  // namespace mailsbuddy::bench
