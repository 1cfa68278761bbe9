"""The engine: accepts messages and campaigns, delivers them, reports every outcome."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mailsbuddy import _core, _plot
from mailsbuddy._core.engine import BadRow, CampaignStatus, Decision, Event, Explanation, InboundReport, TlsReport, Tracing
from mailsbuddy._core.mail import Address
from mailsbuddy._errors import Closed, InvalidArgument
from mailsbuddy._events import EventStream
from mailsbuddy._keys import KeyRing
from mailsbuddy._message import AddressLike, MessageLike, envelope_of, to_wire
from mailsbuddy._options import (
    Campaign, EgressIp, Message, PoolOptions, Seconds, Tls, TlsOverride, TlsReporting, as_options, campaign_options, message_options, need,
    need_callables, without_none)
from mailsbuddy._queue import QueueVerbs
from mailsbuddy._rows import Rows, arrow_stream, csv_rows, frame_rows, mapping_rows
from mailsbuddy.logging import LogBridge
from mailsbuddy._suppressions import SuppressionVerbs
from mailsbuddy._zones import zone_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OnEvents = Callable[[list[Event]], object]
OnDecisions = Callable[[list[Decision]], object]
OnError = Callable[[BaseException], object]
Command = Literal["pin", "unpin", "pause", "resume", "skip_day", "repeat_day"]

_open: weakref.WeakSet[_core.engine.Engine] = weakref.WeakSet()  # A stream keeps one whose Engine is gone.
_listeners: weakref.WeakSet[_core.engine.Listener] = weakref.WeakSet()
_logs: weakref.WeakSet[LogBridge] = weakref.WeakSet()
_exiting = False


@atexit.register
def _close_all() -> None:
    """An interpreter that ends with a running engine: its threads must not call into it any more."""
    global _exiting
    _exiting = True
    with contextlib.ExitStack() as last_in_first_out:  # All of it, whatever one of them raises, as Ctrl-C does.
        for log in list(_logs):
            last_in_first_out.callback(log.close)
        last_in_first_out.callback(_core.engine.join_reapers)
        for engine in list(_open):
            last_in_first_out.callback(engine.close)
        for listener in list(_listeners):  # Of _listen.py.
            last_in_first_out.callback(listener.close)


def close_at_exit(native: _core.engine.Engine | _core.engine.Listener, log: LogBridge | None) -> None:
    """What is not closed by then, and the thread of its log."""
    (_listeners if isinstance(native, _core.engine.Listener) else _open).add(native)  # type: ignore[arg-type]
    if log is not None:  # Also of one that is let go of.
        weakref.finalize(native, log.let_go).atexit = False
        _logs.add(log)


def refuse_at_exit(what: str) -> None:
    if _exiting:
        raise Closed(f"the interpreter is ending: no {what} can be opened any more")


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What became of a campaign's rows."""

    accepted: int
    resumed: int  #: Of the accepted: an interrupted import had stored them already.
    suppressed: int  #: Of the accepted: they are not mailed.
    refused: int  #: Bad addresses, duplicates, defects.
    domains: int
    bad_rows: list[BadRow] = dataclasses.field(repr=False)  #: The first 10,000 of the refused.


@dataclasses.dataclass(frozen=True)
class OpenRecipient:
    """A recipient who is not settled yet."""

    address: str = dataclasses.field(repr=False)
    state: str


class CampaignHandle:
    """A campaign that an engine has: what campaign() gives, and start() with its report."""

    def __init__(self, engine: Engine, id: str, report: ImportReport | None = None,
                 queue: _core.engine.EventQueue | None = None) -> None:
        self.engine, self.id = engine, id
        self.report = report  #: Of a campaign that start() has just started; None: it was started by an earlier call or process.
        self._queue = [] if queue is None else [queue]  # Until events() takes it.
        weakref.finalize(self, _release, engine._native, self._queue).atexit = False

    def status(self) -> CampaignStatus:
        return self.engine.status(self.id)

    def pause(self) -> None:
        self.engine.pause(self.id)

    def resume(self) -> None:
        self.engine.resume(self.id)

    def cancel(self) -> None:
        self.engine.cancel(self.id)

    def forget(self) -> None:
        self.engine.forget(self.id)

    def open_recipients(self, max: int = 1000) -> list[OpenRecipient]:
        return self.engine.open_recipients(self.id, max)

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each state that has recipients. Takes ``pip install mailsbuddy[plot]``."""
        status = self.status()
        finish = f", done by {status.finish:%Y-%m-%d %H:%M} UTC" if status.finish else ""
        return _plot.states(status.counts, f"{self.id}: {status.total:,} recipients{finish}", ax)

    def events(self) -> EventStream:
        """Its events, from the start for the first call after start(); ends after the last one."""
        queue = self._queue.pop() if self._queue else self.engine._native.open_queue(self.id, True)
        return EventStream(self.engine._native, queue, self.id)

    def __repr__(self) -> str:
        return f"<mailsbuddy.{type(self).__name__} {self.id}>"


class StartedCampaign(CampaignHandle):
    """What start() gives: a campaign whose report is there."""

    report: ImportReport


class Engine(QueueVerbs, SuppressionVerbs):
    """An open engine. Use it in a ``with`` block: at its end the engine stops at once, and with a ``spool_dir`` what is not
    delivered waits there for the next one.

    Threads: all methods from any. Nothing waits for the network but drain() and iterating over events.
    """

    def __init__(self, native: _core.engine.Engine, log: LogBridge | None = None) -> None:
        self._native, self._log = native, log
        close_at_exit(native, log)

    @classmethod
    def open(
        cls,
        egress: Sequence[EgressIp],
        *,
        keys: KeyRing | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        durability: Literal["power_loss", "process_crash"] | None = None,
        spool_reserve_bytes: int | None = None,
        spool_cache_bytes: int | None = None,
        suppression_key: bytes | None = None,
        deliver: bool | None = None,
        max_age: Seconds | None = None,
        first_retry: Seconds | None = None,
        attempts_max: int | None = None,
        max_message_bytes: int | None = None,
        tls: Tls | None = None,
        dane: bool | None = None,
        mta_sts: bool | None = None,
        tls_ca: str | None = None,
        tls_overrides: Mapping[str, Tls | TlsOverride] | None = None,
        tls_reports: bool | None = None,
        tls_reporting: TlsReporting | None = None,
        timeouts: Mapping[str, Seconds] | None = None,
        connections_max: int | None = None,
        due_rows_max: int | None = None,
        outbox_events_max: int | None = None,
        memory_max_bytes: int | None = None,
        port: int | None = None,
        relays: Mapping[str, str] | None = None,
        allowed_targets: Sequence[str] | None = None,
        refuse_loops: bool | None = None,
        own_names: Sequence[str] | None = None,
        own_addresses: Sequence[str] | None = None,
        limits: str | None = None,
        pools: Mapping[str, PoolOptions] | None = None,
        zone: str | None = None,
        adaptive: bool | None = None,
        soft_bounces: int | None = None,
        report_age: Seconds | None = None,
        verp_key: bytes | None = None,
        workers: int | None = None,
        cpu_threads: int | None = None,
        dns: Sequence[str] | None = None,
        seed: int | None = None,
        log: logging.Logger | None = None,
        on_events: OnEvents | None = None,
        on_decisions: OnDecisions | None = None,
        on_error: OnError | None = None,
    ) -> Engine:
        """Opens an engine. What is None has the default of EngineOptions in engine.h, where each is explained.

        ``spool_dir``: a directory that keeps what was accepted; None: in memory. ``relays``: {"*": "smtp://..."}. ``limits``:
        lines as in docs/limits.md, beside the shipped ones. ``zone``: "Europe/Berlin", where days of warm-up begin.
        ``tls_overrides``: {"example.net": "verified", ".inner.example": "none"}, before what domains publish. ``deliver``: False:
        to look at a spool and to command it while nothing is sent; ``egress`` may then be empty.
        ``log``: a logger for what the engine says of itself. ``on_events``: as by subscribe(), and also for what the engine before did not hand over.
        """
        given = without_none({
            "keys": keys, "max_age": max_age, "first_retry": first_retry, "max_message_bytes": max_message_bytes, "tls": tls,
            "dane": dane, "mta_sts": mta_sts, "tls_ca": tls_ca, "tls_reports": tls_reports, "connections_max": connections_max,
            "port": port, "refuse_loops": refuse_loops, "limits": limits, "adaptive": adaptive,
            "soft_bounces": soft_bounces, "report_age": report_age, "verp_key": verp_key, "workers": workers,
            "cpu_threads": cpu_threads, "seed": seed, "allowed_targets": allowed_targets, "own_names": own_names,
            "own_addresses": own_addresses, "dns": dns, "deliver": deliver, "attempts_max": attempts_max,
            "due_rows_max": due_rows_max, "outbox_events_max": outbox_events_max, "memory_max_bytes": memory_max_bytes,
        })
        if isinstance(egress, str) or not isinstance(egress, Iterable):
            raise InvalidArgument(f"egress: a list of EgressIp is needed, not {type(egress).__name__}")
        given["egress"] = [as_options(_checked(each, EgressIp, "egress")) for each in egress]
        if timeouts is not None:
            given["timeouts"] = dict(_checked(timeouts, Mapping, "timeouts"))
        if relays is not None:
            given["relays"] = dict(_checked(relays, Mapping, "relays"))
        if pools is not None:
            given["pools"] = {name: as_options(_checked(each, PoolOptions, "pools")) for name, each in pools.items()}
        if zone is not None:
            given["zone"] = zone_file(zone)
        given["find_zone"] = zone_file
        if tls_overrides is not None:
            given["tls_overrides"] = {name: as_options(TlsOverride(each) if isinstance(each, str) else _checked(each, TlsOverride, "tls_overrides"))
                                      for name, each in tls_overrides.items()}
        if tls_reporting is not None:
            given["tls_reporting"] = as_options(_checked(tls_reporting, TlsReporting, "tls_reporting"))
        spool = without_none({
            "spool_dir": None if spool_dir is None else os.fspath(spool_dir), "durability": durability,
            "spool_reserve_bytes": spool_reserve_bytes, "spool_cache_bytes": spool_cache_bytes, "suppression_key": suppression_key,
        })
        if not spool.get("spool_dir", "."):
            raise InvalidArgument("spool_dir: empty; a directory is needed, or None for an engine that keeps its mail in memory")
        if spool and "spool_dir" not in spool:
            raise InvalidArgument(f"{', '.join(spool)}: of no use without a spool_dir")
        refuse_at_exit("engine")
        need_callables(on_events=on_events, on_decisions=on_decisions, on_error=on_error)
        bridge = None if log is None else LogBridge(log)
        if bridge is not None:
            given["log"] = bridge.queue
        try:
            return cls(_core.engine.Engine.open(given, spool, on_events, on_decisions, on_error), bridge)
        except BaseException:
            if bridge is not None:
                bridge.close()
            raise

    def close(self) -> None:
        """Stops at once; what is on the wire and unanswered is unknown. A second call does nothing."""
        self._native.close()
        _open.discard(self._native)
        if self._log is not None:
            self._log.close()

    @property
    def closed(self) -> bool:
        """No use any more: closed, or of another process."""
        return self._native.closed()

    def __enter__(self) -> Engine:
        if self._native.closed():
            raise Closed("the engine is closed")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def submit(self, message: Message | MessageLike, *, sender: AddressLike | None = None,
               recipients: Sequence[AddressLike] | None = None) -> str:
        """Takes one message; its id. Durable on return, if the spool is. Of what is no :class:`Message` the envelope is what its
        fields say, but for ``sender`` and ``recipients``; Bcc is taken out."""
        if not isinstance(message, Message):
            envelope = envelope_of(message, sender, recipients)
            message = Message(envelope.sender, envelope.recipients, envelope.data)
        elif sender is not None or recipients is not None:
            raise InvalidArgument("sender, recipients: a Message has its own")
        return self._native.submit(message_options(message))

    def start(self, campaign: Campaign, rows: Rows, *, address_column: str = "") -> StartedCampaign:
        """Reads all rows, then starts: durable on return, if the spool is. Bad rows are named in the handle's report, and the
        good ones stand. What the iterable raises ends the import, and nothing of it stays.

        ``rows``: the path of a CSV file, a pandas or Polars frame, an Arrow table or reader, or any iterable of mappings, of
        which the first names the fields. ``address_column``: empty: "email", or another of the usual names.
        """
        given = campaign_options(campaign)
        queue = self._native.open_queue(campaign.id, False)
        try:
            if isinstance(rows, (str, os.PathLike)):
                columns, records = csv_rows(rows)
                report = self._native.start_rows(given, records, columns, address_column)
            elif (stream := arrow_stream(rows)) is not None:
                report = self._native.start_arrow(given, stream, address_column)
            elif hasattr(rows, "itertuples"):
                columns, records = frame_rows(rows)
                report = self._native.start_rows(given, records, columns, address_column)
            else:
                report = self._native.start_rows(given, mapping_rows(rows), [], address_column)
        except BaseException:
            self._native.close_queue(queue)
            raise
        return StartedCampaign(self, campaign.id, ImportReport(*report), queue)

    def campaign(self, id: str) -> CampaignHandle:
        """A campaign that was started before, perhaps by an earlier process. Raises NotFound."""
        self.status(id)
        return CampaignHandle(self, id)

    def status(self, job: str) -> CampaignStatus:
        """Of a campaign by its id, or of a message until it is settled. Raises NotFound."""
        return self._native.status(job)

    def pause(self, campaign: str) -> None:
        """Nothing more goes on the wire; what is on it finishes."""
        self._native.pause(campaign)

    def resume(self, campaign: str) -> None:
        self._native.resume(campaign)

    def cancel(self, campaign: str) -> None:
        """Its open recipients become cancelled."""
        self._native.cancel(campaign)

    def forget(self, campaign: str) -> None:
        """Frees what a settled campaign takes. Raises Unavailable for others."""
        self._native.forget(campaign)

    def inbound(self, message: MessageLike, *, recipient: str = "", trust_unsigned: bool = False,
                account: str = "") -> InboundReport:
        """Takes a message that came back: bounce, complaint, auto-reply, unsubscribe. ``recipient``: RCPT TO."""
        return self._native.inbound(to_wire(message), recipient, trust_unsigned, account)

    def carries_token(self, address: str | Address) -> bool:
        """Whether what is before its @ ends with a token that this engine has signed, of any age: it is the return path or the
        unsubscribe address of a campaign, and there is nobody to read a letter to it."""
        return self._native.carries_token(address)

    def open_recipients(self, job: str, max: int = 1000) -> list[OpenRecipient]:
        """Up to ``max`` of those who are not settled."""
        return [OpenRecipient(*each) for each in self._native.open_recipients(job, max)]

    def set_keys(self, keys: KeyRing | None) -> None:
        """From now on these sign, also for campaigns that have begun."""
        self._native.set_keys(keys)

    def explain(self, ip: str, provider: str) -> Explanation:
        """Why an egress IP sends to a provider as it does."""
        return self._native.explain(ip, provider)

    def command(self, ip: str, provider: str, command: Command, value: int = 0) -> None:
        """An operator's word on the pace of an IP at a provider. ``value``: the daily cap of "pin"."""
        self._native.command(ip, provider, command, value)

    def resume_domain(self, sender_domain: str, provider: str) -> None:
        """Ends a pause of a sending domain at a provider. Raises NotFound where it is not paused."""
        self._native.resume_domain(sender_domain, provider)

    def take_tls_reports(self) -> list[TlsReport]:
        """TLS reports (RFC 8460) of the time since the last call, or since open(): call it once a day. Takes ``tls_reports=True``;
        with ``tls_reporting`` there are none, for the engine sends them."""
        return self._native.take_tls_reports()

    def paces(self) -> list[Explanation]:
        """Every egress IP at every provider that mail is sent to."""
        return self._native.paces()

    def change(self, limits: str) -> None:
        """Other limits, at once: lines as of ``limits`` in open(), beside the shipped ones."""
        self._native.change(limits)

    def trace(self, *, domain: str = "", job: str = "", egress: str = "", provider: str = "", mx_host: str = "",
              bodies: Literal["none", "headers", "full"] = "headers") -> Tracing:
        """Follows connections from now on; take() gives their lines. What is not empty must fit."""
        return self._native.trace({"domain": domain, "job": job, "egress": egress, "provider": provider, "mx_host": mx_host,
                                   "bodies": bodies})

    def subscribe(self, on_events: OnEvents | None = None, *, on_decisions: OnDecisions | None = None,
                  on_error: OnError | None = None) -> Callable[[], None]:
        """Calls ``on_events`` with lists of events, on a thread of the engine's, one call at a time; calling what is returned
        ends it. What it raises goes to ``on_error``, or to sys.unraisablehook, and the next batch comes all the same. While it
        runs, further events wait in the outbox."""
        need_callables(on_events=on_events, on_decisions=on_decisions, on_error=on_error)
        if on_events is None and on_decisions is None:
            raise InvalidArgument("on_events, on_decisions: one of them is needed")
        number = self._native.subscribe(on_events, on_decisions, on_error)
        return lambda: self._native.unsubscribe(number)

    def events(self) -> EventStream:
        """All events from now on, until the engine or the stream is closed."""
        return EventStream(self._native, self._native.open_queue("", True), "")

    def drain(self, timeout: Seconds | None = None) -> bool:
        """Waits until every recipient is settled and every event handed over. False: not within ``timeout``."""
        return self._native.drain(timeout)

    @property
    def open_rows(self) -> int:
        """Recipients who are not settled, held ones aside."""
        return self._native.open_rows()

    def __repr__(self) -> str:
        return f"<mailsbuddy.Engine {'closed' if self.closed else 'open'}>"


def _checked(given: Any, kind: type, what: str) -> Any:
    need(given, kind, what)
    return given


def _release(native: _core.engine.Engine, queues: list[_core.engine.EventQueue]) -> None:
    """Of a campaign whose handle is gone and whose events nobody asked for."""
    for queue in queues:
        native.close_queue(queue)
