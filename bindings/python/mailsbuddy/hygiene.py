"""List hygiene: which addresses are worth sending to, before anything is sent.

>>> [checked] = check_addresses(["info@gmial.com"], disposable=False, resolver=None)
>>> checked.status, checked.problems, str(checked.suggestion)
('risky', ['role', 'typo'], 'info@gmail.com')
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Union

from mailsbuddy import dns
from mailsbuddy._core import mail as _mail
from mailsbuddy._core.mail import Address
from mailsbuddy._errors import InvalidArgument, without_extra
from mailsbuddy._hygiene_data import KNOWN_DOMAINS, ROLES, SUGGESTED_DOMAINS, TOP_LEVEL_TYPOS

__all__ = ["Checked", "check_addresses", "registrable_domain", "suggest"]


def registrable_domain(domain: str) -> str:
    """What somebody registered: ``"brand.co.uk"`` of ``"mail.brand.co.uk"``. Empty: a public suffix itself.

    Source: the Public Suffix List, as libpsl has it.
    """
    try:
        return _mail.registrable_domain(Address(f"a@{domain}").domain)
    except InvalidArgument:
        return ""


#: What makes an address useless, in the order in which it is said; all other problems make it risky.
INVALID = ("syntax", "public_suffix", "no_such_domain", "null_mx", "no_mail_host")


@dataclass(frozen=True, repr=False)
class Checked:
    """What is to be said of one address."""

    text: str  #: As it was given.
    address: Address | None  #: Normalised; None: it is none.
    problems: list[str] = field(default_factory=list)
    """Empty: nothing is known against it. Else of:

    ``syntax``: no address (see detail). ``public_suffix``: the domain is one under which others register.
    ``no_such_domain``, ``null_mx`` (RFC 7505), ``no_mail_host``: nobody takes mail there. ``dns_failure``: not known now.
    ``role``: a function, not a person. ``disposable``: a throw-away mailbox. ``typo``: see suggestion.
    ``duplicate``: the same as one before.
    """
    detail: str = ""  #: Of a syntax error: what and where.
    suggestion: Address | None = None  #: What was perhaps meant.

    @property
    def status(self) -> str:
        """``"ok"``, ``"risky"``: think about it, or ``"invalid"``: never send."""
        if any(problem in INVALID for problem in self.problems):
            return "invalid"
        return "risky" if self.problems else "ok"

    def __repr__(self) -> str:
        return f"<mailsbuddy.hygiene.Checked {' '.join([self.status, *self.problems])}>"


def check_addresses(addresses: Iterable[str | Address], *, resolver: dns.Resolver | None,
                    disposable: Union[bool, Collection[str]] = True) -> list[Checked]:
    """Checks addresses, in their order. No mail server is asked: that would be abuse, and its answer is worth nothing.

    :param resolver: asked for each domain once, as many at a time as its concurrency says; None: DNS is not asked.
    :param disposable: domains of throw-away mailboxes; True: those of the PyPI package ``disposable-email-domains``
        (``pip install mailsbuddy[hygiene]``); False: not checked.
    """
    throw_away = _disposable_domains(disposable)
    parsed = [_parse(each) for each in addresses]
    mail_hosts = _ask(parsed, resolver)
    seen: set[str] = set()
    return [_judge(text, address, detail, throw_away, mail_hosts, seen) for text, address, detail in parsed]


_Parsed = tuple[str, Union[Address, None], str]


def _parse(given: str | Address) -> _Parsed:
    if isinstance(given, Address):
        return str(given), given, ""
    try:
        return given, Address(given.strip()), ""
    except InvalidArgument as error:
        return given, None, error.detail


def _disposable_domains(disposable: Union[bool, Collection[str]]) -> Collection[str]:
    if not isinstance(disposable, bool):
        return frozenset(each.lower() for each in disposable)
    if not disposable:
        return ()
    try:
        from disposable_email_domains import blocklist
    except ImportError:
        raise without_extra("disposable: the list of their domains", "hygiene",
                            ", or give disposable=False or domains of your own") from None
    return frozenset(blocklist)


def _ask(parsed: list[_Parsed], resolver: dns.Resolver | None) -> dict[str, str]:
    """A problem, or nothing, by domain."""
    if resolver is None:
        return {}
    domains = list({address.domain: None for _, address, _ in parsed if address and not address.is_literal})
    problems = dict(zip(domains, (_mx_problem(answer) for answer in resolver.query([("mx", each) for each in domains]))))
    without_mx = [domain for domain, problem in problems.items() if problem == "no_mail_host"]
    for domain, answer in zip(without_mx, resolver.query([("address", each) for each in without_mx])):
        if answer.status == "ok":  # RFC 5321 5.1: an address does for a mail host.
            problems[domain] = ""
        elif answer.status == "failed":
            problems[domain] = "dns_failure"
    return problems


def _mx_problem(answer: dns.Answer) -> str:
    if answer.status == "ok":
        null = len(answer.records) == 1 and not answer.records[0].partition(" ")[2]
        return "null_mx" if null else ""
    return {"nxdomain": "no_such_domain", "no_data": "no_mail_host"}.get(answer.status, "dns_failure")


def _judge(text: str, address: Address | None, detail: str, throw_away: Collection[str], mail_hosts: dict[str, str],
           seen: set[str]) -> Checked:
    if address is None:
        return Checked(text, None, ["syntax"], detail)
    problems = []
    registered = _mail.registrable_domain(address.domain)
    if not address.is_literal and not registered:
        problems.append("public_suffix")
    if problem := mail_hosts.get(address.domain):
        problems.append(problem)
    if address.local.lower().partition("+")[0] in ROLES:
        problems.append("role")
    if address.domain in throw_away or registered in throw_away:
        problems.append("disposable")
    suggestion = None if address.is_literal else suggest(address)
    if suggestion is not None:
        problems.append("typo")
    key = str(address).lower()
    if key in seen:
        problems.append("duplicate")
    seen.add(key)
    return Checked(text, address, problems, "", suggestion)


def suggest(address: Address | str) -> Address | None:
    """The address that was perhaps meant, when its domain is nearly that of a great provider. None: it looks intended."""
    address = Address(address) if isinstance(address, str) else address
    domain = address.domain
    if domain in KNOWN_DOMAINS:
        return None
    name, dot, top = domain.rpartition(".")
    mended = f"{name}.{TOP_LEVEL_TYPOS[top]}" if dot and top in TOP_LEVEL_TYPOS else domain
    if mended not in KNOWN_DOMAINS:
        mended = next((known for known in SUGGESTED_DOMAINS if _near(mended, known)), mended)
    return Address(f"{address.local}@{mended}") if mended != domain else None


def _near(written: str, meant: str) -> bool:
    """One letter is missing, too many, another, or two are in each other's place; in long names two such slips."""
    allowed = 2 if len(meant.partition(".")[0]) >= 7 else 1
    if abs(len(written) - len(meant)) > allowed or written[0] != meant[0]:
        return False
    two_above: list[int] = []
    above: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(written, 1):
        two_above, above, row = above, row, [i]
        for j, other in enumerate(meant, 1):
            steps = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == meant[j - 2] and written[i - 2] == other:
                steps = min(steps, two_above[j - 2] + 1)
            row.append(steps)
    return row[-1] <= allowed
