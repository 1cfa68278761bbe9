// liquid_verbs.h - one part of a template rendered for one row, in one call.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/mail/liquid_program.h"
#include "core/mail/liquid_run.h"

namespace mailsbuddy::liquid {

using Row = std::vector<std::pair<std::string_view, std::string_view>>;

// What the template prints, or its error: "error: html:1:1: ...".
inline std::string rendered(PartKind kind, std::string_view source, const Row& row = {}, Template::Limits limits = {}) {
  constexpr std::string_view kParts[] = {"text", "html", "Subject", "List-Help"};
  const std::string_view part = kParts[static_cast<std::size_t>(kind)];
  Names names(static_cast<std::uint32_t>(limits.max_nesting));
  const auto program = compile(part, kind, source, limits, names);
  if (!program) return "error: " + program.error().detail;
  Scratch scratch(limits.max_output_bytes, limits.max_steps);
  std::vector<Value> slots(names.locals + names.list.size());
  for (const auto& [name, value] : row) {
    if (const auto at = names.index.find(name); at != names.index.end())
      slots[names.locals + at->second] = Value::of(value);
  }
  std::string out;
  const auto done = run(*program, part, slots, scratch, limits.max_output_bytes, out);
  return done ? out : "error: " + done.error().detail;
}

}  // namespace mailsbuddy::liquid
