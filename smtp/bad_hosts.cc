#include <algorithm>

#include "core/net/lru.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

// What came back and did not fail for so long begins anew.
constexpr Duration kRemembered = std::chrono::hours(1);

struct Entry {
  TimePoint until;
  int failures = 0;
  bool probed = false;  // Its time was over, and somebody is trying.
};

}  // namespace

struct BadHosts::State {
  BadHostOptions options;
  net::Lru<Entry> entries;
};

BadHosts::BadHosts(BadHostOptions options)
    : state_(new State{.options = options, .entries = net::Lru<Entry>(options.entries_max)}) {}
BadHosts::~BadHosts() = default;

// Ten connections that were opened together fail together: as long as its time runs, a further failure is the same one.
void BadHosts::failed(std::string_view key, TimePoint now) {
  const Entry* known = state_->entries.find(key);
  if (known != nullptr && known->until > now && !known->probed) return;
  const bool fresh = known == nullptr || known->until + kRemembered <= now;
  const int before = fresh ? 0 : known->failures;
  constexpr int kDoublingsMax = 20;  // So that nothing overflows.
  const Duration wait =
      std::min(state_->options.first * (1 << std::min(before, kDoublingsMax)), state_->options.longest);
  state_->entries.put(key, {.until = now + wait, .failures = before + 1});
}

void BadHosts::worked(std::string_view key) { state_->entries.erase(key); }

TimePoint BadHosts::ask(std::string_view key, TimePoint now) {
  Entry* known = state_->entries.find(key);
  if (known == nullptr) return now;
  if (known->until > now) return known->until;
  known->until = now + state_->options.probe;
  known->probed = true;
  return now;
}

std::size_t BadHosts::size() const noexcept { return state_->entries.size(); }

}  // namespace mailsbuddy::smtp
