"""SPF records (RFC 7208): build, parse, say by name what is wrong, and count the look-ups that one costs.

>>> build(["mx", "ip4:192.0.2.0/24", "include:_spf.provider.example"], all="fail")
'v=spf1 mx ip4:192.0.2.0/24 include:_spf.provider.example -all'
>>> [problem.name for problem in check("v=spf1 ip4:192.0.2.300 -all")]
['ip4']
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailsbuddy import dns
from mailsbuddy._errors import InvalidArgument
from mailsbuddy._records import Problem, too_long

__all__ = ["LOOKUPS_MAX", "VOID_LOOKUPS_MAX", "Cost", "Problem", "Record", "Term", "build", "check", "cost", "parse"]

LOOKUPS_MAX = 10  #: RFC 7208 4.6.4: terms that ask DNS; beyond it the record fails for everybody.
VOID_LOOKUPS_MAX = 2  #: The same of look-ups that find nothing.
_QUALIFIERS = {"pass": "+", "fail": "-", "softfail": "~", "neutral": "?"}
_WITH_DOMAIN = ("include", "exists", "a", "mx", "ptr")
_ASKING = ("include", "exists", "a", "mx", "ptr", "redirect")
_MECHANISMS = ("all", "ip4", "ip6", *_WITH_DOMAIN)
_TERM = re.compile(r"([+\-~?]?)([A-Za-z][A-Za-z0-9_.-]*)(?:([:=])(\S*?))?((?:/[0-9]*){0,3})")
# c, r and t are for the text that exp= leads to, and a number of labels is not 0 (RFC 7208 7.2, 7.3).
_MACRO = re.compile(r"%\{[slodiphvSLODIPHV](?:0*[1-9][0-9]*)?[rR]?[.\-+,/_=]*\}|%%|%_|%-|[!-$&-~]")
_LENGTH = "(0|[1-9][0-9]{0,2})"


@dataclass(frozen=True)
class Term:
    """One mechanism or modifier."""

    name: str  #: "ip4", "include", "redirect", ...
    value: str = ""  #: A network, or a domain, which may have macros.
    qualifier: str = "+"  #: "+", "-", "~" or "?"; of a modifier it means nothing.
    cidr: str = ""  #: "/24", "/24//64" of a and mx.


@dataclass(frozen=True)
class Record:
    """One SPF record."""

    terms: list[Term]
    redirect: str = ""

    @property
    def all(self) -> str:
        """What is said of all other hosts: "fail", "softfail", "neutral", "pass"; empty: nothing."""
        names = {sign: name for name, sign in _QUALIFIERS.items()}
        return next((names[term.qualifier] for term in self.terms if term.name == "all"), "")


def build(mechanisms: Iterable[str], *, all: str = "softfail", redirect: str = "") -> str:
    """A record. Raises InvalidArgument for what cannot be published."""
    if all not in ("", *_QUALIFIERS):
        raise InvalidArgument(f'all: "{all}" is none of {", ".join(_QUALIFIERS)}')
    ends = [f"redirect={redirect}"] if redirect else [f"{_QUALIFIERS[all]}all"] if all else []
    text = " ".join(["v=spf1", *mechanisms, *ends])
    parse(text)
    return text


def _network(name: str, value: str) -> str:
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    try:
        if not re.fullmatch(f"[0-9A-Fa-f:.]+(?:/{_LENGTH})?", value):  # ipaddress also takes netmasks and zones.
            raise ValueError
        kind(value, strict=False)
    except ValueError:
        return f"{name}:{value} is no {'IPv4' if name == 'ip4' else 'IPv6'} address or network"
    return ""


def _cidr_is_good(cidr: str) -> bool:
    found = re.fullmatch(f"(?:/{_LENGTH})?(?://{_LENGTH})?", cidr)
    return bool(found) and int(found[1] or 0) <= 32 and int(found[2] or 0) <= 128  # type: ignore[index]


def _text_problem(name: str, value: str) -> str:
    known = "".join(_MACRO.findall(value)) == value
    return "" if known else f'{name}: "{value}" has characters or macros that RFC 7208 7.1 does not know here'


def _domain_problem(name: str, value: str) -> str:
    if wrong := _text_problem(name, value):
        return wrong
    labels = value.rstrip(".").split(".")
    if "%" not in value and (len(value) > 253 or len(labels) < 2 or not all(0 < len(label) <= 63 for label in labels)):
        return f'{name}: "{value}" is no domain name'
    return ""


def _read(word: str) -> tuple[Term | None, Problem | None]:
    found = _TERM.fullmatch(word)
    if not found:
        return None, Problem("syntax", f'"{word}" is no mechanism or modifier')
    qualifier, name, mark, value, cidr = found[1], found[2].lower(), found[3], found[4] or "", found[5]
    if mark == "=":
        if qualifier:
            return None, Problem("syntax", f'"{word}": a modifier has no qualifier')
        return _modifier(name, value + cidr)
    term = Term(name, value, qualifier or "+", cidr)
    if name == "all":
        return term, Problem("syntax", f'"{word}": all has no value') if mark or cidr else None
    if name in ("ip4", "ip6"):
        wrong = _network(name, value + cidr)
        return Term(name, value + cidr, qualifier or "+"), Problem(name, wrong) if wrong else None
    if name not in _WITH_DOMAIN:
        return None, Problem("unknown_mechanism", f'"{name}" is no mechanism: receivers take the whole record for broken')
    if name in ("include", "exists") and not value:
        return None, Problem("syntax", f"{name}: its domain is missing")
    if cidr and (name not in ("a", "mx") or not _cidr_is_good(cidr)):
        return None, Problem("cidr", f'"{word}": the length of its network is not allowed here, or out of range')
    wrong = _domain_problem(name, value) if mark else ""
    return term, Problem("domain", wrong) if wrong else None


def _modifier(name: str, value: str) -> tuple[Term | None, Problem | None]:
    if name in _MECHANISMS:
        return None, Problem("ignored_modifier", f'"{name}=" is an unknown modifier, which means nothing: the mechanism is "{name}:"')
    wrong = _domain_problem(name, value) if name in ("redirect", "exp") else _text_problem(name, value)
    return Term(name, value), Problem("domain", wrong) if wrong else None


def _terms(text: str) -> tuple[list[Term], list[Problem]]:
    terms: list[Term] = []
    if problems := too_long(text):
        return terms, problems
    words = text.split(" ")
    if words[0].lower() != "v=spf1":
        problems.append(Problem("version", "it does not begin with v=spf1 and a space"))
    for word in words[1:]:
        term, problem = _read(word) if word else (None, None)
        terms += [term] if term and not problem else []
        problems += [problem] if problem else []
    return terms, problems


def check(text: str) -> list[Problem]:
    """All that is wrong with a record, or unwise. Empty: it is good. See :func:`cost` for its look-ups."""
    terms, problems = _terms(text)
    names = [term.name for term in terms]
    for modifier in ("redirect", "exp"):
        if names.count(modifier) > 1:
            problems.append(Problem("repeated", f"{modifier}= is there twice"))
    if "all" in names and "redirect" in names:
        problems.append(Problem("redirect_ignored", "redirect= means nothing beside all"))
    mechanisms = [term for term in terms if term.name in _MECHANISMS]
    if "all" in names and mechanisms[-1].name != "all":
        problems.append(Problem("after_all", f"{mechanisms[-1].name} stands behind all and is never looked at"))
    if any(term.name == "all" and term.qualifier == "+" for term in terms):
        problems.append(Problem("pass_all", "+all lets everybody send as this domain"))
    if "ptr" in names:
        problems.append(Problem("ptr", "ptr is slow and unreliable: RFC 7208 5.5 says not to use it"))
    if (asking := sum(name in _ASKING for name in names)) > LOOKUPS_MAX:
        problems.append(Problem("too_many_lookups", f"{asking} terms ask DNS, at most {LOOKUPS_MAX} may"))
    return problems


_UNWISE = ("ptr", "pass_all", "after_all", "redirect_ignored", "ignored_modifier")  # They work all the same.


def parse(text: str) -> Record:
    """The record. Raises InvalidArgument naming all that makes receivers take it for broken."""
    terms, _ = _terms(text)
    problems = [each for each in check(text) if each.name not in _UNWISE]
    if problems:
        raise InvalidArgument("SPF record: " + "; ".join(str(each) for each in problems))
    return Record([term for term in terms if term.name != "redirect"], next((t.value for t in terms if t.name == "redirect"), ""))


@dataclass
class Cost:
    """What a domain's SPF costs a receiver at worst: when no mechanism matches."""

    lookups: int = 0  #: Of LOOKUPS_MAX.
    void_lookups: int = 0  #: Of VOID_LOOKUPS_MAX.
    problems: list[Problem] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)  #: Whose records were read, in their order.


def cost(domain: str, resolver: dns.Resolver) -> Cost:
    """Counts the look-ups of a domain's record, with all that it includes (RFC 7208 4.6.4)."""
    found = Cost()
    _visit(domain.lower().rstrip("."), resolver, found, ())
    if found.lookups > LOOKUPS_MAX:
        found.problems.append(Problem("too_many_lookups", f"more than {LOOKUPS_MAX} look-ups: receivers take it for broken"))
    if found.void_lookups > VOID_LOOKUPS_MAX:
        found.problems.append(Problem("too_many_void_lookups", f"more than {VOID_LOOKUPS_MAX} look-ups find nothing"))
    return found


def _record_of(domain: str, resolver: dns.Resolver, found: Cost) -> list[Term]:
    answer = resolver.txt(domain)
    texts = [text for text in answer.records if text.lower().split(" ")[0] == "v=spf1"]
    if answer.status == "failed":
        found.problems.append(Problem("dns_failure", f"{domain}: {answer.detail}"))
    elif len(texts) != 1:
        what = "has no SPF record" if not texts else f"has {len(texts)} SPF records: receivers take that for broken"
        found.problems.append(Problem("no_record" if not texts else "several_records", f"{domain} {what}"))
    if len(texts) != 1:
        return []
    terms, problems = _terms(texts[0])
    found.problems += [Problem(each.name, f"{domain}: {each.detail}") for each in problems]
    return terms


def _visit(domain: str, resolver: dns.Resolver, found: Cost, above: tuple[str, ...]) -> None:
    if domain in above:
        found.problems.append(Problem("loop", f"{domain} includes itself"))
        return
    found.domains.append(domain)
    terms = _record_of(domain, resolver, found)
    has_all = any(term.name == "all" for term in terms)
    for term in terms:
        if term.name not in _ASKING or (term.name == "redirect" and has_all):
            continue
        found.lookups += 1
        if found.lookups > LOOKUPS_MAX:  # A receiver stops here, and what a stranger published cannot make us go on.
            return
        target = term.value.lower().rstrip(".") or domain
        if "%" in target:
            continue  # It depends on the message.
        if term.name in ("include", "redirect"):
            _visit(target, resolver, found, (*above, domain))
        else:
            _count_void(term.name, target, resolver, found)


def _count_void(name: str, target: str, resolver: dns.Resolver, found: Cost) -> None:
    if name == "ptr":
        return
    answer = resolver.mx(target) if name == "mx" else resolver.addresses(target)
    found.void_lookups += answer.status in ("no_data", "nxdomain")
    if name == "mx" and len(answer.records) > 10:
        found.problems.append(Problem("too_many_mx", f"mx:{target}: {len(answer.records)} mail hosts, at most 10 are looked at"))
