"""Merge values that try to break a message, a template that puts them everywhere, and what must come out."""

import html.parser
import re
import urllib.parse

TEMPLATE = """\
Subject: Hello {{ name }}!
Reply-To: hello@brand.example
Content-Type: multipart/alternative; boundary="part"

--part
Content-Type: text/plain; charset=utf-8

Dear {{ name }},
.
..two dots
From here: {{ name }}
.{{ name }}
From {{ name }}
end
--part
Content-Type: text/html; charset=utf-8

<p title="{{ name }}">Dear <b>{{ name }}</b></p>
<a href="https://brand.example/?name={{ name }}&amp;member=7">more</a>
--part--
"""

# A CSV row has 32 KiB at most.
VALUES = {
    "plain": "Ann",
    "empty": "",
    "one_dot": ".",
    "lone_dot_lines": "a\r\n.\r\n.\r\nMAIL FROM:<evil@brand.example>\r\nb",
    "bare_lf_dot": "a\n.\nb",
    "bare_cr_dot": "a\r.\rb",
    "mixed_ends": "a\n.\r\nb\r\n.\nc",
    "header_injection": "Eve\r\nBcc: victim@brand.example\r\nX-Injected: yes\r\n\r\nother body",
    "header_injection_lf": "Eve\nBcc: victim@brand.example\n\nother body",
    "mime_boundary": "x\r\n--part--\r\n--part\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
    "quotes": "\"Ann\" 'O''Hara' \\ back\\\\slash",
    "angle_brackets": "<b>Gus</b> <ann@brand.example> </p></a>",
    "attribute": "\"><script>alert(1)</script><p title=\"",
    "entities": "Tom & Jerry &amp; &lt;b&gt; &#x41;",
    "url": "a&b=c;d#e?f/g+h%20i j",
    "template": "{{ mb_token }}{% if true %}{{ 'x' | upcase }}{% raw %}",
    "encoded_word": "=?utf-8?q?=41=42?= and =?utf-8?b?QUI=?=",
    "quoted_printable": "=41=\r\n=\r\nx=20",
    "latin": "Jürgen Müßig, Ærø",
    "right_to_left": "مرحبا שלום",
    "east_asian": "山田太郎 김철수 李小龙",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301",
    "astral_long": "😀" * 400,
    "from_lines": "x\r\nFrom nobody Mon Jan  1 00:00:00 2024\r\n>From y",
    "spaces": "  two before, tabs\t\t, three after   ",
    "trailing_line_spaces": "a   \r\nb\t\r\nc ",
    "long_word": "x" * 5000,
    "long_words": "spring " * 700,
    "long_non_ascii": "ü" * 2500,
    "controls": "bell\a escape\x1b[31m delete\x7f",
    "separators": "a\u2028b\u2029c\u0085d",
}

# What some server has taken for the end of a message (SEC Consult, "SMTP Smuggling", 2023, and its kin): bare line ends in every
# place, octets between that one side overlooks, what is a line end in other sets of characters.
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\r\n.\r\r\n", b"\n\n.\r\n",
        b"\r\n\r.\r\n", b"\r\r\n.\r\r\n", b"\n.\n\r\n", b"\n\r.\n\r",
        b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\r\n.\0\r\n", b"\r\0\n.\r\n", b"\r\n.\r\0\n", b"\n\0.\n", b"\n.\0\n", b"\r\0\n.\r\0\n",
        b"\r\n .\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n\t.\r\n", b"\r\n\x1a\r\n", b"\r\n.\x1a\r\n", b"\v.\v", b"\f.\f",
        b"\x85.\x85", b"\xc2\x85.\xc2\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n\xef\xbb\xbf.\r\n"]


def unix(text):
    """Line ends are the carrier's matter: a value's CRLF, CR and LF all are a new line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def one_line(text):
    """As a header carries it: white space and controls count as a space, however many."""
    return re.sub(r"[\0-\x20\x7f]+", " ", text).strip()


class Html(html.parser.HTMLParser):
    """What a mail reader finds: the elements, the p's title, the text in b, the name in the link's query."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.bold, self.title, self.query = [], "", None, {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        if tag == "p":
            self.title = found["title"]
        if tag == "a":
            self.query = urllib.parse.parse_qs(urllib.parse.urlsplit(found["href"]).query, keep_blank_values=True)

    def handle_data(self, data):
        if self.tags[-1:] == ["b"] and self.lasttag == "b":
            self.bold += data

    def handle_endtag(self, tag):
        self.lasttag = tag + " closed"


def check_content(test, received, name):
    """The value stands in the message where the template put it, unchanged, and nothing else does."""
    value = unix(VALUES[name])
    test.assertEqual(one_line(received.message["Subject"]), one_line(f"Hello {VALUES[name]}!"))
    text = unix(received.part("text/plain"))
    wanted = f"Dear {value},\n.\n..two dots\nFrom here: {value}\n.{value}\nFrom {value}\nend"
    test.assertEqual(text.rstrip("\n"), wanted)
    page = Html(unix(received.part("text/html")))
    test.assertEqual(page.tags, ["p", "b", "a"])
    test.assertEqual(page.title, value)
    test.assertEqual(page.bold, value)
    test.assertEqual({k: [unix(v) for v in vs] for k, vs in page.query.items()}, {"name": [value], "member": ["7"]})
    test.assertEqual(received.message.get_content_type(), "multipart/alternative")
    test.assertEqual([part.get_content_type() for part in received.message.iter_parts()], ["text/plain", "text/html"])
    test.assertNotIn("Bcc", received.message)
    test.assertNotIn("X-Injected", received.message)
