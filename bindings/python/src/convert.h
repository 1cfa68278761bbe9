// convert.h - values that Python spells otherwise: moments, durations, paths, and text that need not be UTF-8.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy::python {

// An aware datetime in UTC; None for the epoch and for TimePoint::max(), which stand for "none" and "never".
pybind11::object to_datetime(TimePoint time);
// From an aware datetime. Raises InvalidArgument for a naive one, naming `what`: nobody knows which zone it means.
TimePoint to_time_point(pybind11::handle datetime, std::string_view what);

// From a timedelta or a number of seconds. Raises InvalidArgument naming `what` for anything else, negative ones, and
// what does not fit.
Duration to_duration(pybind11::handle value, std::string_view what);

// str as UTF-8, bytes as they are. Raises InvalidArgument naming `what` for anything else.
std::string to_bytes(pybind11::handle value, std::string_view what);

// Text of peers: octets that are no UTF-8 become U+FFFD.
pybind11::str to_str(std::string_view text);

}  // namespace mailsbuddy::python
