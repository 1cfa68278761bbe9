"""A progress bar for a campaign, in terminals and notebooks. Takes ``pip install mailsbuddy[progress]``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mailsbuddy._errors import InvalidArgument, without_extra

if TYPE_CHECKING:
    from rich.console import Console

    from mailsbuddy._core.engine import CampaignStatus
    from mailsbuddy._engine import CampaignHandle

__all__ = ["Bar", "watch"]

_SETTLED = ("delivered", "bounced", "failed", "expired", "suppressed", "cancelled")


class Bar:
    """Shows how far recipients are settled, how fast, and how.

    ::

        with Bar("spring-24", total=20_000) as bar:
            bar.update({"delivered": 1200, "bounced": 7, "queued": 18_793})

    rich draws it once in a notebook cell and in place in a terminal; where output is no terminal, its last state alone.
    """

    def __init__(self, name: str, total: int, *, console: Console | None = None) -> None:
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError:
            raise without_extra("progress: rich", "progress") from None
        self._progress: Any = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[states]}", markup=False), console=console)
        self._task = self._progress.add_task(name, total=total, states="")

    def update(self, counts: Mapping[str, int]) -> None:
        """Recipients by state; states that are not final are not counted as done."""
        settled = {state: counts[state] for state in _SETTLED if counts.get(state)}
        words = ", ".join(f"{count:,} {state}" for state, count in settled.items())
        self._progress.update(self._task, completed=sum(settled.values()), states=words)

    def follow(self, counts: Callable[[], Mapping[str, int]], wait: Callable[[float], bool], every: float = 0.5) -> None:
        """Updates until `wait`, called with a number of seconds, says that it is over: ``engine.drain``, or an Event's wait."""
        while not wait(every):
            self.update(counts())
        self.update(counts())

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.refresh()
        self._progress.stop()

    def __repr__(self) -> str:
        return "<mailsbuddy.progress.Bar>"


def watch(campaign: CampaignHandle, *, interval: float = 0.5, console: Console | None = None) -> CampaignStatus:
    """Shows a campaign of an engine until it is settled, looking every ``interval`` seconds; its status then. Ctrl-C ends it, and leaves
    the campaign as it is."""
    if not interval > 0:
        raise InvalidArgument("interval: seconds above 0 are needed")
    status = campaign.status()
    with Bar(campaign.id, status.total, console=console) as bar:
        while True:
            bar.update(status.counts)
            if status.settled:
                return status
            time.sleep(interval)  # How often it is drawn: nothing waits for one campaign alone. Ctrl-C ends it.
            status = campaign.status()
