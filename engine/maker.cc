#include "engine/maker.h"

#include <fmt/format.h>

#include "core/base/encoding.h"
#include "engine/fields.h"

namespace mailsbuddy::engine {
namespace {

// What the engine itself says at the top of a campaign's message. The Message-ID depends on the row alone, so that a
// second attempt of the same row can be recognised as the same message.
std::string leading_headers(const Prepared& prepared, TimePoint now) {
  const Job& job = *prepared.job;
  return fmt::format("{}To: {}\r\nDate: {}\r\nMessage-ID: <{}.{:x}.{:x}@{}>\r\n", job.from_header, prepared.recipient,
                     format_date(now), job.uid.str(), prepared.row.key.domain, prepared.row.key.row, job.from_domain);
}

}  // namespace

Maker::Maker(bounce::VerpKey verp_key, std::size_t max_message_bytes, std::shared_ptr<const dkim::KeyRing> keys,
             Load load)
    : verp_key_(verp_key), max_message_bytes_(max_message_bytes), load_(std::move(load)), keys_(std::move(keys)) {}

void Maker::set_keys(std::shared_ptr<const dkim::KeyRing> keys) {
  const std::lock_guard lock(keys_mutex_);
  keys_.swap(keys);  // The old ring, if nobody signs with it, goes after the lock.
}

std::shared_ptr<const dkim::KeyRing> Maker::keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

namespace {

Result<dkim::Signers> signers_for(const dkim::KeyRing& keys, std::string_view from_domain, TimePoint now) {
  auto signers = keys.signers_for(from_domain, now);
  if (!signers || !signers->empty()) return signers;
  return Error{ErrorCode::kInvalidArgument, fmt::format("no DKIM key signs for '{}', the domain of From", from_domain)};
}

}  // namespace

Result<void> Maker::check_signers(std::string_view from_domain, TimePoint now) const {
  const auto ring = keys();
  if (ring == nullptr) return {};
  auto signers = signers_for(*ring, from_domain, now);
  if (!signers) return std::move(signers).error();
  return {};
}

// Never unsigned for want of a key: a ring that was swapped in may no longer have one for a campaign that has begun.
Result<void> Maker::sign(std::string_view from_domain, std::string_view message, TimePoint now,
                         std::string& out) const {
  const auto ring = keys();
  if (ring == nullptr) return {};
  auto signers = signers_for(*ring, from_domain, now);
  if (!signers) return std::move(signers).error();
  return dkim::sign_all(signers->view(), message, now, out);
}

// Writes a campaign's message for one row.
Result<void> Maker::render(Prepared& prepared, TimePoint now, std::string& message) const {
  const Job& job = *prepared.job;
  const auto today = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
  prepared.mail_from.reserve(bounce::kVerpBytes + 1 + job.return_path_domain.size());
  verp_key_.encode({.campaign = token_number(job),
                    .recipient = row_number(prepared.row.key),
                    .day = static_cast<std::uint32_t>(today)},
                   prepared.mail_from);
  prepared.mail_from.append("@").append(job.return_path_domain);

  std::vector<std::string_view> names(job.columns.begin(), job.columns.end());
  std::vector<std::string_view> values;
  values.reserve(names.size());
  unpack_fields(prepared.row.fields, values);
  values.resize(job.row_columns);
  values.push_back(prepared.recipient);  // In the order of kEngineFields, then address_field.
  values.push_back(job.id);
  values.push_back(job.account);
  values.push_back(std::string_view(prepared.mail_from).substr(0, bounce::kVerpBytes));
  if (names.size() > values.size()) values.push_back(prepared.recipient);
  return job.content.render({.names = names, .values = values}, leading_headers(prepared, now), message);
}

void Maker::make(Prepared& prepared, TimePoint now) const {
  const Job& job = *prepared.job;
  const auto fail = [&prepared](Cause cause, std::string detail) {
    prepared.failure = Outcome{.stage = Stage::kMake, .cause = cause, .reply = {}, .detail = std::move(detail)};
  };
  std::string rendered;
  std::shared_ptr<const std::string> data;
  if (job.campaign) {
    if (auto made = render(prepared, now, rendered); !made) return fail(Cause::kRenderFailed, made.error().detail);
  } else {
    data = job.data.get();
    if (data == nullptr) data = load_(job);
    if (data == nullptr) {
      prepared.unread = true;
      return;
    }
    prepared.mail_from = job.sender;
    each_recipient(prepared, [](Prepared& each) { each.dsn = unpack_report(each.row.fields); });
  }
  std::string_view message = job.campaign ? std::string_view(rendered) : std::string_view(*data);
  std::string seven_bit;
  if (prepared.seven_bit && !is_ascii(message)) {  // Before it is signed: what comes after breaks a signature.
    if (auto made = to_seven_bit(message)) {
      message = seven_bit = *std::move(made);
    } else {
      prepared.stays_eight_bit = std::move(made).error().detail;
    }
  }
  if (message.size() > max_message_bytes_) {
    return fail(Cause::kTooLarge, fmt::format("{} octets, the limit is {}", message.size(), max_message_bytes_));
  }

  // A signature takes about a thousand octets; it is folded by us: CRLF lines, none begins with a dot.
  prepared.wire.reserve(message.size() + 2048);
  if (auto signed_ = sign(job.from_domain, message, now, prepared.wire); !signed_) {
    return fail(Cause::kSignFailed, signed_.error().detail);
  }
  prepared.message_bytes = prepared.wire.size() + message.size();
  prepared.eight_bit = smtp::dot_stuff(message, prepared.wire);
  prepared.smtputf8 = job.smtputf8 || !is_ascii(prepared.recipient);
}

}  // namespace mailsbuddy::engine
