"""Events as an iterator, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from mailsbuddy._errors import Closed, ResourceExhausted, Unsupported

if TYPE_CHECKING:
    from mailsbuddy._core.engine import Engine, Event, EventQueue

_BATCH = 1024
_SLICE = 0.05  # Seconds: how late the end, or Ctrl-C, may be seen.


class EventStream:
    """``for event in stream``, or ``async for``; ``batches()`` for lists of them, which costs less.

    That of a campaign ends after its last event. When nobody takes from it, at most 16,384 events are held here and the others
    stay in the engine's outbox, where they are durable if the spool is; subscribers then wait too: take, or close() it.
    """

    def __init__(self, engine: Engine, queue: EventQueue, job: str) -> None:
        self._engine, self._queue, self._job = engine, queue, job
        self._outbox_end: int | None = None
        self._finalize = weakref.finalize(self, engine.close_queue, queue)
        self._finalize.atexit = False
        dropped = queue.claim()
        if dropped:
            self.close()
            raise ResourceExhausted(
                f"{dropped} events of {job} came before anybody asked for them, more than are kept so long",
                remedy="Call events() right after start(), or subscribe() before it.")

    def close(self) -> None:
        """Takes no more; the engine stops keeping events for it."""
        self._finalize()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ended(self) -> bool:
        """No event is missing any more. Asked when there is none in the queue."""
        if self._queue.closed():
            return True
        if not self._job:
            return False
        try:
            if self._outbox_end is None and self._engine.status(self._job).settled:
                self._outbox_end = self._engine.outbox_end()
            return self._outbox_end is not None and self._engine.outbox_reached(self._outbox_end)
        except Closed:
            return True

    def _last(self) -> list[Event]:
        """What came between the last look and the end."""
        last = self._queue.take(1 << 30, 0)
        if not last:
            self.close()
        return last

    def batches(self) -> Iterator[list[Event]]:
        """Lists of what has come, as soon as there is something."""
        if self._engine.in_callback():
            raise Unsupported("waiting for events in a callback for events would wait for itself")
        while True:
            if events := self._queue.take(_BATCH, _SLICE):
                yield events
            elif self._ended():
                while events := self._last():
                    yield events
                return

    def __iter__(self) -> Iterator[Event]:
        for batch in self.batches():
            yield from batch

    async def async_batches(self) -> AsyncIterator[list[Event]]:
        """The same without blocking the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            if events := self._queue.take(_BATCH, 0):
                yield events
                continue
            if self._ended():
                while events := self._last():
                    yield events
                return
            woken = asyncio.Event()
            self._queue.wake_once(_waker(loop, woken))
            try:
                await asyncio.wait_for(woken.wait(), _SLICE)
            except asyncio.TimeoutError:
                pass

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for batch in self.async_batches():
            for event in batch:
                yield event

    def __repr__(self) -> str:
        return f"<mailsbuddy.EventStream of {self._job or 'all'}>"


def _waker(loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> Callable[[], None]:
    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(woken.set)

    return wake
