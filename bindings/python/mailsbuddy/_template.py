"""Templates from files."""

from __future__ import annotations

import os
import pathlib

from mailsbuddy._core.mail import Template as _Template
from mailsbuddy._errors import IoError


class Template:
    """Headers and bodies in Liquid, compiled once, rendered a row at a time."""

    def __init__(self, native: _Template) -> None:
        self._native = native

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Template:
        """From an .eml file: headers, then a text, HTML or multipart body."""
        try:
            text = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise IoError(f"{os.fspath(path)}: {error.strerror}") from error
        return cls.parse_eml(text)

    @classmethod
    def parse_eml(cls, eml: str | bytes) -> Template:
        """From the text of an .eml file."""
        return cls(_Template.parse_eml(eml))

    @property
    def field_names(self) -> list[str]:
        """The merge fields that it reads."""
        return self._native.field_names

    def __repr__(self) -> str:
        return f"<mailsbuddy.Template of {len(self.field_names)} fields>"
