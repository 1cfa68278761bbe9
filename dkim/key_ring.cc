#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <tuple>

#include "core/base/ascii.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// Threads: any, once it is in a shared ring. `signer` is written once, under the lock; what it points to stays.
struct KeyRing::Entry {
  bool for_all = false;
  std::string domain;  // In lower case.
  Algorithm algorithm = Algorithm::kRsaSha256;
  TimePoint signs_from{};

  // Of a lazy one: how to make the signer.
  std::string selector{};
  KeySource source{};
  SignOptions options{};
  KeyOptions key_options{};

  mutable std::mutex mutex{};
  mutable std::optional<Signer> signer{};

  // The signer, made now if it was not yet. Not kept when the source fails: it is asked again for the next message.
  Result<const Signer*> get() const;
};

namespace {

std::string_view key_type(Algorithm algorithm) { return algorithm == Algorithm::kRsaSha256 ? "RSA" : "Ed25519"; }

// What a key fetched later would be refused for, without the key.
Result<void> check_without_key(std::string_view domain, std::string_view selector, const SignOptions& options) {
  auto stand_in = PrivateKey::generate_ed25519();
  if (!stand_in) return std::move(stand_in).error();
  auto made = Signer::make(domain, selector, *std::move(stand_in), options);
  if (!made) return std::move(made).error();
  return {};
}

}  // namespace

Result<const Signer*> KeyRing::Entry::get() const {
  const std::lock_guard lock(mutex);
  if (signer) return &*signer;
  const auto about = [this](const Error& error) {
    return Error{error.code, fmt::format("the key of {}._domainkey.{}: {}", selector, domain, error.detail)};
  };
  auto key = PrivateKey::from_source(source, key_options);
  if (!key) return about(key.error());
  if (key->algorithm() != algorithm) {
    return about({ErrorCode::kInvalidArgument,
                  fmt::format("is of type {}, not {}", key_type(key->algorithm()), key_type(algorithm))});
  }
  auto made = Signer::make(domain, selector, *std::move(key), options);
  if (!made) return about(made.error());
  signer = *std::move(made);
  return &*signer;
}

KeyRing::KeyRing() = default;
KeyRing::~KeyRing() = default;
KeyRing::KeyRing(KeyRing&& other) noexcept = default;
KeyRing& KeyRing::operator=(KeyRing&& other) noexcept = default;

Result<void> KeyRing::insert(std::unique_ptr<Entry> entry) {
  const auto slot = [](const std::unique_ptr<Entry>& each) {
    return std::tuple(each->for_all, std::string_view(each->domain), each->algorithm);
  };
  const auto before = [&slot](const std::unique_ptr<Entry>& a, const std::unique_ptr<Entry>& b) {
    return slot(a) != slot(b) ? slot(a) < slot(b) : a->signs_from > b->signs_from;
  };
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), entry, before);
  if (at != entries_.end() && !before(entry, *at)) {
    return Error{ErrorCode::kAlreadyExists, fmt::format("{} has a signer of type {} from that time on already",
                                                        entry->domain, key_type(entry->algorithm))};
  }
  if (entry->for_all) {
    std::size_t others = 0;  // Slots of identities for all, but for this one's.
    for (auto each = entries_.begin(); each != entries_.end(); ++each) {
      const bool first = each == entries_.begin() || slot(*each) != slot(*(each - 1));
      others += (*each)->for_all && first && slot(*each) != slot(entry);
    }
    if (others >= kSignersMax / 2) {
      return Error{ErrorCode::kResourceExhausted, fmt::format("more than {} identities for all", kSignersMax / 2)};
    }
  }
  entries_.insert(at, std::move(entry));
  return {};
}

Result<void> KeyRing::add(Signer signer, TimePoint signs_from) {
  auto entry = std::make_unique<Entry>();
  entry->domain = signer.domain();
  entry->algorithm = signer.algorithm();
  entry->signs_from = signs_from;
  entry->signer = std::move(signer);
  return insert(std::move(entry));
}

Result<void> KeyRing::add_for_all(Signer signer, TimePoint signs_from) {
  auto entry = std::make_unique<Entry>();
  entry->for_all = true;
  entry->domain = signer.domain();
  entry->algorithm = signer.algorithm();
  entry->signs_from = signs_from;
  entry->signer = std::move(signer);
  return insert(std::move(entry));
}

Result<void> KeyRing::add_lazy(std::string_view domain, std::string_view selector, Algorithm algorithm,
                               KeySource source, SignOptions options, KeyOptions key_options, TimePoint signs_from) {
  if (!source) return Error{ErrorCode::kInvalidArgument, "no source of the key"};
  if (auto good = check_without_key(domain, selector, options); !good) return good;
  auto entry = std::make_unique<Entry>();
  entry->domain = ascii::to_lower(domain);
  entry->algorithm = algorithm;
  entry->signs_from = signs_from;
  entry->selector = selector;
  entry->source = std::move(source);
  entry->options = std::move(options);
  entry->key_options = key_options;
  return insert(std::move(entry));
}

Result<Signers> KeyRing::signers_for(std::string_view from_domain, TimePoint now) const {
  Signers found;
  // Takes the youngest that has begun of each slot in [entry, end), as far as `wanted` goes.
  const auto take = [&](auto entry, auto wanted) -> Result<void> {
    const Entry* taken = nullptr;
    for (; entry != entries_.end() && wanted(**entry); ++entry) {
      const Entry& each = **entry;
      if (each.signs_from > now) continue;
      if (taken != nullptr && taken->domain == each.domain && taken->algorithm == each.algorithm) continue;
      taken = &each;
      // The platform's own mail: its domain's signer may be in the ring twice.
      const bool again = std::ranges::any_of(found.view(), [&each](const Signer* other) {
        return other->domain() == each.domain && other->algorithm() == each.algorithm;
      });
      if (again || found.size_ == kSignersMax) continue;
      auto signer = each.get();
      if (!signer) return std::move(signer).error();
      found.signers_[found.size_++] = *signer;
    }
    return {};
  };
  const auto before = [](const std::unique_ptr<Entry>& entry, std::string_view domain) {
    if (entry->for_all) return false;
    return std::lexicographical_compare(
        entry->domain.begin(), entry->domain.end(), domain.begin(), domain.end(),
        [](char a, char b) { return static_cast<unsigned char>(a) < static_cast<unsigned char>(ascii::to_lower(b)); });
  };
  while (!from_domain.empty() && found.empty()) {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), from_domain, before);
    const auto same = [from_domain](const Entry& entry) {
      return !entry.for_all && ascii::iequals(entry.domain, from_domain);
    };
    if (auto taken = take(at, same); !taken) return std::move(taken).error();
    const std::size_t dot = from_domain.find('.');
    from_domain.remove_prefix(dot == std::string_view::npos ? from_domain.size() : dot + 1);
  }
  const auto for_all = std::partition_point(entries_.begin(), entries_.end(),
                                            [](const std::unique_ptr<Entry>& entry) { return !entry->for_all; });
  if (auto taken = take(for_all, [](const Entry&) { return true; }); !taken) return std::move(taken).error();
  return found;
}

}  // namespace mailsbuddy::dkim
