"""What operators ask and say of mail that is not settled: see docs/queue.md."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

from mailsbuddy import _core
from mailsbuddy._core.mail import Address
from mailsbuddy._errors import InvalidArgument
from mailsbuddy._options import Seconds, as_options

State = Literal["queued", "claimed", "deferred", "held", "delivered", "bounced", "suppressed", "expired", "cancelled", "failed"]
Grouping = Literal["campaign", "account", "domain", "provider", "state"]
_PAGE = 1000


@dataclasses.dataclass(frozen=True)
class QueueFilter:
    """Which recipients: those to which all of it applies; what is empty is any. A str says the same wherever one is wanted:
    ``"domain=example.net,state=deferred,age=2h"``; ``""``: all that is open."""

    job: str = ""  #: A campaign's id, or a message's.
    account: str = ""
    pool: str = ""  #: Of egress IPs, as the campaign or message has it now.
    domain: str = ""  #: Lower case, A-label form.
    address: str = dataclasses.field(default="", repr=False)  #: Whole.
    provider: str = ""  #: As in events.
    states: Sequence[State] = ("queued", "claimed", "deferred", "held")
    age_min: Seconds = 0  #: Since their campaign was started, or their message submitted.
    provider_wait: Seconds = 30  #: The longest that a call waits for the DNS to tell domains' providers; 0: it goes by what is known.


@dataclasses.dataclass(frozen=True)
class QueuedRecipient:
    """A recipient of the queue, settled or not."""

    job: str
    campaign: str
    account: str
    address: str = dataclasses.field(repr=False)
    row: int
    state: str
    attempts: int
    due: datetime.datetime | None  #: When it is deferred.
    provider: str  #: Empty: not known yet.
    unreadable: str  #: Why the spool cannot read its address, which is empty then. Other such are those that were erased.


@dataclasses.dataclass(frozen=True)
class QueueGroup:
    """Recipients that have something in common."""

    name: str  #: Empty: messages of no campaign, domains whose provider is not known yet.
    counts: dict[State, int]

    @property
    def rows(self) -> int:
        return sum(self.counts.values())


@dataclasses.dataclass(frozen=True)
class QueueSummary:
    """How many recipients there are."""

    groups: list[QueueGroup]  #: The largest first.
    others: dict[State, int]  #: Of all other groups together.
    other_groups: int
    unknown: int  #: Of domains whose provider the DNS did not tell in time; in no group.
    unknown_domains: int = 0  #: How many domains these are.


@dataclasses.dataclass(frozen=True)
class QueueChange:
    """What a command came to."""

    rows: int  #: Changed.
    under_way: int  #: Fitted, and are on a connection or about to be: they end as they end.
    unknown: int  #: Of domains whose provider the DNS did not tell in time. Left as they are.
    unreadable: int  #: The spool cannot read whose they are. Left as they are, and named in the log.
    unknown_domains: int = 0  #: How many domains those are whose provider is unknown.


@dataclasses.dataclass(frozen=True)
class EgressStatus:
    """An egress IP of the engine's."""

    address: str
    pool: str
    draining: bool
    connections: int  #: Open or opening. Draining, and 0: nothing uses the address any more.


@dataclasses.dataclass(frozen=True)
class IntakePressure:
    """Whether what is submitted now can be taken."""

    refuses: bool
    detail: str  #: Why.


@dataclasses.dataclass(frozen=True)
class AddressErased:
    """What went with an address."""

    rows: int
    cancelled: int  #: Of the rows: they were not sent to.
    claimed: int  #: Of the rows: may be on the wire; their events are still to come, without the address.
    events: int
    jobs: int  #: Single messages in whose data it was.
    suppressions: int
    tallies: int


def _native_filter(filter: QueueFilter | str) -> str | dict[str, Any]:
    if isinstance(filter, QueueFilter):
        return as_options(filter)
    if isinstance(filter, str):
        return filter
    raise InvalidArgument(f"filter: a QueueFilter or a str is needed, not {type(filter).__name__}")


def _counts(native: list[int]) -> dict[State, int]:
    return dict(zip(get_args(State), native, strict=True))


class QueueVerbs:
    """Of :class:`mailsbuddy.Engine`."""

    _native: _core.engine.Engine

    def summary(self, filter: QueueFilter | str = "", by: Grouping = "campaign", max: int = 1000) -> QueueSummary:
        """How many there are, of the ``max`` largest groups and of the rest together. No row is read but for an address: some
        tens of milliseconds for ten million."""
        groups, others, *more = self._native.summary(_native_filter(filter), by, max)
        return QueueSummary([QueueGroup(name, _counts(counts)) for name, counts in groups], _counts(others), *more)

    def fail(self, filter: QueueFilter | str, reason: str) -> QueueChange:
        """They become failed, with the reason in their events; those under way aside."""
        return QueueChange(*self._native.fail(_native_filter(filter), reason))

    def hold(self, filter: QueueFilter | str, reason: str) -> QueueChange:
        """They wait until they are released, also in the next process, with the reason in a held event; those under way aside,
        and those that come later."""
        return QueueChange(*self._native.hold(_native_filter(filter), reason))

    def release(self, filter: QueueFilter | str) -> QueueChange:
        """Deferred and held ones are tried as soon as their turn comes."""
        return QueueChange(*self._native.release(_native_filter(filter)))

    def move(self, filter: QueueFilter | str, pool: str) -> int:
        """Campaigns and messages, whole ones only, go over the IPs of this pool from now on. How many."""
        return self._native.move(_native_filter(filter), pool)

    def drain_egress(self, address: str, draining: bool = True) -> None:
        """Nothing more is begun from this egress IP; the others of its pool take the rest. Raises NotFound."""
        self._native.drain_egress(address, draining)

    def pressure(self) -> IntakePressure:
        """What submit() and start() would say now."""
        return IntakePressure(*self._native.pressure())

    @property
    def unreported(self) -> int:
        """Events that have not been handed over yet, also of before open()."""
        return self._native.unreported()

    def erase_address(self, address: str | Address, *, suppressions: bool = False) -> AddressErased:
        """Personal data: forgets an address in rows, events and messages, and on return in the spool's files. What was not sent
        to it is cancelled. It stays suppressed but for ``suppressions=True``. Long: it rewrites the files."""
        return AddressErased(*self._native.erase_address(address, suppressions))

    def erase_campaign(self, campaign: str) -> None:
        """Ends a campaign, settled or not, and takes it from the spool's files. Raises NotFound."""
        self._native.erase_campaign(campaign)

    def egress(self) -> list[EgressStatus]:
        """All egress IPs, with what they do."""
        return [EgressStatus(*each) for each in self._native.egress()]

    def campaigns(self) -> list[str]:
        """Ids of all campaigns, by name. Those whose import was interrupted have no status()."""
        return self._native.campaigns()

    def list(self, filter: QueueFilter | str = "") -> Iterator[QueuedRecipient]:
        """Those that fit, page by page as they are asked for. What comes meanwhile may be missed."""
        which, cursor, more = _native_filter(filter), _core.engine.ListCursor(), True
        while more:
            page, more = self._native.list_page(which, cursor, _PAGE)
            for each in page:
                yield QueuedRecipient(*each)
