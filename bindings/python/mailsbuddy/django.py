"""Django sends through mailsbuddy: ``EMAIL_BACKEND = "mailsbuddy.django.EmailBackend"``.

With ``MAILSBUDDY_ENGINE = "project.mail.engine"``, the path of a function that gives an open Engine, messages are submitted
to it: durable on return, retried, paced. Without, one connection to EMAIL_HOST is used as Django's own backend does, with
EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL and EMAIL_TIMEOUT; a password goes over TLS
whose certificate was verified, or not at all.
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
                 use_ssl: bool | None = None, timeout: float | None = None, ca: str = "", **kwargs: Any) -> None:
        super().__init__()
        self.fail_silently = fail_silently  # Of its own, as Django 6.1 asks for.
        self._host = settings.EMAIL_HOST if host is None else host
        self._port = settings.EMAIL_PORT if port is None else port
        self._user = settings.EMAIL_HOST_USER if username is None else username
        self._password = settings.EMAIL_HOST_PASSWORD if password is None else password
        self._use_tls = settings.EMAIL_USE_TLS if use_tls is None else use_tls
        self._use_ssl = settings.EMAIL_USE_SSL if use_ssl is None else use_ssl
        self._timeout = (settings.EMAIL_TIMEOUT if timeout is None else timeout) or 60
        self._ca = ca
        if self._use_tls and self._use_ssl:
            raise InvalidArgument("EMAIL_USE_TLS and EMAIL_USE_SSL: one of them")
        path = getattr(settings, "MAILSBUDDY_ENGINE", "")
        self._engine: Any = import_string(path)() if path else None
        self._client: Client | None = None
        self._lock = threading.RLock()

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
