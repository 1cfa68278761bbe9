"""The standard library's logging, both ways.

What the engine says of itself goes to a logger: ``Engine.open(..., log=logging.getLogger("mailsbuddy"))``. Lines come under the
room that wrote them, ``mailsbuddy.engine``, ``mailsbuddy.spool``, ..., with the time at which they were written.

:class:`MailHandler` mails what a program logs, as ``logging.handlers.SMTPHandler`` does, but gathered, at a bounded pace, and
without making anybody wait who logs.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import logging
import os
import smtplib
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage

from mailsbuddy import _core
from mailsbuddy._errors import Closed, InvalidArgument, Unavailable
from mailsbuddy.smtp import SendResult

__all__ = ["MailHandler"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SLICE = 0.1  # Seconds: how late a changed level, or the end, is seen.
_PATIENCE = 10.0  # Seconds: how long flush() and close() wait for a thread that may wait for a lock which their caller holds.
_RECORD_OCTETS_MAX = 64 << 10
_MAIL_OCTETS_MAX = 1 << 20
_READABLE_MAX = 32 << 10  # Characters of a mail that may be quoted-printable.


class LogBridge:
    """The thread that hands an engine's log lines to a logger. Engine.open() makes one, Engine.close() ends it."""

    def __init__(self, logger: logging.Logger) -> None:
        if not isinstance(logger, logging.Logger):
            raise InvalidArgument(f'log: a logging.Logger is needed, as of logging.getLogger("mailsbuddy"), not {type(logger).__name__}')
        self.queue, self._process = _core.engine.LogQueue(), os.getpid()
        self.queue.set_level(_name_of(logger.getEffectiveLevel()))
        self._logger = logger
        self._thread = threading.Thread(target=self._hand_over, name="mailsbuddy-log", daemon=True)  # Keeps this as long as it runs.
        self._thread.start()

    def let_go(self) -> None:
        """Of an engine that is gone: the thread logs what has come, and ends."""
        if self._process == os.getpid():  # In a fork the queue may be locked, by a thread of the parent's.
            self.queue.close()

    def close(self) -> None:
        """On return all lines are logged, unless a handler of the program's holds them up for _PATIENCE."""
        if self._process != os.getpid():  # Of a fork: the thread, and perhaps a lock, are its parent's.
            return
        self.queue.close()
        if self._thread is threading.current_thread():
            return
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            with _reporting():
                raise Unavailable(f"an engine closed while a log handler has been at one of its lines for {_PATIENCE:g} s: the next ones may be lost")

    def _hand_over(self) -> None:
        queue, logger = self.queue, self._logger
        closed = False
        while not closed:
            closed = queue.closed()  # Before the last look, not after it.
            try:
                lines = queue.take(_SLICE)
            except Closed:  # The interpreter is ending.
                return
            for level, when, room, text in lines:
                with _reporting():
                    _log(logger.getChild(room), _LEVELS[level], when, text)
            with _reporting():
                if dropped := queue.dropped():
                    _log(logger, logging.WARNING, time.time(), f"{dropped} lines came faster than they were taken, and were dropped")
            with _reporting():
                queue.set_level(_name_of(logger.getEffectiveLevel()))


def _name_of(level: int) -> str:
    """The lowest of the library's levels that a logger takes."""
    return next((name for name, value in _LEVELS.items() if value >= level), "error")


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """What a handler, a filter or a record factory raises ends no thread that logs for others: it is said, and the next line comes."""
    try:
        yield
    except BaseException:  # Also sys.exit(): it would end this thread alone, unseen.
        if logging.raiseExceptions:
            with contextlib.suppress(Exception):  # Standard error may be closed, or none.
                traceback.print_exc(file=sys.stderr)


def _log(logger: logging.Logger, level: int, when: float, text: str) -> None:
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(logger.name, level, "(mailsbuddy)", 0, text, (), None)
    record.created, record.msecs = when, when % 1 * 1000
    record.mailsbuddy = True  # For MailHandler: the logger may have any name.
    logger.handle(record)


class MailHandler(logging.Handler):
    """Mails log records: ``logger.addHandler(MailHandler(engine.submit, "app@brand.example", ["ops@brand.example"]))``.

    :param send: takes an ``email.message.EmailMessage``: ``Engine.submit``, or a function of yours, which opens a
        :class:`mailsbuddy.smtp.Client` say, and gives back what its send() gives.
    :param interval: seconds from one mail to the next, at least; what is logged meanwhile goes into the next.
    :param gather: seconds to wait after a first record for those that belong to it.
    :param capacity: records that wait at most. Beyond, the newest are dropped, and the next mail says how many.
    :param subject: with ``{count}``, ``{level}`` and ``{first}``, the first line of the first record.

    emit() does no more than format the record and put it into a queue; a thread sends. Records of ``mailsbuddy``, those of engines
    under whatever name they log, and those of a thread while it sends are not mailed: a mail about a mail would never end. Of a
    record the first 64 KiB are mailed, and 1 MiB of records at most in one mail; octets that are no text are written as ``\\x00``.

    What cannot be sent is said on standard error as other handlers do (``logging.raiseExceptions``), and tried again with the next
    mail; but what is refused for good, by a 5yz reply or as no valid message, is dropped, and the next mail says how many records.
    flush() and close(), which also happens at the interpreter's end, send what is left; they wait 10 seconds at most for a mail that
    is under way. In a forked process only what is logged there is mailed.
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
        self._closed = self._given_up = False
        self._reset()
        _handlers.add(self)
        # Before the engines are closed, which is what mailsbuddy asked for earlier.
        self._at_exit = _close_if_there(weakref.ref(self))
        atexit.register(self._at_exit)

    def _reset(self) -> None:
        """Nothing waits, nobody sends: at first, and in a forked process, where the threads that held the locks are gone and what
        waits is its parent's to mail."""
        self._waiting: collections.deque[tuple[int, bytes]] = collections.deque()
        self._dropped = self._refused = 0  # Records for which there was no room; which were refused for good.
        self._changed = threading.Condition()
        self._sending = threading.Lock()  # One mail at a time; never taken by emit().
        self._sender_thread: int | None = None  # Who has it.
        self._thread: threading.Thread | None = None

    def createLock(self) -> None:  # noqa: N802: logging's name.
        """None: logging.shutdown() and dictConfig() hold it around flush() and close(), which wait for a thread that may log."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Filters it, and queues it."""
        kept = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        """Queues it. Never waits for a mail, and never raises."""
        if (getattr(record, "mailsbuddy", False) or record.name.partition(".")[0] == "mailsbuddy"
                or self._sender_thread == threading.get_ident()):
            return
        try:
            line = _capped(self.format(record))
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
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=_run, args=(weakref.ref(self), self._changed), name="mailsbuddy-log-mail", daemon=True)
                with contextlib.suppress(RuntimeError):  # No thread to be had now: the next record asks again, and close() sends.
                    thread.start()
                    self._thread = thread
            self._changed.notify()

    def flush(self) -> None:
        """Sends what waits, now. After close() it does nothing."""
        if not self._closed:
            self._send_waiting(_PATIENCE)

    def close(self) -> None:
        """Sends what waits, once, and takes no more."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        self._send_waiting(_PATIENCE)
        if self._waiting:
            self._given_up = True
            self._say(Unavailable(f"no mail went out within {_PATIENCE:g} s of close(), or it failed"), len(self._waiting))
        atexit.unregister(self._at_exit)
        super().close()

    def _send_waiting(self, patience: float = -1) -> None:
        """All that waits now, mail by mail until one fails. What a mail under way has taken waits no more, and is waited for."""
        left = len(self._waiting)  # Not what is logged meanwhile: this would never end.
        while (sent := self._send_batch(patience)) and (left := left - sent) > 0:
            pass

    def _send_batch(self, patience: float = -1) -> int:
        """Sends a mail of the first that wait. How many are done with; 0: none wait, it failed, or another is under way for longer
        than `patience` (-1: for ever)."""
        sending = self._sending  # Of this process: send() may fork.
        if self._sender_thread == threading.get_ident() or not sending.acquire(timeout=patience):
            return 0
        try:
            self._sender_thread = threading.get_ident()
            batch, dropped, refused = self._take()
            return len(batch) if batch and self._mail(batch, dropped, refused) else 0
        finally:
            self._sender_thread = None
            sending.release()

    def _take(self) -> tuple[list[tuple[int, bytes]], int, int]:
        with self._changed:
            batch: list[tuple[int, bytes]] = []
            octets = 0
            while self._waiting and (octets := octets + len(self._waiting[0][1]) + 1) <= _MAIL_OCTETS_MAX:
                batch.append(self._waiting.popleft())
            dropped, refused = self._dropped, self._refused
            if batch:
                self._dropped = self._refused = 0
            return batch, dropped, refused

    def _mail(self, batch: list[tuple[int, bytes]], dropped: int, refused: int) -> bool:
        """False: to be tried again."""
        try:
            result = self._send(self._message(batch, dropped, refused))
            if isinstance(result, SendResult) and result.refused:
                refusal = _Refused(result)
                if len(result.refused) == len(result.outcomes):
                    raise refusal
                self._say(refusal, len(batch))  # Who has got them does not get them again with every mail to come.
            return True
        except BaseException as error:  # Also Ctrl-C: what was to be mailed is not lost.
            final = _is_final(error)
            with self._changed:  # They come before what was logged meanwhile, and leave no more than fits.
                room = 0 if final or self._closed else max(0, self._capacity - len(self._waiting))
                self._waiting.extendleft(reversed(batch[:room]))
                self._refused += refused + (len(batch) if final else 0)
                self._dropped += dropped + (0 if final else len(batch[room:]))
            self._say(error, len(batch))
            if not isinstance(error, Exception):
                raise
            return final

    def _say(self, error: BaseException, count: int) -> None:
        try:
            raise error  # handleError() reads what is being handled.
        except BaseException:
            self.handleError(logging.LogRecord("mailsbuddy.logging", logging.ERROR, "(mailsbuddy)", 0,
                                               f"{count} records could not be mailed", (), None))

    def _message(self, batch: list[tuple[int, bytes]], dropped: int, refused: int) -> EmailMessage:
        level = logging.getLevelName(max(level for level, _ in batch))
        lines = [line.decode() for _, line in batch]
        first = (lines[0].splitlines() or [""])[0][:150]
        message = EmailMessage()
        message["From"], message["To"] = self._sender, ", ".join(self._recipients)
        message["Subject"] = _in_a_field(self._subject.format(count=len(batch), level=level, first=first))
        if dropped:
            lines.append(f"{dropped} further records were dropped: more than {self._capacity} waited.")
        if refused:
            lines.append(f"{refused} earlier records were dropped: their mail was refused for good.")
        text = "\n".join(lines) + "\n"
        # The standard library writes quoted-printable character by character: seconds a megabyte, with the GIL.
        message.set_content(text, cte="base64" if len(text) > _READABLE_MAX else None)
        return message


class _Refused(Unavailable):
    """By the server, of whom a client's send() tells in its result."""

    def __init__(self, result: SendResult) -> None:
        super().__init__("; ".join(str(outcome) for outcome in result.refused.values()))
        self.final = all(500 <= outcome.reply.code < 600 for outcome in result.refused.values())


def _is_final(error: BaseException) -> bool:
    """The same mail would fail again: it would keep all that come after it from being mailed."""
    if isinstance(error, _Refused):
        return error.final
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused)):
        return int(error.smtp_code) >= 500
    return isinstance(error, (ValueError, TypeError)) and not isinstance(error, OSError)  # ssl has one that is both.


def _capped(text: str) -> bytes:
    """UTF-8 as a mail may have it: surrogates, as in names of files, and NUL are escaped."""
    line = text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\x00")
    if len(line) <= _RECORD_OCTETS_MAX:
        return line
    return line[:_RECORD_OCTETS_MAX].decode("utf-8", "ignore").encode() + b" [... cut, of %d octets]" % len(line)


def _in_a_field(text: str) -> str:
    """One line, without what no header field may have."""
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return "".join(each if each.isprintable() else "?" for each in text)


_handlers: weakref.WeakSet[MailHandler] = weakref.WeakSet()


def _after_fork() -> None:
    for handler in _handlers:
        handler._reset()


os.register_at_fork(after_in_child=_after_fork)


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
    if there is not None and there._given_up:
        there._send_waiting()
