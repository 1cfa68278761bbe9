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

Maker::Maker(std::string verp_key, std::size_t max_message_bytes)
    : verp_key_(std::move(verp_key)), max_message_bytes_(max_message_bytes) {}

// Writes a campaign's message for one row.
Result<void> Maker::render(Prepared& prepared, TimePoint now, std::string& message) const {
  const Job& job = *prepared.job;
  const auto today = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
  auto token = bounce::verp_encode({.campaign = token_number(job),
                                    .recipient = row_number(prepared.row.key),
                                    .day = static_cast<std::uint32_t>(today)},
                                   verp_key_);
  if (!token) return std::move(token).error();
  prepared.mail_from = *token + "@" + job.return_path_domain;

  std::vector<std::string_view> names(job.columns.begin(), job.columns.end());
  std::vector<std::string_view> values;
  values.reserve(names.size());
  unpack_fields(prepared.row.fields, values);
  values.resize(job.row_columns);
  values.push_back(prepared.recipient);  // In the order of kEngineFields, then address_field.
  values.push_back(job.id);
  values.push_back(job.account);
  values.push_back(*token);
  if (names.size() > values.size()) values.push_back(prepared.recipient);
  return job.content.render({.names = names, .values = values}, leading_headers(prepared, now), message);
}

void Maker::make(Prepared& prepared, TimePoint now) const {
  const Job& job = *prepared.job;
  const auto fail = [&prepared](Cause cause, std::string detail) {
    prepared.failure = Outcome{.stage = Stage::kMake, .cause = cause, .reply = {}, .detail = std::move(detail)};
  };
  std::string rendered;
  if (job.campaign) {
    if (auto made = render(prepared, now, rendered); !made) return fail(Cause::kRenderFailed, made.error().detail);
  } else {
    prepared.mail_from = job.sender;
  }
  const std::string_view message = job.campaign ? std::string_view(rendered) : std::string_view(job.data);
  if (message.size() > max_message_bytes_) {
    return fail(Cause::kTooLarge, fmt::format("{} octets, the limit is {}", message.size(), max_message_bytes_));
  }

  std::string signature;
  if (job.signer != nullptr) {
    auto signed_ = job.signer->sign(message, now);
    if (!signed_) return fail(Cause::kSignFailed, signed_.error().detail);
    signature = *std::move(signed_);
  }
  prepared.message_bytes = signature.size() + message.size();
  prepared.wire.reserve(prepared.message_bytes + 64);
  prepared.wire = signature;  // Folded by us: CRLF lines, none begins with a dot.
  smtp::dot_stuff(message, prepared.wire);
  prepared.eight_bit = !is_ascii(prepared.wire);
  prepared.smtputf8 = job.smtputf8 || !is_ascii(prepared.recipient);
}

}  // namespace mailsbuddy::engine
