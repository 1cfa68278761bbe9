// What is not a template, and what is too much of one.
#include <boost/test/unit_test.hpp>

#include "core/mail/liquid_filter.h"
#include "tests/mail/liquid_verbs.h"

namespace mailsbuddy::liquid {
namespace {

struct Case {
  std::string_view name;
  std::string_view source;
  std::string_view error;
};

constexpr Case kSyntax[] = {
    {"output not closed", "a {{ name", "text:1:3: {{ without }}"},
    {"tag not closed", "a\nb {% if x", "text:2:3: {% without %}"},
    {"if", "{% if x %}", "text:1:1: {% if %} without {% endif %}"},
    {"columns count characters", "äöü\nÄ {% if x %}", "text:2:3: {% if %} without {% endif %}"},
    {"the innermost", "{% if x %}{% for a in b %}", "text:1:11: {% for %} without {% endfor %}"},
    {"case", "{% case x %}{% when 1 %}", "text:1:1: {% case %} without {% endcase %}"},
    {"capture", "{% capture x %}", "text:1:1: {% capture %} without {% endcapture %}"},
    {"comment", "a{% comment %} {% endraw %}", "text:1:2: {% comment %} without {% endcomment %}"},
    {"raw", "{% raw %}{{", "text:1:1: {% raw %} without {% endraw %}"},
    {"endif alone", "{% endif %}", "text:1:1: {% endif %} without {% if %}"},
    {"crossed", "{% if x %}{% for a in b %}{% endif %}", "text:1:27: {% endif %} where {% endfor %} is expected"},
    {"elsif alone", "{% elsif x %}", "text:1:1: {% elsif %} without {% if %}"},
    {"elsif after else", "{% if x %}{% else %}{% elsif y %}{% endif %}", "text:1:21: {% elsif %} without {% if %}"},
    {"else twice", "{% if x %}{% else %}{% else %}{% endif %}",
     "text:1:21: {% else %} without {% if %}, {% unless %}, {% case %} or {% for %}"},
    {"else in capture", "{% capture x %}{% else %}{% endcapture %}",
     "text:1:16: {% else %} without {% if %}, {% unless %}, {% case %} or {% for %}"},
    {"when alone", "{% if x %}{% when 1 %}{% endif %}", "text:1:11: {% when %} without {% case %}"},
    {"when after else", "{% case x %}{% else %}{% when 1 %}{% endcase %}", "text:1:23: {% when %} without {% case %}"},
    {"break alone", "{% break %}", "text:1:1: {% break %} outside {% for %}"},
    {"continue in else", "{% for a in b %}{% else %}{% continue %}{% endfor %}",
     "text:1:27: {% continue %} outside {% for %}"},
    {"unknown tag", "{% include 'x' %}",
     "text:1:1: unknown tag 'include'; there are if, unless, case, for, capture, elsif, when, else, endif, endunless, "
     "endcase, endfor, endcapture, break, continue, assign, comment, raw, #"},
    {"empty tag", "{%  %}",
     "text:1:1: unknown tag ''; there are if, unless, case, for, capture, elsif, when, else, endif, endunless, "
     "endcase, "
     "endfor, endcapture, break, continue, assign, comment, raw, #"},
    {"empty output", "{{ }}", "text:1:4: expected a value, found the end"},
    {"two values", "{{ a b }}", "text:1:6: expected the end, found 'b'"},
    {"condition missing", "{% if %}{% endif %}", "text:1:7: expected a value, found the end"},
    {"comparison half", "{% if a == %}{% endif %}", "text:1:12: expected a value, found the end"},
    {"one equals sign", "{% if a = 1 %}{% endif %}", "text:1:9: expected the end, found '='"},
    {"parentheses", "{% if (a and b) %}{% endif %}", "text:1:10: expected '..', found 'and'"},
    {"filters in if", "{% if a | size %}{% endif %}", "text:1:9: expected the end, found '|'"},
    {"bad character", "{{ a ; b }}", "text:1:6: expected the end, found ';'"},
    {"quote open", "{{ 'a }}", "text:1:4: expected a value, found a quote without its end"},
    {"filter missing", "{{ a | }}", "text:1:8: expected a filter's name, found the end"},
    {"too many arguments", "{{ a | append: 1, 2 }}", "text:1:8: filter 'append' takes 1 argument"},
    {"too few arguments", "{{ a | append }}", "text:1:8: filter 'append' takes 1 argument"},
    {"no arguments", "{{ a | upcase: 1 }}", "text:1:8: filter 'upcase' takes 0 arguments"},
    {"keyword argument", "{{ a | default: 1, allow_false: true }}", "text:1:8: filter 'default' takes 1 argument"},
    {"argument missing", "{{ a | append: }}", "text:1:16: expected a value, found the end"},
    {"number too large", "{{ 99999999999999999999 }}", "text:1:4: '99999999999999999999' is too large a number"},
    {"assign without =", "{% assign x 1 %}", "text:1:13: expected '=', found '1'"},
    {"assign to a number", "{% assign 1 = 1 %}", "text:1:11: expected a variable's name, found '1'"},
    {"capture without a name", "{% capture %}{% endcapture %}", "text:1:12: expected a variable's name, found the end"},
    {"for without in", "{% for x of y %}{% endfor %}", "text:1:10: expected 'in', found 'of'"},
    {"for, unknown word", "{% for x in y sorted %}{% endfor %}",
     "text:1:15: expected limit:, offset: or reversed, found 'sorted'"},
    {"for, limit without colon", "{% for x in y limit 2 %}{% endfor %}", "text:1:21: expected ':', found '2'"},
    {"range, half", "{% for x in (1.. %}{% endfor %}", "text:1:18: expected a value, found the end"},
    {"range in a range", "{% for x in ((1..2)..3) %}{% endfor %}",
     "text:1:14: expected a number or a variable, found '('"},
    {"brackets in brackets", "{{ a[b[c]] }}", "text:1:7: expected ']', found '['"},
    {"bracket open", "{{ a[1 }}", "text:1:8: expected ']', found the end"},
    {"dot without a name", "{{ a. }}", "text:1:7: expected a name after '.', found the end"},
    {"bracketed name of a number", "{{ [1] }}", "text:1:5: expected a field's name in quotes, found '1'"},
    {"forloop, unknown word", "{% for x in y %}{{ forloop.foo }}{% endfor %}",
     "text:1:20: forloop has index, index0, rindex, rindex0, first, last, length and, in an inner loop, parentloop"},
    {"endif with more", "{% if x %}{% endif x %}", "text:1:20: expected the end, found 'x'"},
};

BOOST_AUTO_TEST_CASE(not_a_template) {
  for (const Case& c : kSyntax) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(rendered(PartKind::kText, c.source) == "error: " + std::string(c.error)); }
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_filter_is_told_which_there_are) {
  BOOST_TEST(rendered(PartKind::kText, "{{ a | shout }}") ==
             "error: text:1:8: unknown filter 'shout'; there are " + filter_names());
  BOOST_TEST(filter_names().starts_with("append, capitalize, date, "));
}

constexpr Case kRun[] = {
    {"division by zero", "a\n{{ 1 | divided_by: 0 }}", "text:2:1: filter 'divided_by': division by zero"},
    {"truncate to no number", "{{ 'a' | truncate: 'x' }}",
     "text:1:1: filter 'truncate' needs a whole number of characters"},
};

BOOST_AUTO_TEST_CASE(values_that_do_not_fit) {
  for (const Case& c : kRun) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(rendered(PartKind::kText, c.source) == "error: " + std::string(c.error)); }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Hostile templates and rows: each ends, with an error or with something harmless.

std::string times(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

constexpr Template::Limits kSmall = {.max_output_bytes = 100'000, .max_steps = 50'000, .max_nesting = 8};
constexpr std::string_view kSteps = "the template takes too many steps";
constexpr std::string_view kText = "the template makes too much text";
constexpr std::string_view kLarge = "the message grows too large";

constexpr Case kTooMuch[] = {
    {"range of 1e9", "{% for i in (1..1000000000) %}{% endfor %}", kSteps},
    {"range of all numbers", "{% for i in (-9223372036854775807..9223372036854775807) %}{% endfor %}", kSteps},
    {"range as a list", "{{ (1..1000000000) | join }}", kSteps},
    {"range as a list, all numbers", "{{ (-9223372036854775807..9223372036854775807) | join }}", kSteps},
    {"loops in loops", "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}", kSteps},
    {"output", "{% for i in (1..20000) %}0123456789{% endfor %}", kLarge},
    {"capture", "{% capture x %}{% for i in (1..20000) %}0123456789{% endfor %}{% endcapture %}", kLarge},
    {"doubling", "{% assign x = 'ab' %}{% for i in (1..40) %}{% assign x = x | append: x %}{% endfor %}", kText},
    {"replace by something large",
     "{% capture x %}{% for i in (1..5000) %}a{% endfor %}{% endcapture %}{{ x | replace: 'a', x }}", kText},
    {"join by something large",
     "{% capture x %}{% for i in (1..5000) %}a{% endfor %}{% endcapture %}{{ (1..900) | join: x }}", kText},
    {"work without output",
     "{% capture x %}{% for i in (1..5000) %}aaaaaaaaaa{% endfor %}{% endcapture %}"
     "{% for i in (1..1000) %}{% if x contains 'b' %}{% endif %}{% endfor %}",
     kSteps},
    {"escapes", "{% capture x %}{% for i in (1..5000) %}&&&&&{% endfor %}{% endcapture %}{{ x | escape }}", kText},
};

BOOST_AUTO_TEST_CASE(too_much) {
  for (const Case& c : kTooMuch) {
    BOOST_TEST_CONTEXT(c.name) {
      const std::string result = rendered(PartKind::kText, c.source, {}, kSmall);
      BOOST_TEST(result.starts_with("error: text:1:"), result.substr(0, 200));
      BOOST_TEST(result.ends_with(c.error), result.substr(0, 200));
    }
  }
}

BOOST_AUTO_TEST_CASE(nesting_is_capped) {
  const auto nested = [](std::size_t depth) { return times("{% if a %}", depth) + "x" + times("{% endif %}", depth); };
  BOOST_TEST(rendered(PartKind::kText, nested(8), {{"a", "1"}}, kSmall) == "x");
  BOOST_TEST(rendered(PartKind::kText, nested(9), {{"a", "1"}}, kSmall) ==
             "error: text:1:81: blocks nested more than 8 deep");
  BOOST_TEST(rendered(PartKind::kText, times("{% for i in (1..2) %}", 100'000)) ==
             "error: text:1:673: blocks nested more than 32 deep");
}

BOOST_AUTO_TEST_CASE(long_sources_cost_no_stack_and_little_time) {
  constexpr std::size_t kMany = 100'000;
  const struct {
    std::string_view name;
    std::string source;
    std::string_view begins;
  } cases[] = {
      {"open brackets", "{{ " + times("a[", kMany), "error: text:1:1: {{ without }}"},
      {"brackets", "{{ " + times("a[", kMany) + " }}", "error: text:1:7: expected ']', found '['"},
      {"parentheses", "{{ " + times("(", kMany) + " }}", "error: text:1:5: expected a number or a variable, found '('"},
      {"keys", "[{{ a" + times(".b", kMany) + " }}]", "[]"},
      {"filters", "{{ 'a'" + times(" | upcase", kMany) + " }}", "A"},
      {"terms", "{% if a" + times(" or a", kMany) + " %}{% endif %}.", "."},
      {"elsif", "{% if a %}" + times("{% elsif a %}", kMany) + "{% endif %}.", "."},
      {"raw that never ends", "{% raw %}" + times("{% ", kMany), "error: text:1:1: {% raw %} without {% endraw %}"},
      {"raw ends late", "{% raw %}" + times("{% ", kMany) + "%}{% endraw %}", "{% {% "},
      {"braces", times("{", kMany - 1), "error: text:1:1: {{ without }}"},
      {"single braces", times("{ ", kMany), "{ { "},
      {"white space to trim", times(" {{- 'a' -}} ", kMany), "aaaa"},
      {"many names",
       [] {
         std::string source;
         for (int i = 0; i < 2000; ++i) source += "{{ a" + std::to_string(i) + " }}";
         return source;
       }(),
       "error: text:1:10158: more than 1024 different variables"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const std::string result = rendered(PartKind::kText, c.source);
      BOOST_TEST(result.starts_with(c.begins), result.substr(0, 200));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_source_is_capped) {
  BOOST_TEST(rendered(PartKind::kText, std::string(kSourceMax + 1, 'a')) == "error: text: longer than 4194304 octets");
  BOOST_TEST(rendered(PartKind::kText, std::string(kSourceMax, 'a')).size() == kSourceMax);
}

// Fields that begin like JSON and are none have no elements and no members.
constexpr std::string_view kNotJson[] = {
    "[1,2",       "[1,]",        "[,1]",    "[1,,2]",  "[1}",         "[1] 2",     R"({"a"})",
    R"({"a" 1})", R"({"a":1,})", "{1:2}",   R"(["a])", R"(["\u12"])", R"(["\x"])", "[nope]",
    "[-]",        "[1-]",        "[1e999]", "[\"\\",   "[",           "{",         R"({"a":)",
};

BOOST_AUTO_TEST_CASE(damaged_json) {
  for (const std::string_view json : kNotJson) {
    BOOST_TEST_CONTEXT(json) {
      const Row row = {{"j", json}};
      // As any text it is one element of a loop.
      BOOST_TEST(rendered(PartKind::kText, "{% for x in j %}{{ x }};{% endfor %}", row) == std::string(json) + ";");
      BOOST_TEST(rendered(PartKind::kText, "{{ j[0] }}{{ j.a }}{{ j.first }}{{ j.last }}", row) == "");
      BOOST_TEST(rendered(PartKind::kText, "{{ j.size }}", row) == std::to_string(json.size()));
    }
  }
}

BOOST_AUTO_TEST_CASE(json_at_its_edges) {
  const struct {
    std::string_view json;
    std::string_view elements;
  } cases[] = {
      {"[]", ""},
      {"{}", ""},
      {" [ ] ", ""},
      {"[ 1 , [ ] ,{ } ]", "1;;;"},
      {"[-0.5e1, 9223372036854775808]", "-5.0;9.22337203685478e+18;"},
      {R"(["\ud800"])", "\xef\xbf\xbd;"},
      {R"(["\udc00\ud800x"])", "\xef\xbf\xbd\xef\xbf\xbdx;"},
      {R"(["\"\\\/\b\f\n\r\t"])", "\"\\/\b\f\n\r\t;"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.json) {
      BOOST_TEST(rendered(PartKind::kText, "{% for x in j %}{{ x }};{% endfor %}", {{"j", c.json}}) == c.elements);
    }
  }
}

BOOST_AUTO_TEST_CASE(json_nesting_is_capped) {
  const std::string source = "{% if j.first.first %}deep{% else %}none{% endif %}";
  BOOST_TEST(rendered(PartKind::kText, source, {{"j", times("[", 16) + times("]", 16)}}) == "deep");
  const std::string deeper = times("[", 17) + times("]", 17);
  BOOST_TEST(rendered(PartKind::kText, source, {{"j", deeper}}) == "none");
  const std::string deepest = times("[", 1'000'000);
  BOOST_TEST(rendered(PartKind::kText, source, {{"j", deepest}}) == "none");
}

BOOST_AUTO_TEST_CASE(every_prefix_of_a_template_ends) {
  constexpr std::string_view kWhole =
      "{% assign l = 'a,b' | split: ',' %}{% for x in l limit: 2 %}<a href=\"/{{ x | upcase }}?q={{ x[0] }}\">"
      "{%- if x == 'a' or forloop.last -%}{{ (1..3) | join: '-' }}{% else %}{% capture c %}c{% endcapture %}{% endif "
      "%}</a>"
      "{% endfor %}{% case l %}{% when 1 %}{% raw %}{{{% endraw %}{% endcase %}";
  for (std::size_t size = 0; size < kWhole.size(); ++size) {
    const std::string result = rendered(PartKind::kHtml, kWhole.substr(0, size));
    const bool ok = !result.starts_with("error: ") || result.starts_with("error: html:1:");
    BOOST_TEST(ok, result);
  }
  BOOST_TEST(rendered(PartKind::kHtml, kWhole) == "<a href=\"/A?q=\">1-2-3</a><a href=\"/B?q=\">1-2-3</a>");
}

}  // namespace
}  // namespace mailsbuddy::liquid
