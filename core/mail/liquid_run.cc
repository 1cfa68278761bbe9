#include "core/mail/liquid_run.h"

#include <algorithm>

#include "core/mail/liquid_filter.h"

namespace mailsbuddy::liquid {
namespace {

// A loop that is open: over a list, or over a range without writing it out, so that a range of any size costs its
// steps.
struct OpenLoop {
  const Value* items = nullptr;  // Null: a range.
  std::int64_t first = 0;        // Of a range.
  std::uint64_t begin = 0;       // Of the elements that offset: leaves.
  std::uint64_t length = 0;      // Once limit: and offset: are taken off.
  std::uint64_t index = 0;
  std::uint32_t slot = 0;
  std::uint32_t captures = 0;  // Open when it began.
  bool reversed = false;

  Value element() const {
    const std::uint64_t i = begin + (reversed ? length - 1 - index : index);
    return items != nullptr ? items[i] : Value::of(first + static_cast<std::int64_t>(i));
  }
};

class Machine {
 public:
  Machine(const Program& program, std::span<Value> slots, Scratch& scratch, std::size_t max_bytes, std::string& out)
      : program_(program), slots_(slots), scratch_(scratch), max_bytes_(max_bytes), out_(&out), main_(out) {
    loops_.reserve(program.max_loops);
    captures_.reserve(program.max_captures);
  }

  // Where it stopped, if it did: the operation.
  std::optional<std::uint32_t> run();

 private:
  std::uint32_t step(const Op& op, std::uint32_t next);
  void print(const Value& value, Place place);
  void end_capture(std::uint32_t slot);
  bool begin_loop(const Loop& loop);
  bool next_element();
  std::uint32_t leave_loop(std::uint32_t target);
  void drop_captures(std::size_t count);

  Value operand(std::uint32_t index);
  Value base(const Operand& operand);
  Value loop_word(const Operand& operand) const;
  Value expression(std::uint32_t index);
  bool condition(std::uint32_t index);
  bool holds(const Term& term);
  std::int64_t whole(std::int64_t operand_index, std::int64_t otherwise);

  const Program& program_;
  std::span<Value> slots_;
  Scratch& scratch_;
  std::size_t max_bytes_;
  std::string* out_;  // Where output goes: to the last of captures_, or to main_.
  std::string& main_;
  std::vector<OpenLoop> loops_;
  std::vector<std::string> captures_;
};

std::optional<std::uint32_t> Machine::run() {
  const std::size_t size = program_.ops.size();
  const std::size_t begin = main_.size();
  for (std::uint32_t at = 0; at < size;) {
    const std::uint32_t now = at;
    at = scratch_.spend() ? step(program_.ops[now], now + 1) : now;
    const std::size_t made = out_ == &main_ ? main_.size() - begin : out_->size();
    if (made > max_bytes_) scratch_.stop(ErrorCode::kResourceExhausted, "the message grows too large");
    if (scratch_.stopped()) return now;
  }
  return std::nullopt;
}

std::uint32_t Machine::step(const Op& op, std::uint32_t next) {
  switch (op.code) {
    case OpCode::kText:
      out_->append(program_.source, op.a, op.b);
      return next;
    case OpCode::kField:
      print(slots_[op.a], op.place);
      return next;
    case OpCode::kOutput:
      print(expression(op.a), op.place);
      return next;
    case OpCode::kAssign:
      slots_[op.a] = expression(op.b);
      return next;
    case OpCode::kCapture:
      captures_.emplace_back();
      out_ = &captures_.back();
      return next;
    case OpCode::kEndCapture:
      end_capture(op.a);
      return next;
    case OpCode::kJump:
      return op.a;
    case OpCode::kJumpUnless:
      return condition(op.b) ? next : op.a;
    case OpCode::kLoop:
      return begin_loop(program_.loops[op.b]) ? next : op.a;
    case OpCode::kNext:
      return next_element() ? op.a : next;
    case OpCode::kBreak:
      return leave_loop(op.a);
  }
  return next;
}

void Machine::print(const Value& value, Place place) {
  const bool done = append_escaped(*out_, to_text(scratch_, value), value.form, place);
  if (!done)
    scratch_.stop(ErrorCode::kInvalidArgument, "the value is not a URL that begins with http:, https: or mailto:");
}

// `captures_` has room for all, so views of its strings stay; the text moves to the scratch all the same, whose cap
// counts it.
void Machine::end_capture(std::uint32_t slot) {
  slots_[slot] = scratch_.copy(captures_.back());
  drop_captures(captures_.size() - 1);
}

void Machine::drop_captures(std::size_t count) {
  captures_.resize(count);
  out_ = captures_.empty() ? &main_ : &captures_.back();
}

// ---------------------------------------------------------------------------------------------------------------------

std::int64_t Machine::whole(std::int64_t operand_index, std::int64_t otherwise) {
  if (operand_index < 0) return otherwise;
  const Value number = to_number(operand(static_cast<std::uint32_t>(operand_index)));
  return number.is(Value::Kind::kInt) ? std::max<std::int64_t>(number.integer, 0) : otherwise;
}

bool Machine::begin_loop(const Loop& loop) {
  const Value list = operand(loop.list);
  OpenLoop open;
  std::uint64_t count = 0;
  if (list.is(Value::Kind::kRange)) {
    open.first = list.integer;
    const auto span = static_cast<std::uint64_t>(list.last) - static_cast<std::uint64_t>(list.integer);
    count = list.integer > list.last ? 0 : span == UINT64_MAX ? span : span + 1;
  } else {
    const auto items = scratch_.elements(list);
    open.items = items.data();
    count = items.size();
  }
  open.begin = std::min(count, static_cast<std::uint64_t>(whole(loop.offset, 0)));
  open.length = std::min(count - open.begin, static_cast<std::uint64_t>(whole(loop.limit, INT64_MAX)));
  open.slot = loop.slot;
  open.captures = static_cast<std::uint32_t>(captures_.size());
  open.reversed = loop.reversed;
  if (open.length == 0) return false;
  slots_[open.slot] = open.element();
  loops_.push_back(open);
  return true;
}

bool Machine::next_element() {
  OpenLoop& loop = loops_.back();
  drop_captures(loop.captures);  // Of a {% continue %} inside {% capture %}.
  if (++loop.index < loop.length) {
    slots_[loop.slot] = loop.element();
    return true;
  }
  loops_.pop_back();
  return false;
}

std::uint32_t Machine::leave_loop(std::uint32_t target) {
  drop_captures(loops_.back().captures);
  loops_.pop_back();
  return target;
}

// ---------------------------------------------------------------------------------------------------------------------

Value Machine::operand(std::uint32_t index) {
  const Operand& operand = program_.operands[index];
  Value value = base(operand);
  for (const std::uint32_t key : part_of(program_.keys, operand.keys)) {
    value = look_up(scratch_, value, this->operand(key));  // One deep: a key has no bracketed keys.
  }
  return value;
}

Value Machine::base(const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::kLiteral:
      return operand.literal;
    case Operand::Kind::kSlot:
      return slots_[operand.a];
    case Operand::Kind::kLoop:
      return loop_word(operand);
    case Operand::Kind::kRange:
      break;
  }
  const Value first = to_number(this->operand(operand.a));
  const Value last = to_number(this->operand(operand.b));
  return Value::range(first.is(Value::Kind::kInt) ? first.integer : 0, last.is(Value::Kind::kInt) ? last.integer : 0);
}

Value Machine::loop_word(const Operand& operand) const {
  const OpenLoop& loop = loops_[operand.a];
  const auto number = [](std::uint64_t n) { return Value::of(static_cast<std::int64_t>(n)); };
  switch (operand.word) {
    case Operand::LoopWord::kIndex:
      return number(loop.index + 1);
    case Operand::LoopWord::kIndex0:
      return number(loop.index);
    case Operand::LoopWord::kRindex:
      return number(loop.length - loop.index);
    case Operand::LoopWord::kRindex0:
      return number(loop.length - loop.index - 1);
    case Operand::LoopWord::kFirst:
      return Value::boolean(loop.index == 0);
    case Operand::LoopWord::kLast:
      return Value::boolean(loop.index + 1 == loop.length);
    case Operand::LoopWord::kLength:
      return number(loop.length);
  }
  return {};
}

Value Machine::expression(std::uint32_t index) {
  const Expression& expression = program_.expressions[index];
  Value value = operand(expression.operand);
  for (const FilterCall& call : part_of(program_.filters, expression.filters)) {
    std::array<Value, kFilterArgumentsMax> arguments;
    for (std::uint32_t i = 0; i < call.arguments.count; ++i) arguments[i] = operand(call.arguments.first + i);
    const FilterInput in{scratch_, value, std::span(arguments).first(call.arguments.count),
                         program_.kind == PartKind::kHtml};
    value = call.filter->apply(in);
    if (!scratch_.spend()) break;
  }
  return value;
}

// From the left, though `and` and `or` group from the right: what is to the left of either decides it, or the rest
// does.
bool Machine::condition(std::uint32_t index) {
  bool value = false;
  for (const Term& term : part_of(program_.terms, program_.conditions[index])) {
    value = holds(term);
    if (value == term.or_next || !scratch_.spend()) break;
  }
  return value;
}

bool Machine::holds(const Term& term) {
  const Value left = operand(term.left);
  if (term.relation == Relation::kTruthy) return truthy(left);
  const Value right = operand(term.right);
  const auto order = [&] { return compare(left, right); };
  switch (term.relation) {
    case Relation::kEqual:
      return equal(scratch_, left, right);
    case Relation::kNotEqual:
      return !equal(scratch_, left, right);
    case Relation::kLess:
      return order() && *order() < 0;
    case Relation::kGreater:
      return order() && *order() > 0;
    case Relation::kNotGreater:
      return order() && *order() <= 0;
    case Relation::kNotLess:
      return order() && *order() >= 0;
    case Relation::kContains:
      return contains(scratch_, left, right);
    case Relation::kTruthy:
      break;
  }
  return false;
}

}  // namespace

Result<void> run(const Program& program, std::string_view part, std::span<Value> slots, Scratch& scratch,
                 std::size_t max_bytes, std::string& out) {
  const auto stopped = Machine(program, slots, scratch, max_bytes, out).run();
  if (!stopped) return {};
  const Error error = scratch.error();
  return error_at(error.code, part, program.source, program.ops[*stopped].at, error.detail);
}

}  // namespace mailsbuddy::liquid
