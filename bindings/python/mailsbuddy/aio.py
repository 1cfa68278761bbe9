"""The engine for asyncio: what waits is awaited, and the event loop, uvloop's too, goes on meanwhile::

    async with await mailsbuddy.aio.Engine.open(egress=[...]) as engine:
        campaign = await engine.start(mailsbuddy.Campaign(...), rows)
        async for event in campaign.events():
            ...
        await engine.drain()

What answers at once (status(), pause(), subscribe(), events(), ...) is as in mailsbuddy.Engine. A
:class:`Listener`'s callbacks are coroutine functions.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import mailsbuddy
from mailsbuddy._core.mail import Address
from mailsbuddy._engine import StartedCampaign
from mailsbuddy._errors import Closed
from mailsbuddy._listen import Credentials, Identity, Submission
from mailsbuddy._message import AddressLike, MessageLike
from mailsbuddy._options import Campaign, Message, Seconds, need_callables
from mailsbuddy._rows import Rows

_SLICE = 0.2  # Seconds that a thread waits before it looks whether the task was cancelled, or the event loop closed.
_About = TypeVar("_About")
_Answer = TypeVar("_Answer")


# Coroutines with the parameters of mailsbuddy.Engine's: they wait for the disk, or DNS.
_WAITING = frozenset({"erase_address", "erase_campaign", "fail", "forget", "hold", "import_suppressions", "inbound", "move", "release",
                      "summary", "suppress", "unsuppress"})


class Engine:
    """A mailsbuddy.Engine whose waiting methods are coroutines: those below and, with the parameters they have there, erase_address(),
    erase_campaign(), fail(), forget(), hold(), import_suppressions(), inbound(), move(), release(), summary(), suppress() and
    unsuppress()."""

    def __init__(self, engine: mailsbuddy.Engine) -> None:
        self.engine = engine

    @classmethod
    async def open(cls, *args: Any, **options: Any) -> Engine:
        """As mailsbuddy.Engine.open()."""
        return cls(await asyncio.to_thread(mailsbuddy.Engine.open, *args, **options))

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.to_thread(self.engine.close)

    async def submit(self, message: Message | MessageLike, *, sender: AddressLike | None = None,
                     recipients: Sequence[AddressLike] | None = None) -> str:
        return await asyncio.to_thread(self.engine.submit, message, sender=sender, recipients=recipients)

    async def start(self, campaign: Campaign, rows: Rows, *, address_column: str = "") -> StartedCampaign:
        """As mailsbuddy.Engine.start(); the rows are read on another thread."""
        return await asyncio.to_thread(self.engine.start, campaign, rows, address_column=address_column)

    async def drain(self, timeout: Seconds | None = None) -> bool:
        """As mailsbuddy.Engine.drain(). Cancelling the task ends it within a fraction of a second."""
        return await _drain(self.engine.drain, timeout)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.engine, name)
        return functools.partial(asyncio.to_thread, found) if name in _WAITING else found

    def __repr__(self) -> str:
        return repr(self.engine)


class Listener:
    """A mailsbuddy.Listener whose waiting methods are coroutines."""

    def __init__(self, listener: mailsbuddy.Listener) -> None:
        self.listener = listener

    @classmethod
    async def start(cls, engine: Engine | mailsbuddy.Engine, *args: Any,
                    authenticate: Callable[[Credentials], Awaitable[Identity | None]] | None = None,
                    inbound_address: Callable[[Address], Awaitable[bool]] | None = None,
                    keep: Callable[[Submission], Awaitable[bool]] | None = None, **options: Any) -> Listener:
        """As mailsbuddy.Listener.start(), but that ``authenticate``, ``inbound_address`` and ``keep`` are coroutine functions. They run
        in this event loop, ``login_threads`` and ``inbound_threads`` of them at a time; once it is closed, clients are told to
        try again later."""
        need_callables(True, authenticate=authenticate, inbound_address=inbound_address, keep=keep)
        loop = asyncio.get_running_loop()
        native = engine.engine if isinstance(engine, Engine) else engine
        return cls(await asyncio.to_thread(
            mailsbuddy.Listener.start, native, *args, authenticate=_in_loop(loop, authenticate),
            inbound_address=_in_loop(loop, inbound_address), keep=_in_loop(loop, keep), **options))

    async def __aenter__(self) -> Listener:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.to_thread(self.listener.close)

    async def drain(self, timeout: Seconds | None = None) -> bool:
        """As mailsbuddy.Listener.drain(). Cancelling the task ends it within a fraction of a second."""
        return await _drain(self.listener.drain, timeout)

    def __getattr__(self, name: str) -> Any:  # What does not wait.
        return getattr(self.listener, name)

    def __repr__(self) -> str:
        return repr(self.listener)


def _in_loop(loop: asyncio.AbstractEventLoop,
             ask: Callable[[_About], Awaitable[_Answer]] | None) -> Callable[[_About], _Answer] | None:
    """For other threads: runs `ask` in the loop, and waits for what it says."""
    if ask is None:
        return None

    async def run(about: _About) -> _Answer:
        return await ask(about)

    def wait(about: _About) -> _Answer:
        answer: concurrent.futures.Future[_Answer] = concurrent.futures.Future()
        try:  # run(about) is called by the loop alone: of a closed one it would never be awaited.
            loop.call_soon_threadsafe(lambda: loop.create_task(run(about)).add_done_callback(lambda task: _pass_on(task, answer)))
        except RuntimeError as error:
            raise Closed("the event loop is closed") from error
        while not concurrent.futures.wait([answer], _SLICE).done:
            if loop.is_closed():
                raise Closed("the event loop is closed")
        return answer.result()

    return wait


def _pass_on(task: asyncio.Task[_Answer], answer: concurrent.futures.Future[_Answer]) -> None:
    if task.cancelled():
        answer.cancel()
        answer.set_running_or_notify_cancel()
    elif error := task.exception():
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


async def _drain(drain: Callable[[float], bool], timeout: Seconds | None) -> bool:
    if isinstance(timeout, datetime.timedelta):
        timeout = timeout.total_seconds()
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SLICE if deadline is None else min(_SLICE, max(0.0, deadline - time.monotonic()))
        if await asyncio.to_thread(drain, left):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
