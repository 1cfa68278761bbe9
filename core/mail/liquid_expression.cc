// expression = operand *( "|" filter )
// filter     = name [ ":" operand *( "," operand ) ]
// condition  = term *( ( "and" / "or" ) term )
// term       = operand [ ( "==" / "!=" / "<>" / "<" / ">" / "<=" / ">=" / "contains" ) operand ]
// operand    = ( literal / range / name / "[" string "]" ) *( "." name / "[" key "]" )
// key        = literal / name *( "." name )           ; no brackets inside brackets, so nothing here nests
// range      = "(" operand ".." operand ")"           ; of operands without a range
// literal    = string / number / "true" / "false" / "nil" / "null" / "empty" / "blank"
#include "core/mail/liquid_expression.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "core/mail/liquid_filter.h"

namespace mailsbuddy::liquid {

std::optional<std::uint32_t> Scope::named(std::string_view name) {
  const auto [at, added] = names_.index.try_emplace(name, static_cast<std::uint32_t>(names_.list.size()));
  if (added) {
    if (names_.list.size() == kNamesMax) {
      names_.index.erase(at);
      return std::nullopt;
    }
    names_.list.push_back(name);
    names_.read.push_back(false);
  }
  return at->second + names_.locals;
}

std::optional<std::uint32_t> Scope::read(std::string_view name) {
  for (auto loop = loops_.rbegin(); loop != loops_.rend(); ++loop) {
    if (loop->name == name) return loop->slot;
  }
  const auto slot = named(name);
  if (slot && !assigned_.contains(name)) names_.read[*slot - names_.locals] = true;
  return slot;
}

std::optional<std::uint32_t> Scope::assign(std::string_view name) {
  assigned_.try_emplace(name, true);
  return named(name);
}

// ---------------------------------------------------------------------------------------------------------------------

namespace {

template <class T>
std::uint32_t add(std::vector<T>& list, T item) {
  list.push_back(std::move(item));
  return static_cast<std::uint32_t>(list.size() - 1);
}

std::string shown(const Token& token) {
  if (token.kind == Token::Kind::kEnd) return "the end";
  if (token.kind == Token::Kind::kBad && (token.text == "\"" || token.text.empty())) return "a quote without its end";
  constexpr std::size_t kShownMax = 40;
  return fmt::format("'{}'", token.text.substr(0, kShownMax));
}

std::optional<Value> word_value(std::string_view word) {
  if (word == "true" || word == "false") return Value::boolean(word == "true");
  if (word == "nil" || word == "null") return Value();
  if (word == "empty") return Value::word(Value::Kind::kEmpty);
  if (word == "blank") return Value::word(Value::Kind::kBlank);
  return std::nullopt;
}

}  // namespace

void ExpressionParser::fail(std::size_t offset, std::string why) {
  if (!failure_) failure_ = Failure{offset, std::move(why)};
}

void ExpressionParser::fail_here(std::string_view expected) {
  fail(tokens_.peek().offset, fmt::format("expected {}, found {}", expected, shown(tokens_.peek())));
}

void ExpressionParser::end() {
  if (tokens_.peek().kind != Token::Kind::kEnd) fail_here("the end");
}

std::string_view ExpressionParser::identifier(std::string_view what) {
  if (tokens_.peek().kind != Token::Kind::kName) {
    fail_here(what);
    return {};
  }
  return tokens_.take().text;
}

std::uint32_t ExpressionParser::expression() {
  Expression made;
  made.operand = operand();
  made.filters.first = static_cast<std::uint32_t>(program_.filters.size());
  while (!failure_ && tokens_.take("|")) filter();
  made.filters.count = static_cast<std::uint32_t>(program_.filters.size()) - made.filters.first;
  return add(program_.expressions, made);
}

void ExpressionParser::filter() {
  const Token name = tokens_.peek();
  FilterCall call;
  call.filter = find_filter(identifier("a filter's name"));
  if (failure_) return;
  if (call.filter == nullptr) {
    return fail(name.offset, fmt::format("unknown filter {}; there are {}", shown(name), filter_names()));
  }
  std::array<std::uint32_t, kFilterArgumentsMax> arguments{};
  std::size_t count = 0;
  bool too_many = false;
  for (bool more = tokens_.take(":"); more && !failure_ && !too_many; more = tokens_.take(",")) {
    too_many = count == call.filter->max_arguments;
    if (!too_many) arguments[count++] = operand();
  }
  if (failure_) return;
  if (too_many || count < call.filter->min_arguments) {
    const auto [min, max] = std::pair(call.filter->min_arguments, call.filter->max_arguments);
    const std::string range = min == max ? fmt::format("{}", min) : fmt::format("{} to {}", min, max);
    return fail(name.offset, fmt::format("filter '{}' takes {} argument{}", name.text, range, max == 1 ? "" : "s"));
  }
  // Arguments are operands, and operands have keys that are operands too: only a copy of each makes them adjacent.
  call.arguments = {static_cast<std::uint32_t>(program_.operands.size()), static_cast<std::uint32_t>(count)};
  for (std::size_t i = 0; i < count; ++i) program_.operands.push_back(Operand(program_.operands[arguments[i]]));
  program_.filters.push_back(call);
}

std::uint32_t ExpressionParser::condition() {
  Run terms{static_cast<std::uint32_t>(program_.terms.size()), 0};
  for (bool more = true; more && !failure_; ++terms.count) {
    Term next = term();
    next.or_next = tokens_.peek().is_word("or");
    more = tokens_.take_word("or") || tokens_.take_word("and");
    program_.terms.push_back(next);
  }
  return add(program_.conditions, terms);
}

Term ExpressionParser::term() {
  Term made;
  made.left = operand();
  constexpr std::pair<std::string_view, Relation> kRelations[] = {
      {"==", Relation::kEqual},  {"!=", Relation::kNotEqual},   {"<>", Relation::kNotEqual}, {"<", Relation::kLess},
      {">", Relation::kGreater}, {"<=", Relation::kNotGreater}, {">=", Relation::kNotLess}};
  for (const auto& [symbol, relation] : kRelations) {
    if (tokens_.take(symbol)) made.relation = relation;
  }
  if (made.relation == Relation::kTruthy && tokens_.take_word("contains")) made.relation = Relation::kContains;
  if (made.relation != Relation::kTruthy) made.right = operand();
  return made;
}

std::uint32_t ExpressionParser::slot_operand(std::uint32_t slot) {
  Operand operand;
  operand.kind = Operand::Kind::kSlot;
  operand.a = slot;
  return add(program_.operands, operand);
}

std::uint32_t ExpressionParser::when(std::uint32_t subject_slot) {
  Run terms{static_cast<std::uint32_t>(program_.terms.size()), 0};
  for (bool more = true; more && !failure_; ++terms.count) {
    Term next;
    next.relation = Relation::kEqual;
    next.or_next = true;
    next.left = slot_operand(subject_slot);
    next.right = operand();
    program_.terms.push_back(next);
    more = tokens_.take_word("or") || tokens_.take(",");
  }
  return add(program_.conditions, terms);
}

std::uint32_t ExpressionParser::assignment() {
  name_ = identifier("a variable's name");
  if (!failure_ && !tokens_.take("=")) fail_here("'='");
  return expression();
}

std::uint32_t ExpressionParser::loop(std::uint32_t slot) {
  Loop made;
  made.slot = slot;
  name_ = identifier("a variable's name");
  if (!failure_ && !tokens_.take_word("in")) fail_here("'in'");
  made.list = operand();
  while (!failure_ && tokens_.peek().kind != Token::Kind::kEnd) {
    tokens_.take(",");
    const bool limit = tokens_.peek().is_word("limit");
    if (tokens_.take_word("reversed")) {
      made.reversed = true;
    } else if (limit || tokens_.peek().is_word("offset")) {
      tokens_.take();
      if (!tokens_.take(":")) fail_here("':'");
      (limit ? made.limit : made.offset) = operand();
    } else {
      fail_here("limit:, offset: or reversed");
    }
  }
  return add(program_.loops, made);
}

// ---------------------------------------------------------------------------------------------------------------------

std::uint32_t ExpressionParser::operand(bool inside_key) {
  Operand made;
  if (failure_) return 0;
  if (!inside_key && tokens_.take("(")) {
    range(made);
  } else if (!inside_key && tokens_.take("[")) {
    const Token name = tokens_.peek();
    if (name.kind != Token::Kind::kString) {
      fail_here("a field's name in quotes");
    } else {
      tokens_.take();
      if (!tokens_.take("]")) fail_here("']'");
      variable(made, name);
    }
  } else {
    literal_or_name(made);
  }
  keys(made, inside_key);
  return add(program_.operands, made);
}

void ExpressionParser::literal_or_name(Operand& operand) {
  const Token token = tokens_.peek();
  switch (token.kind) {
    case Token::Kind::kString:
      operand.literal = Value::of(token.text);
      tokens_.take();
      return;
    case Token::Kind::kInt:
    case Token::Kind::kFloat:
      if (!number(operand, token)) fail(token.offset, fmt::format("{} is too large a number", shown(token)));
      tokens_.take();
      return;
    case Token::Kind::kName:
      tokens_.take();
      if (const auto value = word_value(token.text)) {
        operand.literal = *value;
      } else if (token.text == "forloop" && scope_.loops() > 0) {
        loop_word(operand, token.offset);
      } else {
        variable(operand, token);
      }
      return;
    default:
      fail_here("a value");
  }
}

bool ExpressionParser::number(Operand& operand, const Token& token) {
  const char* end = token.text.data() + token.text.size();
  if (token.kind == Token::Kind::kFloat) {
    double real = 0;
    const auto [stop, error] = std::from_chars(token.text.data(), end, real);
    operand.literal = Value::of(real);
    return error == std::errc() && stop == end;
  }
  std::int64_t integer = 0;
  const auto [stop, error] = std::from_chars(token.text.data(), end, integer);
  operand.literal = Value::of(integer);
  return error == std::errc() && stop == end;
}

void ExpressionParser::variable(Operand& operand, const Token& name) {
  const auto slot = scope_.read(name.text);
  if (!slot) return fail(name.offset, fmt::format("more than {} different variables", kNamesMax));
  operand.kind = Operand::Kind::kSlot;
  operand.a = *slot;
}

void ExpressionParser::loop_word(Operand& operand, std::size_t offset) {
  constexpr std::pair<std::string_view, Operand::LoopWord> kWords[] = {
      {"index", Operand::LoopWord::kIndex},   {"index0", Operand::LoopWord::kIndex0},
      {"rindex", Operand::LoopWord::kRindex}, {"rindex0", Operand::LoopWord::kRindex0},
      {"first", Operand::LoopWord::kFirst},   {"last", Operand::LoopWord::kLast},
      {"length", Operand::LoopWord::kLength}};
  std::size_t level = scope_.loops();
  std::string_view word;
  while (tokens_.take(".")) {
    word = tokens_.take().text;
    if (word != "parentloop" || level == 1) break;
    --level;
  }
  operand.kind = Operand::Kind::kLoop;
  operand.a = static_cast<std::uint32_t>(level - 1);
  for (const auto& [name, value] : kWords) {
    if (word != name) continue;
    operand.word = value;
    return;
  }
  fail(offset, "forloop has index, index0, rindex, rindex0, first, last, length and, in an inner loop, parentloop");
}

void ExpressionParser::range(Operand& operand) {
  operand.kind = Operand::Kind::kRange;
  const auto bound = [&] {
    if (tokens_.peek().is("(")) fail_here("a number or a variable");
    return this->operand();
  };
  operand.a = bound();
  if (!failure_ && !tokens_.take("..")) fail_here("'..'");
  operand.b = bound();
  if (!failure_ && !tokens_.take(")")) fail_here("')'");
}

// A key inside brackets is an operand of its own, so `made` lists them after they are all read.
void ExpressionParser::keys(Operand& operand, bool inside_key) {
  std::vector<std::uint32_t> made;
  while (!failure_) {
    if (tokens_.take(".")) {
      Operand key;
      key.literal = Value::of(identifier("a name after '.'"));
      made.push_back(add(program_.operands, key));
    } else if (!inside_key && tokens_.take("[")) {
      made.push_back(this->operand(true));
      if (!failure_ && !tokens_.take("]")) fail_here("']'");
    } else {
      break;
    }
  }
  operand.keys = {static_cast<std::uint32_t>(program_.keys.size()), static_cast<std::uint32_t>(made.size())};
  program_.keys.insert(program_.keys.end(), made.begin(), made.end());
}

}  // namespace mailsbuddy::liquid
