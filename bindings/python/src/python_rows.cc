#include "bindings/python/src/python_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {
namespace {

namespace py = pybind11;

constexpr std::string_view kAddressColumns[] = {"email", "e-mail", "email_address", "email address", "address",
                                                "mail", "recipient", "to"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

py::str interned(const std::string& text) {
  PyObject* made = PyUnicode_InternFromString(text.c_str());
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

std::vector<std::string> names_of(const py::object& mapping) {
  std::vector<std::string> names;
  for (const py::handle key : mapping) {
    if (!PyUnicode_Check(key.ptr())) raise(ErrorCode::kInvalidArgument, "rows: the names of fields must be str");
    names.push_back(to_bytes(key, "rows"));
  }
  return names;
}

}  // namespace

std::size_t find_address_column(const std::vector<std::string>& columns, const std::string& wanted) {
  auto found = wanted.empty() ? columns.end() : std::find(columns.begin(), columns.end(), wanted);  // A column may have no name.
  for (const std::string_view candidate : kAddressColumns) {
    if (!wanted.empty() || found != columns.end()) break;
    found = std::find_if(columns.begin(), columns.end(), [&](const std::string& name) { return lower(name) == candidate; });
  }
  if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  raise(ErrorCode::kInvalidArgument,
        fmt::format("rows: no {} among the columns '{}'; name it with address_column=",
                    wanted.empty() ? "column 'email'" : "column '" + wanted + "'", fmt::join(columns, "', '")));
}

PythonRows::PythonRows(py::iterator rows, std::vector<std::string> columns, const std::string& address_column)
    : rows_(std::move(rows)), columns_(std::move(columns)) {
  if (columns_.empty()) {
    mappings_ = true;
    first_ = next();
    if (!first_) {
      ended_ = true;
      return;
    }
    if (PyMapping_Check(first_.ptr()) == 0 || !py::hasattr(first_, "keys")) {
      raise(ErrorCode::kInvalidArgument, fmt::format("rows: each must be a mapping, the first is a {}", Py_TYPE(first_.ptr())->tp_name));
    }
    columns_ = names_of(first_);
  }
  address_index_ = find_address_column(columns_, address_column);
  address_column_ = columns_[address_index_];
  address_key_ = interned(address_column_);
  columns_.erase(columns_.begin() + static_cast<std::ptrdiff_t>(address_index_));
  for (const std::string& name : columns_) keys_.push_back(interned(name));
}

py::object PythonRows::next() {
  PyObject* row = PyIter_Next(rows_.ptr());
  if (row == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(row);
}

bool PythonRows::fill(RowBatch& batch) {
  while (!ended_ && !batch.full()) {
    const py::object row = first_ ? std::exchange(first_, py::object()) : next();
    ended_ = !row;
    if (ended_) break;
    ++number_;
    if (mappings_) {
      add_mapping(row, batch);
    } else {
      add_sequence(row, batch);
    }
  }
  return !ended_;
}

void PythonRows::add_defect(std::string defect, std::size_t values, RowBatch& batch) {
  for (; values <= columns_.size(); ++values) batch.add({});
  batch.rows.push_back({number_, std::move(defect)});
}

bool PythonRows::add_value(py::handle value, RowBatch& batch) {
  PyObject* object = value.ptr();
  if (object == Py_None) {
    batch.add({});
    return true;
  }
  py::object text;
  if (!PyUnicode_Check(object)) {
    text = py::reinterpret_steal<py::object>(PyObject_Str(object));
    if (!text) throw py::error_already_set();
    object = text.ptr();
  }
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(object, &size);
  if (bytes == nullptr) {  // Lone surrogates.
    PyErr_Clear();
    return false;
  }
  batch.add({bytes, static_cast<std::size_t>(size)});
  return true;
}

void PythonRows::add_mapping(const py::object& row, RowBatch& batch) {
  const bool dict = PyDict_Check(row.ptr());
  std::size_t found = 0;
  std::string defect;
  const auto add = [&](const py::str& key) {
    PyObject* value = nullptr;
    py::object owned;
    if (dict) {
      value = PyDict_GetItemWithError(row.ptr(), key.ptr());
      if (value == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
    } else {
      owned = py::reinterpret_steal<py::object>(PyObject_GetItem(row.ptr(), key.ptr()));
      if (!owned && PyErr_ExceptionMatches(PyExc_KeyError) == 0) throw py::error_already_set();
      PyErr_Clear();
      value = owned.ptr();
    }
    if (value == nullptr) {
      batch.add({});
      return;
    }
    ++found;
    if (!add_value(value, batch)) {
      batch.add({});
      defect = "a field is not UTF-8";
    }
  };
  if (!dict && (PyMapping_Check(row.ptr()) == 0 || !py::hasattr(row, "keys"))) {
    add_defect(fmt::format("a {} instead of a mapping", Py_TYPE(row.ptr())->tp_name), 0, batch);
    return;
  }
  add(address_key_);
  if (found == 0) defect = fmt::format("no field '{}'", address_column_);
  for (const py::str& key : keys_) add(key);
  const Py_ssize_t size = PyObject_Size(row.ptr());
  if (size < 0) throw py::error_already_set();
  if (defect.empty() && static_cast<std::size_t>(size) > found) {
    defect = "a field that the first row does not have";  // It would be lost without a word.
  }
  batch.rows.push_back({number_, std::move(defect)});
}

void PythonRows::add_sequence(const py::object& row, RowBatch& batch) {
  const auto pair = row.cast<py::tuple>();
  number_ = pair[0].cast<std::uint64_t>();
  if (PyUnicode_Check(pair[1].ptr())) {
    add_defect(to_bytes(pair[1], "rows"), 0, batch);
    return;
  }
  const py::object values = py::reinterpret_steal<py::object>(PySequence_Fast(pair[1].ptr(), "rows: a sequence is needed"));
  if (!values) throw py::error_already_set();
  const auto size = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(values.ptr()));
  if (size != columns_.size() + 1) {
    add_defect(fmt::format("{} fields, expected {}", size, columns_.size() + 1), 0, batch);
    return;
  }
  std::string defect;
  PyObject** items = PySequence_Fast_ITEMS(values.ptr());
  const auto add = [&](std::size_t i) {
    if (add_value(items[i], batch)) return;
    batch.add({});
    defect = "a field is not UTF-8";
  };
  add(address_index_);
  for (std::size_t i = 0; i < size; ++i) {
    if (i != address_index_) add(i);
  }
  batch.rows.push_back({number_, std::move(defect)});
}

}  // namespace mailsbuddy::python
