"""What the checks of DNS records share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a record."""

    name: str  #: For programs: "version", "policy", ...
    detail: str  #: For people.

    def __str__(self) -> str:
        return self.detail
