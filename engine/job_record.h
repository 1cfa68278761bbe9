// job_record.h - a job as the spool keeps it: what never changes, and the little that commands change.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/job.h"

namespace mailsbuddy::engine {

// spool::JobRecord::content. Two encodings of one campaign differ in `uid` alone, which each process draws anew.
//   record  = version(u64, 2) kind(u64: 0 message, 1 campaign) uid(2 u64) id account pool from_domain(texts)
//             priority(u64) on_unknown(u64) smtputf8(u64) attempts_max(u64) (message / campaign) check-sum(u64)
//   message = tag(text) not_before(i64, nanoseconds) sender data(texts) require_tls ret(u64) envid(text)
//   campaign= from_header return_path_domain(texts) row_columns(u64) columns(list of texts) schedule template
//   schedule= not_before not_after(i64, nanoseconds) windows(list of weekdays from to(u64, minutes)) zone(text)
//             zone_column(u64)
//   template= limits(3 u64) headers(list of name value) text html attachments(list of filename type data content-id)
//   Version 1 has no attempts_max and no schedule.
//   text    = octets(u64) that many octets;  list = count(u64) that many;  u64: little-endian
std::string encode_job(const Job& job);
// Everything but `number`, `zone`, `zones` and what JobControl has. Errors: kInvalidArgument: not a record, or damaged;
// kUnsupported: of a later version; those of Template::compile.
Result<JobPtr> decode_job(std::string_view content);
// True: they describe the same campaign, or message.
bool same_job(const Job& a, const Job& b);

// The record with other data, that of a message: for erasing what it says.
Result<std::string> with_message_data(std::string_view content, const std::function<std::string(const Job&)>& data);

// spool::JobRecord::control.
struct JobControl {
  bool complete = false;  // All its rows are in the spool: they may go.
  bool paused = false;
  bool cancelled = false;
  TimePoint expires{};  // Of no meaning before it is complete.
  std::string pool{};   // It was moved to this one. Empty: it was not. Version 1 does not have it.
};
std::string encode_control(const JobControl& control);
Result<JobControl> decode_control(std::string_view bytes);  // Errors: as decode_job().

}  // namespace mailsbuddy::engine
