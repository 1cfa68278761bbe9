"""In the place of the standard library's ``smtplib.SMTP``: the same calls and the same exceptions, over the library's client.

Replace ``import smtplib`` by ``from mailsbuddy import smtplib``.
"""

from __future__ import annotations

import email.message
import smtplib as _std
import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Union

from mailsbuddy._core.mail import Outcome
from mailsbuddy._errors import Closed
from mailsbuddy.smtp import Client, ConnectFailed

__all__ = ["SMTP", "SMTP_SSL", "SMTPAuthenticationError", "SMTPConnectError", "SMTPDataError", "SMTPException",
           "SMTPHeloError", "SMTPNotSupportedError", "SMTPRecipientsRefused", "SMTPSenderRefused", "SMTPServerDisconnected"]

SMTPAuthenticationError = _std.SMTPAuthenticationError
SMTPConnectError = _std.SMTPConnectError
SMTPDataError = _std.SMTPDataError
SMTPException = _std.SMTPException
SMTPHeloError = _std.SMTPHeloError
SMTPNotSupportedError = _std.SMTPNotSupportedError
SMTPRecipientsRefused = _std.SMTPRecipientsRefused
SMTPSenderRefused = _std.SMTPSenderRefused
SMTPServerDisconnected = _std.SMTPServerDisconnected

Refused = dict[str, tuple[int, bytes]]


class SMTP:
    """A connection that is made when it is first needed.

    ``starttls()`` demands TLS, which otherwise is used when offered; ``login()`` also demands that the certificate is the
    host's. Both may be called before or after the connection is there, which is then made anew.
    """

    _implicit_tls = False
    default_port = 25

    def __init__(self, host: str = "", port: int = 0, local_hostname: str | None = None, timeout: float = 60,
                 source_address: tuple[str, int] | None = None, *, ca: str = "", login_in_clear: bool = False) -> None:
        self._host, self._port = host, port or self.default_port
        self._local_hostname, self._timeout, self._ca = local_hostname, timeout, ca
        self._source = source_address[0] if source_address else ""
        self._tls = "opportunistic"
        self._login = ("", "")
        self._login_in_clear = login_in_clear
        self._client: Client | None = None

    def connect(self, host: str = "", port: int = 0) -> None:
        """Connects; the exceptions are those of ``smtplib``."""
        self._host, self._port = host or self._host, port or self._port
        if self._host.count(":") == 1:
            self._host, _, text = self._host.partition(":")
            self._port = int(text)
        user, password = self._login
        self._client = Client(self._host, self._port, ehlo_name=self._local_hostname, tls=self._tls,
                              implicit_tls=self._implicit_tls, user=user, password=password, timeout=self._timeout,
                              local_address=self._source, ca=self._ca, login_in_clear=self._login_in_clear)
        try:
            self._client.connect()
        except ConnectFailed as error:
            self._client = None
            raise _connect_error(error.outcome) from error

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        """Connects, where that is not done, which says EHLO. For programs that call it: there is no need. 250 is what the server
        said (it raises where that is not so), in words that are not told."""
        if name and name != self._local_hostname:
            self._local_hostname = name
            self._connect_anew()
        elif self._client is None or not self._client.connected:
            self.connect()
        return 250, b""

    def ehlo_or_helo_if_needed(self) -> None:
        """As :meth:`ehlo`."""
        self.ehlo()

    def starttls(self, *, context: ssl.SSLContext | None = None) -> None:
        """TLS from now on, or nothing is sent. Of a ``context`` that verifies is heeded that it does: the certificate must be the
        host's, under the roots of ``ca`` or the system's."""
        if context is not None and context.verify_mode == ssl.CERT_REQUIRED:
            self._tls = "verified"
        self._tls = "required" if self._tls == "opportunistic" else self._tls
        self._connect_anew()

    def login(self, user: str, password: str) -> None:
        """Logs in; the password goes over verified TLS alone."""
        self._login = (user, password)
        if not self._login_in_clear:
            self._tls = "verified"
        self._connect_anew()

    def sendmail(self, from_addr: str, to_addrs: str | Sequence[str], msg: bytes | str, mail_options: Sequence[str] = (),
                 rcpt_options: Sequence[str] = ()) -> Refused:
        """Sends; those who were refused, with code and text, while at least one was not. Raises when all were."""
        return self._send(msg, from_addr, [to_addrs] if isinstance(to_addrs, str) else list(to_addrs))

    def send_message(self, msg: email.message.Message, from_addr: str | None = None,
                     to_addrs: str | Sequence[str] | None = None, mail_options: Sequence[str] = (),
                     rcpt_options: Sequence[str] = ()) -> Refused:
        """As :meth:`sendmail`; what is not given is taken from the message. Bcc is not sent."""
        return self._send(msg, from_addr, [to_addrs] if isinstance(to_addrs, str) else to_addrs)

    def _send(self, msg: Union[bytes, str, email.message.Message], sender: str | None,
              recipients: Iterable[str] | None) -> Refused:
        if self._client is None or not self._client.connected:
            self.connect()
        assert self._client is not None
        try:
            result = self._client.send(msg, sender=sender, recipients=recipients)
        except Closed as error:
            raise SMTPServerDisconnected(str(error)) from error
        refused = {recipient: _pair(outcome) for recipient, outcome in result.refused.items()}
        if len(refused) == len(result.outcomes):
            raise _send_error(next(iter(result.outcomes.values())), refused, sender or "")
        return refused

    def noop(self) -> tuple[int, bytes]:
        """Is the connection still there?"""
        return (250, b"Ok") if self._client is not None and self._client.connected else (421, b"closed")

    def quit(self) -> tuple[int, bytes]:
        """QUIT, and closes."""
        if self._client is not None:
            self._client.quit()
            self._client = None
        return 221, b"Bye"

    def close(self) -> None:
        """Closes at once."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect_anew(self) -> None:
        self.quit()
        self.connect()

    def __enter__(self) -> SMTP:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.quit()
        else:
            self.close()

    def __repr__(self) -> str:
        return "<mailsbuddy.smtplib.SMTP>"


class SMTP_SSL(SMTP):  # noqa: N801: the name people know.
    """With TLS before the greeting (RFC 8314), and the certificate verified."""

    _implicit_tls = True
    default_port = 465

    def __init__(self, host: str = "", port: int = 0, local_hostname: str | None = None, timeout: float = 60,
                 source_address: tuple[str, int] | None = None, *, ca: str = "", login_in_clear: bool = False) -> None:
        super().__init__(host, port, local_hostname, timeout, source_address, ca=ca, login_in_clear=login_in_clear)
        self._tls = "verified"


def _pair(outcome: Outcome) -> tuple[int, bytes]:
    return outcome.reply.code or 450, (outcome.reply.text or outcome.detail or outcome.cause).encode()


def _connect_error(outcome: Outcome) -> Exception:
    code, text = _pair(outcome)
    if outcome.cause == "timeout":
        return TimeoutError(str(outcome))
    if outcome.cause in ("tls_unavailable", "auth_unavailable"):
        return SMTPNotSupportedError(str(outcome))
    if outcome.stage == "auth":
        return SMTPAuthenticationError(code, text)
    if outcome.cause == "reply":
        return (SMTPHeloError if outcome.stage == "ehlo" else SMTPConnectError)(code, text)
    return SMTPConnectError(code, text) if outcome.stage in ("route", "connect") else SMTPServerDisconnected(str(outcome))


def _send_error(outcome: Outcome, refused: Refused, sender: str) -> SMTPException:
    code, text = _pair(outcome)
    if outcome.cause in ("smtputf8_unavailable", "eight_bit_unavailable", "require_tls_unavailable"):
        return SMTPNotSupportedError(str(outcome))
    if outcome.cause != "reply":
        return SMTPServerDisconnected(str(outcome))
    if outcome.stage == "mail_from":
        return SMTPSenderRefused(code, text, sender)
    return SMTPRecipientsRefused(refused) if outcome.stage == "rcpt_to" else SMTPDataError(code, text)
