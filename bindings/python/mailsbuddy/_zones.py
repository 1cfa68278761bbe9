"""Time zones by name, for the engine, which reads no files itself."""

from __future__ import annotations

import importlib.resources
import os
import zoneinfo

from mailsbuddy._errors import InvalidArgument, NotFound


def zone_file(name: str) -> tuple[str, bytes]:
    """The name, and the TZif file of the system's, or of the package tzdata. Raises NotFound."""
    if not isinstance(name, str):
        raise InvalidArgument(f"zone: a name is needed, as str, not {type(name).__name__}")
    words = name.split("/")
    if all(word and not word.startswith(".") for word in words):
        for folder in zoneinfo.TZPATH:
            try:
                with open(os.path.join(folder, *words), "rb") as file:
                    return name, file.read()
            except (OSError, ValueError):
                continue
        try:
            return name, importlib.resources.files("tzdata.zoneinfo").joinpath(*words).read_bytes()
        except (ImportError, OSError, ValueError):
            pass
    raise NotFound(f'"{name}" is no time zone here: a name such as "Europe/Berlin" is needed',
                   remedy="Check the name; pip install tzdata where the system has no time zones.")
