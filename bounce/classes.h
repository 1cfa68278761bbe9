// classes.h - what each class of outcome means where no rule says otherwise, and what others call it.
#pragma once

#include <optional>
#include <string_view>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

struct ClassRow {
  Class klass;
  std::string_view name;
  Permanence permanence;
  Scope scope;
  Reaction reaction;
  // What other senders' reports call it; our reading of their names, which nobody has published as equal.
  std::string_view powermta;
  int sparkpost;
  SesType ses;
};

const ClassRow& row_of(Class klass) noexcept;

// The value of that name, as to_string() gives it; nothing: there is none.
std::optional<Class> class_named(std::string_view name) noexcept;
std::optional<Scope> scope_named(std::string_view name) noexcept;
std::optional<Reaction> reaction_named(std::string_view name) noexcept;

}  // namespace mailsbuddy::bounce
