#!/usr/bin/env python3
"""Templates that python-liquid and mailsbuddy must render alike.

Usage: liquid_oracle.py LIQUID_ORACLE_PROGRAM VENV. Exits with 77 (skipped) when python-liquid cannot be installed.
Rows hold what the two see alike: texts. Lists come from `split`; a JSON field is given to python-liquid as the value it
holds. What we do otherwise on purpose (docs/templates.md, "Differences") is not in the table, nor is what python-liquid
does otherwise than Shopify's Liquid: it rounds halves to even, and escapes ' as &#x27;.
"""

import itertools
import json
import os
import subprocess
import sys

VERSION = "2.3.6"

ROW = {
    "name": "Ann Smith",
    "age": "42",
    "note": "a <b> & \"c\"\nline two",
    "uni": "Zoë äöü 😀",
    "csv": "red,green,,blue",
}
JSON = {
    "items": [{"item": "Pen", "count": 2}, {"item": "Ink", "count": 1.5}, {"item": "Pad", "count": 0}],
    "order": {"id": 7, "buyer": {"name": "Bo"}, "paid": True, "tags": ["new", "vip"]},
}

TEXTS = ["name", "note", "uni", "csv", "'x'", "''", "'a b'"]
TEXT_FILTERS = [
    "append: '!'", "prepend: '<'", "capitalize", "downcase", "upcase", "strip", "escape", "escape_once", "url_encode",
    "truncate: 5", "truncate: 5, ''", "truncate: 100", "replace: 'a', 'b'", "replace: 'n', ''", "remove: 'e'", "size",
    "newline_to_br", "default: 'none'", "split: ',' | join: ';'", "split: ',' | size", "split: ',' | first",
    "split: ',' | last", "split: '' | join: '|'", "split: ' ' | join: '_'",
]
NUMBERS = ["1", "-3", "2.6", "'7'", "'2.6'", "0", "age"]
NUMBER_FILTERS = [
    "plus: 2", "plus: 1.5", "minus: 4", "minus: '1'", "times: 3", "times: 0.5", "divided_by: 2", "divided_by: 2.0",
    "divided_by: -2", "round", "plus: 0.26 | round: 1", "times: 2 | plus: 1 | minus: 3",
]
CONDITIONS = [
    "name", "nobody", "true", "false", "nil", "name == 'Ann Smith'", "name != 'x'", "name contains 'Smi'",
    "name contains 'zzz'",
    "1 < 2",
    "2 <= 1",
    "2 > 1.5",
    "1 >= 1",
    "1 == 1.0",
    "'a' == 'a'",
    "'a' <> 'b'",
    "nobody == nil",
    "order.paid",
    "order.paid == true",
    "order.tags contains 'vip'",
    "order.tags contains 'vi'",
    "'' == empty",
    "'' == blank",
    "' ' == blank", "name == empty", "name == blank", "0",
]
TEMPLATES = [
    "plain { text } %} }}",
    "{{ name }}",
    "{{name}}{{  name  }}",
    "[{{ nobody }}]",
    "{{ 'it' }}{{ \"s\" }}",
    "{{ 1 }}{{ -2 }}{{ 1.50 }}",
    "{{ true }}{{ false }}{{ nil }}",
    "{{ order.id }}{{ order['id'] }}{{ order.buyer.name }}",
    "{{ order.tags[0] }}{{ order.tags[-1] }}",
    "{{ order.tags.first }}{{ order.tags.last }}{{ order.tags.size }}", "[{{ order.tags[9] }}{{ order.nope.nope }}]",
    "{{ items[1].item }}",
    "{% assign k = 'id' %}{{ order[k] }}",
    "{% assign i = 1 %}{{ items[i].count }}",
    "{{ order.tags | join: ', ' }}",
    "a  {{- name -}}  b", "a \n {%- if true -%} \n b \n {%- endif -%} \n c", "a {{- name }} b {{ name -}} c",
    "{% comment %} {{ x | }} {% if %} {% endcomment %}x", "{% raw %}{{ a }}{% if %}{% endraw %}", "a{% # note %}b",
    "{% if name %}a{% else %}b{% endif %}", "{% if nobody %}a{% elsif name %}b{% else %}c{% endif %}",
    "{% unless nobody %}a{% else %}b{% endunless %}", "{% unless name %}a{% elsif true %}b{% endunless %}",
    "{% case name %}{% when 'x' %}a{% when 'Ann Smith' %}b{% else %}c{% endcase %}",
    "{% case 3 %} junk {% when 1, 2 %}a{% when 3 or 4 %}b{% endcase %}",
    "{% case 9 %}{% when 1 %}a{% else %}c{% endcase %}",
    "{% for i in items %}{{ i.item }}:{{ i.count }};{% endfor %}", "{% for i in (1..5) %}{{ i }}{% endfor %}",
    "{% for i in (3..1) %}{{ i }}{% else %}none{% endfor %}", "{% for i in nobody %}a{% else %}b{% endfor %}",
    "{% for i in (1..9) limit: 3 offset: 2 %}{{ i }}{% endfor %}", "{% for i in (1..9) limit:3 %}{{ i }}{% endfor %}",
    "{% for i in (1..4) reversed %}{{ i }}{% endfor %}",
    "{% for i in (1..9) reversed limit: 2 offset: 1 %}{{ i }}{% endfor %}",
    "{% for i in items %}{{ forloop.index }}{{ forloop.index0 }}{{ forloop.rindex }}{{ forloop.rindex0 }}{{ forloop.first }}"
    "{{ forloop.last }}{{ forloop.length }} {% endfor %}",
    "{% for i in (1..2) %}{% for j in (1..2) %}{{ i }}{{ j }}{{ forloop.parentloop.index }} {% endfor %}{% endfor %}",
    "{% for i in (1..9) %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in (1..5) %}{% if i == 3 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in (1..2) %}{% for j in (1..9) %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for p in order limit: 1 %}{{ p[0] }}={{ p[1] }}{% endfor %}",
    "{% assign l = csv | split: ',' %}{% for x in l %}[{{ x }}]{% endfor %}",
    "{% assign x = 'a' %}{% assign x = x | append: 'b' %}{{ x }}",
    "{% assign t = 0 %}{% for i in (1..4) %}{% assign t = t | plus: i %}{% endfor %}{{ t }}",
    "{% capture c %}Dear {{ name }}{% endcapture %}{{ c | upcase }}",
    "{% assign i = 'x' %}{% for i in (1..2) %}{{ i }}{% endfor %}{{ i }}",
    "{{ nobody | default: 'a' }}{{ '' | default: 'b' }}{{ false | default: 'c' }}{{ 0 | default: 'd' }}",
    "{{ (1..4) | join: '-' }}",
    "{{ '2026-11-03' | date: '%Y/%m/%d %A %a %B %b %e %j %y' }}",
    "{{ '2026-11-03T09:05:07' | date: '%H:%M:%S %I %p' }}",
    "{{ 'soon' | date: '%Y' }}", "{{ '2026-11-03' | date: '%F %% %d' }}",
]


def table():
    yield from TEMPLATES
    for text, text_filter in itertools.product(TEXTS, TEXT_FILTERS):
        yield f"{{{{ {text} | {text_filter} }}}}"
    for number, number_filter in itertools.product(NUMBERS, NUMBER_FILTERS):
        yield f"{{{{ {number} | {number_filter} }}}}"
    for a in CONDITIONS:
        yield f"{{% if {a} %}}yes{{% else %}}no{{% endif %}}"
    some = CONDITIONS[:8]
    for a, b, c in itertools.product(some, some, some):
        for first, second in itertools.product(("and", "or"), repeat=2):
            yield f"{{% if {a} {first} {b} {second} {c} %}}yes{{% else %}}no{{% endif %}}"


def install(venv):
    """Runs this file again in a virtual environment that has python-liquid."""
    python = os.path.join(venv, "bin", "python")
    steps = [[sys.executable, "-m", "venv", venv], [python, "-m", "pip", "install", "-q", f"python-liquid=={VERSION}"]]
    for step in steps:
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            lines = done.stdout.strip().splitlines() or ["no word why"]
            print(f"skipped: python-liquid {VERSION} cannot be installed: {lines[-1]}")
            sys.exit(77)
    os.execv(python, [python, *sys.argv])


def ours(program, templates):
    row = ROW | {name: json.dumps(value) for name, value in JSON.items()}
    fields = "\0".join(f"{name}={value}" for name, value in row.items()).encode().hex()
    lines = "".join(f"{template.encode().hex()}\n{fields}\n" for template in templates)
    done = subprocess.run([program], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [bytes.fromhex(line).decode() for line in done.stdout.splitlines()]


def main():
    program, venv = sys.argv[1:]
    try:
        import liquid
    except ImportError:
        if os.path.realpath(sys.prefix) == os.path.realpath(venv):
            raise
        install(venv)
    environment = liquid.Environment()
    templates = list(table())
    wrong = 0
    for template, mine in zip(templates, ours(program, templates), strict=True):
        theirs = environment.from_string(template).render(**ROW, **JSON)
        if mine != theirs:
            wrong += 1
            print(f"{template!r}\n  python-liquid {theirs!r}\n  mailsbuddy    {mine!r}")
    print(f"{len(templates)} templates, {wrong} rendered differently")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
