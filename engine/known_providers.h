// known_providers.h - which mailbox provider each domain was last routed to.
#pragma once

#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::engine {

// Four octets a domain: the spool numbers them from 0. Threads: any.
class KnownProviders {
 public:
  void learn(spool::DomainNumber domain, std::string_view provider) {
    {
      const std::shared_lock lock(mutex_);
      if (domain < of_.size() && of_[domain] != 0 && names_[of_[domain] - 1] == provider) return;
    }
    const std::unique_lock lock(mutex_);
    const auto [number, added] = numbers_.try_emplace(std::string(provider), static_cast<std::uint32_t>(names_.size() + 1));
    if (added) names_.emplace_back(provider);
    if (of_.size() <= domain) of_.resize(domain + 1);
    of_[domain] = number->second;
  }

  std::string find(spool::DomainNumber domain) const { return name(number(domain)); }  // Empty: not known.

  // The provider's number, from 1. 0: not known.
  std::uint32_t number(spool::DomainNumber domain) const {
    const std::shared_lock lock(mutex_);
    return domain < of_.size() ? of_[domain] : 0;
  }
  std::uint32_t number(const std::string& provider) const {
    const std::shared_lock lock(mutex_);
    const auto found = numbers_.find(provider);
    return found == numbers_.end() ? 0 : found->second;
  }
  std::string name(std::uint32_t number) const {  // Empty: of 0.
    const std::shared_lock lock(mutex_);
    return number == 0 ? std::string() : names_[number - 1];
  }

 private:
  mutable std::shared_mutex mutex_;
  std::vector<std::uint32_t> of_;  // By domain: its provider's number, from 1; 0: not known.
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

}  // namespace mailsbuddy::engine
