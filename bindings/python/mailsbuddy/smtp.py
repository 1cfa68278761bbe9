"""One SMTP connection, for when an engine is too much: connect, send, quit.

Servers are found by DNS or by address; TLS, pipelining, SMTPUTF8 and the login are the library's.
"""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from mailsbuddy._core import smtp as _smtp
from mailsbuddy._core.mail import Outcome
from mailsbuddy._errors import InvalidArgument, Unavailable
from mailsbuddy._message import AddressLike, MessageLike, envelope_of

__all__ = ["Client", "ConnectFailed", "SendResult"]


class ConnectFailed(Unavailable):
    """No connection, or none that may be used: TLS or the login failed. `outcome` has stage, cause and reply."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome), remedy="See the stage: name and port for connect, tls= for start_tls, user for auth.")
        self.outcome = outcome


@dataclass(frozen=True, repr=False)
class SendResult:
    """What became of each recipient."""

    outcomes: dict[str, Outcome]

    @property
    def delivered(self) -> bool:
        """All of them were taken by the server."""
        return all(each.delivered for each in self.outcomes.values())

    @property
    def refused(self) -> dict[str, Outcome]:
        """Those that were not, with their reasons."""
        return {recipient: each for recipient, each in self.outcomes.items() if not each.delivered}

    def __repr__(self) -> str:
        return f"<mailsbuddy.smtp.SendResult {len(self.outcomes) - len(self.refused)} of {len(self.outcomes)} delivered>"


class Client:
    """A connection to one server: ``with Client("mail.brand.example", 587, user="u", password="p") as client: ...``

    Waits run without the GIL and end with Ctrl-C. Threads: one at a time.

    :param host: a name, found by DNS, or an address. /etc/hosts is not read.
    :param port: 25, 587 for submission, 465 for implicit TLS.
    :param ehlo_name: who we are; default: this host's name.
    :param tls: ``"none"``, ``"opportunistic"``, ``"required"``, ``"verified"``: the certificate must be the host's; default:
        verified where there is a login, else opportunistic.
    :param implicit_tls: TLS before the greeting; default: on port 465.
    :param token: an OAuth 2.0 token, for XOAUTH2, instead of a password.
    :param login_in_clear: also without TLS: for loopback and tests.
    :param timeout: for each reply, in seconds or as a timedelta.
    :param local_address: to send from.
    :param ca: PEM file or folder of the roots to trust; default: the system's.
    :param dns: name servers; default: the system's.
    """

    def __init__(self, host: str, port: int = 25, *, ehlo_name: str | None = None, tls: str | None = None,
                 implicit_tls: bool | None = None, lmtp: bool = False, user: str = "", password: str = "", token: str = "",
                 login_in_clear: bool = False, timeout: float | datetime.timedelta = 60, local_address: str = "",
                 ca: str | os.PathLike[str] = "", dns: Iterable[str] = ()) -> None:
        if tls is None:
            tls = "verified" if user and not login_in_clear else "opportunistic"
        try:
            self._native = _smtp.Client(
                host="127.0.0.1" if host == "localhost" else host, port=port, ehlo_name=ehlo_name or _own_name(), tls=tls,
                implicit_tls=port == 465 if implicit_tls is None else implicit_tls, lmtp=lmtp, user=user, password=password,
                token=token, login_in_clear=login_in_clear, timeout=timeout, local_address=local_address, ca=os.fspath(ca),
                dns=list(dns))
        except TypeError:  # Of pybind11, whose text quotes all that was given, the password too.
            raise InvalidArgument("port: an int is needed; host, ehlo_name, tls, user, password, token, local_address: str; dns: a list of them") from None

    def connect(self) -> Client:
        """Connects, and says EHLO, STARTTLS and AUTH as far as they apply. Raises :class:`ConnectFailed`."""
        outcome = self._native.connect()
        if outcome is not None:
            raise ConnectFailed(outcome)
        return self

    def send(self, message: MessageLike, *, sender: AddressLike | None = None,
             recipients: Iterable[AddressLike] | AddressLike | None = None, require_tls: bool = False) -> SendResult:
        """Sends one message. What is not given of its envelope is taken from its fields.

        A refusal is no exception: it is in the result. Raises Closed when the connection is gone before it begins.
        """
        envelope = envelope_of(message, sender, recipients)
        header = envelope.data.partition(b"\r\n\r\n")[0]
        smtputf8 = not (header.isascii() and envelope.sender.isascii() and all(each.isascii() for each in envelope.recipients))
        outcomes = self._native.send(envelope.sender, envelope.recipients, envelope.data, smtputf8, require_tls)
        return SendResult(dict(zip(envelope.recipients, outcomes)))

    def quit(self) -> None:
        """QUIT, and closes."""
        self._native.quit()

    def close(self) -> None:
        """Closes at once."""
        self._native.close()

    @property
    def connected(self) -> bool:
        """A message can be sent."""
        return self._native.connected

    @property
    def tls(self) -> bool:
        """The connection is encrypted."""
        return self._native.tls

    @property
    def verified(self) -> bool:
        """And the server's certificate was verified."""
        return self._native.verified

    @property
    def remote(self) -> str:
        """The server's address and port."""
        return self._native.remote

    def __enter__(self) -> Client:
        return self if self.connected else self.connect()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.quit()
        else:
            self.close()

    def __repr__(self) -> str:
        return f"<mailsbuddy.smtp.Client {'connected' if self.connected else 'closed'}>"


def _own_name() -> str:
    name = socket.getfqdn()
    return name if "." in name and name.isascii() and ".arpa" not in name else "[127.0.0.1]"
