"""Templates from files."""

from __future__ import annotations

import os
import pathlib

from collections.abc import Iterable, Mapping

from mailsbuddy._core.mail import Template as _Template
from mailsbuddy._core.mail import format_header
from mailsbuddy._errors import IoError
from mailsbuddy._message import Attachment, MessageLike, to_wire


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
    def parse_eml(cls, eml: MessageLike) -> Template:
        """From the text of an .eml file, or a message of the standard library."""
        return cls(_Template.parse_eml(eml if isinstance(eml, (str, bytes)) else to_wire(eml)))

    @classmethod
    def compile(cls, *, subject: str = "", text: str = "", html: str = "", headers: Mapping[str, str] | None = None,
                attachments: Iterable[Attachment] = ()) -> Template:
        """From its parts, each in Liquid. Raises InvalidArgument with part, line and column: ``html:12:7: ...``.

        >>> Template.compile(subject="Hello {{ name }}", text="Dear {{ name | upcase }}").field_names
        ['name']
        """
        fields = [("Subject", subject)] if subject else []
        parts = [(each.filename, each.content_type, each.data, each.content_id) for each in attachments]
        return cls(_Template.compile([*fields, *(headers or {}).items()], text, html, parts))

    def render(self, fields: Mapping[str, object], *, leading_headers: Mapping[str, str] | None = None) -> bytes:
        """One whole message: for a look at it, or to send it by other means. None is rendered as nothing.

        :param leading_headers: From, To and the like, which no template has.
        """
        row = [(name, "" if value is None else str(value)) for name, value in fields.items()]
        lines = b"".join(format_header(name, value) for name, value in (leading_headers or {}).items())
        return self._native.render(row, lines)

    @property
    def field_names(self) -> list[str]:
        """The merge fields that it reads."""
        return self._native.field_names

    def __repr__(self) -> str:
        return f"<mailsbuddy.Template of {len(self.field_names)} fields>"
