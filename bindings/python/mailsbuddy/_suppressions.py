"""Who must not be mailed: see docs/suppression.md."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator
from typing import Literal

from mailsbuddy import _core
from mailsbuddy._core.mail import Address
from mailsbuddy._errors import InvalidArgument

Reason = Literal["manual", "unsubscribe", "complaint", "hard_bounce", "soft_bounces"]
EVERY_ACCOUNT = "*"
_PAGE = 1000


@dataclasses.dataclass(frozen=True)
class Suppressed:
    """Why and since when an address must not be mailed."""

    reason: str
    since: datetime.datetime


@dataclasses.dataclass(frozen=True)
class SuppressionEntry:
    """One of a list of addresses that must not be mailed."""

    account: str  #: "*": every one.
    address: str | Address = dataclasses.field(repr=False)  #: Or hashed, as the spool has it under its ``suppression_key``.
    reason: str = "manual"
    since: datetime.datetime | None = None  #: Aware; None: now.


def _rows(entries: Iterable[SuppressionEntry]) -> Iterator[tuple[str, str, str, datetime.datetime | None]]:
    for number, each in enumerate(entries, 1):
        if not isinstance(each, SuppressionEntry):
            raise InvalidArgument(f"entry {number}: a SuppressionEntry is needed, not {type(each).__name__}")
        yield each.account, str(each.address), each.reason, each.since


class SuppressionVerbs:
    """Of :class:`mailsbuddy.Engine`."""

    _native: _core.engine.Engine

    def suppress(self, account: str, address: str | Address, reason: Reason = "manual") -> None:
        """After the return no transaction for the address begins."""
        self._native.suppress(account, address, reason)

    def unsuppress(self, account: str, address: str | Address) -> bool:
        """False: it was not suppressed by this account itself. "*" is every account."""
        return self._native.unsuppress(account, address)

    def suppressed(self, account: str, address: str | Address) -> Suppressed | None:
        """None: it is not."""
        found = self._native.suppressed(account, address)
        return None if found is None else Suppressed(*found)

    def import_suppressions(self, entries: Iterable[SuppressionEntry]) -> int:
        """Takes all of them, in batches; how many. At a wrong one, or when the iterable raises, those before it stay;
        also when another thread closes the engine, which raises Closed here."""
        return self._native.import_suppressions(_rows(entries))

    def export_suppressions(self) -> Iterator[SuppressionEntry]:
        """All of them, as they are at the call, in no order. Takes some 50 octets of memory an entry."""
        found = self._native.export_suppressions()
        return (SuppressionEntry(*each) for page in iter(lambda: found.take(_PAGE), []) for each in page)
