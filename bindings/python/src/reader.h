// reader.h - dicts of the Python half, as the structures of the doors.
#pragma once

#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

namespace py = pybind11;

template <class E>
struct Word {
  std::string_view name;
  E value;
};

// A dict, read field by field.
class Reader {
 public:
  Reader(const py::dict& dict, std::string_view of) : dict_(dict), of_(of) {}

  // Calls `take(value)` if the field is there.
  template <class Take>
  void field(const char* name, Take take) {
    if (!dict_.contains(name)) return;
    ++read_;
    name_ = name;
    const py::object value = dict_[name];
    try {
      take(value);
    } catch (const py::cast_error&) {
      wrong(fmt::format("a {} is no value for it", Py_TYPE(value.ptr())->tp_name));
    }
  }
  void operator()(const char* name, std::string& out) {
    field(name, [&](const py::object& value) { out = to_bytes(value, path()); });
  }
  template <class T>
  requires std::integral<T> || std::floating_point<T>
  void operator()(const char* name, T& out) {
    field(name, [&](const py::object& value) {
      try {
        out = value.cast<T>();
      } catch (const py::cast_error&) {
        wrong("out of range, or no number");
      }
    });
  }
  void operator()(const char* name, std::vector<std::string>& out) {
    field(name, [&](const py::object& value) {
      need_list(value, " of str");
      out = value.cast<std::vector<std::string>>();
    });
  }
  template <class Rep, class Period>
  void operator()(const char* name, std::chrono::duration<Rep, Period>& out) {
    field(name, [&](const py::object& value) {
      out = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(to_duration(value, path()));
    });
  }
  template <class E, std::size_t N>
  void word(const char* name, const Word<E> (&words)[N], E& out) {
    field(name, [&](const py::object& value) { out = named(value, words); });
  }
  // Words in a list, whose bits are joined.
  template <class Bits, std::size_t N>
  void words(const char* name, const Word<Bits> (&words)[N], Bits& out) {
    field(name, [&](const py::object& value) {
      need_list(value, " of str");
      out = 0;
      for (const py::handle each : value) out = static_cast<Bits>(out | named(each, words));
    });
  }
  // A list, of which each goes through `make`, which gives a Result.
  template <class T, class Make>
  void list(const char* name, std::vector<T>& out, Make make) {
    field(name, [&](const py::object& value) {
      need_list(value, "");
      out.clear();
      for (const py::handle each : value) out.push_back(good(make(each)));
    });
  }
  template <class T>
  T good(Result<T> result) {
    if (!result) raise(result.error().code, fmt::format("{}: {}", path(), result.error().detail));
    return *std::move(result);
  }
  [[noreturn]] void wrong(std::string what) { raise(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path(), what)); }
  std::string path() const { return fmt::format("{}{}", of_, name_); }
  bool all() const { return read_ == dict_.size(); }
  void finish() {  // Our own Python half hands these over: a name too much is a defect there.
    if (!all()) raise(ErrorCode::kInternal, fmt::format("{}{} fields, {} are known", of_, dict_.size(), read_));
  }

 private:
  // Text would be read letter by letter.
  void need_list(const py::object& value, std::string_view of) {
    if (!PyUnicode_Check(value.ptr()) && !PyBytes_Check(value.ptr()) && py::isinstance<py::iterable>(value)) return;
    wrong(fmt::format("a list{} is needed, not {}", of, Py_TYPE(value.ptr())->tp_name));
  }
  template <class E, std::size_t N>
  E named(py::handle value, const Word<E> (&words)[N]) {
    const auto text = value.cast<std::string>();
    std::string there;
    for (const auto& each : words) {
      if (each.name == text) return each.value;
      if (!each.name.empty()) there += fmt::format("{}\"{}\"", there.empty() ? "" : ", ", each.name);
    }
    wrong(fmt::format("\"{}\" is none of {}", text, there));
  }

  const py::dict& dict_;
  std::string_view of_;
  std::string name_;
  std::size_t read_ = 0;
};

}  // namespace mailsbuddy::python
