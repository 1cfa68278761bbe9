// What replies and reports mean (mailsbuddy/bounce.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::python {
namespace {

using bounce::Classifier;
using bounce::Verdict;

void bind_verdict(py::module_& bounce) {
  // Names of classes and the like are str: the words of docs/bounces.md.
  py::class_<Verdict>(bounce, "Verdict", "What a reply means and what to do about it.")
      .def_property_readonly("klass", [](const Verdict& self) { return to_str(to_string(self.klass)); })
      .def_property_readonly("permanence", [](const Verdict& self) { return to_str(to_string(self.permanence)); })
      .def_property_readonly("scope", [](const Verdict& self) { return to_str(to_string(self.scope)); })
      .def_property_readonly("reaction", [](const Verdict& self) { return to_str(to_string(self.reaction)); })
      .def("__str__", [](const Verdict& self) {
        return fmt::format("{} ({}): {}", to_string(self.klass), to_string(self.permanence), to_string(self.reaction));
      })
      .def("__repr__", [](const Verdict& self) { return fmt::format("<mailsbuddy.Verdict {}>", to_string(self.klass)); });
}

Stage stage_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Stage::kFinalDot); ++i) {
    if (to_string(static_cast<Stage>(i)) == name) return static_cast<Stage>(i);
  }
  raise(ErrorCode::kInvalidArgument, fmt::format("stage: there is none called \"{}\"; for example rcpt_to", name));
}

// A provider's name has no dot; an MX host has.
ProviderId provider_named(std::string_view text) {
  return text.find('.') == text.npos ? ProviderId{std::string(text)} : provider_of(text);
}

struct Judged {
  Verdict verdict;
  int code = 0;
};

Judged judge(const Classifier& classifier, std::string_view line, const std::optional<Stage>& stage,
             const ProviderId& provider) {
  Outcome outcome;
  outcome.reply = bounce::parse_reply_line(line);
  outcome.stage = stage ? *stage : bounce::likely_stage(outcome.reply);
  Judged judged{classifier.classify(outcome, provider), outcome.reply.code};
  judged.verdict.matched = {};  // A view into the outcome.
  return judged;
}

py::tuple classify(const Classifier& self, std::string_view reply, std::string_view stage, std::string_view provider) {
  Outcome outcome;
  outcome.reply = bounce::parse_reply_line(reply);
  outcome.stage = stage.empty() ? bounce::likely_stage(outcome.reply) : stage_named(stage);
  const ProviderId named = provider_named(provider);
  const Verdict verdict = self.classify(outcome, named);
  return py::make_tuple(to_str(to_string(verdict.klass)), to_str(to_string(verdict.permanence)),
                        to_str(to_string(verdict.scope)), to_str(to_string(verdict.reaction)), to_str(verdict.rule),
                        to_str(verdict.matched), outcome.reply, to_str(to_string(outcome.stage)));
}

// Columns of texts, read where they lie: views into str objects that `kept` holds, or empty where the column is None.
class TextColumn {
 public:
  TextColumn(py::handle column, std::string_view what, std::size_t size = std::string::npos) {
    if (column.is_none()) return;
    kept_ = py::reinterpret_steal<py::object>(PySequence_Tuple(column.ptr()));  // A copy: nobody can change it meanwhile.
    if (!kept_) throw py::error_already_set();
    const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(kept_.ptr()));
    if (size != std::string::npos && count != size) {
      raise(ErrorCode::kInvalidArgument, fmt::format("{}: {} values for {} replies", what, count, size));
    }
    views_.resize(count);
    for (std::size_t i = 0; i < count; ++i) views_[i] = view(PyTuple_GET_ITEM(kept_.ptr(), static_cast<Py_ssize_t>(i)), what, i);
  }
  std::size_t size() const noexcept { return views_.size(); }
  std::string_view at(std::size_t i) const noexcept { return i < views_.size() ? views_[i] : std::string_view(); }

 private:
  static std::string_view view(PyObject* item, std::string_view what, std::size_t row) {
    if (item == Py_None || (PyFloat_Check(item) && std::isnan(PyFloat_AS_DOUBLE(item)))) return {};  // pandas: NaN is none.
    Py_ssize_t size = 0;
    if (PyBytes_Check(item)) return {PyBytes_AS_STRING(item), static_cast<std::size_t>(PyBytes_GET_SIZE(item))};
    const char* text = PyUnicode_Check(item) ? PyUnicode_AsUTF8AndSize(item, &size) : nullptr;
    if (text == nullptr) {
      PyErr_Clear();
      raise(ErrorCode::kInvalidArgument, fmt::format("{}: row {} is no str, bytes or None", what, row));
    }
    return {text, static_cast<std::size_t>(size)};
  }

  py::object kept_;
  std::vector<std::string_view> views_;
};

std::vector<Judged> judge_all(const Classifier& classifier, const TextColumn& replies, const std::vector<Stage>& stages,
                              const TextColumn& stage_names, const TextColumn& providers) {
  std::vector<Judged> all(replies.size());
  std::map<std::string_view, ProviderId> known;  // A column of providers has few different ones.
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const std::string_view written = providers.at(i);
    auto found = known.find(written);
    if (found == known.end()) {
      if (known.size() == 10'000) known.clear();  // A column of hosts may have many.
      found = known.emplace(written, provider_named(written)).first;
    }
    const bool given = !stage_names.at(i).empty();
    all[i] = judge(classifier, replies.at(i), given ? std::optional(stages[i]) : std::nullopt, found->second);
  }
  return all;
}

// The same few words over and over: one str each.
class Words {
 public:
  PyObject* of(std::string_view word) {  // A new reference.
    auto& object = known_[{word.data(), word.size()}];
    if (!object) object = to_str(word);
    return object.inc_ref().ptr();
  }

 private:
  std::map<std::pair<const char*, std::size_t>, py::object> known_;  // By address: all words here are static or the rules'.
};

template <class Value>
py::list column(const std::vector<Judged>& all, Value value) {
  py::list list(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), value(all[i]));
  return list;
}

py::tuple classify_many(const Classifier& self, py::handle replies, py::handle stages, py::handle providers) {
  const TextColumn lines(replies, "replies");
  const TextColumn stage_names(stages, "stages", lines.size());
  const TextColumn hosts(providers, "providers", lines.size());
  std::vector<Stage> named(stage_names.size());
  for (std::size_t i = 0; i < named.size(); ++i) {
    if (!stage_names.at(i).empty()) named[i] = stage_named(stage_names.at(i));
  }
  const auto all = without_gil([&] { return judge_all(self, lines, named, stage_names, hosts); });
  Words words;
  return py::make_tuple(column(all, [&](const Judged& each) { return words.of(to_string(each.verdict.klass)); }),
                        column(all, [&](const Judged& each) { return words.of(to_string(each.verdict.permanence)); }),
                        column(all, [&](const Judged& each) { return words.of(to_string(each.verdict.scope)); }),
                        column(all, [&](const Judged& each) { return words.of(to_string(each.verdict.reaction)); }),
                        column(all, [&](const Judged& each) { return words.of(each.verdict.rule); }),
                        column(all, [&](const Judged& each) { return PyLong_FromLong(each.code); }));
}

py::object dictionary(const std::optional<bounce::Complaint>& complaint) {
  if (!complaint) return py::none();
  py::dict made;
  made["feedback_type"] = to_str(complaint->feedback_type);
  made["user_agent"] = to_str(complaint->user_agent);
  made["source_ip"] = to_str(complaint->source_ip);
  made["arrival"] = complaint->arrival ? to_datetime(*complaint->arrival) : py::none();
  made["original_mail_from"] = to_str(complaint->original_mail_from);
  made["feedback_id"] = to_str(complaint->feedback_id);
  return made;
}

py::object enhanced_of(const std::optional<EnhancedCode>& code) {
  if (!code) return py::none();
  return to_str(code->str());
}

py::tuple parse(const Classifier& self, py::handle message, std::string_view envelope_recipient) {
  const std::string bytes = to_bytes(message, "message");
  const std::string recipient(envelope_recipient);
  const auto report = without_gil([&] {
    return bounce::parse(bytes, {.envelope_recipient = recipient, .classifier = &self});
  });
  py::list recipients;
  for (const auto& each : report.recipients) {
    const Verdict& verdict = each.verdict;
    recipients.append(py::make_tuple(
        to_str(each.address), to_str(each.final_recipient), to_str(to_string(each.action)), enhanced_of(each.status),
        each.diagnostic, to_str(each.remote_mta),
        py::make_tuple(to_str(to_string(verdict.klass)), to_str(to_string(verdict.permanence)),
                       to_str(to_string(verdict.scope)), to_str(to_string(verdict.reaction)), to_str(verdict.rule),
                       to_str(each.matched), each.diagnostic, py::none()),
        bounce::advise(verdict) == bounce::Advice::kSuppress));
  }
  return py::make_tuple(to_str(to_string(report.kind)), std::move(recipients), to_str(report.original_message_id),
                        dictionary(report.complaint), to_str(report.sign));
}

py::object class_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(bounce::Class::kUndetermined); ++i) {
    const auto klass = static_cast<bounce::Class>(i);
    if (to_string(klass) != name) continue;
    const auto ses = bounce::ses_type(klass);
    return py::make_tuple(to_str(bounce::powermta_category(klass)), bounce::sparkpost_class(klass), to_str(ses.type),
                          to_str(ses.subtype));
  }
  raise(ErrorCode::kNotFound, fmt::format("there is no class \"{}\"", name));
}

}  // namespace

void bind_bounce(py::module_& core) {
  auto bounce = core.def_submodule("bounce", "What replies and reports mean.");
  bind_verdict(bounce);
  py::class_<Classifier>(bounce, "Classifier", "Rules about what replies mean.")
      .def_static("shipped", [] { return without_gil([] { return Classifier::shipped(); }); })
      .def_static(
          "make",
          [](std::string_view rules, std::string_view name) {
            return value_or_raise(without_gil([&] { return Classifier::make(rules, name); }));
          },
          py::arg("rules"), py::arg("name"))
      .def("classify", &classify, py::arg("reply"), py::arg("stage"), py::arg("provider"))
      .def("classify_many", &classify_many, py::arg("replies"), py::arg("stages"), py::arg("providers"))
      .def("parse", &parse, py::arg("message"), py::arg("envelope_recipient"))
      .def_property_readonly("rule_count", &Classifier::rule_count)
      .def("faults", &Classifier::faults);
  bounce.def("names_elsewhere", &class_of, py::arg("klass"));
}

}  // namespace mailsbuddy::python
