"""The standard library's logging, both ways."""

import io
import logging
import subprocess
import sys
import threading

import mailsbuddy as mb
import mailsbuddy._core.engine as native
import pytest
from conftest import END_SECONDS, ENVIRONMENT, LETTER, campaign, options_for, rows
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


def test_log_lines_are_bounded():
    """Nobody takes: the engine goes on, and what is too much is counted."""
    queue = native.LogQueue()
    assert queue.take(0) == [] and queue.dropped() == 0 and not queue.closed()
    queue.close()
    assert queue.take(END_SECONDS) == [] and queue.closed()


def test_an_interpreter_ends_with_an_engine_that_logs(sink):
    code = ("import logging, mailsbuddy as mb; logging.basicConfig(level=logging.DEBUG, format='%(name)s %(levelname)s');"
            "engine = mb.Engine.open([mb.EgressIp('127.0.0.1', 'mx1.brand.example')], log=logging.getLogger('mailsbuddy'))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=END_SECONDS, env=ENVIRONMENT)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


# What is logged is mailed

class Outbox:
    """Takes mails, and fails while it is told to."""

    def __init__(self):
        self.mails, self.fails, self.came = [], False, threading.Semaphore(0)

    def __call__(self, message):
        if self.fails:
            raise mb.Unavailable("no way out")
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
    handler = add(logger, outbox, gather=3600)
    outbox.fails = True
    logger.error("first")
    handler.flush()
    assert "no way out" in sys.stderr.getvalue() and "1 records could not be mailed" in sys.stderr.getvalue()
    outbox.fails = False
    logger.error("second")
    handler.flush()
    assert [mail.get_content() for mail in outbox.mails] == ["first\nsecond\n"]


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=END_SECONDS, env=ENVIRONMENT)
    assert done.returncode == 0 and done.stdout.strip() == "the last words", done.stderr
