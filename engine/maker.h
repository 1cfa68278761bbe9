// maker.h - from a row to the bytes on the wire: render, sign, dot-stuff. Runs on the CPU pool.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "engine/prepared.h"

namespace mailsbuddy::engine {

// The number that stands for a row in VERP tokens and events.
constexpr std::uint64_t row_number(const spool::RowKey& key) noexcept {
  return std::uint64_t{key.domain} << 32 | key.row;
}
constexpr spool::RowKey row_key(spool::JobNumber job, std::uint64_t row_number) noexcept {
  return {job, static_cast<spool::DomainNumber>(row_number >> 32), static_cast<std::uint32_t>(row_number)};
}

// Threads: any.
class Maker {
 public:
  // A single message's data that is not in memory; null: it cannot be read now. Threads: any.
  using Load = std::function<std::shared_ptr<const std::string>(const Job&)>;
  Maker(bounce::VerpKey verp_key, std::size_t max_message_bytes, std::shared_ptr<const dkim::KeyRing> keys, Load load);
  // Fills each from `mail_from` on. Several at once are signed in less time: see dkim::sign_batch().
  void make(std::span<const PreparedPtr> some, TimePoint now) const;
  bool signs() const { return keys() != nullptr; }

  // From the next message on these sign; one that is being signed ends with those it began with. Null: unsigned.
  void set_keys(std::shared_ptr<const dkim::KeyRing> keys);
  // Whether a message with From in `from_domain` can be signed now. Errors: kInvalidArgument: nobody signs for it;
  // those of dkim::KeyRing::signers_for().
  Result<void> check_signers(std::string_view from_domain, TimePoint now) const;

 private:
  struct Draft;
  void sign(std::span<Draft> drafts, TimePoint now) const;
  Result<void> render(Prepared& prepared, TimePoint now, std::string& message) const;
  void write(Draft& draft, TimePoint now) const;
  std::shared_ptr<const dkim::KeyRing> keys() const;

  bounce::VerpKey verp_key_;
  std::size_t max_message_bytes_;
  Load load_;
  mutable std::mutex keys_mutex_;
  std::shared_ptr<const dkim::KeyRing>
      keys_;  // Held by each that signs, so that a ring lives until its last signature.
};

}  // namespace mailsbuddy::engine
