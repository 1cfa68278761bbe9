"""The listener: applications submit to it over SMTP, and it hands what it takes to an engine. See docs/submission.md."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Union

from mailsbuddy import _core
from mailsbuddy._core.engine import InboundQuestion, InboundQueue, Login, LoginQueue, Tracing
from mailsbuddy._core.mail import Address
from mailsbuddy._engine import Engine, OnError, close_at_exit, refuse_at_exit
from mailsbuddy._errors import Closed, InvalidArgument, IoError
from mailsbuddy._options import Seconds, as_options, need, need_callables, without_none
from mailsbuddy.logging import LogBridge

_SLICE = 1.0  # Seconds that a thread waits for a question before it asks again whether there are to be any.
_THREADS_MAX = 256


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a client says it is. The password is UTF-8 on the wire (RFC 4616); other octets are U+FFFD here."""

    user: str = dataclasses.field(repr=False)
    password: str = dataclasses.field(repr=False)
    mechanism: str  #: "PLAIN" or "LOGIN".
    client: str  #: Its IP address.
    tls: bool


@dataclasses.dataclass
class Identity:
    """Who a client is, as ``authenticate`` says."""

    user: str = dataclasses.field(default="", repr=False)  #: For traces; empty: as given.
    account: str = ""  #: Whose mail it is; empty: the listener's.
    may_route: bool = False  #: X-MB-Campaign, X-MB-Pool, X-MB-Priority and X-MB-Schedule are heeded.
    senders: Sequence[str] = dataclasses.field(default=(), repr=False)  #: Addresses and domains it may send as; empty: any.


@dataclasses.dataclass(frozen=True)
class Submission:
    """A letter to an inbound domain, not answered yet. ``email.message_from_bytes(data, policy=email.policy.default)`` reads it."""

    id: str  #: Also in its Received field.
    sender: str = dataclasses.field(repr=False)  #: Empty: the null path.
    recipients: list[str] = dataclasses.field(repr=False)
    data: bytes = dataclasses.field(repr=False)  #: Lines end in CRLF.
    client: str  #: IP address of who brought it.
    hello: str  #: What that called itself.
    tls: bool


Authenticate = Callable[[Credentials], Union[Identity, None]]
InboundAddress = Callable[[Address], bool]
Keep = Callable[[Submission], bool]


@dataclasses.dataclass
class ListenEndpoint:
    """An address to listen at."""

    address: str  #: "192.0.2.1:587"; port 0: a free one.
    tls: Literal["starttls", "tls", "none"] = "starttls"  #: "tls": from the first octet, as on port 465.
    inbound: bool = False  #: For outside senders: no AUTH, recipients of the inbound domains alone.
    proxy: bool = False  #: Each connection begins with a PROXY header, from a trusted range.


@dataclasses.dataclass
class ListenRate:
    """So many in a time; 0: no limit."""

    count: int
    per: Seconds = 60


@dataclasses.dataclass
class ListenLimits:
    """What is None has the default of ListenLimits in smtp.h, where each is explained. A client is an IPv4 address or an IPv6 /64."""

    connections_max: int | None = None
    connections_per_client_max: int | None = None
    connections_per_client: ListenRate | None = None
    messages_per_client: ListenRate | None = None
    auth_failures_per_client: ListenRate | None = None
    auth_failures_max: int | None = None
    auth_checks_max: int | None = None
    auth_failure_delay: Seconds | None = None
    command_line_bytes_max: int | None = None
    recipients_max: int | None = None
    message_bytes_max: int | None = None
    held_bytes_max: int | None = None
    errors_max: int | None = None
    header_time: Seconds | None = None
    handshake_time: Seconds | None = None
    idle_time: Seconds | None = None
    command_time: Seconds | None = None
    message_time: Seconds | None = None
    answer_time: Seconds | None = None
    connection_time: Seconds | None = None


@dataclasses.dataclass(frozen=True)
class ListenCounts:
    """Of a listener since it was started."""

    connections: int  #: Served.
    connections_refused: int
    messages: int  #: Answered 2yz.
    messages_refused: int
    bytes: int  #: Of ``messages``.
    authenticated: int
    auth_failures: int
    tls_handshakes: int
    timeouts: int
    protocol_errors: int
    open: int  #: Now.


class Listener:
    """A started listener. Use it in a ``with`` block, inside that of its engine: at its end every connection is closed at once; drain()
    before it lets them end. A client whose message was answered 250 has it in the engine: durable, if the spool is.

    An engine that is closed first takes no more: clients are told 421 then.

    Threads: all methods from any. SMTP is spoken on threads of the listener's, which never wait for Python.
    """

    def __init__(self, native: _core.engine.Listener, log: LogBridge | None = None) -> None:
        self._native, self._log = native, log
        close_at_exit(native, log)

    @classmethod
    def start(
        cls,
        engine: Engine,
        host: str,
        endpoints: Sequence[str | ListenEndpoint],
        *,
        authenticate: Authenticate | None = None,
        login_threads: int = 4,
        inbound_address: InboundAddress | None = None,
        keep: Keep | None = None,
        inbound_threads: int = 4,
        on_error: OnError | None = None,
        auth_required: bool | None = None,
        auth_in_clear: bool | None = None,
        tls_certificate: str | os.PathLike[str] | bytes | None = None,
        tls_key: str | os.PathLike[str] | bytes | None = None,
        trusted: Sequence[str] | None = None,
        inbound_domains: Sequence[str] | None = None,
        bare_line_ends: Literal["refuse", "normalise"] | None = None,
        add_received: bool | None = None,
        add_date: bool | None = None,
        add_message_id: bool | None = None,
        limits: ListenLimits | None = None,
        open_rows_max: int | None = None,
        account: str | None = None,
        threads: int | None = None,
        log: logging.Logger | None = None,
    ) -> Listener:
        """Listens from now on. What is None has the default of ListenOptions in smtp.h, where each is explained.

        ``host``: our name, in the greeting and in Received. ``endpoints``: "192.0.2.1:587" is one with STARTTLS.

        ``authenticate``: judges :class:`Credentials`: an :class:`Identity`, or None for a wrong password. Called on ``login_threads``
        threads, so many at a time. What it raises goes to ``on_error``, or to sys.unraisablehook, and the client is told 454, to
        try again later. Compare secrets by ``hmac.compare_digest`` and take as long for a user who is not there. Who wants to act as
        another (RFC 4616's authzid) is refused without being asked about.

        ``tls_certificate``, ``tls_key``: the path of a PEM file, or the bytes of one; None: self-signed, made at the start.
        ``inbound_domains``: what comes for them on endpoints marked ``inbound`` goes to Engine.inbound(). ``inbound_address``: whether
        there is this address, asked at each RCPT, but for postmasters and the return paths and unsubscribe addresses that this engine
        has signed, which there are always; None: there are all. Its domain is in lower case, what is before the @ as the client
        wrote it. ``keep``: takes a :class:`Submission` that is no report, the letter of a person say. True: it is kept, and the client
        forgets it; False: it is told 452, to try again later. None: letters are refused, so that their writers know that nobody
        reads them. Both are called on ``inbound_threads`` threads, so many at a time, and answer True or False. What they
        raise goes where that of ``authenticate`` goes, and the client is told 451, to try again later: nothing is lost.

        ``open_rows_max``: with so many recipients not settled no more mail is taken. ``account``: of an Identity that names none.
        """
        need(engine, Engine, "engine")
        if isinstance(endpoints, (str, ListenEndpoint)) or not isinstance(endpoints, Iterable):
            raise InvalidArgument(f"endpoints: a list of addresses is needed, not {type(endpoints).__name__}")
        need_callables(authenticate=authenticate, inbound_address=inbound_address, keep=keep, on_error=on_error)
        if authenticate is None and auth_required is not False:
            raise InvalidArgument("authenticate: says who may submit; or auth_required=False lets anyone who can connect")
        for name, threads_asked in (("login_threads", login_threads), ("inbound_threads", inbound_threads)):
            if not isinstance(threads_asked, int) or not 1 <= threads_asked <= _THREADS_MAX:
                raise InvalidArgument(f"{name}: a number from 1 to {_THREADS_MAX} is needed")
        for name, callback in (("inbound_address", inbound_address), ("keep", keep)):
            if callback is not None and not inbound_domains:
                raise InvalidArgument(f"{name}: would never be called: there are no inbound_domains")
        given = without_none({
            "host": host, "auth_required": auth_required, "auth_in_clear": auth_in_clear, "trusted": trusted,
            "inbound_domains": inbound_domains, "bare_line_ends": bare_line_ends, "add_received": add_received, "add_date": add_date,
            "add_message_id": add_message_id, "threads": threads, "open_rows_max": open_rows_max, "account": account,
            "inbound_address": inbound_address is not None, "keep": keep is not None,
            "tls_certificate": _pem(tls_certificate, "tls_certificate"), "tls_key": _pem(tls_key, "tls_key"),
        })
        given["endpoints"] = [as_options(_endpoint(each)) for each in endpoints]
        if limits is not None:
            need(limits, ListenLimits, "limits")
            given["limits"] = {name: as_options(value) if isinstance(value, ListenRate) else value
                               for name, value in as_options(limits).items()}
        refuse_at_exit("listener")
        bridge = None if log is None else LogBridge(log)
        if bridge is not None:
            given["log"] = bridge.queue
        logins, inbound = None if authenticate is None else LoginQueue(), InboundQueue()
        try:
            listener = cls(_core.engine.Listener.start(engine._native, given, logins, inbound), bridge)
        except BaseException:
            if bridge is not None:
                bridge.close()
            raise
        listener._engine = engine  # Lives as long.
        listener._callbacks = _Callbacks(authenticate, inbound_address, keep, on_error)
        try:
            if logins is not None:
                _begin(login_threads, "mailsbuddy-login", logins, listener)
            if inbound_address is not None or keep is not None:
                _begin(inbound_threads, "mailsbuddy-inbound", inbound, listener)
        except BaseException:  # No more threads are to be had.
            listener.close()
            raise
        return listener

    _engine: Engine
    _callbacks: _Callbacks

    def close(self) -> None:
        """Closes every connection at once: what its client was not answered is unknown to it. A second call does nothing. A
        callback that is under way may end later; nobody asks for what it says."""
        self._native.close()
        if self._log is not None:
            self._log.close()

    @property
    def closed(self) -> bool:
        """No use any more: closed, or of another process."""
        return self._native.closed()

    def __enter__(self) -> Listener:
        if self._native.closed():
            raise Closed("the listener is closed")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def endpoints(self) -> list[str]:
        """As bound, in the order of those of start(): "127.0.0.1:2587"."""
        return self._native.endpoints()

    def counts(self) -> ListenCounts:
        """After close(): the last ones."""
        return ListenCounts(**self._native.counts())

    def drain(self, timeout: Seconds | None = None) -> bool:
        """Ends it without cutting anybody off: no new connections from now on; who is between messages is told 421, others finish
        theirs. False: some were left after ``timeout``; call it again, or close()."""
        return self._native.drain(timeout)

    def trace(self, *, client: str = "", user: str = "", sender: str = "",
              bodies: Literal["none", "headers", "full"] = "headers") -> Tracing:
        """Follows connections from now on; take() gives their lines, in which passwords are masked. What is not empty must fit:
        ``client`` an address or a range, ``sender`` the domain of MAIL FROM."""
        return self._native.trace({"client": client, "user": user, "sender": sender, "bodies": bodies})

    def __repr__(self) -> str:
        return f"<mailsbuddy.Listener {'closed' if self.closed else 'open'}>"


def _endpoint(given: object) -> ListenEndpoint:
    if isinstance(given, str):
        return ListenEndpoint(given)
    if not isinstance(given, ListenEndpoint):
        raise InvalidArgument(f"endpoints: ListenEndpoint or str is needed, not {type(given).__name__}")
    return given


def _pem(given: object, what: str) -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise InvalidArgument(f"{what}: the path of a PEM file or its bytes are needed")
    try:
        return pathlib.Path(given).read_bytes()
    except OSError as error:
        raise IoError(f"{what}: {given}: {error.strerror}") from error


class _Callbacks(NamedTuple):
    authenticate: Authenticate | None
    inbound_address: InboundAddress | None
    keep: Keep | None
    on_error: OnError | None


def _begin(count: int, name: str, questions: LoginQueue | InboundQueue, listener: Listener) -> None:
    for _ in range(count):
        threading.Thread(target=_answer_all, args=(questions, weakref.ref(listener)), name=name, daemon=True).start()


def _answer_all(questions: LoginQueue | InboundQueue, of: weakref.ref[Listener]) -> None:
    """Of a thread that answers one question after the other. While it waits it keeps nothing alive: callbacks often know the listener."""
    while True:
        try:
            question = questions.take(_SLICE)
        except Closed:  # The interpreter is ending.
            return
        if question is None:
            if questions.closed():
                return
            continue
        listener = of()
        if listener is None:
            return
        ask, on_error = _asked(question, listener._callbacks), listener._callbacks.on_error
        del listener
        try:
            _answer(question, ask)
        except BaseException as error:  # Also sys.exit(): it would end this thread alone, unseen.
            _report(error, ask, on_error)
        finally:
            question.leave()  # What was raised may keep it.
        del question, ask, on_error


def _asked(question: Login | InboundQuestion, callbacks: _Callbacks) -> Callable[[Any], Any]:
    if isinstance(question, Login):
        asked: Callable[[Any], Any] | None = callbacks.authenticate
    else:
        asked = callbacks.inbound_address if question.recipient is not None else callbacks.keep
    assert asked is not None  # Else nothing would be asked.
    return asked


def _answer(question: Login | InboundQuestion, ask: Callable[[Any], Any]) -> None:
    if isinstance(question, Login):
        _judge(question, ask)
    elif question.recipient is not None:
        question.answer(_yes_or_no("inbound_address", ask(question.recipient)))
    else:
        question.answer(_yes_or_no("keep", ask(Submission(**question.letter() or {}))))


def _judge(login: Login, authenticate: Authenticate) -> None:
    identity = authenticate(Credentials(login.user, login.password, login.mechanism, login.client, login.tls))
    if identity is None:
        login.refuse()
        return
    if not isinstance(identity, Identity):
        raise InvalidArgument(f"authenticate: gave {type(identity).__name__}; an Identity is needed, or None")
    if identity.senders is None:  # A look-up that found nothing, say: it would let any sender through.
        raise InvalidArgument("authenticate: Identity.senders is None; () is any sender")
    login.accept({**as_options(identity), "user": identity.user or login.user})


def _yes_or_no(name: str, answer: object) -> bool:
    if not isinstance(answer, bool):  # None, say, of a function that forgot to return: nobody knows what it meant.
        raise InvalidArgument(f"{name}: gave {type(answer).__name__}; True or False is needed")
    return answer


def _report(error: BaseException, ask: Callable[[Any], Any], on_error: OnError | None) -> None:
    try:
        if on_error is not None:
            on_error(error)
            return
    except BaseException as again:
        error, ask = again, on_error  # type: ignore[assignment]
    _core.engine.report_unraisable(error, ask)
