// liquid_run.h - executes a Program for one row.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/mail/liquid_program.h"

namespace mailsbuddy::liquid {

// Appends what `program` prints to `out`, of which at most `max_bytes` are written, more or less one value. `slots`
// holds the variables: those of loops first, then the named ones, which the caller has set; the program assigns to
// them. Errors: as error_at(), `part` being the name; `out` has then grown by part of the output.
Result<void> run(const Program& program, std::string_view part, std::span<Value> slots, Scratch& scratch,
                 std::size_t max_bytes, std::string& out);

}  // namespace mailsbuddy::liquid
