#include "bindings/python/src/arrow_rows.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "bindings/python/src/errors.h"
#include "bindings/python/src/python_rows.h"

// The ABI, as its specification has it.
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  std::int64_t flags;
  std::int64_t n_children;
  ArrowSchema** children;
  ArrowSchema* dictionary;
  void (*release)(ArrowSchema*);
  void* private_data;
};
struct ArrowArray {
  std::int64_t length;
  std::int64_t null_count;
  std::int64_t offset;
  std::int64_t n_buffers;
  std::int64_t n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};
struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream*, ArrowSchema*);
  int (*get_next)(ArrowArrayStream*, ArrowArray*);
  const char* (*get_last_error)(ArrowArrayStream*);
  void (*release)(ArrowArrayStream*);
  void* private_data;
};

namespace mailsbuddy::python {
namespace {

namespace py = pybind11;

template <class T>
class Owned {  // Of the ABI's structures: released once.
 public:
  Owned() = default;
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : value_(std::exchange(other.value_, T{})) {}
  Owned& operator=(Owned&& other) noexcept {
    reset();
    value_ = std::exchange(other.value_, T{});
    return *this;
  }
  void reset() {
    if (value_.release != nullptr) value_.release(&value_);
    value_ = T{};
  }
  T* get() { return &value_; }
  const T* get() const { return &value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }
  explicit operator bool() const { return value_.release != nullptr; }

 private:
  T value_{};
};

const char* buffer_of(const ArrowArray& array, std::int64_t number) {
  if (array.buffers[number] == nullptr) throw std::out_of_range(fmt::format("buffer {} is not there", number));
  return static_cast<const char*>(array.buffers[number]);
}

template <class T>
T at(const ArrowArray& array, std::int64_t buffer, std::int64_t index) {
  T value;
  std::memcpy(&value, buffer_of(array, buffer) + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

bool bit(const void* bits, std::int64_t index) {
  return (static_cast<const unsigned char*>(bits)[index / 8] >> (index % 8) & 1) != 0;
}

bool has_validity(const ArrowArray& array) {
  return array.n_buffers > 0 && array.buffers != nullptr && array.buffers[0] != nullptr;
}

bool is_null(const ArrowArray& array, std::int64_t index) {
  return array.null_count != 0 && has_validity(array) && !bit(array.buffers[0], index);
}

std::int64_t integer_at(const ArrowArray& array, char format, std::int64_t index) {
  switch (format) {
    case 'c': return at<std::int8_t>(array, 1, index);
    case 'C': return at<std::uint8_t>(array, 1, index);
    case 's': return at<std::int16_t>(array, 1, index);
    case 'S': return at<std::uint16_t>(array, 1, index);
    case 'i': return at<std::int32_t>(array, 1, index);
    case 'I': return at<std::uint32_t>(array, 1, index);
    default: return at<std::int64_t>(array, 1, index);
  }
}

template <class Offset>
std::string_view text_at(const ArrowArray& array, std::int64_t index) {
  const Offset start = at<Offset>(array, 1, index);
  const Offset end = at<Offset>(array, 1, index + 1);
  if (start < 0 || end < start) throw std::out_of_range("its offsets do not ascend");
  if (start == end) return {};  // Perhaps of no buffer at all.
  return {buffer_of(array, 2) + start, static_cast<std::size_t>(end - start)};
}

// A view: its length; up to 12 octets themselves, or 4 of them, the number of a buffer and the place in it.
std::string_view view_at(const ArrowArray& array, std::int64_t index) {
  const char* view = buffer_of(array, 1) + index * 16;
  std::int32_t parts[4];
  std::memcpy(parts, view, sizeof parts);
  const auto size = static_cast<std::size_t>(parts[0]);
  if (parts[0] >= 0 && size <= 12) return {view + 4, size};
  // Behind the buffers of text there is one more, of their lengths.
  const std::int64_t buffers = array.n_buffers - 3;
  const bool there = parts[0] > 0 && parts[2] >= 0 && parts[2] < buffers && parts[3] >= 0 &&
                     at<std::int64_t>(array, array.n_buffers - 1, parts[2]) - parts[3] >= parts[0];
  if (!there) throw std::out_of_range("a view of no buffer of its array");
  return {buffer_of(array, 2 + std::int64_t{parts[2]}) + parts[3], size};
}

std::int64_t ticks_per_second(char unit) {
  return unit == 's' ? 1 : unit == 'm' ? 1'000 : unit == 'u' ? 1'000'000 : 1'000'000'000;
}

// What a year of four digits can tell: a defect of the row, for the others are good.
struct Unwritable : std::range_error {
  using std::range_error::range_error;
};

std::tm calendar(std::int64_t seconds) {
  if (seconds < -62'167'219'200 || seconds > 253'402'300'799) throw Unwritable("a moment outside of the years 0 to 9999");
  return fmt::gmtime(static_cast<std::time_t>(seconds));
}

// ISO 8601, in UTC.
std::string moment(std::int64_t ticks, char unit) {
  const std::int64_t per = ticks_per_second(unit);
  const std::int64_t seconds = ticks / per - (ticks % per < 0 ? 1 : 0);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", calendar(seconds));
}

// How one column is read. Formats:
// arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings.
struct Column {
  std::string name;
  std::string format;
  std::string dictionary{};  // The format of its values; empty: no dictionary.

  static bool known(std::string_view format) {
    return format == "n" || format == "b" || format == "u" || format == "U" || format == "vu" || format == "tdD" ||
           format == "f" || format == "g" || (format.size() == 1 && std::strchr("cCsSiIlL", format[0]) != nullptr) ||
           (format.starts_with("ts") && format.substr(2).find_first_of("smun") == 0 && format.substr(3).starts_with(':'));
  }
  int buffers() const {  // At least.
    return format == "n" ? 0 : format == "u" || format == "U" || format == "vu" ? 3 : 2;
  }

  // The value as text: a view into the array, or into `scratch`.
  std::string_view read(const ArrowArray& array, std::int64_t index, std::string& scratch) const {
    if (format == "n" || is_null(array, index)) return {};
    if (!dictionary.empty()) {
      const Column values{.name = {}, .format = dictionary};
      const std::int64_t which = integer_at(array, format[0], index);
      if (which < 0 || which >= array.dictionary->length) {
        throw std::out_of_range(fmt::format("index {} of a dictionary of {} values", which, array.dictionary->length));
      }
      return values.read(*array.dictionary, array.dictionary->offset + which, scratch);
    }
    if (format == "u") return text_at<std::int32_t>(array, index);
    if (format == "U") return text_at<std::int64_t>(array, index);
    if (format == "vu") return view_at(array, index);
    scratch = number(array, index);
    return scratch;
  }
  std::string number(const ArrowArray& array, std::int64_t index) const {
    if (format == "b") return bit(buffer_of(array, 1), index) ? "true" : "false";
    if (format == "f") return fmt::format("{}", at<float>(array, 1, index));
    if (format == "g") return fmt::format("{}", at<double>(array, 1, index));
    if (format == "L") return fmt::format("{}", at<std::uint64_t>(array, 1, index));
    if (format == "tdD") {
      return fmt::format("{:%Y-%m-%d}", calendar(std::int64_t{at<std::int32_t>(array, 1, index)} * 86'400));
    }
    if (format[0] == 't') return moment(at<std::int64_t>(array, 1, index), format[2]);
    return fmt::format("{}", integer_at(array, format[0], index));
  }
};

class Stream final : public ArrowRows {
 public:
  Stream(Owned<ArrowArrayStream> stream, const std::string& address_column);
  std::span<const std::string> columns() const override { return names_; }
  const std::string& address_column() const override { return address_column_; }

 private:
  Result<std::optional<RowView>> pull() override;
  Result<bool> next_array();  // False: the end.
  Result<void> check() const;
  Error failure(int code);
  Result<std::string_view> value(std::size_t column);  // Of the row at hand; fills defect_.

  Owned<ArrowArrayStream> stream_;
  Owned<ArrowArray> array_;
  std::int64_t index_ = 0;
  std::uint64_t number_ = 0;
  std::int64_t children_ = 0;           // Of the schema.
  std::vector<Column> columns_;         // The address first.
  std::vector<std::size_t> sources_;    // Where each is among the schema's children.
  std::vector<std::string> names_;      // Without the address.
  std::string address_column_;
  std::vector<std::string> scratch_;
  std::vector<std::string_view> values_;
  std::string defect_;
};

Column column_of(const ArrowSchema& schema) {
  const auto text = [](const char* given) { return std::string(given == nullptr ? "" : given); };
  Column column{.name = text(schema.name), .format = text(schema.format)};
  if (schema.dictionary != nullptr) {  // Of values, not of another dictionary.
    const ArrowSchema& values = *schema.dictionary;
    column.dictionary = values.dictionary == nullptr ? text(values.format) : "a dictionary's dictionary";
    if (column.dictionary.empty()) column.dictionary = "?";
  }
  const bool index = column.format.size() == 1 && std::strchr("cCsSiIlL", column.format[0]) != nullptr;
  if (column.dictionary.empty() ? Column::known(column.format) : index && Column::known(column.dictionary)) return column;
  raise(ErrorCode::kInvalidArgument,
        fmt::format("rows: column '{}' has the Arrow type \"{}\"; make it text, a number, a boolean, a date or a moment",
                    column.name, column.dictionary.empty() ? column.format : column.dictionary));
}

Stream::Stream(Owned<ArrowArrayStream> stream, const std::string& wanted) : stream_(std::move(stream)) {
  Owned<ArrowSchema> schema;
  const int code = without_gil([&] { return stream_->get_schema(stream_.get(), schema.get()); });
  if (code != 0) raise(failure(code));
  if (schema->format == nullptr || std::strcmp(schema->format, "+s") != 0) raise(ErrorCode::kInvalidArgument, "rows: the Arrow stream is no table");
  children_ = schema->n_children;
  const auto lacks = [] { raise(ErrorCode::kInvalidArgument, "rows: the Arrow stream lacks its columns"); };
  if (children_ > 0 && schema->children == nullptr) lacks();
  std::vector<Column> all;
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < children_; ++i) {
    if (schema->children[i] == nullptr) lacks();
    const ArrowSchema& child = *schema->children[i];
    if (child.name != nullptr && std::string_view(child.name).starts_with("__index_level_")) continue;  // Of a pandas index.
    all.push_back(column_of(child));
    names.push_back(all.back().name);
    sources_.push_back(static_cast<std::size_t>(i));
  }
  const std::size_t address = find_address_column(names, wanted);
  address_column_ = names[address];
  const auto to_front = [address](auto& list) {
    std::rotate(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(address), list.begin() + static_cast<std::ptrdiff_t>(address) + 1);
  };
  to_front(all), to_front(names), to_front(sources_);
  columns_ = std::move(all);
  names_.assign(names.begin() + 1, names.end());
  scratch_.resize(columns_.size());
}

Error Stream::failure(int code) {
  const char* words = stream_->get_last_error(stream_.get());
  return {ErrorCode::kIo, fmt::format("rows: the Arrow stream failed: {}", words != nullptr ? words : std::strerror(code))};
}

// What a batch says of one array, of which rows up to `end` are read: what is wrong with it, or nothing.
// How long its buffers are, the interface does not tell.
std::string_view contradiction(const ArrowArray& array, const Column& column, std::int64_t end) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max() / 64;  // So that no place in a buffer overflows.
  const auto place = [](std::int64_t given) { return given >= 0 && given <= kMax; };
  if (!place(array.offset) || !place(array.length)) return "begins or ends nowhere in";
  const int buffers = column.buffers();
  if (array.n_buffers < buffers || (buffers > 0 && array.buffers == nullptr)) return "lacks buffers of";
  if (array.length < end) return "is short of rows in";
  if (buffers > 0 && array.null_count > 0 && array.buffers[0] == nullptr) return "lacks the nulls of";
  return {};
}

Result<void> Stream::check() const {
  const auto wrong = [](std::string_view what) { return Error{ErrorCode::kInvalidArgument, fmt::format("rows: a batch of the Arrow stream {}", what)}; };
  if (array_->n_children != children_ || array_->children == nullptr) return wrong("has other columns than its schema");
  const Column rows{.name = {}, .format = "n"};
  if (!contradiction(*array_.get(), rows, 0).empty()) return wrong("begins or ends nowhere");
  if (array_->null_count > 0 && !has_validity(*array_.get())) return wrong("lacks its nulls");
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const ArrowArray* child = array_->children[sources_[i]];
    if (child == nullptr) return wrong(fmt::format("lacks column '{}'", column.name));
    std::string_view what = contradiction(*child, column, array_->offset + array_->length);
    if (what.empty() && !column.dictionary.empty()) {
      const Column values{.name = {}, .format = column.dictionary};
      what = child->dictionary == nullptr ? "lacks the dictionary of" : contradiction(*child->dictionary, values, 0);
    }
    if (!what.empty()) return wrong(fmt::format("{} column '{}'", what, column.name));
  }
  return {};
}

Result<bool> Stream::next_array() {
  array_.reset();
  const int code = stream_->get_next(stream_.get(), array_.get());
  if (code != 0) return failure(code);
  if (!array_) return false;
  index_ = 0;
  if (auto good = check(); !good) return std::move(good).error();
  return true;
}

Result<std::optional<RowView>> Stream::pull() {
  while (!array_ || index_ == array_->length) {
    auto more = next_array();
    if (!more) return std::move(more).error();
    if (!*more) return std::optional<RowView>();
  }
  ++number_;
  values_.clear();
  defect_.clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    auto read = value(i);
    if (!read) return std::move(read).error();
    values_.push_back(*read);
  }
  ++index_;
  return std::optional<RowView>(
      RowView{.number = number_, .address = values_[0], .values = std::span(values_).subspan(1), .defect = defect_});
}

// The importer's thread ends the process with what is thrown there: so nothing is.
Result<std::string_view> Stream::value(std::size_t column) {
  if (is_null(*array_.get(), array_->offset + index_)) return std::string_view();  // The row as a whole.
  const ArrowArray& child = *array_->children[sources_[column]];
  const Column& how = columns_[column];
  try {
    return how.read(child, child.offset + array_->offset + index_, scratch_[column]);
  } catch (const Unwritable& error) {
    defect_ = fmt::format("column '{}': {}", how.name, error.what());
    return std::string_view();
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("rows: row {}, column '{}': {}", number_, how.name, error.what())};
  }
}

}  // namespace

std::unique_ptr<ArrowRows> ArrowRows::open(py::capsule capsule, const std::string& address_column) {
  if (capsule.name() == nullptr || std::strcmp(capsule.name(), "arrow_array_stream") != 0) raise(ErrorCode::kInvalidArgument, "rows: no Arrow stream");
  auto* given = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream"));
  if (given == nullptr) throw py::error_already_set();
  if (given->release == nullptr) raise(ErrorCode::kInvalidArgument, "rows: the Arrow stream was read before");
  Owned<ArrowArrayStream> stream;
  *stream.get() = *given;
  given->release = nullptr;  // Moved, as the specification has it.
  return std::make_unique<Stream>(std::move(stream), address_column);
}

}  // namespace mailsbuddy::python
