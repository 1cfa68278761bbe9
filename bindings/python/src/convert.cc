#include "bindings/python/src/convert.h"

#include <datetime.h>
#include <fmt/format.h>

#include <cmath>

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {
namespace {

namespace py = pybind11;

void need_datetime() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
}

}  // namespace

py::object to_datetime(TimePoint time) {
  if (time == TimePoint{} || time == TimePoint::max()) return py::none();
  need_datetime();
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::microseconds>(time - day));
  PyObject* made = PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day())), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(clock.subseconds().count()), PyDateTimeAPI->TimeZone_UTC, PyDateTimeAPI->DateTimeType);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

TimePoint to_time_point(py::handle datetime, std::string_view what) {
  need_datetime();
  if (!PyDateTime_Check(datetime.ptr()) || datetime.attr("tzinfo").is_none()) {
    raise(ErrorCode::kInvalidArgument, fmt::format("{}: an aware datetime is needed, as of datetime.now(timezone.utc)", what));
  }
  const auto seconds = datetime.attr("timestamp")().cast<double>();
  if (std::abs(seconds) > 9e9) raise(ErrorCode::kInvalidArgument, fmt::format("{}: out of range", what));
  return TimePoint(std::chrono::microseconds(std::llround(seconds * 1e6)));
}

Duration to_duration(py::handle value, std::string_view what) {
  need_datetime();
  double seconds = 0;
  if (PyDelta_Check(value.ptr())) {
    seconds = value.attr("total_seconds")().cast<double>();
  } else if ((PyLong_Check(value.ptr()) || PyFloat_Check(value.ptr())) && !PyBool_Check(value.ptr())) {
    seconds = PyFloat_AsDouble(value.ptr());
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  } else {
    raise(ErrorCode::kInvalidArgument, fmt::format("{}: a timedelta or a number of seconds is needed", what));
  }
  if (!(seconds >= 0 && seconds <= 9e9)) {
    raise(ErrorCode::kInvalidArgument, fmt::format("{}: out of range, 0 to 9e9 seconds", what));
  }
  return Duration(std::llround(seconds * 1e9));
}

std::string to_bytes(py::handle value, std::string_view what) {
  char* bytes = nullptr;
  Py_ssize_t size = 0;
  if (PyUnicode_Check(value.ptr())) {
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (text == nullptr) throw py::error_already_set();
    return {text, static_cast<std::size_t>(size)};
  }
  if (PyBytes_Check(value.ptr()) && PyBytes_AsStringAndSize(value.ptr(), &bytes, &size) == 0) {
    return {bytes, static_cast<std::size_t>(size)};
  }
  raise(ErrorCode::kInvalidArgument, fmt::format("{}: str or bytes are needed, not {}", what, Py_TYPE(value.ptr())->tp_name));
}

py::str to_str(std::string_view text) {
  PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

}  // namespace mailsbuddy::python
