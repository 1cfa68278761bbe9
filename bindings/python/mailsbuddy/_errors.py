"""The exceptions: one class a code of the library, all of them Error."""

from __future__ import annotations


class Error(Exception):
    """What the library refuses, with a `code` for programs, a `detail` and a `remedy` for people.

    A refusal by a mail server is never an exception: it is an event.
    """

    code: str = "internal"
    remedy: str = "This is a defect in mailsbuddy: report it, with mailsbuddy.build_info()."

    def __init__(self, detail: str = "", *, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
        if hasattr(self, "add_note"):  # Python 3.11: below the last line of a traceback.
            self.add_note(self.remedy)

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"

    def __repr__(self) -> str:  # The detail may name an address; logs of objects must not.
        return f"<mailsbuddy.{type(self).__name__} {self.code}>"


class InvalidArgument(Error, ValueError):
    """The caller's input is wrong; the detail names what and where."""

    code = "invalid_argument"
    remedy = "Correct what the message names."


class NotFound(Error, LookupError):
    """Nothing has that name."""

    code = "not_found"
    remedy = "Check the name; a settled message, or a campaign that was forgotten, has none any more."


class AlreadyExists(Error):
    """Something else has that name."""

    code = "already_exists"
    remedy = "Choose another name, or go on with what is there."


class Unavailable(Error):
    """Not now: a peer, a file or an address cannot be used; trying again may help."""

    code = "unavailable"
    remedy = "Try again later; if it is an address of this host, check that it is configured and no other process has it."


class ResourceExhausted(Error):
    """A cap was reached: memory, disk, size of output."""

    code = "resource_exhausted"
    remedy = "Make room, or raise the limit that the message names."


class IoError(Error, OSError):
    """The operating system refused; the detail carries its words."""

    code = "io"
    remedy = "See what the operating system says: rights, room and the disk's health."


class Closed(Error):
    """The object was closed, or is closing."""

    code = "closed"
    remedy = "Open a new one, and use it inside its `with` block."


class Unsupported(Error):
    """Valid, but this build, this process or this peer cannot do it."""

    code = "unsupported"
    remedy = "Do as the message says; mailsbuddy.build_info() tells what this build has."


class Internal(Error):
    """A defect in mailsbuddy."""

    code = "internal"


_BY_CODE: dict[str, type[Error]] = {
    each.code: each
    for each in (InvalidArgument, NotFound, AlreadyExists, Unavailable, ResourceExhausted, IoError, Closed, Unsupported, Internal)
}


for _each in (Error, *_BY_CODE.values()):
    _each.__module__ = "mailsbuddy"  # Tracebacks name a class where people import it.


def error_of(code: str, detail: str) -> Error:
    """The exception for one of the library's errors."""
    return _BY_CODE[code](detail)


def without_extra(what: str, extra: str, otherwise: str = "") -> Unsupported:
    """For a part that takes other people's packages, which an extra of ours installs."""
    command = f"pip install mailsbuddy[{extra}]"
    return Unsupported(f'{what} is not installed; the extra "{extra}" has it: {command}', remedy=command + otherwise)
