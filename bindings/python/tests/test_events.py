"""Events in Python: callbacks, iterators, asyncio; what raises is reported, what nobody takes stays in the outbox."""

import asyncio
import sys
import threading

import mailsbuddy as mb
import mailsbuddy.aio
import pytest
import uvloop
from conftest import LETTER, campaign, options_for, rows


def test_callbacks_get_batches_and_can_end(engine):
    first, second = [], []
    engine.subscribe(first.append)
    end = engine.subscribe(second.append)
    engine.start(campaign(), rows(500))
    assert engine.drain()
    end()
    engine.start(campaign("second"), rows(3))
    assert engine.drain()
    assert sum(map(len, first)) == 503 and sum(map(len, second)) == 500
    assert len(second) < 500 and all(isinstance(batch, list) for batch in first)  # One call for many events.


def test_a_callback_that_raises_is_reported_and_stops_nothing(engine, monkeypatch):
    reported, told, taken = [], [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: reported.append(what.exc_value))

    def fails(events):
        raise RuntimeError(f"{len(events)} too many")

    def fails_again(error):
        told.append(error)
        raise KeyError("the handler too")

    engine.subscribe(fails)
    engine.subscribe(fails, on_error=told.append)
    engine.subscribe(fails, on_error=fails_again)
    engine.subscribe(taken.extend)
    engine.start(campaign(), rows(30))
    assert engine.drain()
    assert len(taken) == 30
    batches = len(told) // 2
    assert batches and all(isinstance(error, RuntimeError) for error in told)
    assert sum(isinstance(error, KeyError) for error in reported) == batches
    assert sum(isinstance(error, RuntimeError) for error in reported) == 2 * batches  # The first's, and the third's as well.


def test_a_callback_may_use_the_engine_but_not_wait_for_itself(engine):
    errors, seen = [], []

    def on_events(events):
        seen.append(engine.status(events[0].job).total)
        for wait in (engine.drain, engine.close, lambda: next(iter(engine.events())), lambda: engine.start(campaign("x"), rows(1))):
            try:
                wait()
            except mb.Unsupported as error:
                errors.append(error)

    engine.subscribe(on_events)
    engine.start(campaign(), rows(4))
    assert engine.drain()
    assert seen[0] == 4 and len(errors) == 4 * len(seen)


def test_a_thread_after_a_closed_engine_is_in_no_callback(engines, sink):
    """The event thread of a closed engine is gone, and its id with it: a thread that gets it may close and wait."""
    failures = []

    def ends(engine, stream):
        try:
            engine.close()
            list(stream)
        except mb.Unsupported as error:
            failures.append(error)

    for _ in range(5):
        engine = engines(sink)
        stream = engine.events()
        engine.subscribe(lambda events: None)
        engine.start(campaign(), rows(1))
        assert engine.drain()
        engine.close()
        threads = [threading.Thread(target=ends, args=(engine, stream)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_decisions_are_told(engines, sink):
    decisions = []
    engine = engines(sink, egress=[mb.EgressIp("127.0.0.1", "mx1.brand.example", curve=[50, 100])], on_decisions=decisions.extend)
    (event,) = engine.start(campaign(), rows(1)).events()
    engine.command("127.0.0.1", event.provider, "pause")
    engine.command("127.0.0.1", event.provider, "resume")
    engine.start(campaign("second"), rows(1))
    assert engine.drain()
    assert [each.kind for each in decisions].count("operator") == 2
    assert "127.0.0.1" in str(decisions[-1])


def test_a_campaign_nobody_looks_at_keeps_little_and_says_so(engine):
    handle = engine.start(campaign(), rows(20_000))
    assert engine.drain()
    with pytest.raises(mb.ResourceExhausted, match="20000 events") as raised:
        handle.events()
    assert "subscribe" in raised.value.remedy


def test_what_is_not_taken_waits_in_the_outbox(engine):
    stream = engine.events()
    handle = engine.start(campaign(), rows(40_000))
    taken = next(iter(stream.batches()))
    while not handle.status().settled:
        assert engine.drain(0.02) is False
    assert engine.drain(0) is False and engine.unreported > 0  # Its events do not fit, and nobody takes them.
    for batch in stream.batches():
        taken += batch
        if len(taken) == 40_000:
            break
    assert len({event.recipient for event in taken}) == 40_000
    stream.close()
    assert engine.drain()


def test_a_stream_that_is_dropped_holds_nothing_up(engine):
    stream = engine.events()
    engine.start(campaign(), rows(40_000))
    next(iter(stream))
    del stream
    assert engine.drain()


def test_a_stream_ends_with_its_engine(engine):
    stream = engine.events()
    ended = threading.Thread(target=lambda: list(stream))
    ended.start()
    engine.close()
    ended.join(60)
    assert not ended.is_alive()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    return asyncio.run if request.param == "asyncio" else uvloop.run


def test_asyncio(run, sink):
    """The loop turns while the engine works: a task counts meanwhile."""
    async def main():
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with await mailsbuddy.aio.Engine.open(**options_for(sink)) as engine:
            turning = asyncio.create_task(turn())
            handle = await engine.start(campaign(), rows(2000))
            before = turns
            kinds = [event.kind async for event in handle.events()]
            assert turns > before
            assert kinds == ["delivered"] * 2000
            identity = await engine.submit(mb.Message("news@brand.example", ["ann@a.example"], LETTER))
            assert identity and await engine.drain()
            assert engine.status("spring").settled
            turning.cancel()
        assert engine.closed

    run(main())


def test_commands_are_awaited_where_they_wait(run, sink, tmp_path):
    async def main():
        async with await mailsbuddy.aio.Engine.open(**options_for(sink, spool_dir=tmp_path / "spool", limits="* ip messages_per_second=0.0003 burst=1")) as engine:
            assert await engine.import_suppressions([mb.SuppressionEntry("brand", "user1@readers.example", "complaint")]) == 1
            await engine.suppress("brand", "user2@readers.example")
            handle = await engine.start(campaign(), rows(9))
            assert handle.report.suppressed == 2 and await engine.unsuppress("brand", "user2@readers.example")
            assert (await engine.summary(by="campaign")).groups[0].name == "spring"
            held = await engine.hold("job=spring", "a question")
            assert held.rows >= 6 and (await engine.release("job=spring")).rows == held.rows
            assert (await engine.erase_address("user1@readers.example")).rows == 1
            assert (await engine.fail("job=spring", "no more")).rows >= 6
            assert (await engine.inbound(b"Subject: x\n\nx\n")).attribution == "none"
            await engine.erase_campaign("spring")
            with pytest.raises(mb.NotFound):
                await engine.forget("spring")
            for name in mailsbuddy.aio._WAITING:
                assert callable(getattr(mb.Engine, name))

    run(main())


def test_cancelling_a_task_ends_its_wait(run, sink):
    async def main():
        async with await mailsbuddy.aio.Engine.open(**options_for(sink, limits="* ip messages_per_second=0.0003 burst=1")) as engine:
            handle = await engine.start(campaign(), rows(9))
            assert await engine.drain(0) is False
            waits = [asyncio.create_task(engine.drain()), asyncio.create_task(anext(aiter(engine.events())))]
            await asyncio.sleep(0)
            for task in waits:
                task.cancel()
            ended = await asyncio.gather(*waits, return_exceptions=True)
            assert all(isinstance(each, (asyncio.CancelledError, mb.Event)) for each in ended) and len(ended) == 2
            handle.cancel()
            assert await engine.drain()

    run(main())


def test_many_threads(engine):
    taken = []
    engine.subscribe(taken.extend)

    def work(number):
        for i in range(50):
            engine.submit(mb.Message("news@brand.example", [f"user{i}@d{number}.example"], LETTER, campaign=f"t{number}"))
            engine.open_rows

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.drain()
    assert len({(event.campaign, event.recipient) for event in taken}) == 400
