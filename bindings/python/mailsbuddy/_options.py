"""What an engine is opened with and what it is given: plain data, checked where the engine takes it."""

from __future__ import annotations

import dataclasses
import datetime
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mailsbuddy._errors import InvalidArgument
from mailsbuddy._zones import zone_file

if TYPE_CHECKING:
    from mailsbuddy._template import Template

Seconds = float | datetime.timedelta
Overflow = Literal["warm", "pool", "wait", "send_anyway", "fail"]
Priority = Literal["transactional", "bulk"]
OnUnknown = Literal["resend", "hold", "drop"]
Tls = Literal["none", "opportunistic", "required", "verified"]


@dataclasses.dataclass
class EgressIp:
    """A local address to send from, with the name it says in EHLO, which should match its PTR record.

    ``curve``: its warm-up: a preset ("sendgrid"), a formula or a list as `mailsbuddy warm` takes them, or the messages of each
    day; None: fully warm. ``proxy``: "socks5://..." or "proxy://...", where the address lives behind one.
    """

    address: str
    ehlo_name: str
    pool: str = "default"
    curve: str | Sequence[int] | None = None
    proxy: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass
class PoolOptions:
    """What becomes of mail that the cold IPs of a pool do not take."""

    overflow: Overflow = "warm"
    overflow_pool: str = ""  #: Of "pool".
    hold_max: Seconds = 0  #: The longest wait for a permit; 0: until the mail expires.
    then: Overflow = "send_anyway"  #: After hold_max.
    engaged_only: str = ""  #: Cold IPs are for rows with few days in this field alone: "days_since_click".


@dataclasses.dataclass
class TlsOverride:
    """An operator's word on one domain: neither DANE nor MTA-STS is looked at then."""

    policy: Tls
    names: Sequence[str] = ()  #: With "verified": the certificate's must be one of these. Empty: the MX host's.


@dataclasses.dataclass
class TlsReporting:
    """Daily TLS reports (RFC 8460) that the engine sends by itself: see docs/tls.md."""

    organization: str  #: "Brand Inc."
    contact: str = dataclasses.field(repr=False)  #: "tlsrpt@brand.example"
    domain: str  #: Who reports: "brand.example".
    sender: str = dataclasses.field(repr=False)  #: Of the mail; its domain must sign it.
    account: str = ""
    pool: str = "default"


@dataclasses.dataclass
class Schedule:
    """When a campaign's mail goes out. What waits for its time is in the spool."""

    start_at: datetime.datetime | None = None  #: Aware. Not earlier; max_age counts from then.
    not_after: datetime.datetime | None = None  #: Aware. What is left then expires.
    windows: str = ""  #: "mon-fri 09:00-17:30, sat 10:00-12:00"; empty: at any time.
    zone: str = ""  #: Of the windows' clock: "Europe/Berlin". Empty: UTC.
    zone_field: str = ""  #: The recipient's clock instead: a column with "+02:00" or a zone's name; where it is empty: ``zone``.


@dataclasses.dataclass
class RecipientReport:
    """What a recipient's server is asked to report to the return path (RFC 3461), where it offers DSN."""

    notify: Sequence[Literal["never", "success", "failure", "delay"]] = ()  #: Empty: not said.
    orcpt: str = dataclasses.field(default="", repr=False)  #: "rfc822;ann@example.net"


@dataclasses.dataclass
class Campaign:
    """One template for many rows. Its ``id`` is the caller's: started again, an interrupted import goes on.

    With ``list_id`` and ``unsubscribe_url`` it has the list headers of RFC 8058, in which template text may stand:
    ``https://brand.example/u/{{ mb_token }}``.
    """

    id: str
    content: Template
    sender: str = dataclasses.field(repr=False)  #: RFC 5322 From: "News <news@brand.example>".
    return_path_domain: str  #: Where bounces come back to.
    account: str = ""  #: Fairness and suppression are per account.
    pool: str = "default"
    priority: Priority = "bulk"
    on_unknown: OnUnknown = "resend"  #: When no reply came to the end of data: the server may have it or not.
    list_id: str = ""
    unsubscribe_url: str = ""
    unsubscribe_mailto: str = dataclasses.field(default="", repr=False)
    feedback_id: str = ""
    address_field: str = ""  #: The name under which templates read the address; empty: its column's.
    attempts_max: int = 0  #: Of a recipient, who then expires; 0: the engine's.
    schedule: Schedule | None = None


@dataclasses.dataclass
class Message:
    """One complete message (RFC 5322) with its envelope, sent as it is but for DKIM, line ends and 8-bit downgrades."""

    sender: str = dataclasses.field(repr=False)  #: MAIL FROM.
    recipients: Sequence[str] = dataclasses.field(repr=False)
    data: str | bytes = dataclasses.field(repr=False)
    account: str = ""
    pool: str = "default"
    priority: Priority = "transactional"
    on_unknown: OnUnknown = "resend"
    campaign: str = ""  #: A word for its events.
    not_before: datetime.datetime | None = None  #: Aware. Not sent earlier.
    require_tls: bool = False  #: REQUIRETLS (RFC 8689).
    ret: Literal["", "full", "headers"] = ""  #: RFC 3461 4.3.
    envid: str = ""  #: RFC 3461 4.4.
    attempts_max: int = 0  #: Of a recipient, who then expires; 0: the engine's.
    reports: Sequence[RecipientReport] = ()  #: One a recipient, or none.


def need(given: object, kind: type, what: str) -> None:
    """Raises InvalidArgument for something else than a ``kind``."""
    if not isinstance(given, kind):
        raise InvalidArgument(f"{what}: {kind.__name__} is needed, not {type(given).__name__}")


def need_callables(awaited: bool = False, /, **given: object) -> None:
    for name, each in given.items():
        if each is not None and not callable(each):
            raise InvalidArgument(f"{name}: a function is needed, not {type(each).__name__}")
        if not awaited and inspect.iscoroutinefunction(each):
            raise InvalidArgument(f"{name}: a coroutine function is awaited by nobody here; a plain one is needed")


def as_options(given: Any) -> dict[str, Any]:
    """A dataclass as a dict for the native half, without what is None."""
    pairs = ((field.name, getattr(given, field.name)) for field in dataclasses.fields(given))
    return {name: value for name, value in pairs if value is not None}


def campaign_options(campaign: Campaign) -> dict[str, Any]:
    need(campaign, Campaign, "campaign")
    given = as_options(campaign)
    native = getattr(campaign.content, "_native", None)
    if native is None:
        raise InvalidArgument(f"campaign: content: a Template is needed, as of Template.load() or compile(), not {type(campaign.content).__name__}")
    given["content"] = native
    if campaign.schedule is not None:
        need(campaign.schedule, Schedule, "campaign: schedule")
        given["schedule"] = as_options(campaign.schedule)
        zone = given["schedule"].pop("zone")
        if zone:
            given["schedule"]["zone"] = zone_file(zone)
    return given


def message_options(message: Message) -> dict[str, Any]:
    need(message.reports, Iterable, "message: reports")
    reports = list(message.reports)
    for each in reports:
        need(each, RecipientReport, "message: reports")
    return {**as_options(message), "reports": [as_options(each) for each in reports]}


def without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
