// template = *( literal / output / tag ), with blocks that nest:
//   if *elsif [else] endif, unless *elsif [else] endunless, case *when [else] endcase, for [else] endfor,
//   capture endcapture, comment endcomment, raw endraw
// Blocks are kept on a stack of our own, so that no template makes the parser recurse.
#include <fmt/format.h>

#include <array>

#include "core/mail/liquid_expression.h"
#include "core/mail/liquid_filter.h"
#include "core/mail/liquid_lexer.h"
#include "core/mail/liquid_program.h"
#include "core/mail/liquid_utf8.h"

namespace mailsbuddy::liquid {

Error error_at(ErrorCode code, std::string_view part, std::string_view source, std::size_t offset,
               std::string_view why) {
  const std::string_view before = source.substr(0, offset);
  std::size_t line = 1;
  for (const char c : before) line += c == '\n';
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0.
  return {code, fmt::format("{}:{}:{}: {}", part, line, utf8_length(before.substr(begin)) + 1, why)};
}

namespace {

enum class BlockKind : std::uint8_t { kIf, kUnless, kCase, kFor, kCapture };
constexpr std::string_view kBlockNames[] = {"if", "unless", "case", "for", "capture"};
static_assert(std::size(kBlockNames) == static_cast<std::size_t>(BlockKind::kCapture) + 1);

struct Block {
  BlockKind kind;
  std::size_t at;                          // Of its tag.
  Context begin;                           // Where each branch begins.
  std::optional<Context> end{};            // Where the branches so far end.
  std::vector<std::uint32_t> to_end{};     // Jumps to the end of the block.
  std::optional<std::uint32_t> to_next{};  // The jump to the next branch.
  bool has_else = false;
  bool in_loop_body = false;
  std::uint32_t loop_op = 0;
  std::vector<std::uint32_t> breaks{};
  std::vector<std::uint32_t> continues{};
  std::uint32_t slot = 0;  // kCapture: of its variable.
};

class Compiler {
 public:
  Compiler(std::string_view part, PartKind kind, std::string_view source, const Template::Limits& limits, Names& names)
      : part_(part), limits_(limits), pieces_(source), scope_(names), context_(kind) {
    program_.source = source;
    program_.kind = kind;
  }

  Result<Program> run();

 private:
  using Handler = void (Compiler::*)(std::string_view name, ExpressionParser& parser);
  struct Tag {
    std::string_view name;
    Handler handle;
  };
  static const Tag kTags[];

  void text(const Piece& piece);
  void output(const Piece& piece);
  void tag(const Piece& piece);
  void check(const ExpressionParser& parser);

  void begin_if(std::string_view name, ExpressionParser& parser);
  void begin_case(std::string_view name, ExpressionParser& parser);
  void begin_for(std::string_view name, ExpressionParser& parser);
  void begin_capture(std::string_view name, ExpressionParser& parser);
  void elsif(std::string_view name, ExpressionParser& parser);
  void when(std::string_view name, ExpressionParser& parser);
  void otherwise(std::string_view name, ExpressionParser& parser);
  void end(std::string_view name, ExpressionParser& parser);
  void leave_loop(std::string_view name, ExpressionParser& parser);
  void assign(std::string_view name, ExpressionParser& parser);
  void skip(std::string_view name, ExpressionParser& parser);

  Block* open(BlockKind kind);
  void close_block(Block& block);
  void end_branch(Block& block);
  void begin_branch(Block& block);
  void end_loop_body(Block& block);
  std::optional<std::uint32_t> assigned_slot(std::string_view name);

  std::uint32_t here() const { return static_cast<std::uint32_t>(program_.ops.size()); }
  std::uint32_t emit(OpCode code, std::uint32_t a = 0, std::uint32_t b = 0, Place place = {});
  void patch(std::uint32_t op) { program_.ops[op].a = here(); }
  void fail(std::size_t offset, std::string_view why);
  bool failed() const { return error_.has_value(); }

  std::string_view part_;
  const Template::Limits& limits_;
  Pieces pieces_;
  Scope scope_;
  Context context_;
  Program program_;
  std::vector<Block> blocks_;
  std::uint32_t captures_ = 0;
  std::size_t at_ = 0;  // Of the piece at hand.
  std::optional<Error> error_;
};

const Compiler::Tag Compiler::kTags[] = {
    {"if", &Compiler::begin_if},    {"unless", &Compiler::begin_if},       {"case", &Compiler::begin_case},
    {"for", &Compiler::begin_for},  {"capture", &Compiler::begin_capture}, {"elsif", &Compiler::elsif},
    {"when", &Compiler::when},      {"else", &Compiler::otherwise},        {"endif", &Compiler::end},
    {"endunless", &Compiler::end},  {"endcase", &Compiler::end},           {"endfor", &Compiler::end},
    {"endcapture", &Compiler::end}, {"break", &Compiler::leave_loop},      {"continue", &Compiler::leave_loop},
    {"assign", &Compiler::assign},  {"comment", &Compiler::skip},          {"raw", &Compiler::skip},
    {"#", &Compiler::skip},
};

void Compiler::fail(std::size_t offset, std::string_view why) {
  if (!failed()) error_ = error_at(ErrorCode::kInvalidArgument, part_, program_.source, offset, why);
}

std::uint32_t Compiler::emit(OpCode code, std::uint32_t a, std::uint32_t b, Place place) {
  program_.ops.push_back({code, place, a, b, static_cast<std::uint32_t>(at_)});
  return here() - 1;
}

Result<Program> Compiler::run() {
  if (program_.source.size() > kSourceMax) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{}: longer than {} octets", part_, kSourceMax)};
  }
  for (Piece piece = pieces_.next(); !failed() && piece.kind != Piece::Kind::kEnd; piece = pieces_.next()) {
    at_ = piece.begin;
    switch (piece.kind) {
      case Piece::Kind::kText:
        text(piece);
        break;
      case Piece::Kind::kOutput:
        output(piece);
        break;
      case Piece::Kind::kTag:
        tag(piece);
        break;
      default:
        fail(at_, piece.text == "{{" ? "{{ without }}" : "{% without %}");
    }
  }
  if (!failed() && !blocks_.empty()) {
    const std::string_view name = kBlockNames[static_cast<std::size_t>(blocks_.back().kind)];
    fail(blocks_.back().at, fmt::format("{{% {} %}} without {{% end{} %}}", name, name));
  }
  if (failed()) return *std::move(error_);
  return std::move(program_);
}

void Compiler::text(const Piece& piece) {
  if (piece.text.empty()) return;
  if (!blocks_.empty() && blocks_.back().kind == BlockKind::kCase && !blocks_.back().to_next &&
      !blocks_.back().has_else) {
    return;  // Between {% case %} and the first {% when %}: as in Liquid, nothing.
  }
  if (captures_ == 0) {
    if (const auto problem = context_.feed(piece.text)) return fail(piece.offset + problem->offset, problem->why);
  }
  emit(OpCode::kText, static_cast<std::uint32_t>(piece.offset), static_cast<std::uint32_t>(piece.text.size()));
}

void Compiler::check(const ExpressionParser& parser) {
  if (parser.failed()) fail(parser.failed()->offset, parser.failed()->why);
}

void Compiler::output(const Piece& piece) {
  ExpressionParser parser(piece.text, piece.offset, scope_, program_);
  const std::uint32_t index = parser.expression();
  parser.end();
  check(parser);
  if (failed()) return;
  Expression& expression = program_.expressions[index];
  const auto filters = part_of(program_.filters, expression.filters);
  const bool raw = !filters.empty() && filters.back().filter->name == "raw";
  Place place;
  if (captures_ == 0) {
    const auto here = context_.placeholder(raw);
    if (!here) return fail(at_, context_.problem());
    place = *here;
  }
  // href="{{ url | escape }}" is common, and means that the URL shall survive HTML, which it does here anyhow: entities
  // in it would be taken for a part of the URL.
  if (place.escape == Escape::kUrl || place.escape == Escape::kUrlOpaque || place.escape == Escape::kUrlStart) {
    for (std::size_t i = filters.size(); i > 0 && filters[i - 1].filter->name.starts_with("escape"); --i) {
      --expression.filters.count;
    }
  }
  const Operand& operand = program_.operands[expression.operand];
  if (expression.filters.count == 0 && operand.kind == Operand::Kind::kSlot && operand.keys.count == 0) {
    emit(OpCode::kField, operand.a, 0, place);
  } else {
    emit(OpCode::kOutput, index, 0, place);
  }
}

void Compiler::tag(const Piece& piece) {
  const std::string_view name = tag_name(piece.text);
  const std::size_t rest = name.empty() ? 0 : static_cast<std::size_t>(name.data() + name.size() - piece.text.data());
  for (const Tag& tag : kTags) {
    if (tag.name != name) continue;
    ExpressionParser parser(piece.text.substr(rest), piece.offset + rest, scope_, program_);
    return (this->*tag.handle)(name, parser);
  }
  std::string known;
  for (const Tag& tag : kTags) known += (known.empty() ? "" : ", ") + std::string(tag.name);
  fail(at_, fmt::format("unknown tag '{}'; there are {}", name.substr(0, 40), known));
}

// ---------------------------------------------------------------------------------------------------------------------
// Blocks

Block* Compiler::open(BlockKind kind) {
  if (blocks_.size() >= std::min(limits_.max_nesting, kNestingMax)) {
    fail(at_, fmt::format("blocks nested more than {} deep", blocks_.size()));
    return nullptr;
  }
  blocks_.push_back({kind, at_, context_});
  return &blocks_.back();
}

// After a branch: to the end of the block, and the next one begins where this one did.
void Compiler::end_branch(Block& block) {
  const auto joined = block.end ? Context::join(*block.end, context_) : context_;
  if (!joined) {
    const std::string_view name = kBlockNames[static_cast<std::size_t>(block.kind)];
    return fail(block.at, fmt::format("the branches of {{% {} %}} end in different places of the HTML (text, tag, "
                                      "attribute); put whole tags or whole attributes into each",
                                      name));
  }
  block.end = joined;
  context_ = block.begin;
}

void Compiler::begin_branch(Block& block) {
  end_branch(block);
  block.to_end.push_back(emit(OpCode::kJump));
  if (block.to_next) patch(*block.to_next);
  block.to_next.reset();
}

void Compiler::begin_if(std::string_view name, ExpressionParser& parser) {
  const std::uint32_t condition = parser.condition();
  parser.end();
  check(parser);
  const bool unless = name == "unless";
  Block* block = failed() ? nullptr : open(unless ? BlockKind::kUnless : BlockKind::kIf);
  if (block == nullptr) return;
  block->to_next = emit(OpCode::kJumpUnless, 0, condition);
  if (!unless) return;
  const std::uint32_t true_op = *block->to_next;  // Jumps to the body when the condition does not hold.
  block->to_next = emit(OpCode::kJump);
  patch(true_op);
}

void Compiler::elsif(std::string_view, ExpressionParser& parser) {
  const std::uint32_t condition = parser.condition();
  parser.end();
  check(parser);
  if (failed()) return;
  if (blocks_.empty() || blocks_.back().kind > BlockKind::kUnless || blocks_.back().has_else) {
    return fail(at_, "{% elsif %} without {% if %}");
  }
  Block& block = blocks_.back();
  begin_branch(block);
  block.to_next = emit(OpCode::kJumpUnless, 0, condition);
}

void Compiler::begin_case(std::string_view, ExpressionParser& parser) {
  const std::uint32_t subject = parser.expression();
  parser.end();
  check(parser);
  Block* block = failed() ? nullptr : open(BlockKind::kCase);
  if (block == nullptr) return;
  block->slot = static_cast<std::uint32_t>(blocks_.size() - 1);
  emit(OpCode::kAssign, block->slot, subject);
}

void Compiler::when(std::string_view, ExpressionParser& parser) {
  if (blocks_.empty() || blocks_.back().kind != BlockKind::kCase || blocks_.back().has_else) {
    return fail(at_, "{% when %} without {% case %}");
  }
  Block& block = blocks_.back();
  const std::uint32_t condition = parser.when(block.slot);
  parser.end();
  check(parser);
  if (failed()) return;
  if (block.to_next) begin_branch(block);
  block.to_next = emit(OpCode::kJumpUnless, 0, condition);
}

void Compiler::otherwise(std::string_view, ExpressionParser& parser) {
  parser.end();
  check(parser);
  if (failed()) return;
  if (blocks_.empty() || blocks_.back().kind == BlockKind::kCapture || blocks_.back().has_else) {
    return fail(at_, "{% else %} without {% if %}, {% unless %}, {% case %} or {% for %}");
  }
  Block& block = blocks_.back();
  if (block.kind == BlockKind::kFor) {
    end_loop_body(block);
    if (failed()) return;
    begin_branch(block);
    patch(block.loop_op);
  } else if (block.kind != BlockKind::kCase || block.to_next) {
    begin_branch(block);
  }
  block.has_else = true;
}

void Compiler::end(std::string_view name, ExpressionParser& parser) {
  parser.end();
  check(parser);
  if (failed()) return;
  const std::string_view opener = name.substr(3);
  if (blocks_.empty()) return fail(at_, fmt::format("{{% {} %}} without {{% {} %}}", name, opener));
  Block& block = blocks_.back();
  const std::string_view open = kBlockNames[static_cast<std::size_t>(block.kind)];
  if (open != opener) {
    return fail(at_, fmt::format("{{% {} %}} where {{% end{} %}} is expected", name, open));
  }
  close_block(block);
  blocks_.pop_back();
}

void Compiler::close_block(Block& block) {
  if (block.kind == BlockKind::kCapture) {
    --captures_;
    emit(OpCode::kEndCapture, block.slot);
    return;
  }
  if (block.in_loop_body) {
    end_loop_body(block);
    if (failed()) return;
  }
  end_branch(block);
  if (failed()) return;
  if (!block.has_else && block.kind != BlockKind::kFor) end_branch(block);  // The branch that is not there.
  if (failed()) return;
  context_ = *block.end;
  if (block.to_next) patch(*block.to_next);
  if (block.kind == BlockKind::kFor && !block.has_else) patch(block.loop_op);
  for (const std::uint32_t jump : block.to_end) patch(jump);
  for (const std::uint32_t jump : block.breaks) patch(jump);
}

void Compiler::begin_capture(std::string_view, ExpressionParser& parser) {
  const std::string_view name = parser.identifier("a variable's name");
  parser.end();
  check(parser);
  const auto slot = failed() ? std::nullopt : assigned_slot(name);
  Block* block = slot ? open(BlockKind::kCapture) : nullptr;
  if (block == nullptr) return;
  block->slot = *slot;
  program_.max_captures = std::max(program_.max_captures, ++captures_);
  emit(OpCode::kCapture);
}

// ---------------------------------------------------------------------------------------------------------------------
// Loops

void Compiler::begin_for(std::string_view, ExpressionParser& parser) {
  const auto slot = static_cast<std::uint32_t>(blocks_.size());
  const std::uint32_t loop = parser.loop(slot);
  parser.end();
  check(parser);
  Block* block = failed() ? nullptr : open(BlockKind::kFor);
  if (block == nullptr) return;
  block->in_loop_body = true;
  block->loop_op = emit(OpCode::kLoop, 0, loop);
  scope_.open_loop(parser.name(), slot);
  program_.max_loops = std::max(program_.max_loops, static_cast<std::uint32_t>(scope_.loops()));
}

void Compiler::end_loop_body(Block& block) {
  if (captures_ == 0 && !Context::same(block.begin, context_)) {
    return fail(block.at,
                "the body of {% for %} ends in another place of the HTML (text, tag, attribute, part of a URL) "
                "than it begins; put whole tags or whole attributes into it");
  }
  if (const auto joined = Context::join(block.begin, context_)) context_ = *joined;
  for (const std::uint32_t jump : block.continues) patch(jump);
  emit(OpCode::kNext, block.loop_op + 1);
  block.in_loop_body = false;
  scope_.close_loop();
}

void Compiler::leave_loop(std::string_view name, ExpressionParser& parser) {
  parser.end();
  check(parser);
  if (failed()) return;
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    if (!block->in_loop_body) continue;
    if (!Context::same(block->begin, context_)) {
      return fail(at_, fmt::format("{{% {} %}} inside a tag or attribute that the loop has begun", name));
    }
    auto& jumps = name == "break" ? block->breaks : block->continues;
    return jumps.push_back(emit(name == "break" ? OpCode::kBreak : OpCode::kJump));
  }
  fail(at_, fmt::format("{{% {} %}} outside {{% for %}}", name));
}

// ---------------------------------------------------------------------------------------------------------------------
// Other tags

std::optional<std::uint32_t> Compiler::assigned_slot(std::string_view name) {
  const auto slot = scope_.assign(name);
  if (!slot) fail(at_, fmt::format("more than {} different variables", kNamesMax));
  program_.assigns = true;
  return slot;
}

void Compiler::assign(std::string_view, ExpressionParser& parser) {
  const std::uint32_t expression = parser.assignment();
  parser.end();
  check(parser);
  if (failed()) return;
  // After the expression: in {% assign x = x %} the second x is still the field.
  if (const auto slot = assigned_slot(parser.name())) emit(OpCode::kAssign, *slot, expression);
}

void Compiler::skip(std::string_view name, ExpressionParser& parser) {
  if (name == "#") return;
  parser.end();
  check(parser);
  if (failed()) return;
  const std::string end = fmt::format("end{}", name);
  const Piece piece = pieces_.raw_until(end);
  if (piece.kind == Piece::Kind::kUnclosed) return fail(at_, fmt::format("{{% {} %}} without {{% {} %}}", name, end));
  if (name == "raw") text(piece);
}

}  // namespace

Result<Program> compile(std::string_view part, PartKind kind, std::string_view source, const Template::Limits& limits,
                        Names& names) {
  return Compiler(part, kind, source, limits, names).run();
}

}  // namespace mailsbuddy::liquid
