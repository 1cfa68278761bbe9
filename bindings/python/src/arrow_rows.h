// arrow_rows.h - rows from whatever speaks the Arrow C stream interface: tables, record batch readers, frames. Column
// by column, without the GIL and without a Python object a row.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "bindings/python/src/row_pipe.h"

namespace mailsbuddy::python {

// `capsule`: what __arrow_c_stream__() gives; it is empty afterwards. Columns may be of text, numbers, booleans, dates,
// or dictionaries of these. Raises InvalidArgument naming a column of another type. Errors of next(): those of the
// stream, and kInvalidArgument for a batch that contradicts its schema. Source:
// arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html.
class ArrowRows : public Import {
 public:
  static std::unique_ptr<ArrowRows> open(pybind11::capsule capsule, const std::string& address_column);
  virtual const std::string& address_column() const = 0;
};

}  // namespace mailsbuddy::python
