"""DNS through the library's own resolver: many questions at once, cached, with bounded concurrency."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from mailsbuddy._core.net import Resolver as _Resolver


@dataclass(frozen=True)
class Answer:
    """What DNS says about one name."""

    status: str  #: "ok", "no_data": it has no such records, "nxdomain": it does not exist, "failed": try later.
    records: list[str]  #: Of MX: preference and host, ``"10 mx.example.net"``; the host of a null MX is empty.
    detail: str = ""  #: When failed: why.


class Resolver:
    """Asks DNS. Threads: any number at once.

    :param servers: ``"192.0.2.53"`` or ``"127.0.0.1:5353"``; none: the system's.
    :param timeout: for the first try of each server, in seconds or as a timedelta.
    :param concurrency: questions under way at once, at most.
    """

    def __init__(self, servers: Iterable[str] = (), *, timeout: float | datetime.timedelta = 3, tries: int = 2,
                 concurrency: int = 50) -> None:
        self._native = _Resolver([servers] if isinstance(servers, str) else list(servers), timeout, tries)
        self._concurrency = concurrency

    def query(self, questions: Iterable[tuple[str, str]]) -> list[Answer]:
        """Answers to pairs of a type (``"mx"``, ``"txt"`` or ``"address"``) and a name, in their order."""
        return [Answer(*each) for each in self._native.query(list(questions), self._concurrency)]

    def mx(self, domain: str) -> Answer:
        """The mail hosts of a domain."""
        return self.query([("mx", domain)])[0]

    def txt(self, name: str) -> Answer:
        """Texts; the strings of a record are joined."""
        return self.query([("txt", name)])[0]

    def addresses(self, host: str) -> Answer:
        """IPv6 and IPv4 addresses of a host."""
        return self.query([("address", host)])[0]
