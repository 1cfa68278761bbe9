// liquid_expression.h - parses what stands between a template's delimiters into a Program's lists.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/mail/liquid_lexer.h"
#include "core/mail/liquid_program.h"

namespace mailsbuddy::liquid {

// Which variables a name means where it stands.
class Scope {
 public:
  explicit Scope(Names& names) : names_(names) {}

  // The slot of `name`: of the innermost loop that has it as its variable, or of the named variable, which is made if
  // need be. Empty: too many.
  std::optional<std::uint32_t> read(std::string_view name);
  std::optional<std::uint32_t> assign(std::string_view name);  // Named variables only, as in Liquid.

  void open_loop(std::string_view name, std::uint32_t slot) { loops_.push_back({name, slot}); }
  void close_loop() { loops_.pop_back(); }
  std::size_t loops() const noexcept { return loops_.size(); }

 private:
  std::optional<std::uint32_t> named(std::string_view name);

  struct Variable {
    std::string_view name;
    std::uint32_t slot;
  };
  Names& names_;
  std::vector<Variable> loops_;
  std::unordered_map<std::string_view, bool> assigned_;
};

// Reads one tag's or output's content. Each parse function appends to the program and returns where; after a failure
// all fail, and failed() tells the first.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, std::size_t offset, Scope& scope, Program& program)
      : tokens_(text, offset), scope_(scope), program_(program) {}

  std::uint32_t expression();                      // operand *( "|" filter )
  std::uint32_t condition();                       // term *( ("and" / "or") term )
  std::uint32_t when(std::uint32_t subject_slot);  // value *( ("," / "or") value ): a condition.
  std::uint32_t assignment();                      // name "=" expression: the expression; name() has the name.
  std::uint32_t loop(std::uint32_t slot);  // name "in" operand *( "reversed" / ("limit" / "offset") ":" operand )
  std::string_view identifier(std::string_view what);
  void end();  // Nothing may follow.

  std::string_view name() const noexcept { return name_; }
  struct Failure {
    std::size_t offset;
    std::string why;
  };
  const std::optional<Failure>& failed() const noexcept { return failure_; }

 private:
  std::uint32_t operand(bool inside_key = false);
  void literal_or_name(Operand& operand);
  bool number(Operand& operand, const Token& token);
  void variable(Operand& operand, const Token& name);
  void loop_word(Operand& operand, std::size_t offset);
  void range(Operand& operand);
  void keys(Operand& operand, bool inside_key);
  void filter();
  Term term();
  std::uint32_t slot_operand(std::uint32_t slot);
  void fail(std::size_t offset, std::string why);
  void fail_here(std::string_view expected);

  Tokens tokens_;
  Scope& scope_;
  Program& program_;
  std::string_view name_;
  std::optional<Failure> failure_;
};

}  // namespace mailsbuddy::liquid
