"""Pace without an engine: warm-up curves, plans, and simulated warm-ups by the controller that the engine uses.

>>> made = plan({"google": 40_000, "microsoft": 20_000}, ips=2, curve="sparkpost")
>>> made.days
7
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.resources
import pathlib
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailsbuddy._core import warming as _warming
from mailsbuddy._core.warming import Curve
from mailsbuddy._errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Decision", "Hour", "Ip", "Plan", "PlanRow", "Preset", "ProviderPlan", "Simulation", "plan", "presets",
           "simulate"]


@dataclass(frozen=True)
class Preset:
    """A curve that is there by name."""

    name: str
    about: str
    source: str  #: Where its numbers are from.


def presets() -> list[Preset]:
    """The curves there are by name."""
    return [Preset(*each) for each in _warming.presets()]


@dataclass(frozen=True)
class Ip:
    """An egress IP in a plan."""

    address: str
    curve: Curve | str | None = None  #: A Curve, or what :meth:`Curve.parse` takes; None: fully warm.
    day: int = 0  #: Where on the curve it stands.


@dataclass(frozen=True)
class PlanRow:
    """What one IP sends to one provider on one day."""

    day: int  #: From 0.
    provider: str
    ip: str
    messages: int
    cap: int  #: What it could have been.
    bound: str  #: What set the cap: "curve sparkpost", "connections", ...


@dataclass(frozen=True)
class ProviderPlan:
    """How one provider's part goes."""

    provider: str
    messages: int
    left: int  #: Not sent within the days that were planned.
    days: int
    finish: datetime.datetime | None  #: None: not within them.
    bound: str


@dataclass(frozen=True, repr=False)
class Plan:
    """The volume per day, provider and IP if nothing is refused."""

    rows: list[PlanRow]
    providers: list[ProviderPlan]
    days: int
    start: datetime.datetime | None
    finish: datetime.datetime | None  #: None: a provider's part does not end.
    bound: str  #: What limits it: "google: curve sparkpost".

    def by_day(self) -> dict[str, list[int]]:
        """Messages by provider, one number a day."""
        table = {each.provider: [0] * self.days for each in self.providers}
        for row in self.rows:
            table[row.provider][row.day] += row.messages
        return table

    def columns(self) -> dict[str, list[Any]]:
        """The rows as columns, ready for a data frame."""
        return {name: [getattr(row, name) for row in self.rows] for name in ("day", "provider", "ip", "messages", "cap", "bound")}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Bars of messages a day, stacked by provider. Takes ``pip install mailsbuddy[plot]``."""
        from mailsbuddy import _plot

        return _plot.plan(self, ax)

    def __repr__(self) -> str:
        return f"<mailsbuddy.warming.Plan of {self.days} days, {sum(row.messages for row in self.rows)} messages>"


def _curve(curve: Curve | str | None) -> Curve | None:
    return Curve.parse(curve) if isinstance(curve, str) else curve


def _tzif(zone: str) -> bytes:
    """What the system's files of time zones, or the package tzdata, say."""
    if zone == "UTC":
        return b""
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", zone):
        raise InvalidArgument(f'zone: "{zone}" is no name of a time zone')
    places: list[Any] = [pathlib.Path(folder) for folder in zoneinfo.TZPATH]
    with contextlib.suppress(ModuleNotFoundError):
        places.append(importlib.resources.files("tzdata.zoneinfo"))
    for place in places:
        if (file := place.joinpath(zone)).is_file():
            return bytes(file.read_bytes())
    raise NotFound(f'zone: there is no time zone "{zone}"')


def plan(audience: Mapping[str, int], *, ips: int | Iterable[Ip | str] = 1, curve: Curve | str | None = None,
         start: datetime.datetime | None = None, limits: str = "", zone: str = "UTC",
         days_max: int = 366) -> Plan:
    """How long it takes to send so many messages.

    :param audience: messages by provider: ``{"google": 40_000}``.
    :param ips: how many cold ones, or an :class:`Ip` (or address) each.
    :param curve: of IPs that bring none: a preset's name, a list, a formula, a Curve; None: they are warm.
    :param start: an aware datetime; its day is the first. Default: now.
    :param limits: lines of limits that go before the shipped ones (docs/limits.md).
    :param zone: where days begin, ``"Europe/Berlin"``, daylight saving included.
    """
    if isinstance(ips, int):
        if not 1 <= ips <= 1000:
            raise InvalidArgument(f"ips: {ips} is not 1 to 1000")
        ips = [Ip(f"ip{number + 1}") for number in range(ips)]
    default = _curve(curve)
    listed = [each if isinstance(each, Ip) else Ip(each) for each in ips]
    made = _warming.plan(
        audience=list(audience.items()),
        ips=[(each.address, default if each.curve is None else _curve(each.curve), each.day) for each in listed],
        start=start or datetime.datetime.now(datetime.timezone.utc), limits=limits, limits_name="limits",
        tzif=_tzif(zone), zone=zone, days_max=days_max)
    rows, providers, days, begin, finish, bound = made
    return Plan([PlanRow(*row) for row in rows], [ProviderPlan(*each) for each in providers], days, begin, finish, bound)


@dataclass(frozen=True)
class Hour:
    """One hour of a simulated warm-up."""

    time: datetime.datetime
    sent: int
    replies: Mapping[str, int]
    cap: int | None  #: Of the day; None: there is none any more.
    state: str  #: "warming", "held", "suspended", "warm", ...
    day: int  #: Sending day, on the curve.


@dataclass(frozen=True)
class Decision:
    """What the controller decided."""

    time: datetime.datetime
    kind: str  #: "advance", "hold", "step_back", "suspend", ...
    text: str


@dataclass(frozen=True, repr=False)
class Simulation:
    """A warm-up as it would have gone."""

    hours: list[Hour]
    decisions: list[Decision]

    @property
    def sent(self) -> int:
        """Messages in all."""
        return sum(hour.sent for hour in self.hours)

    def by_day(self) -> list[int]:
        """Messages of each 24 hours from the start."""
        return [sum(hour.sent for hour in self.hours[at : at + 24]) for at in range(0, len(self.hours), 24)]

    def __repr__(self) -> str:
        return f"<mailsbuddy.warming.Simulation of {len(self.hours)} hours, {self.sent} messages>"


#: What a receiver does with an hour's messages: how many of them got which answer; the rest is delivered.
Receiver = Callable[[datetime.datetime, int], Mapping[str, int]]


def simulate(provider: str, *, per_day: int, days: int, curve: Curve | str | None = "growth",
             receiver: Receiver | None = None, adaptive: bool = True, limits: str = "",
             start: datetime.datetime = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)) -> Simulation:
    """Warms one egress IP up at one provider, with the engine's own controller, in simulated time.

    :param per_day: messages that become ready each day, evenly; what may not go waits.
    :param receiver: what the provider says: called with the hour and the messages sent in it, gives counts by signal:
        ``"deferred"``, ``"rate_limited"``, ``"reputation"``, ``"blocked"``, ``"unknown_user"``, ``"rejected"``,
        ``"complaint"``. Default: all is delivered.
    """
    if not (0 <= per_day <= 10_000_000 and 1 <= days <= 1000):
        raise InvalidArgument("per_day: 0 to 10,000,000, and days: 1 to 1000")
    native = _warming.Simulation(provider=provider, curve=_curve(curve), limits=limits, limits_name="limits", adaptive=adaptive,
                                 start=start)
    hours: list[Hour] = []
    decisions: list[Decision] = []
    waiting = 0.0
    for number in range(days * 24):
        waiting += per_day / 24
        sent = native.send(int(waiting))
        waiting -= sent
        time = start + datetime.timedelta(hours=number)
        replies = dict(receiver(time, sent)) if receiver is not None and sent else {}
        others = sum(count for name, count in replies.items() if name not in ("delivered", "complaint"))
        if any(count < 0 for count in replies.values()) or others > sent:
            raise InvalidArgument(f"receiver: {others} of {sent} messages were answered")
        replies["delivered"] = sent - others
        native.learn(list(replies.items()))
        _, state, day, cap, made = native.state()
        hours.append(Hour(time, sent, replies, cap, state, day))
        decisions += [Decision(*each) for each in made]
    return Simulation(hours, decisions)
