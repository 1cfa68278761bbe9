// inbound.h - messages that come back: what they are, whom they are about, and what follows from it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/erased_addresses.h"
#include "engine/job.h"
#include "engine/suppressor.h"

namespace mailsbuddy::engine {

// Rows of a campaign of which something came back, as CampaignStatus has them.
void count_notes(const spool::NoteCounts& notes, CampaignStatus& status);

// Threads: take() from any; messages are parsed side by side, what follows from them is written one after the other, so
// that of two copies of a report one is the repeated one.
class Inbound {
 public:
  using FindCampaign = std::function<JobPtr(std::uint64_t token_number)>;  // Null: none has that number.

  // Told of complaints and late bounces about a row, once each: who sent it may be too fast.
  struct Late {
    EventKind kind;
    const bounce::Verdict& verdict;
    std::string domain;     // The row's.
    std::string source_ip;  // It came from there, says the report; empty: it does not say.
  };
  using Learn = std::function<void(const JobPtr& job, const Late& late)>;

  // `erased` outlives it.
  Inbound(spool::Spool& spool, const EngineOptions& options, const ErasedAddresses& erased, FindCampaign find_campaign,
          Learn learn);

  // Of an erased recipient nothing is said but that it was one.
  InboundReport take(std::string_view message, const InboundEnvelope& envelope, TimePoint now);
  bool carries_token(const Address& address, TimePoint now) const;
  // Until what take() has begun is in the spool.
  void flush() { const std::lock_guard lock(mutex_); }

 private:
  // Events that a message without a token of ours may cause: one report of a whole list is no reason for a thousand.
  static constexpr std::size_t kUnsignedEventsMax = 20;

  struct Subject;  // The row that a report is about.

  std::optional<Subject> attribute(InboundReport& result, TimePoint now) const;
  void take_signed(InboundReport& result, const Subject& subject, TimePoint now, spool::Batch& batch) const;
  void take_unsigned(InboundReport& result, const InboundEnvelope& envelope, TimePoint now, spool::Batch& batch) const;

  spool::Spool& spool_;
  const bounce::VerpKey verp_key_;
  const std::chrono::days report_age_;
  const ErasedAddresses& erased_;
  Suppressor suppressor_;
  FindCampaign find_campaign_;
  Learn learn_;
  std::mutex mutex_;
};

}  // namespace mailsbuddy::engine
