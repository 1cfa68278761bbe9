#include "services/cli/csv_rows.h"

#include <csv.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace mailsbuddy::cli {
namespace {

constexpr std::string_view kAddressColumns[] = {"email", "e-mail", "email_address", "email address", "address",
                                                "mail", "recipient", "to"};
constexpr std::size_t kLineBytesMax = 1u << 20;  // A file that is no CSV does not fill the memory.

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

std::string csv_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

// libcsv, fed line by line, so that a record is known by the line it begins on.
class CsvRows::Parser {
 public:
  Parser() { csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI); }
  ~Parser() { csv_free(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Returns what is wrong with the line; null: nothing.
  const char* feed(std::string_view line) {
    if (csv_parse(&parser_, line.data(), line.size(), &Parser::field, &Parser::end, this) == line.size()) return nullptr;
    return error();
  }
  const char* finish() { return csv_fini(&parser_, &Parser::field, &Parser::end, this) == 0 ? nullptr : error(); }
  void restart() {
    csv_free(&parser_);
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    fields_.clear();
  }
  bool take(std::vector<std::string>& record) {
    if (!complete_) return false;
    complete_ = false;
    record = std::exchange(fields_, {});
    return true;
  }

 private:
  static void field(void* bytes, std::size_t size, void* self) {
    static_cast<Parser*>(self)->fields_.emplace_back(static_cast<const char*>(bytes), size);
  }
  static void end(int, void* self) { static_cast<Parser*>(self)->complete_ = true; }
  const char* error() {
    return csv_error(&parser_) == CSV_EPARSE ? "a quotation mark out of place" : csv_strerror(csv_error(&parser_));
  }

  csv_parser parser_{};
  std::vector<std::string> fields_;
  bool complete_ = false;
};

CsvRows::CsvRows(std::string path, std::string bad_rows_path)
    : path_(std::move(path)), bad_rows_path_(std::move(bad_rows_path)), parser_(std::make_unique<Parser>()) {}

CsvRows::~CsvRows() {
  if (file_ != nullptr) std::fclose(file_);
}

Result<std::unique_ptr<CsvRows>> CsvRows::open(const std::string& path, const std::string& address_column,
                                               const std::string& bad_rows_path) {
  std::unique_ptr<CsvRows> rows(new CsvRows(path, bad_rows_path));
  rows->file_ = std::fopen(path.c_str(), "rb");
  if (rows->file_ == nullptr) return Error{ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno))};
  if (auto header = rows->read_header(address_column); !header) return std::move(header).error();
  return rows;
}

Result<void> CsvRows::read_header(const std::string& address_column) {
  auto read = read_record();
  if (!read) return std::move(read).error();
  if (!*read) return Error{ErrorCode::kInvalidArgument, fmt::format("{}: empty, a header row is needed", path_)};
  if (!defect_.empty()) return Error{ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", path_, record_line_, defect_)};
  if (record_[0].starts_with("\xef\xbb\xbf")) record_[0].erase(0, 3);  // A byte order mark, as spreadsheets write it.
  std::set<std::string> names;
  for (const std::string& name : record_) {
    if (!names.insert(name).second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{}:1: column '{}' is there twice", path_, name)};
    }
  }
  auto found = std::find(record_.begin(), record_.end(), address_column);
  for (const std::string_view candidate : kAddressColumns) {
    if (!address_column.empty() || found != record_.end()) break;
    found = std::find_if(record_.begin(), record_.end(), [&](const std::string& name) { return lower(name) == candidate; });
  }
  if (found == record_.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}:1: no {} among the columns '{}'; name it with --address-column", path_,
                             address_column.empty() ? "address column" : "column '" + address_column + "'",
                             fmt::join(record_, "', '"))};
  }
  address_index_ = static_cast<std::size_t>(found - record_.begin());
  address_column_ = *found;
  record_size_ = record_.size();
  record_.erase(found);
  columns_ = std::move(record_);
  return {};
}

Result<bool> CsvRows::read_record() {
  defect_.clear();
  record_line_ = line_ + 1;
  std::string line;
  for (;;) {
    line.clear();
    int c = 0;
    while (line.size() < kLineBytesMax && (c = std::getc(file_)) != EOF) {
      line.push_back(static_cast<char>(c));
      if (c == '\n') break;
    }
    if (std::ferror(file_) != 0) return Error{ErrorCode::kIo, fmt::format("{}: {}", path_, std::strerror(errno))};
    if (line.size() == kLineBytesMax) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: a line of more than {} octets", path_, line_ + 1, kLineBytesMax)};
    }
    const bool end = line.empty();
    if (!end) ++line_;
    if (const char* wrong = end ? parser_->finish() : parser_->feed(line)) {
      defect_ = fmt::format("not CSV: {}", wrong);
      parser_->restart();
      record_.clear();
      return true;
    }
    if (parser_->take(record_)) return true;
    if (end) return false;
    if (line == "\n" || line == "\r\n") record_line_ = line_ + 1;  // An empty line between records.
  }
}

Result<std::optional<RowView>> CsvRows::next() {
  auto read = read_record();
  if (!read) return std::move(read).error();
  if (!*read) return std::optional<RowView>();
  RowView row{.number = record_line_, .address = {}, .values = {}};
  if (defect_.empty() && record_.size() != record_size_) {
    defect_ = fmt::format("{} fields, the header row has {}", record_.size(), record_size_);
  }
  if (record_.size() > address_index_) row.address = record_[address_index_];
  row.defect = defect_;
  if (defect_.empty()) {
    values_.clear();
    for (std::size_t i = 0; i < record_.size(); ++i) {
      if (i != address_index_) values_.emplace_back(record_[i]);
    }
    row.values = values_;
  }
  return std::optional<RowView>(row);
}

void CsvRows::refused(const BadRow& row) {
  if (!bad_rows_.is_open()) {
    bad_rows_.open(bad_rows_path_, std::ios::trunc);
    bad_rows_ << "line,address,reason\n";
  }
  bad_rows_ << row.number << ',' << csv_quoted(row.address) << ',' << csv_quoted(row.reason) << '\n';
}

}  // namespace mailsbuddy::cli
