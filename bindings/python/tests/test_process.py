"""The process around an engine: Ctrl-C, forks, exits, memory."""

import os
import signal
import subprocess
import sys
import textwrap

import mailsbuddy as mb
import mailsbuddy._engine
import pytest
from conftest import LETTER, END_SECONDS, campaign, rows

STUCK = "* ip messages_per_second=0.0003 burst=1"  # One message, then none for an hour.


class Program:
    """A Python program of its own, with an engine that sends to the receiver: `engine`, `rows`, `campaign` are there."""

    def __init__(self, sink, code, limits=STUCK):
        head = (f"import os, signal, sys, threading, gc; sys.path.insert(0, {str(__file__.rsplit('/', 1)[0])!r})\n"
                f"import mailsbuddy as mb; from conftest import campaign, options_for, rows, settle\n"
                f"class sink: port = {sink.port}\n"
                f"engine = mb.Engine.open(**options_for(sink, limits={limits!r}))\n")
        self.process = subprocess.Popen([sys.executable, "-c", head + textwrap.dedent(code)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def wait_for(self, word):
        line = self.process.stdout.readline().strip()
        assert line == word, (line, self.process.stderr.read() if not line else "")

    def end(self):
        out, err = self.process.communicate(timeout=END_SECONDS)
        return self.process.returncode, out, err


WAITS = {
    "drain": "engine.start(campaign(), rows(9)); print('go', flush=True); engine.drain()",
    "a trace": "trace = engine.trace(); print('go', flush=True); trace.take(600)",
    "events": "engine.start(campaign(), rows(9)); print('go', flush=True); list(engine.events())",
    "a generator": """
        def endless():
            for i in range(10**9):
                if i == 5000: print('go', flush=True)
                yield {'email': f'u{i}@a.example', 'name': 'x', 'city': 'y'}
        engine.start(campaign(), endless())""",
    "close() while a thread's generator is stuck": """
        began = threading.Event()
        def stuck():
            began.set()
            threading.Event().wait()
            yield
        threading.Thread(target=lambda: engine.import_suppressions(stuck()), daemon=True).start()
        began.wait()
        try:
            print('go', flush=True)
            engine.close()
        except KeyboardInterrupt:
            print('KeyboardInterrupt', file=sys.stderr, flush=True)
            os._exit(130)""",
    "asyncio": """
        import asyncio, mailsbuddy.aio
        engine.start(campaign(), rows(9))
        async def main():
            print('go', flush=True)
            await mailsbuddy.aio.Engine(engine).drain()
        asyncio.run(main())""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_every_wait(wait, sink):
    program = Program(sink, WAITS[wait])
    program.wait_for("go")
    program.process.send_signal(signal.SIGINT)
    status, _, err = program.end()
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert status == -signal.SIGINT or status == 130


def test_a_fork_is_refused_clearly(sink):
    program = Program(sink, """
        engine.start(campaign(), rows(9))
        settle()
        child = os.fork()
        if child == 0:
            try:
                engine.status("spring")
            except mb.Unsupported as error:
                print("refused:", error, flush=True)
            assert engine.closed
            engine.close()  # Does nothing, and does not hang.
            del engine
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        print("child", os.waitstatus_to_exitcode(status), engine.status("spring").total)
    """)
    status, out, err = program.end()
    assert status == 0, err
    assert "is a fork" in out and "spawn" in out
    assert "child 7 9" in out


def test_a_fork_ends_while_a_thread_of_its_parent_waits(sink):
    program = Program(sink, """
        import mailsbuddy.smtp, socket
        silent = socket.create_server(("127.0.0.1", 0))
        def wait():
            try: mailsbuddy.smtp.Client("127.0.0.1", silent.getsockname()[1], ehlo_name="mx1.brand.example").connect()
            except mb.Closed: pass
        threading.Thread(target=wait, daemon=True).start()
        peer, _ = silent.accept()
        settle()  # Now the thread waits for a greeting.
        child = os.fork()
        if child == 0: sys.exit(7)
        _, status = os.waitpid(child, 0)
        print("child", os.waitstatus_to_exitcode(status), flush=True)
    """)
    status, out, err = program.end()
    assert (status, out) == (0, "child 7\n"), err


EXITS = {
    "running": "engine.start(campaign(), rows(5000))",
    "with a callback": "engine.subscribe(lambda events: sum(event.row for event in events)); engine.start(campaign(), rows(5000))",
    "in a cycle": "engine.subscribe(lambda events: engine.open_rows); engine.start(campaign(), rows(5000))",
    "with a thread that waits": "threading.Thread(target=lambda: list(engine.events()), daemon=True).start()",
    "with a thread that imports suppressions": """
        began = threading.Event()
        def endless():
            while True:
                yield mb.SuppressionEntry("brand", "ann@readers.example")
                began.set()
        def load():
            try: engine.import_suppressions(endless())
            except mb.Closed: pass
        threading.Thread(target=load, daemon=True).start()
        began.wait()""",
    "dropped": "engine.start(campaign(), rows(5000)); del engine; gc.collect()",
    "dropped, and a stream of it goes on": """
        stream = engine.events(); engine.subscribe(lambda events: None)
        engine.start(campaign(), rows(5000)); del engine""",
    "dropped in a callback": """
        done = threading.Event()
        def drop(events):
            global engine
            if 'engine' in globals(): del engine
            done.set()
        engine.subscribe(drop)
        engine.start(campaign(), rows(500))
        done.wait()""",
    "by sys.exit in a callback": """
        import time
        engine.subscribe(lambda events: sys.exit(5))
        engine.start(campaign(), rows(100)); engine.drain()""",
    "opened at exit": """
        import atexit, mailsbuddy._engine
        def late():
            try: mb.Engine.open(**options_for(sink))
            except mb.Closed: pass
        atexit.unregister(mailsbuddy._engine._close_all); atexit.register(late); atexit.register(mailsbuddy._engine._close_all)""",
}


@pytest.mark.parametrize("exit", EXITS)
def test_an_interpreter_ends_cleanly(exit, sink):
    program = Program(sink, textwrap.dedent(EXITS[exit]) + "\nprint('end', flush=True)", limits="* ip messages_per_second=0")
    status, out, err = program.end()
    assert (status, out) == (0, "end\n"), (status, err)
    assert ("SystemExit" in err) == (exit == "by sys.exit in a callback") and "Fatal" not in err, err


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_ctrl_c_in_one_close_at_the_end_aborts_no_other(monkeypatch):
    closed = []

    class Ends:
        def close(self):
            closed.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(mailsbuddy._engine, "_exiting", False)
    monkeypatch.setattr(mailsbuddy._engine, "_open", [Ends(), Ends()])
    monkeypatch.setattr(mailsbuddy._engine, "_logs", [Ends()])
    with pytest.raises(KeyboardInterrupt):
        mailsbuddy._engine._close_all()
    assert len(closed) == 3 and closed[-1] is mailsbuddy._engine._logs[0]


SUBMITS = int(os.environ.get("MAILSBUDDY_SUBMITS", "8000"))


@pytest.mark.skipif(mb.build_info()["sanitizers"] != "", reason="sanitizers keep what is freed")
def test_memory_is_stable(engine):
    """What a submit() and its events take is given back. A million of them, with what is resident after each tenth:

    MAILSBUDDY_SUBMITS=1000000 MAILSBUDDY_PACKAGE=$PWD/build/dev/bindings/python MAILSBUDDY=$PWD/build/dev/services/cli/mailsbuddy \\
      python3 bindings/python/tests/run.py test_process.py -s -k memory_is_stable"""
    taken = 0

    def on_events(events):
        nonlocal taken
        taken += len(events)

    engine.subscribe(on_events)

    def submit(count):
        for i in range(count):
            engine.submit(mb.Message("news@brand.example", [f"user{i % 100}@a.example"], LETTER + "x" * 8000))
            if i % 50 == 0:  # On a busy machine all since then may wait, which is no leak: no more than a megabyte or two.
                engine.drain()
        assert engine.drain()

    submit(1000)
    before = resident_bytes()
    for done in range(1, 11):
        submit(SUBMITS // 10)
        assert taken == 1000 + done * (SUBMITS // 10)
        grown = resident_bytes() - before
        print(f"{done * (SUBMITS // 10)} submits: {before / 1e6:.1f} MB resident before, {(before + grown) / 1e6:.1f} MB now", flush=True)
    assert grown < min(SUBMITS * 1000, 32_000_000)  # A leak of the message alone would be eight times that, or more.


def test_rows_that_are_given_up_leave_nothing(engine):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            engine.start(campaign(), (row if i < 1500 else 1 // 0 for i, row in enumerate(rows(2000))))
    assert engine.open_rows == 0
