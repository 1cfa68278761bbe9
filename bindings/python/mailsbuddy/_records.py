"""What the checks of DNS records share."""

from __future__ import annotations

from dataclasses import dataclass


#: Octets of a record that are looked at. Nobody publishes more: such an answer does not fit into UDP.
TEXT_MAX = 2048


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a record."""

    name: str  #: For programs: "version", "policy", ...
    detail: str  #: For people.

    def __str__(self) -> str:
        return self.detail


def too_long(text: str) -> list[Problem]:
    """Said of a record of which nothing more is read."""
    return [Problem("too_long", f"it has {len(text)} characters, more than {TEXT_MAX}")] if len(text) > TEXT_MAX else []
