// Whole messages: headers, bodies, limits, and that no row's value gets out of its place.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "core/mail/header.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

using Row = std::vector<std::pair<std::string_view, std::string_view>>;

Content content_of(std::string text, std::string html = {}, std::vector<HeaderField> headers = {}) {
  return {std::move(headers), std::move(text), std::move(html), {}};
}

Result<std::string> render(const Template& message, const Row& row, std::string_view leading = {}) {
  std::vector<std::string_view> names, values;
  for (const auto& [name, value] : row) names.push_back(name), values.push_back(value);
  std::string out;
  if (auto done = message.render({names, values}, leading, out); !done) return std::move(done).error();
  return out;
}

Template compiled(Content content, Template::Limits limits = {}) {
  auto made = Template::compile(std::move(content), limits);
  if (!made) BOOST_FAIL(made.error().detail);
  return *std::move(made);
}

std::string message_of(Content content, const Row& row, std::string_view leading = {}) {
  auto message = render(compiled(std::move(content)), row, leading);
  return message ? *std::move(message) : "error: " + message.error().detail;
}

BOOST_AUTO_TEST_CASE(text_message) {
  BOOST_TEST(
      message_of(content_of("Hello {{ name }},\nbye.", "", {{"Subject", "Hi {{ name }}"}, {"X-Kind", "news"}}),
                 {{"name", "Ann"}}, "From: a@example.net\r\n") ==
      "From: a@example.net\r\nSubject: Hi Ann\r\nX-Kind: news\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello Ann,\r\nbye.\r\n");
}

BOOST_AUTO_TEST_CASE(html_and_text) {
  const std::string message = message_of(content_of("T {{ v }}", "<p>H {{ v }}</p>"), {{"v", "<"}});
  BOOST_TEST(message.find("\r\n\r\nT <\r\n") != std::string::npos, message);
  BOOST_TEST(message.find("\r\n\r\n<p>H &lt;</p>\r\n") != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(a_header_that_says_nothing_is_left_out) {
  const Content content = content_of("x", "", {{"Reply-To", "{{ reply }}"}, {"Subject", "{% if no %}a{% endif %} "}});
  BOOST_TEST(message_of(content, {{"reply", ""}}).starts_with("MIME-Version"));
  BOOST_TEST(message_of(content, {{"reply", "a@b.example"}}).starts_with("Reply-To: a@b.example\r\nMIME-Version"));
}

BOOST_AUTO_TEST_CASE(headers_keep_their_order) {
  const std::string message = message_of(
      content_of("x", "", {{"A", "1"}, {"B", "2"}, {"C", "{{ v }}"}, {"D", "4"}, {"E", "{{ v }}"}, {"F", "6"}}),
      {{"v", "x"}});
  BOOST_TEST(message.starts_with("A: 1\r\nB: 2\r\nC: x\r\nD: 4\r\nE: x\r\nF: 6\r\nMIME-Version"), message);
}

BOOST_AUTO_TEST_CASE(columns_in_any_order) {
  const Template message = compiled(content_of("{{ a }}{{ bb }}{{ ccc }}"));
  for (Row row : {Row{{"a", "1"}, {"bb", "2"}, {"ccc", "3"}, {"d", "4"}},
                  Row{{"ccc", "3"}, {"x", ""}, {"bb", "2"}, {"a", "1"}}}) {
    BOOST_TEST(render(message, row).value().ends_with("\r\n\r\n123\r\n"));
  }
  BOOST_TEST(render(message, {{"a", "1"}, {"a", "2"}}).value().ends_with("\r\n\r\n1\r\n"));  // The first one counts.
}

BOOST_AUTO_TEST_CASE(many_columns) {
  std::string source;
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) {
    names.push_back("column_" + std::to_string(i));
    source += "{{ " + names.back() + " }} ";
  }
  Row row;
  std::string expected;
  for (const std::string& name : names) {
    row.emplace_back(name, name);
    expected += name + " ";
  }
  std::string body = render(compiled(content_of("{% assign s = 1 %}" + source)), row).value();
  body.erase(0, body.find("\r\n\r\n") + 4);
  std::string joined;  // Undo quoted-printable's soft line breaks; there is nothing else to undo.
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body.compare(i, 3, "=\r\n") == 0) {
      i += 2;
    } else {
      joined += body[i];
    }
  }
  BOOST_TEST(joined.starts_with(expected.substr(0, expected.size() - 1)));
}

BOOST_AUTO_TEST_CASE(parts_do_not_see_each_others_variables) {
  const std::string message = message_of(content_of("{{ v }}{% assign v = 'T' %}{{ v }}", "{{ v }}{% assign v = 'H' %}",
                                                    {{"Subject", "{% assign v = 'S' %}{{ v }}"}}),
                                         {{"v", "row"}});
  BOOST_TEST(message.starts_with("Subject: S\r\n"), message);
  BOOST_TEST(message.find("\r\n\r\nrowT\r\n") != std::string::npos, message);
  BOOST_TEST(message.find("\r\n\r\nrow\r\n") != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(field_names) {
  const Template message = compiled(
      content_of("{{ a }} {% assign b = c.d | append: e %}{{ b }}{% for f in g %}{{ f }}{{ h[i] }}{% endfor %}",
                 "{{ b }}", {{"Subject", "{{ s }} {% comment %}{{ no }}{% endcomment %}"}}));
  const std::vector<std::string> expected = {"s", "a", "c", "e", "b", "g", "h", "i"};
  std::vector<std::string> names(message.field_names().begin(), message.field_names().end());
  std::ranges::sort(names);
  std::vector<std::string> sorted = expected;
  std::ranges::sort(sorted);
  BOOST_TEST(names == sorted, boost::test_tools::per_element());
  BOOST_TEST(compiled(content_of("{% assign x = 1 %}{{ x }}")).field_names().empty());
  BOOST_TEST(Template().field_names().empty());
}

BOOST_AUTO_TEST_CASE(the_same_in_every_run_and_different_for_other_content) {
  const Row row = {{"v", "x"}};
  const std::string one = message_of(content_of("a{{ v }}", "b"), row);
  BOOST_TEST(one == message_of(content_of("a{{ v }}", "b"), row));
  const auto boundary = [](const std::string& message) { return message.substr(message.find("=_"), 34); };
  BOOST_TEST(boundary(one) != boundary(message_of(content_of("a{{ v }}", "c"), row)));
}

// Who has got a message of the campaign knows its boundary, and may have a say in a field of another's row.
BOOST_AUTO_TEST_CASE(a_value_cannot_be_a_boundary) {
  const Template message = compiled(content_of("Hi {{ v }}", "<p>{{ v }}</p>"));
  const std::string first = render(message, {{"v", "Ann"}}).value();
  const std::string boundary = first.substr(first.find("=_"), 34);
  const std::string attack =
      "\r\n--" + boundary + "\r\nContent-Type: text/html\r\n\r\n<h1>pay here</h1>\r\n--" + boundary + "--";
  const std::string second = render(message, {{"v", attack}}).value();
  const std::string own = second.substr(second.find("boundary=\"") + 10, 34);
  BOOST_TEST(own != boundary);
  std::size_t delimiters = 0;
  for (std::size_t at = 0; (at = second.find("--" + own, at)) != std::string::npos; ++at) ++delimiters;
  BOOST_TEST(delimiters == 3u);  // Two parts and the end.
}

BOOST_AUTO_TEST_CASE(attachments) {
  Content content = content_of("{{ v }}");
  content.attachments.push_back({"a.txt", "text/plain", "data", ""});
  const std::string message = message_of(content, {{"v", "x"}});
  BOOST_TEST(message.find("multipart/mixed") != std::string::npos);
  BOOST_TEST(message.find("ZGF0YQ==") != std::string::npos);
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors

struct Refusal {
  std::string_view name;
  Content content;
  std::string_view error;
};

BOOST_AUTO_TEST_CASE(content_that_does_not_compile) {
  Content attachment = content_of("x");
  attachment.attachments.push_back({"a", "nonsense", "", ""});
  const Refusal cases[] = {
      {"text", content_of("a {% if x %}"), "text:1:3: {% if %} without {% endif %}"},
      {"html", content_of("", "a\n\n  {% endfor %}"), "html:3:3: {% endfor %} without {% for %}"},
      {"header", content_of("", "", {{"Subject", "{{ a"}}), "Subject:1:1: {{ without }}"},
      {"header name", content_of("", "", {{"Sub ject", "a"}}), "header 'Sub ject': not a field name (RFC 5322 3.6.8)"},
      {"MIME header", content_of("", "", {{"content-type", "a"}}),
       "header content-type: follows from the content; leave it out"},
      {"text not UTF-8", content_of("\xff"), "text: not UTF-8"},
      {"html not UTF-8", content_of("", "\xc3"), "html: not UTF-8"},
      {"header not UTF-8", content_of("", "", {{"Subject", "\xff"}}), "header Subject: not UTF-8"},
      {"URL header", content_of("", "", {{"List-Unsubscribe", "<{{ a }}:b>"}}),
       "List-Unsubscribe:1:9: a value cannot be part of a URL's scheme; write the scheme itself, as in https://{{ ... "
       "}}"},
      {"attachment", attachment, "attachment 'a': content type is not type/subtype"},
  };
  for (const Refusal& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto made = Template::compile(c.content);
      BOOST_REQUIRE(!made);
      BOOST_TEST((made.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(made.error().detail == c.error);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_that_fails_leaves_the_output_as_it_was) {
  const Template message = compiled(content_of("{{ 1 | divided_by: n }}", "", {{"List-Unsubscribe", "<{{ url }}>"}}),
                                    {.max_output_bytes = 2000, .max_steps = 100});
  const struct {
    std::string_view name;
    Row row;
    ErrorCode code;
    std::string_view error;
  } cases[] = {
      {"URL",
       {{"n", "1"}},
       ErrorCode::kInvalidArgument,
       "List-Unsubscribe:1:2: the value is not a URL that begins with http:, https: or mailto:"},
      {"zero",
       {{"n", "0"}, {"url", "https://x"}},
       ErrorCode::kInvalidArgument,
       "text:1:1: filter 'divided_by': division by zero"},
      {"not UTF-8", {{"n", "1"}, {"url", "https://\xff"}}, ErrorCode::kInvalidArgument, "field 'url': not UTF-8"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      std::vector<std::string_view> names, values;
      for (const auto& [name, value] : c.row) names.push_back(name), values.push_back(value);
      std::string out = "before";
      const auto done = message.render({names, values}, "From: x\r\n", out);
      BOOST_REQUIRE(!done);
      BOOST_TEST((done.error().code == c.code));
      BOOST_TEST(done.error().detail == c.error);
      BOOST_TEST(out == "before");
    }
  }
  BOOST_TEST(render(message, {{"n", "1"}, {"url", "https://x"}, {"other", "\xff"}}).has_value());
}

BOOST_AUTO_TEST_CASE(limits) {
  const std::string large(5000, 'x');
  const Template message = compiled(content_of("{{ v }}"), {.max_output_bytes = 4000, .max_steps = 100});
  BOOST_TEST(render(message, {{"v", large}}).error().detail == "field 'v': longer than a message may be");
  BOOST_TEST(render(message, {{"v", large.substr(0, 3990)}}).error().detail ==
             "the message is longer than 4000 octets");
  const Template loop = compiled(content_of("{% for i in (1..1000000000) %}{% endfor %}"));
  const auto stopped = render(loop, {});
  BOOST_REQUIRE(!stopped);
  BOOST_TEST((stopped.error().code == ErrorCode::kResourceExhausted));
  BOOST_TEST(stopped.error().detail == "text:1:31: the template takes too many steps");
  // The steps are those of the whole row, not of each part.
  const Template both = compiled(content_of("{% for i in (1..40) %}{% endfor %}", "{% for i in (1..40) %}{% endfor %}"),
                                 {.max_steps = 60});
  BOOST_TEST(render(both, {}).error().detail == "html:1:23: the template takes too many steps");
}

BOOST_AUTO_TEST_CASE(a_row_with_fewer_values_than_columns) {
  const std::vector<std::string_view> names = {"a", "b"};
  const std::vector<std::string_view> values = {"1"};
  std::string out;
  const auto done = compiled(content_of("{{ a }}")).render({names, values}, "", out);
  BOOST_REQUIRE(!done);
  BOOST_TEST(done.error().detail == "a row has as many values as there are columns");
}

BOOST_AUTO_TEST_CASE(never_compiled) {
  std::string out;
  BOOST_TEST(Template().render({}, "", out).error().detail == "the template is empty: it was not compiled");
}

// ---------------------------------------------------------------------------------------------------------------------
// Whatever a row holds, the headers are those of the template, and no line ends in anything but CRLF.

BOOST_AUTO_TEST_CASE(no_value_makes_a_header) {
  const Template message = compiled(content_of(
      "x", "",
      {{"Subject", "{{ a }} {{ b | raw }}{{ a | append: b }}"},
       {"Reply-To", "{{ a }} <{{ b }}>"},
       {"List-Unsubscribe", "<https://x.example/{{ a }}?{{ b | raw }}>, <mailto:{{ b }}>{{ a }}"},
       {"X-List", "{% for i in a %}{{ i }}{% endfor %}{% capture c %}{{ b }}{% endcapture %}{{ c | upcase }}"}}));
  constexpr std::string_view kPieces[] = {"\r\n",
                                          "\n",
                                          "\r",
                                          "\r\n\r\n",
                                          "Bcc: x@example.net",
                                          "é",
                                          " ",
                                          "\t",
                                          "[\"\\r\\nBcc: x\"]",
                                          "\0",
                                          "\v",
                                          "\xe2\x80\xa8",
                                          ":",
                                          "<",
                                          ">",
                                          ",",
                                          "=?utf-8?q?=0d=0a?=",
                                          "%0d%0a",
                                          "\"",
                                          "a"};
  Random random(1);
  const auto value = [&] {
    std::string text;
    for (std::uint64_t i = random.below(8); i > 0; --i) {
      const std::uint64_t piece = random.below(std::size(kPieces));
      text += kPieces[piece].empty() ? std::string(1, '\0') : std::string(kPieces[piece]);
    }
    return text;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::string a = value();
    const std::string b = value();
    const auto rendered = render(message, {{"a", a}, {"b", b}});
    if (!rendered) BOOST_FAIL(rendered.error().detail);
    std::string_view headers = std::string_view(*rendered).substr(0, rendered->find("\r\n\r\n") + 2);
    std::string_view rest = headers;
    while (const auto field = next_field(rest)) {
      const std::string_view name = field->name;
      constexpr std::string_view kKnown[] = {"Subject",      "Reply-To",     "List-Unsubscribe",         "X-List",
                                             "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
      BOOST_REQUIRE_MESSAGE(std::ranges::find(kKnown, name) != std::end(kKnown), name);
    }
    for (std::size_t i = 0; i < headers.size(); ++i) {
      if (headers[i] == '\r') BOOST_REQUIRE(i + 1 < headers.size() && headers[i + 1] == '\n');
      if (headers[i] == '\n') BOOST_REQUIRE(i > 0 && headers[i - 1] == '\r');
      BOOST_REQUIRE(headers[i] != '\0');
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
