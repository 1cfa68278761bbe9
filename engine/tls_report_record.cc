#include "engine/tls_report_record.h"

#include "core/base/bytes.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::uint64_t kVersion = 1;

class Writing {
 public:
  void operator()(const std::string& text) { writer_.text(text); }
  void operator()(std::uint64_t value) { writer_.u64(value); }
  void operator()(TimePoint value) { writer_.time(value); }
  void operator()(smtp::TlsResultType value) { writer_.u64(static_cast<std::uint64_t>(value)); }
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
  explicit Reading(std::string_view bytes) : size_(bytes.size()), reader_(bytes) {}
  void operator()(std::string& text) { text = reader_.text(size_); }
  void operator()(std::uint64_t& value) { value = reader_.u64(); }
  void operator()(TimePoint& value) { value = reader_.time(); }
  void operator()(smtp::TlsResultType& value) {
    const std::uint64_t number = reader_.u64();
    known_ = known_ && number <= static_cast<std::uint64_t>(smtp::TlsResultType::kStsWebpkiInvalid);
    value = known_ ? static_cast<smtp::TlsResultType>(number) : smtp::TlsResultType::kValidationFailure;
  }
  template <class T, class Each>
  void list(std::vector<T>& items, Each each) {
    const std::uint64_t count = reader_.u64();
    for (std::uint64_t i = 0; i < count && !reader_.bad(); ++i) each(items.emplace_back());
  }
  bool complete() const { return known_ && !reader_.bad() && reader_.at_end(); }

 private:
  std::size_t size_;
  BytesReader reader_;
  bool known_ = true;
};

// One list of the parts serves writing and reading.
template <class Codec, class Reports>
void each_part(Codec& codec, Reports& reports) {
  const auto text = [&codec](auto& each) { codec(each); };
  const auto detail = [&codec](auto& each) {
    codec(each.type), codec(each.sending_ip), codec(each.mx_host), codec(each.receiving_ip), codec(each.reason);
    codec(each.sessions);
  };
  const auto policy = [&](auto& each) {
    codec(each.type);
    codec.list(each.text, text), codec.list(each.mx_hosts, text);
    codec(each.successful), codec(each.failed);
    codec.list(each.details, detail);
  };
  codec.list(reports, [&](auto& each) {
    codec(each.domain), codec(each.begin), codec(each.end);
    codec.list(each.policies, policy);
  });
}

// `read`: (Reading&, std::vector<T>&)
template <class T, class Read>
Result<std::vector<T>> decode(std::string_view record, Read read) {
  if (!BytesReader::intact(record)) return Error{ErrorCode::kInvalidArgument, "TLS reports: the record is damaged"};
  Reading reading(record);
  std::uint64_t version = 0;
  reading(version);
  if (version != kVersion) return Error{ErrorCode::kInvalidArgument, "TLS reports: a record of another version"};
  std::vector<T> items;
  read(reading, items);
  if (!reading.complete())
    return Error{ErrorCode::kInvalidArgument, "TLS reports: the record has octets too few or too many"};
  return items;
}

}  // namespace

std::string encode_tls_reports(std::span<const smtp::TlsReport> reports) {
  const std::vector<smtp::TlsReport> all(reports.begin(), reports.end());
  Writing writing;
  writing(kVersion);
  each_part(writing, all);
  return std::move(writing).finish();
}

Result<std::vector<smtp::TlsReport>> decode_tls_reports(std::string_view record) {
  return decode<smtp::TlsReport>(record, [](Reading& reading, auto& reports) { each_part(reading, reports); });
}

std::string encode_reached(const std::vector<std::uint64_t>& addresses) {
  Writing writing;
  writing(kVersion);
  writing.list(addresses, [&writing](std::uint64_t each) { writing(each); });
  return std::move(writing).finish();
}

Result<std::vector<std::uint64_t>> decode_reached(std::string_view record) {
  return decode<std::uint64_t>(record, [](Reading& reading, auto& addresses) {
    reading.list(addresses, [&reading](std::uint64_t& each) { reading(each); });
  });
}

}  // namespace mailsbuddy::engine
