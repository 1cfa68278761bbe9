#include "engine/job_record.h"

#include "core/base/bytes.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::uint64_t kJobVersion = 2;
constexpr std::uint64_t kControlVersion = 2;

// One list of a record's parts serves writing and reading, as in events.cc.
class Writing {
 public:
  void operator()(std::string_view text) { writer_.text(text); }
  void operator()(const std::string& text) { writer_.text(text); }
  void operator()(bool value) { writer_.u64(value ? 1 : 0); }
  void operator()(std::uint64_t value) { writer_.u64(value); }
  void operator()(std::uint8_t value) { writer_.u64(value); }
  void operator()(std::chrono::minutes value) { writer_.u64(static_cast<std::uint64_t>(value.count())); }
  void operator()(TimePoint value) { writer_.time(value); }
  template <class E>
  requires std::is_enum_v<E>
  void operator()(E value) { writer_.u64(static_cast<std::uint64_t>(value)); }
  template <class T, class Each>
  void list(const std::vector<T>& items, Each each) {
    writer_.u64(items.size());
    for (const T& item : items) each(item);
  }
  std::string finish() && { return std::move(writer_).finish(); }

 private:
  BytesWriter writer_;
};

class Reading {
 public:
  explicit Reading(std::string_view bytes) : left_(bytes.size()), reader_(bytes) {}
  void operator()(std::string& text) { text = reader_.text(left_); }
  void operator()(bool& value) { value = below(2) != 0; }
  void operator()(std::uint64_t& value) { value = reader_.u64(); }
  void operator()(std::uint8_t& value) { value = static_cast<std::uint8_t>(below(256)); }
  void operator()(std::chrono::minutes& value) { value = std::chrono::minutes(below(24 * 60 + 1)); }
  void operator()(TimePoint& value) { value = reader_.time(); }
  void operator()(Priority& value) { value = static_cast<Priority>(below(2)); }
  void operator()(OnUnknown& value) { value = static_cast<OnUnknown>(below(3)); }
  void operator()(smtp::DsnReturn& value) { value = static_cast<smtp::DsnReturn>(below(3)); }
  template <class T, class Each>
  void list(std::vector<T>& items, Each each) {
    const std::uint64_t count = reader_.u64();
    for (std::uint64_t i = 0; i < count && good(); ++i) each(items.emplace_back());
  }
  bool good() const { return good_ && !reader_.bad(); }
  bool complete() const { return good() && reader_.at_end(); }

 private:
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t value = reader_.u64();
    good_ = good_ && value < bound;
    return good_ ? value : 0;
  }
  std::size_t left_;  // No text is longer than the record.
  BytesReader reader_;
  bool good_ = true;
};

template <class Codec, class ContentT>
void each_part_of_content(Codec& codec, ContentT& content) {
  codec.list(content.headers, [&codec](auto& field) { codec(field.name), codec(field.value); });
  codec(content.text), codec(content.html);
  codec.list(content.attachments, [&codec](auto& each) {
    codec(each.filename), codec(each.content_type), codec(each.data), codec(each.content_id);
  });
}

template <class Codec, class LimitsT>
void each_part_of_limits(Codec& codec, LimitsT& limits) {
  codec(limits.max_output_bytes), codec(limits.max_steps), codec(limits.max_nesting);
}

template <class Codec, class JobT>
void each_part_of_schedule(Codec& codec, JobT& job) {
  codec(job.not_before), codec(job.not_after);
  codec.list(job.windows, [&codec](auto& window) { codec(window.weekdays), codec(window.from), codec(window.to); });
  codec(job.zone_name), codec(job.zone_column);
}

// All but `campaign`, `uid`, a message's data and the template.
template <class Codec, class JobT>
void each_part(Codec& codec, JobT& job, std::string& data, std::uint64_t version) {
  codec(job.id), codec(job.account), codec(job.pool), codec(job.from_domain);
  codec(job.priority), codec(job.on_unknown), codec(job.smtputf8);
  if (version >= 2) codec(job.attempts_max);
  if (job.campaign) {
    codec(job.from_header), codec(job.return_path_domain), codec(job.row_columns);
    codec.list(job.columns, [&codec](auto& column) { codec(column); });
    if (version >= 2) each_part_of_schedule(codec, job);
  } else {
    codec(job.tag), codec(job.not_before), codec(job.sender), codec(data);
    codec(job.require_tls), codec(job.ret), codec(job.envid);
  }
}

std::string encode(const Job& job, const Id128& uid, std::string data) {
  Writing codec;
  codec(kJobVersion), codec(job.campaign), codec(uid.high), codec(uid.low);
  each_part(codec, job, data, kJobVersion);
  if (job.campaign) {
    each_part_of_limits(codec, job.content.limits());
    each_part_of_content(codec, job.content.content());
  }
  return std::move(codec).finish();
}

std::string data_of(const Job& job) {
  const auto data = job.data.get();
  return data == nullptr ? std::string() : *data;
}

struct Checked {
  std::uint64_t version = 0;
  std::string_view body;
};
Result<Checked> checked(std::string_view bytes, std::string_view what, std::uint64_t version) {
  if (!BytesReader::intact(bytes)) {
    return Error{ErrorCode::kInvalidArgument, std::string(what) + " is damaged"};
  }
  const std::uint64_t found = BytesReader(bytes).u64();
  if (found == 0 || found > version) {
    return Error{ErrorCode::kUnsupported, std::string(what) + " is of version " + std::to_string(found) +
                                              ", this library knows version " + std::to_string(version)};
  }
  return Checked{found, bytes.substr(8)};
}

Error damaged(std::string_view what) { return {ErrorCode::kInvalidArgument, std::string(what) + " cannot be read"}; }

}  // namespace

std::string encode_job(const Job& job) { return encode(job, job.uid, data_of(job)); }

bool same_job(const Job& a, const Job& b) {
  return a.campaign == b.campaign && encode(a, Id128{}, data_of(a)) == encode(b, Id128{}, data_of(b));
}

Result<JobPtr> decode_job(std::string_view content) {
  constexpr std::string_view kWhat = "the job's record";
  const auto record = checked(content, kWhat, kJobVersion);
  if (!record) return record.error();
  Reading codec(record->body);
  auto job = std::make_shared<Job>();
  std::string data;
  codec(job->campaign), codec(job->uid.high), codec(job->uid.low);
  each_part(codec, *job, data, record->version);
  Template::Limits limits;
  Content parts;
  if (job->campaign) {
    each_part_of_limits(codec, limits);
    each_part_of_content(codec, parts);
  }
  if (!codec.complete() || job->row_columns > job->columns.size() || job->zone_column > job->row_columns ||
      !check_windows(job->windows)) {
    return damaged(kWhat);
  }
  if (job->campaign) {
    auto compiled = Template::compile(std::move(parts), limits);
    if (!compiled) return std::move(compiled).error();
    job->content = *std::move(compiled);
  } else {
    job->data.set(std::move(data));
  }
  return job;
}

Result<std::string> with_message_data(std::string_view content, const std::function<std::string(const Job&)>& data) {
  const auto job = decode_job(content);
  if (!job) return job.error();
  if ((*job)->campaign) return std::string(content);
  return encode(**job, (*job)->uid, data(**job));
}

std::string encode_control(const JobControl& control) {
  Writing codec;
  codec(kControlVersion), codec(control.complete), codec(control.paused), codec(control.cancelled);
  codec(control.expires), codec(control.pool);
  return std::move(codec).finish();
}

Result<JobControl> decode_control(std::string_view bytes) {
  constexpr std::string_view kWhat = "the job's control record";
  const auto record = checked(bytes, kWhat, kControlVersion);
  if (!record) return record.error();
  Reading codec(record->body);
  JobControl control;
  codec(control.complete), codec(control.paused), codec(control.cancelled), codec(control.expires);
  if (record->version >= 2) codec(control.pool);
  if (!codec.complete()) return damaged(kWhat);
  return control;
}

}  // namespace mailsbuddy::engine
