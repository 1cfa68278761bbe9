"""Django sends through mailsbuddy::

    MAILERS = {"default": {"BACKEND": "mailsbuddy.django.EmailBackend", "OPTIONS": {"host": "mail.brand.example", "port": 587}}}

From Django 6.1 on; in older ones, and in newer ones that have no MAILERS yet, ``EMAIL_BACKEND = "mailsbuddy.django.EmailBackend"``.

With the option ``engine``, or else ``MAILSBUDDY_ENGINE = "project.mail.engine"``, the path of a function that gives an open Engine,
messages are submitted to it: durable on return, retried, paced. Of a mailer with a ``host`` MAILSBUDDY_ENGINE is not meant.

Without an engine, one connection is used as by Django's own backend, with its options ``host``, ``port``, ``username``, ``password``,
``use_tls``, ``use_ssl``, ``timeout`` and ``fail_silently``, or EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD,
EMAIL_USE_TLS, EMAIL_USE_SSL and EMAIL_TIMEOUT; and ``ca``, a file of certificates to trust. A password goes over TLS whose certificate
was verified, or not at all.
"""

from __future__ import annotations

import email.message
import threading
from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any

from django.conf import settings  # type: ignore[import-untyped,import-not-found,unused-ignore]
from django.core.mail.backends.base import BaseEmailBackend  # type: ignore[import-untyped,import-not-found,unused-ignore]
from django.utils.module_loading import import_string  # type: ignore[import-untyped,import-not-found,unused-ignore]

from mailsbuddy._errors import Error, InvalidArgument, Unavailable
from mailsbuddy.smtp import Client

__all__ = ["EmailBackend"]


class EmailBackend(BaseEmailBackend):  # type: ignore[misc,unused-ignore]
    """Django's door to mailsbuddy."""

    def __init__(self, host: str | None = None, port: int | None = None, username: str | None = None,
                 password: str | None = None, use_tls: bool | None = None, fail_silently: bool = False,
                 use_ssl: bool | None = None, timeout: float | None = None, ca: str = "", engine: str = "",
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)  # Which knows options that are none.
        self.fail_silently = fail_silently  # Of its own, as Django 6.1 asks for.
        engine = engine or ("" if host and self._of_mailers else getattr(settings, "MAILSBUDDY_ENGINE", ""))
        if not engine and not host and self._of_mailers:
            raise InvalidArgument(f"MAILERS: {self.alias}: OPTIONS must have a host or an engine")
        self._host = self._setting("EMAIL_HOST", host, "")
        self._use_tls = self._setting("EMAIL_USE_TLS", use_tls, False)
        self._use_ssl = self._setting("EMAIL_USE_SSL", use_ssl, False)
        self._port = self._setting("EMAIL_PORT", port, 465 if self._use_ssl else 587 if self._use_tls else 25)
        self._user = self._setting("EMAIL_HOST_USER", username, "")
        self._password = self._setting("EMAIL_HOST_PASSWORD", password, "")
        self._timeout = self._setting("EMAIL_TIMEOUT", timeout, None) or 60
        self._ca = ca
        if self._use_tls and self._use_ssl:
            raise InvalidArgument("use_tls and use_ssl, EMAIL_USE_TLS and EMAIL_USE_SSL: one of them")
        self._engine: Any = import_string(engine)() if engine else None
        self._client: Client | None = None
        self._lock = threading.RLock()

    @property
    def _of_mailers(self) -> bool:
        """An entry of MAILERS (Django 6.1), beside which there are no settings."""
        return getattr(self, "alias", None) is not None

    def _setting(self, name: str, given: Any, default: Any) -> Any:
        if given is not None:
            return given
        return default if self._of_mailers else getattr(settings, name)

    def open(self) -> bool:
        """Connects, unless there is a connection or an engine. True: it did."""
        if self._engine is not None or (self._client is not None and self._client.connected):
            return False
        client = Client(self._host, self._port, tls="verified" if self._user else "required" if self._use_tls else None,
                        implicit_tls=bool(self._use_ssl), user=self._user, password=self._password, timeout=self._timeout,
                        ca=self._ca)
        try:
            client.connect()
        except Error:
            if not self.fail_silently:
                raise
            return False
        self._client = client
        return True

    def close(self) -> None:
        """Ends the connection. The engine stays: it is the application's."""
        if self._client is not None:
            self._client.quit()
            self._client = None

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        """How many were sent, or durably submitted."""
        with self._lock:
            opened = self.open()
            if self._engine is None and self._client is None:
                return 0
            try:
                return sum(self._send(message) for message in email_messages)
            finally:
                if opened:
                    self.close()

    def _send(self, message: Any) -> bool:
        recipients = [parseaddr(each)[1] for each in message.recipients()]
        if not recipients:
            return False
        sender = parseaddr(message.from_email)[1]
        try:
            send = self._submit if self._engine is not None else self._deliver
            return send(message.message(), sender, recipients)
        except Error:
            if not self.fail_silently:
                raise
            return False

    def _submit(self, message: email.message.Message, sender: str, recipients: list[str]) -> bool:
        self._engine.submit(message, sender=sender, recipients=recipients)
        return True

    def _deliver(self, message: email.message.Message, sender: str, recipients: list[str]) -> bool:
        assert self._client is not None
        result = self._client.send(message, sender=sender, recipients=recipients)
        if result.delivered:
            return True
        if not self.fail_silently:
            first = next(iter(result.refused.values()))
            raise Unavailable(f"{len(result.refused)} of {len(recipients)} recipients were refused; the first: {first}")
        return len(result.refused) < len(recipients)
