// csv_rows.h - a recipients file as a RowSource: header row, any column order, UTF-8, quoted fields (RFC 4180), read as
// a stream.
#pragma once

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::cli {

class CsvRows final : public RowSource {
 public:
  // `address_column`: its name in the header row; empty: the first of kAddressColumns that is there, in any letter
  // case. Bad rows go to `bad_rows_path` (line,address,reason), a file made when the first one comes. Errors: kIo: the
  // file cannot be read; kInvalidArgument: no header row, no address column, a name twice.
  static Result<std::unique_ptr<CsvRows>> open(const std::string& path, const std::string& address_column,
                                               const std::string& bad_rows_path);
  ~CsvRows() override;

  std::span<const std::string> columns() const override { return columns_; }
  Result<std::optional<RowView>> next() override;
  void refused(const BadRow& row) override;

  const std::string& address_column() const noexcept { return address_column_; }
  std::uint64_t lines() const noexcept { return line_; }   // Read so far.

 private:
  class Parser;
  CsvRows(std::string path, std::string bad_rows_path);
  Result<void> read_header(const std::string& address_column);
  Result<bool> read_record();  // False: the end of the file.

  std::string path_;
  std::string bad_rows_path_;
  std::FILE* file_ = nullptr;
  std::unique_ptr<Parser> parser_;
  std::uint64_t line_ = 0;          // Of the last line read.
  std::uint64_t record_line_ = 0;   // Where the record at hand begins.
  std::string defect_;
  std::vector<std::string> record_;
  std::vector<std::string> columns_;         // Without the address column.
  std::string address_column_;
  std::size_t address_index_ = 0;
  std::size_t record_size_ = 0;              // Columns in the header row.
  std::vector<std::string_view> values_;
  std::ofstream bad_rows_;
};

}  // namespace mailsbuddy::cli
