// classes.h - what each class of outcome means where no rule says otherwise.
#pragma once

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

struct ClassRow {
  Class klass;
  std::string_view name;
  Permanence permanence;
  Scope scope;
  Reaction reaction;
};

const ClassRow& row_of(Class klass) noexcept;

}  // namespace mailsbuddy::bounce
