#include "core/mail/liquid_context.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace mailsbuddy::liquid {
namespace {

constexpr std::string_view kElementNames[] = {"",    "script", "style",   "title",   "textarea",
                                              "xmp", "iframe", "noembed", "noframes"};

// Attributes whose value is a URL, of HTML, SVG and the VML that Outlook reads.
constexpr std::string_view kUrlAttributes[] = {
    "href",   "src",      "action", "formaction", "background", "cite",     "data",    "poster",
    "srcset", "longdesc", "usemap", "lowsrc",     "xlink:href", "codebase", "profile", "icon"};

bool is_html_space(char c) { return ascii::is_space(c) || c == '\f'; }

constexpr std::string_view kOutsideValue =
    "a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\"";
constexpr std::string_view kUnclearName =
    "it depends on a branch or value before which attribute this is; put the whole attribute into each branch";

}  // namespace

void Context::add_to_name(char c) noexcept {
  if (name_size_ < name_.size()) name_[name_size_++] = ascii::to_lower(c);
}

void Context::set_name(std::string_view name) noexcept {
  name_.fill(0);
  std::copy(name.begin(), name.end(), name_.begin());
  name_size_ = static_cast<std::uint8_t>(name.size());
}

std::optional<Context::Problem> Context::feed(std::string_view literal) {
  if (kind_ == PartKind::kText || kind_ == PartKind::kHeader) return std::nullopt;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (!step(literal[i])) return Problem{i, problem_};
  }
  return std::nullopt;
}

bool Context::step(char c) {
  if (kind_ == PartKind::kUrlHeader) return step_header(c);
  switch (at_) {
    case At::kText:
      step_text(c);
      return true;
    case At::kTagOpen:
      step_tag_open(c);
      return true;
    case At::kTagName:
    case At::kInTag:
    case At::kAttributeName:
    case At::kAfterAttributeName:
      step_tag(c);
      return true;
    case At::kBeforeValue:
      step_before_value(c);
      return true;
    case At::kValue:
      return step_value(c);
    case At::kDeclaration:
      step_declaration(c);
      return true;
    case At::kComment:
      step_comment(c);
      return true;
    case At::kConditional:
      if (c == '>') at_ = At::kText;
      return true;
    case At::kElementText:
      return step_element_text(c);
  }
  return true;
}

// RFC 2369 2: the URLs of List-* headers stand in angle brackets.
bool Context::step_header(char c) {
  if (at_ == At::kText) {
    if (c == '<') begin_value('>');
    attribute_ = Attribute::kUrl;
    return true;
  }
  if (c != '>') return step_url(c);
  at_ = At::kText;
  return true;
}

void Context::step_text(char c) {
  if (c != '<') return;
  at_ = At::kTagOpen;
  element_ = Element::kOther;
  clear_name();
}

void Context::step_tag_open(char c) {
  if (ascii::is_alpha(c) || c == '/') {
    at_ = At::kTagName;
    add_to_name(c);
  } else if (c == '!' || c == '?') {
    at_ = At::kDeclaration;
  } else if (c != '<') {
    at_ = At::kText;
  }
}

void Context::end_tag_name() noexcept {
  for (std::size_t i = 1; i < std::size(kElementNames); ++i) {
    if (name_is(kElementNames[i])) element_ = static_cast<Element>(i);
  }
  clear_name();
}

void Context::step_tag(char c) {
  if (c != '>' && c != '/' && c != '=' && !is_html_space(c)) {
    if (at_ == At::kInTag || at_ == At::kAfterAttributeName) {
      if (!name_is("?")) clear_name();
      at_ = At::kAttributeName;
    }
    return add_to_name(c);
  }
  if (at_ == At::kTagName) {
    if (c == '=') return add_to_name(c);
    if (c == '/' && name_is("/")) return;
    end_tag_name();
    at_ = At::kInTag;
  }
  if (c == '=') {
    if (at_ == At::kInTag) set_name("?");
    at_ = At::kBeforeValue;
  } else if (c == '>') {
    at_ = element_ == Element::kOther ? At::kText : At::kElementText;
    clear_name();
    css_matched_ = end_matched_ = 0;
    css_url_ = false;
  } else if (at_ == At::kAttributeName && c != '/') {
    at_ = At::kAfterAttributeName;
  } else if (at_ == At::kInTag || c == '/') {
    at_ = At::kInTag;
    clear_name();
  }
}

void Context::begin_value(char quote) noexcept {
  const std::string_view name(name_.data(), name_size_);
  attribute_ = std::ranges::find(kUrlAttributes, name) != std::end(kUrlAttributes) ? Attribute::kUrl
               : name == "style"                                                   ? Attribute::kStyle
               : name.starts_with("on") || name == "srcdoc"                        ? Attribute::kScript
               : name.starts_with('?')                                             ? Attribute::kUnclear
                                                                                   : Attribute::kPlain;
  at_ = At::kValue;
  quote_ = quote;
  url_ = UrlPart::kStart;
  css_url_ = false;
  css_matched_ = 0;
  clear_name();
}

void Context::step_before_value(char c) {
  if (is_html_space(c)) return;
  if (c == '"' || c == '\'') return begin_value(c);
  if (c == '>') {
    at_ = At::kInTag;
    return step_tag(c);
  }
  begin_value(0);
  step_value(c);
}

bool Context::step_value(char c) {
  if (quote_ != 0 ? c == quote_ : is_html_space(c) || c == '>') {
    at_ = At::kInTag;
    clear_name();
    if (c == '>') step_tag(c);
    return true;
  }
  if (attribute_ == Attribute::kUrl) return step_url(c);
  return attribute_ != Attribute::kStyle || step_css(c);
}

// "<!-->" and "<!--->" are whole comments; "<!--[if" is no comment to Outlook.
void Context::step_declaration(char c) {
  if (c == '>') {
    at_ = At::kText;
    return;
  }
  if (name_size_ > 2) return;
  add_to_name(c);
  if (name_is("--")) {
    at_ = At::kComment;
  } else if (c != '-') {
    name_size_ = 3;  // Not a comment.
  }
}

// `name_` holds the last two characters ("--" at the start, by which "<!-->" ends), until a conditional is ruled out
// also "[if".
void Context::step_comment(char c) {
  const std::string_view name(name_.data(), name_size_);
  if (c == '>' && (name.ends_with("--") || name == "---" || name.ends_with("--!"))) {
    at_ = At::kText;
    return;
  }
  if (name.size() < 5) {  // "--[if" or what else comes first.
    if (name == "--" && c == ' ') return;
    add_to_name(c);
    if (name_is("--[if")) at_ = At::kConditional;
    return;
  }
  std::copy(name_.begin() + 1, name_.begin() + 5, name_.begin());
  name_[4] = ascii::to_lower(c);
}

bool Context::step_element_text(char c) {
  const std::string_view name = kElementNames[static_cast<std::size_t>(element_)];
  const std::size_t size = name.size() + 2;  // Of "</" and the name.
  if (end_matched_ == size && (is_html_space(c) || c == '/' || c == '>')) {
    at_ = At::kInTag;
    element_ = Element::kOther;
    clear_name();
    step_tag(c);
    return true;
  }
  const char next = end_matched_ == 0     ? '<'
                    : end_matched_ == 1   ? '/'
                    : end_matched_ < size ? name[end_matched_ - 2u]
                                          : '\0';
  end_matched_ = ascii::to_lower(c) == next && c != '\0' ? end_matched_ + 1 : c == '<' ? 1 : 0;
  return element_ != Element::kStyle || step_css(c);
}

bool Context::step_css(char c) {
  if (css_url_) {
    if (c == ')') {
      css_url_ = false;
      clear_name();
      return true;
    }
    return url_ == UrlPart::kStart && (c == '"' || c == '\'') ? true : step_url(c);
  }
  constexpr std::string_view kUrl = "url(";
  css_matched_ = ascii::to_lower(c) == kUrl[css_matched_] ? css_matched_ + 1 : ascii::to_lower(c) == 'u' ? 1 : 0;
  if (css_matched_ == kUrl.size()) {
    css_url_ = true;
    css_matched_ = 0;
    url_ = UrlPart::kStart;
    clear_name();
  }
  return true;
}

bool Context::step_url(char c) {
  if (c == '/' || c == '?' || c == '#') {
    if (url_ != UrlPart::kOpaque && url_ != UrlPart::kForbidden) url_ = UrlPart::kRest;
  } else if (url_ == UrlPart::kStart || url_ == UrlPart::kScheme) {
    if (c == ':') {
      url_ = name_is("mailto") || name_is("tel") || name_is("sms")             ? UrlPart::kOpaque
             : name_is("javascript") || name_is("vbscript") || name_is("data") ? UrlPart::kForbidden
                                                                               : UrlPart::kRest;
      clear_name();
    } else if (!is_html_space(c)) {
      add_to_name(c);
      url_ = UrlPart::kScheme;
    }
  } else if (c == ':' && (url_ == UrlPart::kValueFirst || url_ == UrlPart::kUnclear)) {
    problem_ = "a value cannot be part of a URL's scheme; write the scheme itself, as in https://{{ ... }}";
    return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------

std::optional<Place> Context::refuse(std::string_view why) noexcept {
  problem_ = why;
  return std::nullopt;
}

std::optional<Place> Context::placeholder(bool raw) {
  switch (kind_) {
    case PartKind::kText:
      return Place{};
    case PartKind::kHeader:
      return Place{Escape::kHeader};
    case PartKind::kUrlHeader: {
      if (at_ == At::kText) return Place{Escape::kHeader};
      auto place = url_place({});
      if (place) place->escape = place->escape == Escape::kUrlStart ? Escape::kHeaderUrlStart : Escape::kHeaderUrl;
      return place;
    }
    case PartKind::kHtml:
      break;
  }
  if (at_ == At::kBeforeValue) {
    begin_value(0);
    auto place = html_place(raw);
    if (place) place->starts_value = true;
    return place;
  }
  return html_place(raw);
}

std::optional<Place> Context::html_place(bool raw) {
  const Place html{Escape::kHtml};
  switch (at_) {
    case At::kText:
    case At::kComment:
      return html;
    case At::kElementText:
      end_matched_ = 0;
      if (element_ == Element::kStyle) return css_place({});
      if (element_ != Element::kScript || raw) return html;
      return refuse("a value cannot be made safe inside <script>; leave it out, or vouch for it with | raw");
    case At::kValue: {
      const Place place{Escape::kHtml, quote_ == 0, false};
      if (attribute_ == Attribute::kUrl) return url_place(place);
      if (attribute_ == Attribute::kStyle) return css_place(place);
      if (attribute_ == Attribute::kPlain || raw) return place;
      if (attribute_ == Attribute::kUnclear) return refuse(kUnclearName);
      return refuse("a value cannot be made safe inside a script attribute; leave it out, or vouch for it with | raw");
    }
    default:
      if (!raw) return refuse(kOutsideValue);
      settle();
      return html;
  }
}

std::optional<Place> Context::url_place(Place place) {
  switch (url_) {
    case UrlPart::kStart:
      url_ = UrlPart::kValueFirst;
      place.escape = Escape::kUrlStart;
      return place;
    case UrlPart::kScheme:
      url_ = UrlPart::kValueFirst;
      [[fallthrough]];
    case UrlPart::kValueFirst:
    case UrlPart::kRest:
      place.escape = Escape::kUrl;
      return place;
    case UrlPart::kOpaque:
      place.escape = Escape::kUrlOpaque;
      return place;
    case UrlPart::kForbidden:
      return refuse("a value cannot stand in a javascript:, vbscript: or data: URL");
    case UrlPart::kUnclear:
      break;
  }
  return refuse("it depends on a branch before whether this value begins the URL; put the whole URL into each branch");
}

std::optional<Place> Context::css_place(Place place) {
  if (css_url_) return url_place(place);
  css_matched_ = 0;
  place.escape = Escape::kCss;
  return place;
}

// ---------------------------------------------------------------------------------------------------------------------

void Context::settle() noexcept {
  const bool in_name = at_ == At::kTagName || at_ == At::kAttributeName || name_is("?");
  if (in_tag()) {
    if (at_ == At::kTagName) end_tag_name();
    at_ = At::kInTag;
    set_name(in_name ? "?" : "");
  } else if (at_ != At::kComment && at_ != At::kDeclaration && at_ != At::kBeforeValue) {
    clear_name();
  }
  if (at_ != At::kValue) attribute_ = Attribute::kPlain, quote_ = 0;
  if (at_ != At::kValue && at_ != At::kElementText) url_ = UrlPart::kStart, css_url_ = false;
  if (at_ == At::kText) element_ = Element::kOther;
  css_matched_ = 0;
}

std::optional<Context> Context::join(Context a, Context b) {
  if (a == b) return a;
  const bool same_scheme = a.name_ == b.name_;
  a.settle();
  b.settle();
  if (a.in_tag() && b.name_is("?")) a.set_name("?");
  if (a.at_ == At::kValue || a.at_ == At::kElementText) {
    if (a.url_ != b.url_ || (a.url_ == UrlPart::kScheme && !same_scheme)) a.url_ = UrlPart::kUnclear;
    b.url_ = a.url_;
  } else if (a.at_ == At::kComment) {
    a.set_name("?????");  // Past where a conditional begins.
  } else if (a.at_ != At::kInTag && a.name_ != b.name_) {
    return std::nullopt;
  }
  if (!same(a, b)) return std::nullopt;
  return a;
}

bool Context::same(Context begin, Context end) {
  begin.settle();
  end.settle();
  return begin.at_ == end.at_ && begin.element_ == end.element_ && begin.attribute_ == end.attribute_ &&
         begin.quote_ == end.quote_ && begin.url_ == end.url_ && begin.css_url_ == end.css_url_;
}

}  // namespace mailsbuddy::liquid
