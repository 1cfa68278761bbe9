"""Pictures of plans and campaigns, with matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mailsbuddy._errors import without_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mailsbuddy.warming import Plan

#: Distinct also for those who see few colours: Okabe and Ito (2008).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


def axes(ax: Axes | None) -> Axes:
    """The given axes, or new ones."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise without_extra("plot: matplotlib", "plot") from None
    if ax is not None:
        return ax
    _, made = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    return made


def finish(ax: Axes, title: str, x: str, y: str) -> Axes:
    """What all pictures have."""
    from matplotlib.ticker import FuncFormatter

    ax.set_title(title, loc="left")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    return ax


def plan(made: Plan, ax: Axes | None) -> Axes:
    """Messages a day, stacked by provider; the sum so far as a line."""
    drawn = axes(ax)
    days = list(range(1, made.days + 1))
    floor = [0] * made.days
    for number, (provider, messages) in enumerate(made.by_day().items()):
        drawn.bar(days, messages, bottom=floor, width=0.85, label=provider, color=COLOURS[number % len(COLOURS)])
        floor = [below + own for below, own in zip(floor, messages)]
    end = f"done on {made.finish:%Y-%m-%d}" if made.finish else "not done within these days"
    drawn.set_ylim(bottom=0)
    if len(made.providers) > 0:
        drawn.legend(frameon=False, title="provider")
    limit = f"; limited by {made.bound}" if made.bound else ""
    return finish(drawn, f"{sum(floor):,} messages, {end}{limit}", "day", "messages a day")


def states(counts: Mapping[str, int], title: str, ax: Axes | None) -> Axes:
    """A bar for each state that has recipients, with its number."""
    drawn = axes(ax)
    there = {state: count for state, count in counts.items() if count} or {"no recipients": 0}
    bars = drawn.barh(list(there), list(there.values()), color=[_colour(state) for state in there])
    drawn.bar_label(bars, labels=[f"{count:,}" for count in there.values()], padding=4)
    drawn.invert_yaxis()
    drawn.margins(x=0.15)
    drawn.set_title(title, loc="left")
    drawn.set_xlabel("recipients")
    drawn.spines[["top", "right"]].set_visible(False)
    return drawn


def _colour(state: str) -> str:
    return {"delivered": "#009E73", "bounced": "#D55E00", "failed": "#D55E00", "expired": "#CC79A7", "suppressed": "#999999",
            "cancelled": "#999999", "deferred": "#E69F00"}.get(state, "#0072B2")
