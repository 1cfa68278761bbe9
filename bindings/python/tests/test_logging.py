"""The standard library's logging, both ways."""

import io
import logging
import logging.config
import os
import smtplib
import subprocess
import sys
import threading
import types

import mailsbuddy as mb
import mailsbuddy._core.engine as native
import mailsbuddy.logging
import pytest
from conftest import END_SECONDS, LETTER, campaign, options_for, rows
from mailsbuddy import smtp
from mailsbuddy.logging import MailHandler


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def logger(request):
    """A logger of the test's own, and what it was given."""
    made = logging.getLogger(f"app.{request.node.name}")
    made.propagate, made.handlers = False, []
    made.setLevel(logging.DEBUG)
    made.kept = Kept()
    made.addHandler(made.kept)
    yield made
    for handler in list(made.handlers):
        handler.close()
        made.removeHandler(handler)


# What the engine says

def test_the_engine_logs_under_its_rooms(sink, logger):
    with mb.Engine.open(**options_for(sink, log=logger)) as engine:
        list(engine.start(campaign(), rows(1)).events())
        engine.command("127.0.0.1", engine.paces()[0].provider, "pause")
    (record,) = [each for each in logger.kept.records if "pause" in each.getMessage()]  # On close() all lines are logged.
    assert record.name.startswith(f"{logger.name}.") and record.levelno == logging.INFO
    assert "user0" not in record.getMessage() and record.created > 0


def test_lines_below_the_loggers_level_are_not_made(sink, logger):
    logger.setLevel(logging.ERROR)
    with mb.Engine.open(**options_for(sink, log=logger)) as engine:
        list(engine.start(campaign(), rows(1)).events())
        engine.command("127.0.0.1", engine.paces()[0].provider, "pause")
    assert logger.kept.records == []


def test_what_is_no_logger_is_refused(sink):
    with pytest.raises(mb.InvalidArgument, match="log: a logging.Logger.*not str"):
        mb.Engine.open(**options_for(sink, log="mailsbuddy"))


def test_an_engine_that_does_not_open_leaves_no_thread(sink, logger):
    before = threading.active_count()
    with pytest.raises(mb.InvalidArgument):
        mb.Engine.open(**options_for(sink, log=logger, tls="maybe"))
    assert threading.active_count() == before


def test_log_lines_are_bounded(sink, logger):
    """Nobody takes: the engine goes on, and what is too much is counted."""
    with mb.Engine.open(**options_for(sink, log=logger)) as engine:
        with logger.kept.lock:  # The log's thread stands at its first line.
            for _ in range(6000):
                engine.command("127.0.0.1", "example.net", "pause")
                engine.command("127.0.0.1", "example.net", "resume")
    lines = [record.getMessage() for record in logger.kept.records]
    (dropped,) = [int(line.split()[0]) for line in lines if line.endswith("were dropped")]
    assert dropped > 0 and len(lines) - 1 + dropped == 12_000


def test_a_closed_queue_waits_no_more():
    queue = native.LogQueue()
    assert queue.take(0) == [] and queue.dropped() == 0 and not queue.closed()
    queue.close()
    assert queue.take(END_SECONDS) == [] and queue.closed()


def test_an_interpreter_ends_with_an_engine_that_logs(sink):
    code = ("import logging, mailsbuddy as mb; logging.basicConfig(level=logging.DEBUG, format='%(name)s %(levelname)s');"
            "engine = mb.Engine.open([mb.EgressIp('127.0.0.1', 'mx1.brand.example')], log=logging.getLogger('mailsbuddy'))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=END_SECONDS)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_an_engine_that_is_let_go_of_logs_all_its_lines(sink):
    code = f'''
import atexit, logging, threading
atexit.register(lambda: print(slow.lines))  # After what mailsbuddy asks for.
import mailsbuddy as mb
from conftest import options_for
class sink: port = {sink.port}
gone = threading.Event()
class Slow(logging.Handler):
    lines = 0
    def emit(self, record):
        gone.wait()  # All lines come when the engine is gone.
        self.lines += 1
slow, log = Slow(), logging.getLogger("app")
log.propagate = False
log.setLevel(logging.DEBUG)
log.addHandler(slow)
engine = mb.Engine.open(**options_for(sink, log=log))
for _ in range(1000):
    engine.command("127.0.0.1", "example.net", "pause")
    engine.command("127.0.0.1", "example.net", "resume")
del engine
gone.set()
'''
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=END_SECONDS, env=environment)
    assert done.stdout.strip() == "2000", done


class Raises(Kept):
    """At its first record, and keeps the others."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def emit(self, record):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        super().emit(record)


@pytest.mark.parametrize("error", [OSError("no room for the log"), SystemExit(3)])
def test_a_handler_that_raises_does_not_end_the_log(error, sink, logger, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logger.addHandler(raises := Raises(error))
    with mb.Engine.open(**options_for(sink, log=logger)) as engine:
        engine.command("127.0.0.1", "example.net", "pause")
        engine.command("127.0.0.1", "example.net", "resume")
    assert type(error).__name__ in sys.stderr.getvalue()
    assert len(raises.records) == len(logger.kept.records) - 1 > 0


def test_a_logger_that_raises_does_not_end_the_log(sink, monkeypatch):
    class Moody(logging.Logger):
        asked = 0

        def getEffectiveLevel(self):  # Engine.open() asks first, then the log's thread.
            self.asked += 1
            if self.asked == 2:
                raise ValueError("not now")
            return logging.DEBUG

        def getChild(self, suffix):
            return self

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    moody, kept = Moody("moody"), Kept()
    moody.addHandler(kept)
    with mb.Engine.open(**options_for(sink, log=moody)) as engine:
        while "not now" not in sys.stderr.getvalue():
            assert engine._log._thread.is_alive()
            engine._log._thread.join(0.01)
        engine.command("127.0.0.1", "example.net", "pause")
    assert any("pause" in record.getMessage() for record in kept.records)


def test_close_does_not_wait_for_ever_for_a_handler(sink, logger, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(mailsbuddy.logging, "_PATIENCE", 0.1)
    logger.kept.acquire()  # As a caller of close() may hold it, within a handler or dictConfig().
    try:
        engine = mb.Engine.open(**options_for(sink, log=logger))
        engine.command("127.0.0.1", "example.net", "pause")
        engine.close()
    finally:
        logger.kept.release()
    assert "a log handler" in sys.stderr.getvalue()
    engine._log._thread.join(END_SECONDS)
    assert logger.kept.records


# What is logged is mailed

class Outbox:
    """Takes mails, and fails while it is told to."""

    def __init__(self):
        self.mails, self.fails, self.came = [], None, threading.Semaphore(0)

    def __call__(self, message):
        if self.fails is not None:
            raise self.fails
        self.mails.append(message)
        self.came.release()

    def wait(self):
        assert self.came.acquire(timeout=END_SECONDS)


@pytest.fixture
def outbox():
    return Outbox()


def add(logger, outbox, **options):
    handler = MailHandler(outbox, "app@brand.example", ["ops@brand.example", "dev@brand.example"], **{"interval": 3600, "gather": 0, **options})
    logger.addHandler(handler)
    return handler


def add_and_fail(logger, outbox, error):
    """A handler whose mail of "first" failed."""
    handler = add(logger, outbox, gather=3600)
    outbox.fails = error
    logger.error("first")
    try:
        handler.flush()
    finally:
        outbox.fails = None
    return handler


def test_records_become_one_mail_after_the_other(logger, outbox):
    handler = add(logger, outbox)
    logger.info("not this")
    logger.error("first\nof two lines")
    outbox.wait()
    for number in range(100):
        logger.error("number %d", number)
    logger.critical("last")
    assert len(outbox.mails) == 1  # The others wait for an hour, or for close().
    handler.close()
    one, two = outbox.mails
    assert one["Subject"] == "ERROR: first" and one["From"] == "app@brand.example" and one["To"] == "ops@brand.example, dev@brand.example"
    assert one.get_content() == "first\nof two lines\n"
    assert two["Subject"] == "CRITICAL: number 0" and two.get_content().splitlines() == [*(f"number {n}" for n in range(100)), "last"]
    logger.error("after close()")
    assert len(outbox.mails) == 2


def test_tracebacks_and_subjects(logger, outbox):
    handler = add(logger, outbox, subject="{count} at {level}: {first}", gather=3600)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError:
        logger.exception("it failed\r\nBcc: eve@example.net")
    handler.flush()
    (mail,) = outbox.mails
    assert mail["Subject"] == "1 at ERROR: ERROR it failed" and mail["Bcc"] is None
    assert "ZeroDivisionError: oh" in mail.get_content()


def test_what_is_too_much_is_dropped_and_said(logger, outbox):
    handler = add(logger, outbox, capacity=3, gather=3600)
    for number in range(10):
        logger.error("number %d", number)
    handler.close()
    (mail,) = outbox.mails
    assert mail.get_content().splitlines() == ["number 0", "number 1", "number 2", "7 further records were dropped: more than 3 waited."]


def test_what_cannot_be_sent_comes_with_the_next_mail(logger, outbox, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = add_and_fail(logger, outbox, mb.Unavailable("no way out"))
    assert "no way out" in sys.stderr.getvalue() and "1 records could not be mailed" in sys.stderr.getvalue()
    logger.error("second")
    handler.flush()
    assert [mail.get_content() for mail in outbox.mails] == ["first\nsecond\n"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ctrl_c_ends_is_mailed_later(error, logger, outbox, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(type(error)):
        add_and_fail(logger, outbox, error)
    assert "1 records could not be mailed" in sys.stderr.getvalue()
    (handler,) = (each for each in logger.handlers if isinstance(each, MailHandler))
    handler.flush()
    assert [mail.get_content() for mail in outbox.mails] == ["first\n"]


def test_records_wait_where_no_thread_can_be_had(logger, outbox, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    handler = add(logger, outbox)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        logger.error("first")
    logger.error("second")
    outbox.wait()
    handler.close()
    assert [mail.get_content() for mail in outbox.mails] == ["first\nsecond\n"]


@pytest.mark.parametrize("error", [
    mb.InvalidArgument("no message"), UnicodeEncodeError("utf-8", "x", 0, 1, "no"), smtplib.SMTPDataError(554, b"5.6.0 no"),
    smtplib.SMTPSenderRefused(550, b"5.7.1 no", "app@brand.example"), smtplib.SMTPRecipientsRefused({"ops@brand.example": (550, b"5.1.1 no")})])
def test_what_is_refused_for_good_keeps_nothing_else_back(error, logger, outbox, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = add_and_fail(logger, outbox, error)
    assert type(error).__name__ in sys.stderr.getvalue()
    logger.error("second")
    handler.flush()
    logger.error("third")
    handler.flush()
    one, two = (mail.get_content().splitlines() for mail in outbox.mails)
    assert one == ["second", "1 earlier records were dropped: their mail was refused for good."] and two == ["third"]


@pytest.mark.parametrize("error", [smtplib.SMTPDataError(451, b"4.3.0 later"), smtplib.SMTPAuthenticationError(535, b"5.7.8 no"),
                                   smtplib.SMTPRecipientsRefused({"a@b.example": (550, b"no"), "c@d.example": (450, b"later")})])
def test_what_may_be_taken_later_is_kept(error, logger, outbox, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = add_and_fail(logger, outbox, error)
    handler.flush()
    assert [mail.get_content() for mail in outbox.mails] == ["first\n"]


def test_who_got_a_mail_gets_it_once(logger, outbox, monkeypatch):
    """When another recipient is deferred."""
    def send(message):
        outbox(message)
        return smtp.SendResult({"ops@brand.example": types.SimpleNamespace(delivered=True),
                                "dev@brand.example": types.SimpleNamespace(delivered=False, reply=types.SimpleNamespace(code=451))})

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = add(logger, send, gather=3600)
    logger.error("first")
    handler.flush()
    assert "could not be mailed" in sys.stderr.getvalue()
    handler.flush()
    assert len(outbox.mails) == 1


@pytest.mark.parametrize("text", [b"caf\xe9.txt".decode("utf-8", "surrogateescape"), "a\0b", "a\x7fb\x1b[1m", "=?utf-8?q?=FF=0D=0A?="])
def test_what_is_no_text_is_mailed_all_the_same(text, logger, outbox):
    def send(message):
        assert b"\0" not in message.as_bytes()
        outbox(message)

    handler = add(logger, send, subject="\udcff\x07{first}", gather=3600)
    logger.error("cannot open %s", text)
    handler.flush()
    (mail,) = outbox.mails
    assert "cannot open" in mail["Subject"] and "cannot open" in mail.get_content()


def test_mails_have_a_size(logger, outbox):
    handler = add(logger, outbox, gather=3600)
    for number in range(40):
        logger.error("%d %s", number, "ü" * 50_000)
    handler.close()
    lines = [line for mail in outbox.mails for line in mail.get_content().splitlines()]
    assert [line.split()[0] for line in lines] == [str(number) for number in range(40)]
    assert all(line.endswith("[... cut, of 100002 octets]") or line.endswith("[... cut, of 100003 octets]") for line in lines)
    assert len(outbox.mails) == 3 and all(len(mail.get_content().encode()) <= 1 << 20 for mail in outbox.mails)


@pytest.mark.parametrize("length, encoding", [(200, "quoted-printable"), (40_000, "base64")])
def test_what_is_long_is_not_encoded_character_by_character(length, encoding, logger, outbox):
    handler = add(logger, outbox, gather=3600)
    logger.error("x" * length)
    handler.close()
    (mail,) = outbox.mails
    assert mail["Content-Transfer-Encoding"] == encoding and mail.get_content() == "x" * length + "\n"


def test_the_lines_of_an_engine_are_not_mailed_under_any_name(sink, logger, outbox):
    handler = add(logger, outbox, level="DEBUG")
    with mb.Engine.open(**options_for(sink, log=logger)) as engine:
        engine.command("127.0.0.1", "example.net", "pause")
    handler.close()
    assert logger.kept.records and outbox.mails == []


SENDS_AND_LOGS = """
import logging, logging.config, os, sys, threading
import mailsbuddy.logging as m
began, (wait_end, go_end) = threading.Event(), os.pipe()
parent, log = os.getpid(), logging.getLogger("app")
def say(line):
    os.write(1, line.encode() + b"\\n")  # At once, whoever else says something.
def go():
    os.write(go_end, b"." * 9)  # For each mail one. No lock, which a fork might have for good.
def send(message):
    say(message.get_content().strip())
    began.set()
    if os.getpid() == parent:
        os.read(wait_end, 1)
    {body}
handler = m.MailHandler(send, "a@b.example", "c@d.example", interval=0, gather=0)
log.addHandler(handler)
log.error("one")
began.wait()
"""


def run(body, code):
    """What a program says whose mail is under way, and whose send() does `body` after go()."""
    return subprocess.run([sys.executable, "-c", SENDS_AND_LOGS.format(body=body) + code], capture_output=True, text=True, check=False,
                          timeout=END_SECONDS)


@pytest.mark.parametrize("end", ["logging.shutdown()", "logging.config.dictConfig({'version': 1})", "handler.flush()", "handler.close()"])
@pytest.mark.parametrize("body", ["log.error('from within')", "handler.flush()", "logging.getLogger('app.another').error('from within')"])
def test_a_sender_that_logs_holds_nothing_up(body, end):
    """Who ends the logging has all its locks."""
    if "another" in body and "dictConfig" in end:
        code = "m._PATIENCE = 0.2; "  # It has the lock of getLogger() too, which nobody but it can give back.
    else:
        code = "m._PATIENCE = 3600; "
    # flush() and close() wait for the mail under way, while send() goes on.
    done = run(body, code + f"log.error('two'); threading.Timer(0.1, go).start(); {end}; say('end'); handler.close()")
    assert done.returncode == 0 and done.stderr.count("Traceback") <= ("_PATIENCE = 0.2" in code), done.stderr
    assert "from within" not in done.stdout and {"one", "end"} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("end", ["logging.shutdown()", "handler.flush()", "handler.close()"])
def test_the_last_mail_under_way_is_waited_for(end):
    """Though no record waits any more."""
    done = run("say('sent')", f"threading.Timer(0.3, go).start(); {end}; say('end')")
    assert done.stdout.split() == ["one", "sent", "end"], done


def test_what_close_gave_up_is_mailed_by_the_thread():
    done = run("say('sent')", "m._PATIENCE = 0.1; log.error('two'); handler.close(); go(); handler._thread.join()")
    assert done.stdout.split() == ["one", "sent", "two", "sent"], done
    assert "no mail went out within 0.1 s" in done.stderr and "1 records could not be mailed" in done.stderr


def test_a_fork_mails_what_is_logged_there():
    done = run("pass", """
log.error("of the parent")
child = os.fork()
if child == 0:
    log.error("of the child")
    logging.shutdown()
    sys.exit(7)
_, status = os.waitpid(child, 0)
go()
logging.shutdown()
say(f"status {os.waitstatus_to_exitcode(status)}")
""")
    assert done.stdout.splitlines() == ["one", "of the child", "of the parent", "status 7"], done


def test_a_mail_about_a_mail_is_not_sent(logger, outbox):
    def send(message):
        logger.error("from within send()")
        logging.getLogger("mailsbuddy.engine").error("x")
        outbox(message)

    handler = add(logger, send)
    logging.getLogger("mailsbuddy").addHandler(handler)
    try:
        logger.error("first")
        outbox.wait()
    finally:
        logging.getLogger("mailsbuddy").removeHandler(handler)
    handler.close()
    assert [mail.get_content() for mail in outbox.mails] == ["first\n"]


def test_logging_never_waits_for_a_mail(logger, outbox):
    go = threading.Event()

    def send(message):
        assert go.wait(END_SECONDS)
        outbox(message)

    handler = add(logger, send)
    for _ in range(1000):
        logger.error("x")
    assert outbox.mails == []
    go.set()
    handler.close()
    assert sum(len(mail.get_content().splitlines()) for mail in outbox.mails) == 1000


def test_a_refusal_by_the_server_is_a_failure(sinks, logger, monkeypatch):
    """A client's send() says so in its result, without an exception."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    sink = sinks('latency=0s,reject=100%,reject-reply="550 5.1.1 No such user"')
    with smtp.Client("127.0.0.1", sink.port, ehlo_name="mx1.brand.example") as client:
        handler = add(logger, client.send, gather=3600)
        logger.error("first")
        handler.flush()
        assert "No such user" in sys.stderr.getvalue()
        handler.close()


@pytest.mark.parametrize("options, words", [({"subject": "{mood}"}, "subject.*mood"), ({"send": None}, "send.*NoneType")])
def test_a_handler_that_cannot_be(options, words):
    with pytest.raises(mb.InvalidArgument, match=words):
        MailHandler(**{"send": print, "sender": "app@brand.example", "recipients": "ops@brand.example", **options})


def test_through_an_engine(engine, sink, logger):
    logger.addHandler(MailHandler(engine.submit, "app@brand.example", "ops@readers.example", gather=0, level="WARNING"))
    with engine.events() as stream:
        logger.warning("disk is full")
        assert next(iter(stream)).kind == "delivered"


def test_what_is_left_is_sent_at_the_interpreters_end():
    code = ("import logging, mailsbuddy.logging as m\n"
            "logging.getLogger().addHandler(m.MailHandler(lambda message: print(message.get_content()), 'a@b.example', 'c@d.example', gather=3600))\n"
            "logging.error('the last words')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=END_SECONDS)
    assert done.returncode == 0 and done.stdout.strip() == "the last words", done.stderr
