"""DMARC records (RFC 7489): build, parse, and say by name what is wrong.

>>> Record(policy="quarantine", reports=["mailto:dmarc@brand.example"]).text()
'v=DMARC1; p=quarantine; rua=mailto:dmarc@brand.example'
>>> [problem.name for problem in check("v=DMARC1; p=maybe")]
['policy']
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailsbuddy import dns
from mailsbuddy._errors import InvalidArgument
from mailsbuddy._records import Problem, too_long
from mailsbuddy.hygiene import registrable_domain

__all__ = ["Problem", "Record", "check", "look_up", "parse"]

_POLICIES = ("none", "quarantine", "reject")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\"-+\--:<-~]+(![0-9]+[kmgtKMGT]?)?")  # Visible ASCII without "!", "," and ";".
_BLANK = " \t"


@dataclass(frozen=True)
class Record:
    """One DMARC record."""

    policy: str  #: p=: "none", "quarantine" or "reject".
    subdomain_policy: str = ""  #: sp=; empty: the same.
    percent: int = 100  #: pct=
    dkim_alignment: str = "r"  #: adkim=: "r" or "s".
    spf_alignment: str = "r"  #: aspf=
    reports: Iterable[str] = ()  #: rua=: URIs for the daily reports.
    failure_reports: Iterable[str] = ()  #: ruf=

    def text(self) -> str:
        """The TXT record; what is at its default is left out. Raises InvalidArgument for what cannot be published."""
        tags = [("v", "DMARC1"), ("p", self.policy), ("sp", self.subdomain_policy),
                ("adkim", "" if self.dkim_alignment == "r" else self.dkim_alignment),
                ("aspf", "" if self.spf_alignment == "r" else self.spf_alignment),
                ("pct", "" if self.percent == 100 else str(self.percent)), ("rua", ",".join(self.reports)),
                ("ruf", ",".join(self.failure_reports))]
        text = "; ".join(f"{name}={value}" for name, value in tags if value)
        parse(text)
        return text


def _tags(text: str) -> tuple[list[tuple[str, str]], list[Problem]]:
    tags: list[tuple[str, str]] = []
    if problems := too_long(text):
        return tags, problems
    for part in text.split(";"):
        name, equals, value = (piece.strip(_BLANK) for piece in part.partition("="))
        if not part.strip(_BLANK):
            continue
        if not equals or not re.fullmatch(r"[A-Za-z0-9]+", name):
            problems.append(Problem("syntax", f'"{part.strip(_BLANK)}" is no tag=value'))
        elif any(name.lower() == known for known, _ in tags):
            problems.append(Problem("repeated", f"{name}= is there twice"))
        else:
            tags.append((name.lower(), value))
    return tags, problems


def _check_tag(name: str, value: str) -> Problem | None:
    if name in ("p", "sp") and value.lower() not in _POLICIES:
        return Problem("policy" if name == "p" else "subdomain_policy", f'{name}={value} is not none, quarantine or reject')
    if name in ("adkim", "aspf") and value.lower() not in ("r", "s"):
        return Problem("alignment", f"{name}={value} is neither r nor s")
    if name == "pct" and not (re.fullmatch("[0-9]{1,3}", value) and int(value) <= 100):
        return Problem("percent", f"pct={value} is not 0 to 100")
    if name == "ri" and not (re.fullmatch("[0-9]{1,10}", value) and int(value) < 2**32):
        return Problem("interval", f"ri={value} is no number of seconds")
    if name in ("rua", "ruf"):
        for uri in value.split(","):
            if not _URI.fullmatch(uri.strip(_BLANK)):
                return Problem("report_uri", f'{name}= has "{uri.strip(_BLANK)}", which is no URI; mailto:NAME@DOMAIN is usual')
    return None


def check(text: str) -> list[Problem]:
    """All that is wrong with a record. Empty: it is good."""
    tags, problems = _tags(text)
    if any(each.name == "too_long" for each in problems):
        return problems
    if not tags or tags[0] != ("v", "DMARC1"):
        problems.insert(0, Problem("version", "v=DMARC1 is not the first tag"))
    if not any(name == "p" for name, _ in tags):
        problems.append(Problem("policy", "p= is missing"))
    return problems + [found for name, value in tags if (found := _check_tag(name, value)) is not None]


def parse(text: str) -> Record:
    """The record. Raises InvalidArgument naming all that is wrong."""
    problems = check(text)
    if problems:
        raise InvalidArgument("DMARC record: " + "; ".join(str(each) for each in problems))
    tags = dict(_tags(text)[0])
    uris = {name: [uri.strip(_BLANK) for uri in tags[name].split(",")] if tags.get(name) else [] for name in ("rua", "ruf")}
    return Record(tags["p"].lower(), tags.get("sp", "").lower(), int(tags.get("pct", "100")), tags.get("adkim", "r").lower(),
                  tags.get("aspf", "r").lower(), uris["rua"], uris["ruf"])


def look_up(domain: str, resolver: dns.Resolver) -> Record | None:
    """What holds for a domain: its own record, else that of the domain it was registered under; None: there is none."""
    domain = domain.lower().rstrip(".")
    for name in dict.fromkeys((domain, registrable_domain(domain))):
        answer = resolver.txt(f"_dmarc.{name}") if name else None
        texts = [text for text in answer.records if text.startswith("v=DMARC1")] if answer else []
        if len(texts) == 1:  # Of several none counts (RFC 7489 6.6.3).
            return parse(texts[0])
    return None
