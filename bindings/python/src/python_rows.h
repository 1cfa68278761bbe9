// python_rows.h - rows from Python objects: mappings, or sequences with named columns.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/python/src/row_pipe.h"

namespace mailsbuddy::python {

// The name among `columns` that holds the address: `wanted`, or if that is empty the first of the names that people
// use, in any letter case. Raises InvalidArgument with the names there are.
std::size_t find_address_column(const std::vector<std::string>& columns, const std::string& wanted);

// Threads: all under the GIL. What the iterator raises goes through.
class PythonRows {
 public:
  // `rows` gives mappings, whose first names the columns; or, when `columns` are given, pairs (number, sequence of as
  // many values), with a str that says what is wrong in the sequence's place for a row that is known to be bad.
  PythonRows(pybind11::iterator rows, std::vector<std::string> columns, const std::string& address_column);

  const std::vector<std::string>& columns() const { return columns_; }  // Without the address.
  const std::string& address_column() const { return address_column_; }
  bool fill(RowBatch& batch);  // False: the end.

 private:
  pybind11::object next();  // Null: the end.
  void add_mapping(const pybind11::object& row, RowBatch& batch);
  void add_sequence(const pybind11::object& row, RowBatch& batch);
  bool add_value(pybind11::handle value, RowBatch& batch);  // False: it is no text.
  void add_defect(std::string defect, std::size_t values, RowBatch& batch);

  pybind11::iterator rows_;
  pybind11::object first_;  // Read ahead, for its names.
  std::vector<std::string> columns_;
  std::vector<pybind11::str> keys_;  // Of columns_, interned as a dict's literal keys are.
  pybind11::str address_key_;
  std::string address_column_;
  std::size_t address_index_ = 0;
  bool mappings_ = false;
  bool ended_ = false;
  std::uint64_t number_ = 0;
};

}  // namespace mailsbuddy::python
