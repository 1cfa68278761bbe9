// Each construct of the language against what it prints.
#include <boost/test/unit_test.hpp>

#include "tests/mail/liquid_verbs.h"

namespace mailsbuddy::liquid {
namespace {

const Row kRow = {
    {"name", "Ann"},
    {"empty_field", ""},
    {"age", "42"},
    {"price", "19.90"},
    {"yes", "true"},
    {"tags", R"(["new","vip","eu"])"},
    {"lines", R"([{"item":"Pen","count":2,"parts":[1,2]},{"item":"Ink \"blue\" \u00e9\ud83d\ude00","count":1.5}])"},
    {"order", R"({"id":7,"size":"L","buyer":{"name":"Bo"},"paid":true,"note":null})"},
    {"no_json", "[VIP] Ann"},
    {"Vor name", "Änn"},
    {"größe", "XL"},
};

struct Case {
  std::string_view name;
  std::string_view source;
  std::string_view expected;
};

constexpr Case kOutput[] = {
    {"literal text", "Hello { } % }} %}", "Hello { } % }} %}"},
    {"lone braces", "a { b {", "a { b {"},
    {"field", "Hello {{ name }}!", "Hello Ann!"},
    {"field without spaces", "{{name}}", "Ann"},
    {"missing field", "[{{ nobody }}]", "[]"},
    {"name in brackets", "{{ ['Vor name'] }}", "Änn"},
    {"name not ASCII", "{{ größe }}", "XL"},
    {"string", "{{ 'a' }}{{ \"b'\" }}", "ab'"},
    {"numbers", "{{ 1 }} {{ -2 }} {{ 3.50 }} {{ 4.0 }}", "1 -2 3.5 4.0"},
    {"words", "{{ true }} {{ false }} [{{ nil }}{{ null }}{{ empty }}{{ blank }}]", "true false []"},
    {"range", "{{ (1..3) }}", "1..3"},
    {"key", "{{ order.id }} {{ order['id'] }} {{ order.buyer.name }}", "7 7 Bo"},
    {"key of a key", "{% assign k = 'id' %}{{ order[k] }}", "7"},
    {"index", "{{ tags[0] }} {{ tags[-1] }} [{{ tags[9] }}]", "new eu []"},
    {"index by field", "{% assign i = 1 %}{{ tags[i] }}", "vip"},
    {"index and key", "{{ lines[0].item }} {{ lines[0].parts[1] }}", "Pen 2"},
    {"size, first, last", "{{ tags.size }} {{ tags.first }} {{ tags.last }} {{ name.size }}", "3 new eu 3"},
    {"a member goes before size", "{{ order.size }}", "L"},
    {"JSON escapes", "{{ lines[1].item }}", "Ink \"blue\" é😀"},
    {"JSON words", "{{ order.paid }}[{{ order.note }}]", "true[]"},
    {"a JSON field prints as it is", "{{ tags }}", R"(["new","vip","eu"])"},
    {"a list prints its elements", "{{ tags[0] }}{{ lines[0].parts }}", "new12"},
    {"not JSON", "{{ no_json }} {{ no_json.first }}", "[VIP] Ann "},
    {"key of a text", "[{{ name.first }}{{ name.foo }}{{ name[0] }}]", "[]"},
    {"trimmed", "a \n {{- name -}} \n b", "aAnnb"},
    {"trimmed tags", "a  {%- if yes -%}  b  {%- endif -%}  c", "abc"},
    {"trimmed on one side", "a {{- name }} b {{ name -}} c", "aAnn b Annc"},
    {"comment", "a{% comment %} {{ x | nope }} {% if %} {% endcomment %}b", "ab"},
    {"inline comment", "a{% # it's nothing %}b", "ab"},
    {"raw", "{% raw %}{{ name }} {% if %}{% endraw %}", "{{ name }} {% if %}"},
    {"raw, trimmed", "a {%- raw -%} {{ b }} {%- endraw -%} c", "a{{ b }}c"},
};

constexpr Case kConditions[] = {
    {"if", "{% if yes %}a{% endif %}", "a"},
    {"missing is false", "{% if nobody %}a{% else %}b{% endif %}", "b"},
    {"empty is false", "{% if empty_field %}a{% else %}b{% endif %}", "b"},
    {"false, nil", "{% if false %}a{% endif %}{% if nil %}b{% endif %}{% if 0 %}c{% endif %}", "c"},
    {"elsif", "{% if nobody %}a{% elsif name == 'Ann' %}b{% else %}c{% endif %}", "b"},
    {"elsif, first holds", "{% if name %}a{% elsif name %}b{% else %}c{% endif %}", "a"},
    {"elsif, none holds", "{% if nobody %}a{% elsif nobody %}b{% endif %}.", "."},
    {"nested", "{% if name %}{% if nobody %}a{% else %}b{% endif %}c{% endif %}", "bc"},
    {"unless", "{% unless nobody %}a{% endunless %}{% unless name %}b{% else %}c{% endunless %}", "ac"},
    {"unless, elsif", "{% unless name %}a{% elsif name == 'Ann' %}b{% endunless %}", "b"},
    {"equal", "{% if name == 'Ann' %}a{% endif %}{% if name != 'Ann' %}b{% endif %}{% if name <> 'Bo' %}c{% endif %}",
     "ac"},
    {"a field is compared with a number as one",
     "{% if age == 42 and age > 9 and 9 < age and price <= 19.9 %}a{% endif %}", "a"},
    {"texts are compared as texts", "{% if age < '9' %}a{% endif %}", "a"},
    {"no order", "{% if name > 1 %}a{% endif %}{% if nobody < 1 %}b{% endif %}{% if nobody >= 1 %}c{% endif %}.", "."},
    {"nil", "{% if nobody == nil %}a{% endif %}{% if name == nil %}b{% endif %}", "a"},
    {"empty",
     "{% if empty_field == empty %}a{% endif %}{% if name == empty %}b{% endif %}{% if nobody == empty %}c{% endif %}",
     "ac"},
    {"blank",
     "{% if '  ' == blank %}a{% endif %}{% if nobody == blank %}b{% endif %}{% if name != blank %}c{% endif %}", "abc"},
    {"true", "{% if order.paid == true %}a{% endif %}{% if yes == true %}b{% endif %}", "a"},
    {"contains, text", "{% if name contains 'nn' %}a{% endif %}{% if name contains 'x' %}b{% endif %}", "a"},
    {"contains, list", "{% if tags contains 'vip' %}a{% endif %}{% if tags contains 'vi' %}b{% endif %}", "a"},
    {"contains, object", "{% if order contains 'id' %}a{% endif %}", "a"},
    {"contains, missing", "{% if nobody contains 'a' %}a{% endif %}{% if name contains nobody %}b{% endif %}.", "."},
    // true or (false and false); from the left it would be (true or false) and false.
    {"right-associative", "{% if true or false and false %}a{% endif %}", "a"},
    {"and before or", "{% if false and false or true %}a{% endif %}.", "."},
    {"case", "{% case name %}{% when 'Bo' %}a{% when 'Ann' %}b{% else %}c{% endcase %}", "b"},
    {"case, several values", "{% case age %}{% when 1, 2 %}a{% when 3 or 42 %}b{% endcase %}", "b"},
    {"case, else", "{% case name %} ignored {% when 'x' %}a{% else %}c{% endcase %}", "c"},
    {"case, only else", "{% case name %}{% else %}c{% endcase %}", "c"},
    {"case, nothing", "{% case name %}{% endcase %}.", "."},
    {"case in case",
     "{% case name %}{% when 'Ann' %}{% case age %}{% when 42 %}a{% endcase %}{% when 'x' %}b{% endcase %}", "a"},
};

constexpr Case kLoops[] = {
    {"list", "{% for t in tags %}{{ t }},{% endfor %}", "new,vip,eu,"},
    {"objects", "{% for l in lines %}{{ l.count }} {{ l.item | truncate: 3, '' }};{% endfor %}", "2 Pen;1.5 Ink;"},
    {"pairs", "{% for p in order limit: 2 %}{{ p[0] }}={{ p[1] }};{% endfor %}", "id=7;size=L;"},
    {"range", "{% for i in (1..4) %}{{ i }}{% endfor %}", "1234"},
    {"range of fields", "{% assign n = '3' %}{% for i in (2..n) %}{{ i }}{% endfor %}", "23"},
    {"empty range", "{% for i in (2..1) %}a{% else %}b{% endfor %}", "b"},
    {"split", "{% assign l = 'a,b' | split: ',' %}{% for x in l %}[{{ x }}]{% endfor %}", "[a][b]"},
    {"text", "{% for x in name %}{{ x }}{% endfor %}", "Ann"},
    {"else", "{% for x in nobody %}a{% else %}b{% endfor %}{% for x in empty_field %}a{% else %}c{% endfor %}", "bc"},
    {"not else", "{% for x in tags %}a{% else %}b{% endfor %}", "aaa"},
    {"limit, offset", "{% for i in (1..9) limit: 2 offset: 3 %}{{ i }}{% endfor %}", "45"},
    {"offset past the end", "{% for i in (1..2) offset: 5 %}{{ i }}{% else %}none{% endfor %}", "none"},
    {"limit of a field", "{% assign n = 1 %}{% for t in tags limit:n %}{{ t }}{% endfor %}", "new"},
    {"reversed", "{% for i in (1..9) reversed limit: 3 %}{{ i }}{% endfor %}", "321"},
    {"index",
     "{% for t in tags %}{{ forloop.index }}{{ forloop.index0 }}{{ forloop.rindex }}{{ forloop.rindex0 }} {% endfor %}",
     "1032 2121 3210 "},
    {"first, last, length",
     "{% for t in tags %}{% unless forloop.first %}, {% endunless %}{{ t }}{% if forloop.last %} of "
     "{{ forloop.length }}{% endif %}{% endfor %}",
     "new, vip, eu of 3"},
    {"nested",
     "{% for i in (1..2) %}{% for j in (1..2) %}{{ i }}{{ j }}{{ forloop.parentloop.index }} {% endfor %}{% endfor %}",
     "111 121 212 222 "},
    {"break", "{% for i in (1..9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}.", "12."},
    {"continue", "{% for i in (1..4) %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}.", "134."},
    {"break leaves else out", "{% for i in (1..2) %}{% break %}{% else %}a{% endfor %}.", "."},
    {"break out of the inner", "{% for i in (1..2) %}{% for j in (1..9) %}{% break %}{% endfor %}{{ i }}{% endfor %}",
     "12"},
    {"break in capture", "{% for i in (1..2) %}{% capture c %}{{ i }}{% break %}{% endcapture %}{% endfor %}a", "a"},
    {"continue in capture", "{% for i in (1..2) %}{% capture c %}x{% continue %}{% endcapture %}{% endfor %}a[{{ c }}]",
     "a[]"},
    {"the variable is the loop's", "{% assign t = 'x' %}{% for t in tags %}{% endfor %}{{ t }}", "x"},
    {"hides a field", "{% for name in tags limit: 1 %}{{ name }}{% endfor %}{{ name }}", "newAnn"},
};

constexpr Case kVariables[] = {
    {"assign", "{% assign x = name | upcase %}{{ x }}", "ANN"},
    {"assign itself", "{% assign age = age | plus: 1 %}{{ age }}", "43"},
    {"assign in a loop", "{% assign s = 0 %}{% for i in (1..4) %}{% assign s = s | plus: i %}{% endfor %}{{ s }}",
     "10"},
    {"capture", "{% capture c %}Dear {{ name }}{% endcapture %}{{ c | upcase }}", "DEAR ANN"},
    {"capture in capture", "{% capture a %}1{% capture b %}2{% endcapture %}{{ b }}{% endcapture %}{{ a }}", "12"},
};

constexpr Case kFilters[] = {
    {"append, prepend", "{{ name | append: '!' | prepend: 'Hi ' }}", "Hi Ann!"},
    {"capitalize", "{{ 'élan VITAL' | capitalize }}{{ '' | capitalize }}", "Élan vital"},
    {"upcase, downcase", "{{ 'añ žЯжß' | upcase }} {{ 'ÀÑ ŽЯΣ' | downcase }}", "AÑ ŽЯЖß àñ žяσ"},
    {"default",
     "{{ nobody | default: 'a' }}{{ empty_field | default: 'b' }}{{ name | default: 'c' }}{{ false | default: 'd' }}",
     "abAnnd"},
    {"escape", "{{ '<a href=\"x\">&' | escape }}{{ \"'\" | escape }}", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;"},
    {"escape_once", "{{ '&lt; & &#39; &x' | escape_once }}", "&lt; &amp; &#39; &amp;x"},
    {"strip", "[{{ \" \n a b\t\" | strip }}]", "[a b]"},
    {"truncate", "{{ 'abcdef' | truncate: 5 }} {{ 'abcdef' | truncate: 6 }} {{ 'äöüäöü' | truncate: 3, '…' }}",
     "ab... abcdef äö…"},
    {"truncate to less than the ellipsis", "{{ 'abcdef' | truncate: 2 }}", "..."},
    {"truncate, default", "{{ '123456789 123456789 123456789 123456789 123456789 1' | truncate }}",
     "123456789 123456789 123456789 123456789 1234567..."},
    {"replace", "{{ 'a-b-c' | replace: '-', '+' }} {{ 'a-b' | replace: '-' }} {{ 'éa' | replace: '', '.' }}",
     "a+b+c ab .é.a."},
    {"remove", "{{ 'a-b-c' | remove: '-' }}", "abc"},
    {"split, join", "{{ 'a,b,,c,,' | split: ',' | join: '|' }}", "a|b||c"},
    {"split at spaces", "{{ ' a  b ' | split: ' ' | join: '|' }}", "a|b"},
    {"split into characters", "{{ 'aé😀' | split: '' | join: '|' }}", "a|é|😀"},
    {"join", "{{ tags | join }} {{ tags | join: ', ' }} {{ (1..3) | join: '-' }} {{ name | join }}",
     "new vip eu new, vip, eu 1-2-3 Ann"},
    {"first, last", "{{ tags | first }} {{ tags | last }} [{{ name | first }}]", "new eu []"},
    {"size", "{{ 'aé😀' | size }} {{ tags | size }} {{ nobody | size }} {{ 5 | size }}", "3 3 0 0"},
    {"url_encode", "{{ 'a b&c=é~' | url_encode }}", "a+b%26c%3D%C3%A9~"},
    {"plus, minus, times",
     "{{ age | plus: 1 }} {{ age | minus: 0.5 }} {{ price | times: 2 }} {{ name | plus: 1 }} {{ price | times: 3 }}",
     "43 41.5 39.8 1 59.7"},
    {"divided_by", "{{ 7 | divided_by: 2 }} {{ -7 | divided_by: 2 }} {{ 7 | divided_by: 2.0 }}", "3 -4 3.5"},
    {"too large", "{{ 9223372036854775807 | plus: 1 }} {{ -9223372036854775808 | divided_by: -1 }}",
     "9.22337203685478e+18 9.22337203685478e+18"},
    {"round", "{{ 1.5 | round }} {{ 2.345 | round: 2 }} {{ '3.7' | round }} {{ 4 | round: 2 }} {{ -1.5 | round }}",
     "2 2.35 4 4 -2"},
    {"newline_to_br", "{{ \"a\nb\r\nc\" | newline_to_br }}", "a<br />\nb<br />\nc"},
    {"raw", "{{ name | raw }}", "Ann"},
    {"an argument is a field", "{{ nobody | default: name }}", "Ann"},
};

constexpr Case kDates[] = {
    {"date", "{{ '2026-11-03' | date: '%d %B %Y, %A' }}", "03 November 2026, Tuesday"},
    {"short", "{{ '2026-11-03' | date: '%e %b %y %a %j %-d/%-m' }}", " 3 Nov 26 Tue 307 3/11"},
    {"time", "{{ '2026-11-03T09:05:07Z' | date: '%H:%M:%S %I:%M %p %l%P' }}", "09:05:07 09:05 AM  9am"},
    {"noon and midnight", "{{ '2026-11-03 12:00' | date: '%I %p' }} {{ '2026-11-03 00:30' | date: '%-I %p' }}",
     "12 PM 12 AM"},
    {"in its own zone", "{{ '2026-11-03T23:30:00+02:00' | date: '%d %H %z %:z %Z' }}", "03 23 +0200 +02:00 +02:00"},
    {"to Unix time", "{{ '1970-01-01T01:00:00+01:00' | date: '%s' }}", "0"},
    {"Unix time", "{{ 1793700000 | date: '%F %T' }} {{ '0' | date: '%F' }} {{ -1 | date: '%F' }}",
     "2026-11-03 10:00:00 1970-01-01 1969-12-31"},
    {"fractions", "{{ '2026-11-03T09:05:07.123456Z' | date: '%T' }}", "09:05:07"},
    {"leap day", "{{ '2024-02-29' | date: '%F' }} {{ '2023-02-29' | date: '%F' }}", "2024-02-29 2023-02-29"},
    {"no date", "{{ 'soon' | date: '%Y' }} [{{ nobody | date: '%Y' }}] {{ 'now' | date: '%Y' }}", "soon [] now"},
    {"damaged dates",
     "{{ '2026-13-01' | date: '%Y' }} {{ '2026-01-01T25:00' | date: '%Y' }} {{ '2026-1-1' | date: '%Y' }}",
     "2026-13-01 2026-01-01T25:00 2026-1-1"},
    {"percent, unknown, lone", "{{ 0 | date: '%% %Q %' }}", "% %Q %"},
};

void check(std::span<const Case> cases) {
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(rendered(PartKind::kText, c.source, kRow) == c.expected); }
  }
}

BOOST_AUTO_TEST_CASE(output) { check(kOutput); }
BOOST_AUTO_TEST_CASE(conditions) { check(kConditions); }
BOOST_AUTO_TEST_CASE(loops) { check(kLoops); }
BOOST_AUTO_TEST_CASE(variables) { check(kVariables); }
BOOST_AUTO_TEST_CASE(filters) { check(kFilters); }
BOOST_AUTO_TEST_CASE(dates) { check(kDates); }

}  // namespace
}  // namespace mailsbuddy::liquid
