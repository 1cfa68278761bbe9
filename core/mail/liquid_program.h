// liquid_program.h - a template's source compiled to a flat list of operations.
// Literal text, names and strings are spans of the source, which the program does not own.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/mail/liquid_context.h"
#include "core/mail/liquid_escape.h"
#include "core/mail/liquid_value.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::liquid {

inline constexpr std::size_t kSourceMax = 4u << 20;  // Octets of one part. Mail clients cut HTML at a fraction of it.
inline constexpr std::size_t kNamesMax = 1024;       // Variables of a template; also what binding a row may cost.
inline constexpr std::size_t kNestingMax = 255;      // Limits::max_nesting above it has no effect.

struct Filter;  // liquid_filter.h

// Into one of the program's lists.
struct Run {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};
template <class T>
std::span<const T> part_of(const std::vector<T>& list, Run run) {
  return std::span(list).subspan(run.first, run.count);
}

// What an expression begins with, and then the keys to look up in it: `order.lines[0]`.
struct Operand {
  enum class Kind : std::uint8_t { kLiteral, kSlot, kRange, kLoop };
  enum class LoopWord : std::uint8_t { kIndex, kIndex0, kRindex, kRindex0, kFirst, kLast, kLength };
  Kind kind = Kind::kLiteral;
  LoopWord word = LoopWord::kIndex;
  std::uint32_t a = 0;  // kSlot: the slot. kRange: the operand of its first number. kLoop: of which loop, outermost 0.
  std::uint32_t b = 0;  // kRange: the operand of its last number.
  Value literal;
  Run keys;  // Into Program::keys.
};

struct FilterCall {
  const Filter* filter = nullptr;
  Run arguments;  // Operands.
};

struct Expression {
  std::uint32_t operand = 0;
  Run filters;
};

enum class Relation : std::uint8_t { kTruthy, kEqual, kNotEqual, kLess, kGreater, kNotGreater, kNotLess, kContains };

// One of the comparisons that `and` and `or` join. Liquid reads them from the right: `a and b or c` is `a and (b or
// c)`.
struct Term {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  Relation relation = Relation::kTruthy;
  bool or_next = false;  // How the next one is joined.
};

struct Loop {
  std::uint32_t list = 0;    // Operand.
  std::uint32_t slot = 0;    // Of its variable.
  std::int64_t limit = -1;   // Operand; -1: none.
  std::int64_t offset = -1;  // Operand; -1: none.
  bool reversed = false;
};

enum class OpCode : std::uint8_t {
  kText,        // a: offset, b: octets of the source.
  kField,       // a: slot, printed without filters.
  kOutput,      // a: expression.
  kAssign,      // a: slot, b: expression.
  kCapture,     // Output goes to a new text.
  kEndCapture,  // a: slot of the text.
  kJump,        // a: operation.
  kJumpUnless,  // a: operation, b: condition.
  kLoop,        // a: operation if there is nothing to loop over, b: loop.
  kNext,        // a: operation that begins the body; goes on below after the last element.
  kBreak,       // a: operation.
};

struct Op {
  OpCode code;
  Place place{};  // Of kField and kOutput.
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t at = 0;  // Offset in the source, for errors.
};

struct Program {
  std::string_view source;
  PartKind kind = PartKind::kText;
  std::vector<Op> ops;
  std::vector<Operand> operands;
  std::vector<std::uint32_t> keys;  // Operands.
  std::vector<Expression> expressions;
  std::vector<FilterCall> filters;
  std::vector<Run> conditions;  // Into terms.
  std::vector<Term> terms;
  std::vector<Loop> loops;
  std::uint32_t max_loops = 0;  // Open at once.
  std::uint32_t max_captures = 0;
  bool assigns = false;  // To a named variable.

  // No placeholder or tag: `source` is the output.
  bool is_literal() const noexcept {
    return ops.empty() || (ops.size() == 1 && ops[0].code == OpCode::kText && ops[0].b == source.size());
  }
};

// The variables of all programs of one template. A slot holds a variable's value: the first `locals` ones are those of
// loops and the like, by nesting depth, then come the named ones.
struct Names {
  explicit Names(std::uint32_t first_slot) : locals(first_slot) {}

  std::uint32_t locals;
  std::vector<std::string_view> list;  // Spans of the sources.
  std::vector<bool> read;              // As a field: not assigned before, in the source's order.
  std::unordered_map<std::string_view, std::uint32_t> index;
};

// The error at `offset` of a part: "html:12:7: why". Lines and columns count from 1, columns in characters.
Error error_at(ErrorCode code, std::string_view part, std::string_view source, std::size_t offset,
               std::string_view why);

// Errors: kInvalidArgument, as error_at(). `part` names the source in errors. The cost is linear in the source.
Result<Program> compile(std::string_view part, PartKind kind, std::string_view source, const Template::Limits& limits,
                        Names& names);

}  // namespace mailsbuddy::liquid
