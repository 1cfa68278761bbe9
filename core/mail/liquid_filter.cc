#include "core/mail/liquid_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/base/ascii.h"
#include "core/mail/liquid_escape.h"
#include "core/mail/liquid_utf8.h"

namespace mailsbuddy::liquid {
namespace {

using Kind = Value::Kind;

// The text that a text filter works on; its length is charged.
std::string_view text_of(const FilterInput& in) {
  const std::string_view text = to_text(in.scratch, in.value);
  return in.scratch.spend(text.size()) ? text : std::string_view();
}

std::string_view argument_text(const FilterInput& in, std::size_t i) { return to_text(in.scratch, in.argument(i)); }

// ---------------------------------------------------------------------------------------------------------------------
// Texts

Value with_form(const FilterInput& in, void (*append)(std::string&, std::string_view), Form form) {
  const std::string_view text = text_of(in);
  constexpr std::size_t kLongestEscape = 6;
  if (text.size() > in.scratch.room() / kLongestEscape) {
    in.scratch.stop(ErrorCode::kResourceExhausted, "the template makes too much text");
    return {};
  }
  std::string made;
  append(made, text);
  return in.scratch.copy(made, form);
}

Value escape(const FilterInput& in) { return with_form(in, append_html, Form::kHtml); }
Value escape_once(const FilterInput& in) { return with_form(in, append_html_once, Form::kHtml); }

Value url_encode(const FilterInput& in) {  // As HTML forms do: a space is '+'.
  return with_form(
      in,
      [](std::string& out, std::string_view text) {
        const std::size_t begin = out.size();
        append_percent_encoded(out, text, " ");
        std::replace(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), ' ', '+');
      },
      Form::kUrl);
}

Value newline_to_br(const FilterInput& in) {
  const std::string_view text = text_of(in);
  const bool is_html = !in.html || in.value.form == Form::kHtml || in.value.form == Form::kRaw;
  Builder made(in.scratch);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (text[i] == '\n') {
      made.add("<br />\n");
    } else if (is_html) {
      made.add(text[i]);
    } else {
      std::string escaped;
      append_html(escaped, text.substr(i, 1));
      made.add(escaped);
    }
  }
  return made.finish(Form::kHtml);
}

Value raw(const FilterInput& in) { return Value::of(text_of(in), Form::kRaw); }

Value convert(const FilterInput& in, std::size_t first_upper, LetterCase rest_case) {
  std::string_view text = text_of(in);
  char* const made = in.scratch.bytes(text.size());
  if (made == nullptr) return {};
  char* out = made;
  for (std::size_t i = 0; !text.empty(); ++i) {
    const std::size_t size = utf8_first(text);
    out += utf8_convert(text.substr(0, size), i < first_upper ? LetterCase::kUpper : rest_case, out);
    text.remove_prefix(size);
  }
  return Value::of(std::string_view(made, static_cast<std::size_t>(out - made)));
}

Value upcase(const FilterInput& in) { return convert(in, 0, LetterCase::kUpper); }
Value downcase(const FilterInput& in) { return convert(in, 0, LetterCase::kLower); }
Value capitalize(const FilterInput& in) { return convert(in, 1, LetterCase::kLower); }
Value strip(const FilterInput& in) { return Value::of(ascii::trim(text_of(in))); }

Value concatenation(Scratch& scratch, std::string_view a, std::string_view b) {
  Builder made(scratch);
  made.add(a);
  made.add(b);
  return made.finish();
}
Value append(const FilterInput& in) { return concatenation(in.scratch, text_of(in), argument_text(in, 0)); }
Value prepend(const FilterInput& in) { return concatenation(in.scratch, argument_text(in, 0), text_of(in)); }

// Calls `take` with each piece of `text` between two `separator`s, which is not empty. memmem(): linear.
template <class Take>
void for_each_piece(std::string_view text, std::string_view separator, Take take) {
  while (const void* found = memmem(text.data(), text.size(), separator.data(), separator.size())) {
    const auto size = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    take(text.substr(0, size));
    text.remove_prefix(size + separator.size());
  }
  take(text);
}

Value replace_with(const FilterInput& in, std::string_view with) {
  const std::string_view text = text_of(in);
  const std::string_view what = argument_text(in, 0);
  Builder made(in.scratch);
  if (what.empty()) {  // As in Liquid: before every character, and at the end.
    for (std::string_view rest = text; !rest.empty() && !made.full(); rest.remove_prefix(utf8_first(rest))) {
      made.add(with);
      made.add(rest.substr(0, utf8_first(rest)));
    }
    made.add(with);
    return made.finish();
  }
  bool first = true;
  for_each_piece(text, what, [&](std::string_view piece) {
    if (!std::exchange(first, false)) made.add(with);
    made.add(piece);
  });
  return made.finish();
}
Value replace(const FilterInput& in) { return replace_with(in, argument_text(in, 1)); }
Value remove(const FilterInput& in) { return replace_with(in, ""); }

Value truncate(const FilterInput& in) {
  const std::string_view text = text_of(in);
  const Value limit = in.arguments.empty() ? Value::of(std::int64_t{50}) : to_number(in.arguments[0]);
  const std::string_view ellipsis = in.arguments.size() > 1 ? argument_text(in, 1) : "...";
  if (!limit.is(Kind::kInt)) {
    in.scratch.stop(ErrorCode::kInvalidArgument, "filter 'truncate' needs a whole number of characters");
    return {};
  }
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(limit.integer, 0));
  if (utf8_length(text) <= most) return Value::of(text);
  const std::size_t kept = most - std::min(most, utf8_length(ellipsis));
  return concatenation(in.scratch, utf8_prefix(text, kept), ellipsis);
}

// ---------------------------------------------------------------------------------------------------------------------
// Lists

Value list_of(Scratch& scratch, const std::vector<std::string_view>& texts) {
  Value* items = scratch.values(texts.size());
  if (items == nullptr) return {};
  for (std::size_t i = 0; i < texts.size(); ++i) items[i] = Value::of(texts[i]);
  return Value::list({items, texts.size()});
}

Value split(const FilterInput& in) {
  std::string_view text = text_of(in);
  const std::string_view separator = argument_text(in, 0);
  std::vector<std::string_view> pieces;
  if (separator.empty()) {
    for (; !text.empty(); text.remove_prefix(utf8_first(text))) pieces.push_back(text.substr(0, utf8_first(text)));
  } else if (separator == " ") {  // Any white space, as in Liquid.
    for (text = ascii::trim(text); !text.empty(); text = ascii::trim(text)) {
      const auto* end = std::find_if(text.begin(), text.end(), ascii::is_space);
      pieces.push_back(text.substr(0, static_cast<std::size_t>(end - text.begin())));
      text.remove_prefix(pieces.back().size());
    }
  } else {
    for_each_piece(text, separator, [&](std::string_view piece) { pieces.push_back(piece); });
    while (!pieces.empty() && pieces.back().empty()) pieces.pop_back();
  }
  return in.scratch.spend(64 * pieces.size()) ? list_of(in.scratch, pieces) : Value();
}

Value join(const FilterInput& in) {
  const std::string_view separator = in.arguments.empty() ? " " : argument_text(in, 0);
  Builder made(in.scratch);
  bool first = true;
  for (const Value& item : in.scratch.elements(in.value)) {
    if (!std::exchange(first, false)) made.add(separator);
    made.add(to_text(in.scratch, item));
    if (made.full() || !in.scratch.spend(separator.size())) break;
  }
  return made.finish();
}

Value first(const FilterInput& in) { return look_up(in.scratch, in.value, Value::of("first")); }
Value last(const FilterInput& in) { return look_up(in.scratch, in.value, Value::of("last")); }

Value size(const FilterInput& in) {
  const Value size = look_up(in.scratch, in.value, Value::of("size"));
  return size.is(Kind::kNil) ? Value::of(std::int64_t{0}) : size;
}

Value use_default(const FilterInput& in) {
  const bool missing = !truthy(in.value) || (in.value.is(Kind::kList) && in.value.count == 0);
  return missing ? in.argument(0) : in.value;
}

Value date(const FilterInput& in) { return format_date(in.scratch, in.value, argument_text(in, 0)); }

// ---------------------------------------------------------------------------------------------------------------------
// Numbers. What is no number counts as 0, as in Liquid. Whole numbers that do not fit become floating point.

double real_of(const Value& number) {
  return number.is(Kind::kInt) ? static_cast<double>(number.integer) : number.real;
}

Value number_or_zero(const Value& value) {
  const Value number = to_number(value);
  return number.is(Kind::kNil) ? Value::of(std::int64_t{0}) : number;
}

template <class Whole, class Real>
Value arithmetic(const FilterInput& in, Whole whole, Real real) {
  const Value a = number_or_zero(in.value);
  const Value b = number_or_zero(in.argument(0));
  std::int64_t result = 0;
  if (a.is(Kind::kInt) && b.is(Kind::kInt) && !whole(a.integer, b.integer, &result)) return Value::of(result);
  return Value::of(real(real_of(a), real_of(b)));
}

Value plus(const FilterInput& in) {
  return arithmetic(
      in, [](auto a, auto b, auto* c) { return __builtin_add_overflow(a, b, c); },
      [](double a, double b) { return a + b; });
}
Value minus(const FilterInput& in) {
  return arithmetic(
      in, [](auto a, auto b, auto* c) { return __builtin_sub_overflow(a, b, c); },
      [](double a, double b) { return a - b; });
}
Value times(const FilterInput& in) {
  return arithmetic(
      in, [](auto a, auto b, auto* c) { return __builtin_mul_overflow(a, b, c); },
      [](double a, double b) { return a * b; });
}

Value divided_by(const FilterInput& in) {
  if (real_of(number_or_zero(in.argument(0))) == 0) {
    in.scratch.stop(ErrorCode::kInvalidArgument, "filter 'divided_by': division by zero");
    return {};
  }
  const auto floor_division = [](std::int64_t a, std::int64_t b, std::int64_t* c) {
    if (a == INT64_MIN && b == -1) return true;
    *c = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
    return false;
  };
  return arithmetic(in, floor_division, [](double a, double b) { return a / b; });
}

Value round(const FilterInput& in) {
  const Value number = number_or_zero(in.value);
  const Value digits = number_or_zero(in.argument(0));
  if (number.is(Kind::kInt)) return number;
  constexpr std::int64_t kDigitsMax = 15;  // A double has no more.
  const std::int64_t places = digits.is(Kind::kInt) ? std::min(digits.integer, kDigitsMax) : 0;
  if (places > 0) {
    const double scale = std::pow(10.0, static_cast<double>(places));
    const double scaled = number.real * scale;
    return Value::of(std::isfinite(scaled) ? std::round(scaled) / scale : number.real);
  }
  const double rounded = std::round(number.real);
  constexpr double kWholeMax = 9.2e18;  // Below 2^63.
  return std::abs(rounded) < kWholeMax ? Value::of(static_cast<std::int64_t>(rounded)) : Value::of(rounded);
}

constexpr Filter kFilters[] = {
    {"append", 1, 1, append},
    {"capitalize", 0, 0, capitalize},
    {"date", 1, 1, date},
    {"default", 1, 1, use_default},
    {"divided_by", 1, 1, divided_by},
    {"downcase", 0, 0, downcase},
    {"escape", 0, 0, escape},
    {"escape_once", 0, 0, escape_once},
    {"first", 0, 0, first},
    {"join", 0, 1, join},
    {"last", 0, 0, last},
    {"minus", 1, 1, minus},
    {"newline_to_br", 0, 0, newline_to_br},
    {"plus", 1, 1, plus},
    {"prepend", 1, 1, prepend},
    {"raw", 0, 0, raw},
    {"remove", 1, 1, remove},
    {"replace", 1, 2, replace},
    {"round", 0, 1, round},
    {"size", 0, 0, size},
    {"split", 1, 1, split},
    {"strip", 0, 0, strip},
    {"times", 1, 1, times},
    {"truncate", 0, 2, truncate},
    {"upcase", 0, 0, upcase},
    {"url_encode", 0, 0, url_encode},
};

}  // namespace

const Filter* find_filter(std::string_view name) {
  const auto* filter = std::ranges::find(kFilters, name, &Filter::name);
  return filter != std::end(kFilters) ? filter : nullptr;
}

std::string filter_names() {
  std::string names;
  for (const Filter& filter : kFilters) names += (names.empty() ? "" : ", ") + std::string(filter.name);
  return names;
}

}  // namespace mailsbuddy::liquid
