"""The standard library's logging, both ways.

What the engine says of itself goes to a logger: ``Engine.open(..., log=logging.getLogger("mailsbuddy"))``. Lines come under the
room that wrote them, ``mailsbuddy.engine``, ``mailsbuddy.spool``, ..., with the time at which they were written.

:class:`MailHandler` mails what a program logs, as ``logging.handlers.SMTPHandler`` does, but gathered, at a bounded pace, and
without making anybody wait who logs.
"""

from __future__ import annotations

import atexit
import collections
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from email.message import EmailMessage

from mailsbuddy import _core
from mailsbuddy._errors import Closed, InvalidArgument, Unavailable
from mailsbuddy.smtp import SendResult

__all__ = ["MailHandler"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SLICE = 0.1  # Seconds: how late a changed level, or the end, is seen.


class LogBridge:
    """The thread that hands an engine's log lines to a logger. Engine.open() makes one, Engine.close() ends it."""

    def __init__(self, logger: logging.Logger) -> None:
        if not isinstance(logger, logging.Logger):
            raise InvalidArgument(f'log: a logging.Logger is needed, as of logging.getLogger("mailsbuddy"), not {type(logger).__name__}')
        self.queue, self._process = _core.engine.LogQueue(), os.getpid()
        self.queue.set_level(_name_of(logger.getEffectiveLevel()))
        self._thread = threading.Thread(target=_hand_over, args=(self.queue, logger), name="mailsbuddy-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """On return all lines are logged."""
        if self._process != os.getpid():  # Of a fork: the thread, and perhaps a lock, are its parent's.
            return
        self.queue.close()
        if self._thread is not threading.current_thread():
            self._thread.join()


def _name_of(level: int) -> str:
    """The lowest of the library's levels that a logger takes."""
    return next((name for name, value in _LEVELS.items() if value >= level), "error")


def _hand_over(queue: _core.engine.LogQueue, logger: logging.Logger) -> None:
    closed = False
    while not closed:
        closed = queue.closed()  # Before the last look, not after it.
        try:
            lines = queue.take(_SLICE)
        except Closed:  # The interpreter is ending.
            return
        for level, when, room, text in lines:
            _log(logger.getChild(room), _LEVELS[level], when, text)
        if dropped := queue.dropped():
            _log(logger, logging.WARNING, time.time(), f"{dropped} lines came faster than they were taken, and were dropped")
        queue.set_level(_name_of(logger.getEffectiveLevel()))


def _log(logger: logging.Logger, level: int, when: float, text: str) -> None:
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(logger.name, level, "(mailsbuddy)", 0, text, (), None)
    record.created, record.msecs = when, when % 1 * 1000
    logger.handle(record)  # A handler that raises says so by itself (logging.raiseExceptions).


class MailHandler(logging.Handler):
    """Mails log records: ``logger.addHandler(MailHandler(engine.submit, "app@brand.example", ["ops@brand.example"]))``.

    :param send: takes an ``email.message.EmailMessage``: ``Engine.submit``, or a function of yours, which opens a
        :class:`mailsbuddy.smtp.Client` say, and gives back what its send() gives.
    :param interval: seconds from one mail to the next, at least; what is logged meanwhile goes into the next.
    :param gather: seconds to wait after a first record for those that belong to it.
    :param capacity: records that wait at most. Beyond, the newest are dropped, and the next mail says how many.
    :param subject: with ``{count}``, ``{level}`` and ``{first}``, the first line of the first record.

    emit() does no more than format the record and put it into a queue; a thread sends. Records of ``mailsbuddy`` itself, and those
    of the sending thread, are not mailed: a mail about a mail would never end. What cannot be sent is tried again with the
    next mail, and said on standard error as other handlers do (``logging.raiseExceptions``). close(), also at the interpreter's
    end, sends what is left, once.
    """

    def __init__(self, send: Callable[[EmailMessage], object], sender: str, recipients: str | Sequence[str], *,
                 subject: str = "{level}: {first}", interval: float = 60.0, gather: float = 1.0, capacity: int = 1000,
                 level: int | str = logging.ERROR) -> None:
        super().__init__(level)
        if not callable(send):
            raise InvalidArgument(f"send: what takes a message is needed, as Engine.submit, not {type(send).__name__}")
        try:
            subject.format(count=1, level="ERROR", first="x")
        except (KeyError, IndexError, ValueError) as error:
            raise InvalidArgument(f"subject: {error!r}: {{count}}, {{level}} and {{first}} are known") from error
        self._send, self._sender, self._subject = send, sender, subject
        self._recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        self._interval, self._gather, self._capacity = interval, gather, capacity
        self._waiting: collections.deque[tuple[int, str]] = collections.deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._sending = threading.Lock()  # One mail at a time; never taken by emit().
        self._thread: threading.Thread | None = None
        self._closed = False
        # Before the engines are closed, which is what mailsbuddy asked for earlier.
        self._at_exit = _close_if_there(weakref.ref(self))
        atexit.register(self._at_exit)

    def emit(self, record: logging.LogRecord) -> None:
        """Queues it. Never waits for a mail, and never raises."""
        if record.name.partition(".")[0] == "mailsbuddy" or self._thread is threading.current_thread():
            return
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._capacity:
                self._dropped += 1
                return
            self._waiting.append((record.levelno, line))
            if self._thread is None or not self._thread.is_alive():  # The first record, also in a forked process.
                self._thread = threading.Thread(target=_run, args=(weakref.ref(self), self._changed), name="mailsbuddy-log-mail", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> None:
        """Sends what waits, now. After close() it does nothing."""
        if not self._closed:
            self._send_batch()

    def close(self) -> None:
        """Sends what waits, once, and takes no more."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        self._send_batch()
        atexit.unregister(self._at_exit)
        super().close()

    def _send_batch(self) -> None:
        with self._sending:
            with self._changed:
                batch, dropped = list(self._waiting), self._dropped
                self._waiting.clear()
                self._dropped = 0
            if not batch:
                return
            try:
                result = self._send(self._message(batch, dropped))
                if isinstance(result, SendResult) and result.refused:
                    raise Unavailable("; ".join(str(outcome) for outcome in result.refused.values()))
            except Exception:
                with self._changed:  # They come before what was logged meanwhile, and leave no more than fits.
                    room = 0 if self._closed else max(0, self._capacity - len(self._waiting))
                    self._waiting.extendleft(reversed(batch[:room]))
                    self._dropped += dropped + len(batch[room:])
                self.handleError(logging.LogRecord("mailsbuddy.logging", logging.ERROR, "(mailsbuddy)", 0,
                                                   f"{len(batch)} records could not be mailed", (), None))

    def _message(self, batch: list[tuple[int, str]], dropped: int) -> EmailMessage:
        level = logging.getLevelName(max(level for level, _ in batch))
        first = (batch[0][1].splitlines() or [""])[0][:150]
        message = EmailMessage()
        message["From"], message["To"] = self._sender, ", ".join(self._recipients)
        message["Subject"] = " ".join(self._subject.format(count=len(batch), level=level, first=first).split())
        lines = [line for _, line in batch]
        if dropped:
            lines.append(f"{dropped} further records were dropped: more than {self._capacity} waited.")
        message.set_content("\n".join(lines) + "\n")
        return message


def _close_if_there(handler: weakref.ref[MailHandler]) -> Callable[[], None]:
    def close() -> None:
        there = handler()
        if there is not None:
            there.close()

    return close


def _run(handler: weakref.ref[MailHandler], changed: threading.Condition) -> None:
    """Of the sending thread, which keeps no handler alive that its program has let go of."""
    next_mail = 0.0

    def pause(seconds: float) -> bool:
        """False: the handler is closed, or gone."""
        end = time.monotonic() + seconds
        while (there := handler()) is not None and not there._closed:
            left = end - time.monotonic()
            if left <= 0:
                return True
            del there
            with changed:
                changed.wait(min(left, 1.0))
        return False

    while (there := handler()) is not None and not there._closed:
        if not there._waiting:
            del there
            with changed:
                changed.wait(1.0)
            continue
        gather, interval = there._gather, there._interval
        del there
        if not pause(max(gather, next_mail - time.monotonic())):
            return
        there = handler()
        if there is not None:
            there._send_batch()
        next_mail = time.monotonic() + interval
