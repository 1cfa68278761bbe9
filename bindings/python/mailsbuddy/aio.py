"""The engine for asyncio: what waits is awaited, and the event loop, uvloop's too, goes on meanwhile::

    async with await mailsbuddy.aio.Engine.open(egress=[...]) as engine:
        campaign = await engine.start(mailsbuddy.Campaign(...), rows)
        async for event in campaign.events():
            ...
        await engine.drain()

What does not wait for a disk or the network (status(), pause(), subscribe(), events(), ...) is as in mailsbuddy.Engine. A
:class:`Listener` may judge log-ins by a coroutine.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any

import mailsbuddy
from mailsbuddy._engine import StartedCampaign
from mailsbuddy._listen import Credentials, Identity
from mailsbuddy._message import AddressLike, MessageLike
from mailsbuddy._options import Campaign, Message, Seconds, need_callables
from mailsbuddy._rows import Rows

_SLICE = 0.2  # Seconds that a thread waits before it looks whether the task was cancelled.


class Engine:
    """A mailsbuddy.Engine whose waiting methods are coroutines."""

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

    def __getattr__(self, name: str) -> Any:  # What does not wait.
        return getattr(self.engine, name)

    def __repr__(self) -> str:
        return repr(self.engine)


class Listener:
    """A mailsbuddy.Listener whose waiting methods are coroutines."""

    def __init__(self, listener: mailsbuddy.Listener) -> None:
        self.listener = listener

    @classmethod
    async def start(cls, engine: Engine | mailsbuddy.Engine, *args: Any,
                    authenticate: Callable[[Credentials], Awaitable[Identity | None]] | None = None, **options: Any) -> Listener:
        """As mailsbuddy.Listener.start(), but that ``authenticate`` is a coroutine function, which runs in this event loop,
        ``login_threads`` of them at a time."""
        need_callables(authenticate=authenticate)
        loop = asyncio.get_running_loop()

        def judge(credentials: Credentials) -> Identity | None:
            assert authenticate is not None
            return asyncio.run_coroutine_threadsafe(_judge(authenticate, credentials), loop).result()

        native = engine.engine if isinstance(engine, Engine) else engine
        return cls(await asyncio.to_thread(mailsbuddy.Listener.start, native, *args,
                                           authenticate=None if authenticate is None else judge, **options))

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


async def _judge(authenticate: Callable[[Credentials], Awaitable[Identity | None]], credentials: Credentials) -> Identity | None:
    return await authenticate(credentials)


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
