// Personal data that is to be forgotten. The spool writes over what it knows; what only the engine can read, events and
// messages, is written over by the functions here.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "engine/core.h"
#include "engine/job_record.h"

namespace mailsbuddy {
namespace {

using engine::Job;
using engine::JobPtr;

constexpr std::string_view kErased = "erased@invalid";  // RFC 2606 2.

// Each place where `address` stands, whatever its letter case.
std::string without(std::string_view text, std::string_view address) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (ascii::iequals(text.substr(at, address.size()), address)) {
      out += kErased;
      at += address.size();
    } else {
      out.push_back(text[at++]);
    }
  }
  return out;
}

// True: the event was of this recipient, or its words name it.
bool rewrite(std::string& bytes, std::string_view address) {
  if (engine::is_decision(bytes)) return false;
  auto event = engine::decode_event(bytes);
  if (!event || !ascii::iequals(event->recipient, address)) return false;
  engine::erase_recipient(*event);
  bytes = engine::encode_event(*event);
  return true;
}

}  // namespace

// First those who are about to send: from here on what they settle about it says nothing of it, and tries nothing
// again.
Result<AddressErased> Engine::Core::erase_address(const Address& address, bool suppressions) {
  const std::string text(address.str());
  {
    const std::lock_guard lock(mutex_);
    erased_.add(text, jobs_by_number_.empty() ? 0 : jobs_by_number_.rbegin()->first);
  }
  withdrawn_ = true;
  // What was settled a moment ago, and names it, is in the spool before it is gone through.
  for (int i = 0; i < runtime().workers(); ++i) {
    if (!on_worker(i, [](engine::Worker& worker) { worker.delivery().flush(); })) return stopping();
  }
  inbound_.flush();
  std::vector<JobPtr> messages;
  spool::AddressErasure erasure{.local = std::string(address.local()),
                                .domain = std::string(address.domain()),
                                .suppressions = suppressions,
                                .rewrite_event = [&text](std::string& event) { return rewrite(event, text); }};
  // What others are sent of it names the address no more. Of campaigns nothing but rows names anybody.
  erasure.rewrite_job = [&](spool::JobRecord& record) {
    const JobPtr job = find(record.id);
    if (job == nullptr || job->campaign) return false;
    messages.push_back(job);
    auto rewritten = engine::with_message_data(record.content, [&text](const Job& stored) {
      const auto data = stored.data.get();
      return data == nullptr ? std::string() : without(*data, text);
    });
    if (!rewritten) return false;
    record.content = *std::move(rewritten);
    return true;
  };
  auto erased = spool().erase_address(erasure);
  if (!erased) return erased;
  for (const JobPtr& job : messages) {
    job->data.drop();
    end_if_settled(job);
  }
  wake_workers(nullptr);
  return erased;
}

// Cancelled first, in memory alone: nothing more of it is begun, and what is settled about it finds no row.
Result<void> Engine::Core::erase_campaign(std::string_view id) {
  JobPtr job = find(id);
  if (job == nullptr || !job->campaign) {
    const std::lock_guard lock(mutex_);
    const auto interrupted = interrupted_.find(id);
    if (interrupted == interrupted_.end()) return Error{ErrorCode::kNotFound, fmt::format("no campaign '{}'", id)};
    job = interrupted->second;
    interrupted_.erase(interrupted);
  }
  job->cancelled = true;
  remove(job);
  wake_workers(job);
  const std::string name(id);
  auto rewritten = spool().rewrite_events([&name](std::string& bytes) {
    if (engine::is_decision(bytes)) return false;
    auto event = engine::decode_event(bytes);
    if (!event || event->job != name) return false;
    engine::erase_recipient(*event);
    bytes = engine::encode_event(*event);
    return true;
  });
  if (!rewritten) return std::move(rewritten).error();
  return spool().scrub();
}

}  // namespace mailsbuddy
