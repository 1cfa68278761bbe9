// job_record.h - a job as the spool keeps it: what never changes, and the little that commands change.
#pragma once

#include <string>
#include <string_view>

#include "engine/job.h"

namespace mailsbuddy::engine {

// spool::JobRecord::content. Two encodings of one campaign differ in `uid` alone, which each process draws anew.
//   record  = version(u64, 1) kind(u64: 0 message, 1 campaign) uid(2 u64) id account pool from_domain(texts)
//             priority(u64) on_unknown(u64) smtputf8(u64) (message / campaign) check-sum(u64)
//   message = tag(text) not_before(i64, nanoseconds) sender data(texts) require_tls ret(u64) envid(text)
//   campaign= from_header return_path_domain(texts) row_columns(u64) columns(list of texts) template
//   template= limits(3 u64) headers(list of name value) text html attachments(list of filename type data content-id)
//   text    = octets(u64) that many octets;  list = count(u64) that many;  u64: little-endian
std::string encode_job(const Job& job);
// Everything but `number` and what JobControl has. Errors: kInvalidArgument: not a record, or damaged; kUnsupported: of
// a later version; those of Template::compile.
Result<JobPtr> decode_job(std::string_view content);
// True: they describe the same campaign, or message.
bool same_job(const Job& a, const Job& b);

// spool::JobRecord::control.
struct JobControl {
  bool complete = false;  // All its rows are in the spool: they may go.
  bool paused = false;
  bool cancelled = false;
  TimePoint expires{};  // Of no meaning before it is complete.
};
std::string encode_control(const JobControl& control);
Result<JobControl> decode_control(std::string_view bytes);  // Errors: as decode_job().

}  // namespace mailsbuddy::engine
