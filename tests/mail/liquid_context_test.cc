// Values escaped by where they stand, and what they cannot do there.
#include <boost/test/unit_test.hpp>

#include "core/mail/liquid_context.h"
#include "tests/mail/liquid_verbs.h"

namespace mailsbuddy::liquid {
namespace {

struct Case {
  std::string_view name;
  std::string_view source;  // With a placeholder for v.
  std::string_view value;
  std::string_view expected;
};

constexpr Case kHtml[] = {
    {"text", "<p>{{ v }}</p>", "<b>&\"'", "<p>&lt;b&gt;&amp;&quot;&#39;</p>"},
    {"text, UTF-8", "{{ v }}", "Zoë <3", "Zoë &lt;3"},
    {"text after a lone <", "1 < 2 {{ v }}", "<", "1 < 2 &lt;"},
    {"title", "<title>{{ v }}</title>{{ v }}", "</title><script>",
     "<title>&lt;/title&gt;&lt;script&gt;</title>&lt;/title&gt;&lt;script&gt;"},
    {"textarea", "<textarea><a href=\"{{ v }}</textarea>", "javascript:x",
     "<textarea><a href=\"javascript:x</textarea>"},
    {"attribute", "<p title=\"{{ v }}\">", "\"><script>", "<p title=\"&quot;&gt;&lt;script&gt;\">"},
    {"attribute, single quotes", "<p title='{{ v }}'>", "' onclick='x", "<p title='&#39; onclick=&#39;x'>"},
    {"attribute, no quotes", "<p title={{ v }} id=x>", "a onclick=x", "<p title=a&#32;onclick&#61;x id=x>"},
    {"attribute, no quotes, after text", "<p title=a{{ v }}>", "\t`", "<p title=a&#9;&#96;>"},
    {"attribute, no quotes, nothing", "<p title={{ v }} id=x>", "", "<p title=\"\" id=x>"},
    {"attribute, spaces around =", "<a href = \"{{ v }}\">", "javascript:x", "<a href = \"#\">"},
    {"attribute, capitals", "<A HREF=\"{{ v }}\">", "JavaScript:x", "<A HREF=\"#\">"},
    {"> in an attribute", "<p title=\"a>b\" class=\"{{ v }}\">", "\"", "<p title=\"a>b\" class=\"&quot;\">"},
    {"/ in a tag", "<img/src=\"{{ v }}\"/>", "javascript:x", "<img/src=\"#\"/>"},
    {"comment", "<!-- {{ v }} -->{{ v }}", "--><b>", "<!-- --&gt;&lt;b&gt; -->--&gt;&lt;b&gt;"},
    {"short comment", "<!--><a href=\"{{ v }}\">", "javascript:x", "<!--><a href=\"#\">"},
    {"comment with a tag", "<!-- <script> -->{{ v }}", "<", "<!-- <script> -->&lt;"},
    {"conditional comment", "<!--[if mso]><v:rect href=\"{{ v }}\"><![endif]-->", "javascript:x",
     "<!--[if mso]><v:rect href=\"#\"><![endif]-->"},
    {"conditional comment for others", "<!--[if !mso]><!--><a href=\"{{ v }}\"><!--<![endif]-->", "javascript:x",
     "<!--[if !mso]><!--><a href=\"#\"><!--<![endif]-->"},
    {"doctype", "<!DOCTYPE html>{{ v }}", "<", "<!DOCTYPE html>&lt;"},
    {"after a script", "<script>if (a < b) {}</script>{{ v }}", "<", "<script>if (a < b) {}</script>&lt;"},
    {"after a style", "<style>p > a { }</style >{{ v }}", "<", "<style>p > a { }</style >&lt;"},
    {"number", "{{ 5 | plus: 1 }}", "", "6"},
    {"escape is not done twice", "{{ v | escape }} {{ v | escape_once }}", "<&", "&lt;&amp; &lt;&amp;"},
    {"escape, then something", "{{ v | escape | append: '!' }}", "<", "&amp;lt;!"},
    {"escape before it is stored", "{% assign x = v | escape %}{{ x }}", "<", "&lt;"},
    {"newline_to_br", "{{ v | newline_to_br }}", "a\n<b>", "a<br />\n&lt;b&gt;"},
    {"escape, newline_to_br", "{{ v | escape | newline_to_br }}", "<\n", "&lt;<br />\n"},
    {"raw", "{{ v | raw }}", "<b>", "<b>"},
    {"raw must be last", "{{ v | raw | append: '' }}", "<b>", "&lt;b&gt;"},
    {"capture is text", "{% capture c %}<i>{{ v }}{% endcapture %}{{ c }}", "<b>", "&lt;i&gt;&lt;b&gt;"},
    {"join of JSON", "{{ v | join: '<' }}", R"(["<a>",1])", "&lt;a&gt;&lt;1"},
    {"elements of JSON", "{% for x in v %}<p id=\"{{ x }}\">{% endfor %}", R"(["\"><"])", "<p id=\"&quot;&gt;&lt;\">"},
    {"escape of an unquoted attribute", "<p title={{ v | escape }}>", "a b", "<p title=a&#32;b>"},
};

constexpr Case kUrls[] = {
    {"whole, https", "<a href=\"{{ v }}\">", "https://x.example/a?b=c&d=é #\"",
     "<a href=\"https://x.example/a?b=c&amp;d=%C3%A9%20#%22\">"},
    {"whole, encoded already", "<a href=\"{{ v }}\">", "http://x.example/a%20b", "<a href=\"http://x.example/a%20b\">"},
    {"whole, mailto", "<a href=\"{{ v }}\">", "mailto:a@b.example", "<a href=\"mailto:a@b.example\">"},
    {"whole, tel", "<a href=\"{{ v }}\">", "tel:+4930", "<a href=\"tel:+4930\">"},
    {"whole, relative", "<a href=\"{{ v }}\">", "/a/b?c=1:2", "<a href=\"/a/b?c=1:2\">"},
    {"whole, fragment", "<a href=\"{{ v }}\">", "#a:b", "<a href=\"#a:b\">"},
    {"javascript", "<a href=\"{{ v }}\">", "javascript:alert(1)", "<a href=\"#\">"},
    {"javascript, mixed case", "<a href=\"{{ v }}\">", "JaVaScRiPt:alert(1)", "<a href=\"#\">"},
    {"javascript, spaces before", "<a href=\"{{ v }}\">", " \n\tjavascript:alert(1)", "<a href=\"#\">"},
    {"javascript, a control character before", "<a href=\"{{ v }}\">", "\x01javascript:alert(1)", "<a href=\"#\">"},
    {"javascript, tabs inside", "<a href=\"{{ v }}\">", "java\tscr\nipt:alert(1)", "<a href=\"#\">"},
    {"javascript, entity", "<a href=\"{{ v }}\">", "javascript&#58;alert(1)",
     "<a href=\"javascript&amp;#58;alert%281%29\">"},
    {"javascript, percent", "<a href=\"{{ v }}\">", "javascript%3Aalert(1)", "<a href=\"javascript%3Aalert%281%29\">"},
    {"data", "<img src=\"{{ v }}\">", "data:text/html,<script>", "<img src=\"#\">"},
    {"vbscript", "<form action='{{ v }}'>", "vbscript:x", "<form action='#'>"},
    {"no scheme before the colon", "<a href=\"{{ v }}\">", ":alert(1)", "<a href=\"#\">"},
    {"empty", "<a href=\"{{ v }}\">", "", "<a href=\"\">"},
    {"no quotes", "<a href={{ v }}>", "https://x/ onclick=y", "<a href=https://x/%20onclick&#61;y>"},
    {"no quotes, nothing", "<a href={{ v }} id=x>", "", "<a href=\"\" id=x>"},
    {"filtered", "<a href=\"{{ v | downcase }}\">", "JAVASCRIPT:X", "<a href=\"#\">"},
    {"query", "<a href=\"https://x/?q={{ v }}\">", "a b&c=d\"<é/",
     "<a href=\"https://x/?q=a%20b%26c%3Dd%22%3C%C3%A9%2F\">"},
    {"path", "<a href=\"https://x/{{ v }}/z\">", "../a?b#c", "<a href=\"https://x/..%2Fa%3Fb%23c/z\">"},
    {"fragment", "<a href=\"#{{ v }}\">", "a\"b", "<a href=\"#a%22b\">"},
    {"host", "<a href=\"https://{{ v }}/\">", "evil.example/@", "<a href=\"https://evil.example%2F%40/\">"},
    {"two in a query", "<a href=\"/?a={{ v }}&amp;b={{ v }}\">", "&", "<a href=\"/?a=%26&amp;b=%26\">"},
    {"encoded already", "<a href=\"/?q={{ v | url_encode }}\">", "a b&", "<a href=\"/?q=a+b%26\">"},
    {"whole, escaped by the author", "<a href=\"{{ v | escape }}\">", "https://x/?a=1&b=2",
     "<a href=\"https://x/?a=1&amp;b=2\">"},
    {"query, escaped by the author", "<a href=\"/?q={{ v | upcase | escape }}\">", "a&b", "<a href=\"/?q=A%26B\">"},
    {"base and path", "<a href=\"{{ v }}/x?y={{ v }}\">", "https://x", "<a href=\"https://x/x?y=https%3A%2F%2Fx\">"},
    {"scheme in two values", "<a href=\"{{ a }}{{ v }}\">", "javascript:alert(1)",
     "<a href=\"javascript%3Aalert%281%29\">"},
    {"scheme half literal", "<a href=\"java{{ v }}\">", "script:alert(1)", "<a href=\"javascript%3Aalert%281%29\">"},
    {"mailto", "<a href=\"mailto:{{ v }}?subject=Hi\">", "a+b@c.example?bcc=x",
     "<a href=\"mailto:a+b@c.example%3Fbcc%3Dx?subject=Hi\">"},
    {"tel", "<a href=\"tel:{{ v }}\">", "+49 30", "<a href=\"tel:+49%2030\">"},
    {"src, background, srcset", "<td background=\"{{ v }}\"><img srcset=\"{{ v }} 2x\">", "javascript:x",
     "<td background=\"#\"><img srcset=\"# 2x\">"},
    {"xlink:href", "<use xlink:href=\"{{ v }}\">", "javascript:x", "<use xlink:href=\"#\">"},
    {"data-href is no URL", "<p data-href=\"{{ v }}\">", "javascript:x", "<p data-href=\"javascript:x\">"},
    {"raw", "<a href=\"{{ v | raw }}\">", "myapp://open?a=b&c", "<a href=\"myapp://open?a=b&c\">"},
    {"branches", "<a href=\"{% if a %}https://a/{% else %}https://b/{% endif %}{{ v }}\">", "/",
     "<a href=\"https://b/%2F\">"},
    {"whole URL in branches", "<a href=\"{% if a %}{{ a }}{% else %}{{ v }}{% endif %}\">", "javascript:x",
     "<a href=\"#\">"},
    {"loop in a query", "<a href=\"/?{% for i in (1..2) %}{{ v }}&amp;{% endfor %}\">", "=",
     "<a href=\"/?%3D&amp;%3D&amp;\">"},
};

constexpr Case kStyles[] = {
    {"attribute", "<p style=\"color: {{ v }}\">", "#f0a", "<p style=\"color: #f0a\">"},
    {"attribute, words", "<p style='border: {{ v }}'>", "1px solid red", "<p style='border: 1px solid red'>"},
    {"attribute, another property", "<p style=\"color: {{ v }}\">", "red; position: fixed", "<p style=\"color: \">"},
    {"attribute, quote", "<p style=\"font: {{ v }}\">", "\"><script>", "<p style=\"font: \">"},
    {"function", "<p style=\"width: {{ v }}\">", "expression(alert(1))", "<p style=\"width: \">"},
    {"element", "<style>p { color: {{ v }} }</style>", "red", "<style>p { color: red }</style>"},
    {"element, end", "<style>p { color: {{ v }} }</style>", "</style><script>", "<style>p { color:  }</style>"},
    {"comment end", "<style><!-- p { color: {{ v }} } --></style>", "-->", "<style><!-- p { color:  } --></style>"},
    {"url()", "<td style=\"background: url({{ v }})\">", "https://x/a b).png",
     "<td style=\"background: url(https://x/a%20b%29.png)\">"},
    {"url() in quotes", "<td style=\"background: url('{{ v }}')\">", "https://x/'",
     "<td style=\"background: url('https://x/%27')\">"},
    {"url(), javascript", "<td style=\"background: url('{{ v }}')\">", "javascript:x",
     "<td style=\"background: url('#')\">"},
    {"url(), path", "<style>p { background: url(\"/img/{{ v }}\") }</style>", "\")",
     "<style>p { background: url(\"/img/%22%29\") }</style>"},
    {"after url()", "<p style=\"background: url(/a); color: {{ v }}\">", "a/b",
     "<p style=\"background: url(/a); color: \">"},
};

constexpr Case kRefused[] = {
    {"script", "<script>var x = \"{{ v }}\"</script>", "",
     "error: html:1:18: a value cannot be made safe inside <script>; leave it out, or vouch for it with | raw"},
    {"script attribute", "<p onclick=\"f('{{ v }}')\">", "",
     "error: html:1:16: a value cannot be made safe inside a script attribute; leave it out, or vouch for it with | "
     "raw"},
    {"srcdoc", "<iframe srcdoc=\"{{ v }}\">", "",
     "error: html:1:17: a value cannot be made safe inside a script attribute; leave it out, or vouch for it with | "
     "raw"},
    {"tag name", "<{{ v }}>", "",
     "error: html:1:2: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"tag name's end", "<h{{ v }}>", "",
     "error: html:1:3: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"attribute name", "<p {{ v }}>", "",
     "error: html:1:4: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"after a value", "<p title=\"x\"{{ v }}>", "",
     "error: html:1:13: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"closing tag", "</{{ v }}>", "",
     "error: html:1:3: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"doctype", "<!DOCTYPE {{ v }}>", "",
     "error: html:1:11: a value cannot stand inside a tag but in an attribute's value; write attribute=\"{{ ... }}\""},
    {"javascript: URL", "<a href=\"javascript:f({{ v }})\">", "",
     "error: html:1:23: a value cannot stand in a javascript:, vbscript: or data: URL"},
    {"scheme", "<a href=\"{{ v }}:x\">", "",
     "error: html:1:17: a value cannot be part of a URL's scheme; write the scheme itself, as in https://{{ ... }}"},
    {"scheme's end", "<a href=\"java{{ v }}:x\">", "",
     "error: html:1:21: a value cannot be part of a URL's scheme; write the scheme itself, as in https://{{ ... }}"},
    {"scheme in a branch", "<a href=\"{% if a %}{{ v }}{% endif %}:x\">", "",
     "error: html:1:38: a value cannot be part of a URL's scheme; write the scheme itself, as in https://{{ ... }}"},
    {"URL's start unclear", "<a href=\"{% if a %}https://x/{% endif %}{{ v }}\">", "",
     "error: html:1:41: it depends on a branch before whether this value begins the URL; put the whole URL into each "
     "branch"},
    {"branches end apart", "{% if a %}<script>{% endif %}{{ v }}", "",
     "error: html:1:1: the branches of {% if %} end in different places of the HTML (text, tag, attribute); put whole "
     "tags or whole attributes into each"},
    {"branches end in different quotes", "<p {% if a %}title=\"{% else %}title='{% endif %}{{ v }}\">", "",
     "error: html:1:4: the branches of {% if %} end in different places of the HTML (text, tag, attribute); put whole "
     "tags or whole attributes into each"},
    {"branches end in different attributes", "<p {% unless a %}title=\"{% else %}href=\"{% endunless %}{{ v }}\">", "",
     "error: html:1:4: the branches of {% unless %} end in different places of the HTML (text, tag, attribute); put "
     "whole "
     "tags or whole attributes into each"},
    {"attribute in a branch", "<a {% if a %}href{% else %}title{% endif %}=\"{{ v }}\">", "",
     "error: html:1:46: it depends on a branch or value before which attribute this is; put the whole attribute into "
     "each branch"},
    {"attribute half in a branch", "<a hr{% if a %} {% endif %}ef=\"{{ v }}\">", "",
     "error: html:1:32: it depends on a branch or value before which attribute this is; put the whole attribute into "
     "each branch"},
    {"attribute by a value", "<a {{ v | raw }}=\"{{ v }}\">", "",
     "error: html:1:19: it depends on a branch or value before which attribute this is; put the whole attribute into "
     "each branch"},
    {"loop that opens a tag", "{% for i in (1..2) %}<p {% endfor %}", "",
     "error: html:1:1: the body of {% for %} ends in another place of the HTML (text, tag, attribute, part of a URL) "
     "than "
     "it begins; put whole tags or whole attributes into it"},
    {"loop that begins a URL", "<a href=\"{% for i in (1..2) %}{{ i }}{% endfor %}\">", "",
     "error: html:1:10: the body of {% for %} ends in another place of the HTML (text, tag, attribute, part of a URL) "
     "than "
     "it begins; put whole tags or whole attributes into it"},
    {"break inside a tag", "{% for i in (1..2) %}<p {% break %}>{% endfor %}", "",
     "error: html:1:25: {% break %} inside a tag or attribute that the loop has begun"},
};

constexpr Case kAllowed[] = {
    {"raw in a script", "<script>{{ v | raw }}</script>", "f()", "<script>f()</script>"},
    {"raw in a script attribute", "<p onclick=\"{{ v | raw }}\">", "f()", "<p onclick=\"f()\">"},
    {"raw in a tag", "<p {{ v | raw }}>{{ v }}", "a='b'", "<p a='b'>a=&#39;b&#39;"},
    {"whole attribute in a branch", "<td{% if v %} class=\"{{ v }}\"{% endif %}>{{ v }}", "<",
     "<td class=\"&lt;\">&lt;"},
    {"attribute without value in a branch", "<input {% if v %}checked{% endif %} id=\"{{ v }}\">", "<",
     "<input checked id=\"&lt;\">"},
    {"tag name in a branch", "<h{% if v %}1{% else %}2{% endif %}>{{ v }}", "<", "<h1>&lt;"},
    {"different comments in branches", "<!-- {% if v %}a{% else %}b{% endif %} -->{{ v }}", "<", "<!-- a -->&lt;"},
    {"unquoted value in branches", "<td width={% if v %}{{ v }}{% else %}10{% endif %}>", "5", "<td width=5>"},
    {"loop of attributes", "<p{% for i in (1..2) %} a=\"{{ v }}\"{% endfor %}>", "\"", "<p a=\"&quot;\" a=\"&quot;\">"},
    {"loop of rows", "<table>{% for i in (1..2) %}<tr><td>{{ v }}</td></tr>{% endfor %}</table>", "<",
     "<table><tr><td>&lt;</td></tr><tr><td>&lt;</td></tr></table>"},
    {"case of tags", "{% case v %}{% when 'a' %}<p>{% else %}<b>{% endcase %}{{ v }}", "a", "<p>a"},
};

constexpr Case kHeaders[] = {
    {"plain", "Hi {{ v }}!", "Zoë", "Hi Zoë!"},
    {"line ends", "Hi {{ v }}", "Ann\r\nBcc: x@example.net", "Hi Ann Bcc: x@example.net"},
    {"lone ends", "{{ v }}", "a\rb\nc", "a b c"},
    {"control characters", "{{ v }}",
     std::string_view("a\0\x1b\x7f"
                      "b\t",
                      6),
     "a b "},
    {"raw too", "{{ v | raw }}", "a\nb", "a b"},
    {"captured", "{% capture c %}{{ v }}{% endcapture %}{{ c }}", "a\nb", "a b"},
    {"HTML stays", "{{ v }}", "<&>", "<&>"},
};

constexpr Case kUrlHeaders[] = {
    {"query", "<https://x/u?e={{ v }}>", "a b>,<&é\r\n", "<https://x/u?e=a%20b%3E%2C%3C%26%C3%A9%0D%0A>"},
    {"mailto", "<mailto:u@x?subject={{ v }}>", "a&b@c", "<mailto:u@x?subject=a%26b%40c>"},
    {"outside", "{{ v }} <https://x/>", "a\nb", "a b <https://x/>"},
    {"second URL", "<mailto:u-{{ v }}@x>, <https://x/{{ v }}>", "/", "<mailto:u-%2F@x>, <https://x/%2F>"},
    {"whole", "<{{ v }}>", "https://x/?a=1&b", "<https://x/?a=1&b>"},
    {"whole, >", "<{{ v }}>", "https://x/>\r\nBcc: y", "<https://x/%3EBcc:%20y>"},
    {"whole, javascript", "<{{ v }}>", "javascript:x",
     "error: List-Help:1:2: the value is not a URL that begins with http:, https: or mailto:"},
    {"whole, relative", "<{{ v }}>", "/u",
     "error: List-Help:1:2: the value is not a URL that begins with http:, https: or mailto:"},
    {"whole, missing", "<{{ v }}>", "",
     "error: List-Help:1:2: the value is not a URL that begins with http:, https: or mailto:"},
    {"raw", "<https://x/{{ v | raw }}>", ">", "<https://x/%3E>"},
    {"url_encode", "<https://x/?q={{ v | url_encode }}>", "a b", "<https://x/?q=a+b>"},
};

void check(PartKind kind, std::span<const Case> cases) {
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(rendered(kind, c.source, {{"v", c.value}}) == c.expected); }
  }
}

BOOST_AUTO_TEST_CASE(html) { check(PartKind::kHtml, kHtml); }
BOOST_AUTO_TEST_CASE(urls) { check(PartKind::kHtml, kUrls); }
BOOST_AUTO_TEST_CASE(styles) { check(PartKind::kHtml, kStyles); }
BOOST_AUTO_TEST_CASE(refused) { check(PartKind::kHtml, kRefused); }
BOOST_AUTO_TEST_CASE(allowed) { check(PartKind::kHtml, kAllowed); }
BOOST_AUTO_TEST_CASE(headers) { check(PartKind::kHeader, kHeaders); }
BOOST_AUTO_TEST_CASE(url_headers) { check(PartKind::kUrlHeader, kUrlHeaders); }

BOOST_AUTO_TEST_CASE(nothing_is_escaped_in_text) {
  BOOST_TEST(rendered(PartKind::kText, "{{ v }} <a href='{{ v }}'>", {{"v", "<&\"'>\r\n"}}) ==
             "<&\"'>\r\n <a href='<&\"'>\r\n'>");
}

// A literal is cut wherever a tag stands, so where it is cut must not matter.
BOOST_AUTO_TEST_CASE(cut_anywhere) {
  constexpr std::string_view kPage =
      "<!DOCTYPE html><!--[if mso]><p><![endif]--><!-- c --><title>t</title><style>a{b:url(/c)}</style>"
      "<script>x</script><a class=k href='/p?q=";
  Context whole(PartKind::kHtml);
  BOOST_REQUIRE(!whole.feed(kPage));
  for (std::size_t i = 0; i <= kPage.size(); ++i) {
    Context cut(PartKind::kHtml);
    BOOST_TEST(!cut.feed(kPage.substr(0, i)));
    BOOST_TEST(!cut.feed(kPage.substr(i)));
    BOOST_TEST((cut == whole));
  }
  const auto place = whole.placeholder(false);
  BOOST_REQUIRE(place);
  BOOST_TEST((place->escape == Escape::kUrl));
}

}  // namespace
}  // namespace mailsbuddy::liquid
