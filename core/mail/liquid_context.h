// liquid_context.h - follows the literal text of a template to know where each placeholder stands, and so how its value
// must be escaped. Works on the template once, when it is compiled.
//
// HTML is followed as WHATWG HTML 13.2.5 tokenises it, in the parts that matter: text, tags, attribute values,
// comments, and the elements whose content is not markup. Where a value could not be made safe, a placeholder is an
// error.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/mail/liquid_escape.h"

namespace mailsbuddy::liquid {

// What a template is the source of.
enum class PartKind : std::uint8_t { kText, kHtml, kHeader, kUrlHeader };

class Context {
 public:
  explicit Context(PartKind kind) noexcept : kind_(kind) {}

  struct Problem {
    std::size_t offset;  // Into the literal.
    std::string_view why;
  };
  std::optional<Problem> feed(std::string_view literal);

  // Where a placeholder would stand now, and on past it. `raw`: its author asks for no escaping.
  // Empty: it may not stand here; problem() says why.
  std::optional<Place> placeholder(bool raw);
  std::string_view problem() const noexcept { return problem_; }

  // The context after two ways to the same place, as after {% else %}. Empty: they cannot be told apart from here on.
  static std::optional<Context> join(Context a, Context b);
  // Whether `end`, after a loop's body, is where the body may begin again.
  static bool same(Context begin, Context end);
  bool operator==(const Context&) const = default;

 private:
  enum class At : std::uint8_t {
    kText,
    kTagOpen,  // After "<".
    kTagName,
    kInTag,  // Between attributes.
    kAttributeName,
    kAfterAttributeName,
    kBeforeValue,  // After "=".
    kValue,
    kDeclaration,  // "<!" and "<?" up to ">".
    kComment,
    kConditional,  // "<!--[if", whose content mail programs read as markup, up to ">".
    kElementText,  // In script, style, title, ...
  };
  enum class Element : std::uint8_t { kOther, kScript, kStyle, kTitle, kTextarea, kXmp, kIframe, kNoembed, kNoframes };
  enum class Attribute : std::uint8_t { kPlain, kUrl, kStyle, kScript, kUnclear };
  enum class UrlPart : std::uint8_t {
    kStart,       // Nothing of it yet.
    kScheme,      // Letters that may be a scheme.
    kValueFirst,  // The same, a value among them: a colon now would make the value a scheme.
    kRest,        // Past the scheme, or relative for sure.
    kOpaque,      // After mailto:, tel:, sms:
    kForbidden,   // After javascript:, vbscript:, data:
    kUnclear,     // Different ways lead here.
  };

  bool in_tag() const noexcept { return at_ >= At::kTagName && at_ <= At::kAfterAttributeName; }
  bool name_is(std::string_view name) const noexcept { return std::string_view(name_.data(), name_size_) == name; }
  void add_to_name(char c) noexcept;  // In lower case; what is too long for any name we know stays cut.
  void set_name(std::string_view name) noexcept;
  void clear_name() noexcept { set_name({}); }
  void settle() noexcept;  // Forgets what only matters if the literal went on.

  bool step(char c);
  bool step_header(char c);
  void step_text(char c);
  void step_tag_open(char c);
  void step_tag(char c);
  void step_before_value(char c);
  bool step_value(char c);
  void step_declaration(char c);
  void step_comment(char c);
  bool step_element_text(char c);
  bool step_css(char c);
  bool step_url(char c);
  void end_tag_name() noexcept;
  void begin_value(char quote) noexcept;
  std::optional<Place> refuse(std::string_view why) noexcept;
  std::optional<Place> html_place(bool raw);
  std::optional<Place> url_place(Place place);
  std::optional<Place> css_place(Place place);

  PartKind kind_;
  At at_ = At::kText;
  Element element_ = Element::kOther;  // Whose tag or text it is.
  Attribute attribute_ = Attribute::kPlain;
  UrlPart url_ = UrlPart::kStart;
  char quote_ = 0;                // Of the attribute's value; 0: none.
  bool css_url_ = false;          // Inside url( ).
  std::uint8_t css_matched_ = 0;  // Characters of "url(" just read.
  std::uint8_t end_matched_ = 0;  // Characters of the element's end tag just read.
  std::uint8_t name_size_ = 0;
  std::array<char, 12> name_{};  // The name or scheme that is being read; begins with '?' if its beginning is unclear.
  std::string_view problem_;
};

}  // namespace mailsbuddy::liquid
