"""The listener: programs submit over SMTP, Python judges who they are, an engine sends."""

import asyncio
import concurrent.futures
import contextlib
import gc
import hmac
import logging
import resource
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
import threading

import mailsbuddy as mb
import mailsbuddy.aio
import pytest
from conftest import LETTER, campaign, mail_in, rows
from test_process import Program

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE  # The listener's certificate is its own.
QUICK = mb.ListenLimits(auth_failure_delay=0)
SECONDS = 60  # What has not come by then will not come: the limit of a failure, no wait.


def judge(credentials):
    if credentials.user == "app" and hmac.compare_digest(credentials.password, "secret"):
        return mb.Identity(account="brand")
    return None


@pytest.fixture
def listeners(engine):
    """listeners(**options): another listener, closed at the end."""
    started = []

    def start(endpoints=("127.0.0.1:0",), authenticate=judge, limits=QUICK, of=engine, **more):
        started.append(mb.Listener.start(of, "mail.brand.example", endpoints, authenticate=authenticate, limits=limits, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def clients():
    """clients(listener): a connection of smtplib's, under TLS."""
    with contextlib.ExitStack() as stack:
        def connect(listener, user="app", password="secret", tls=True, number=0):
            client = smtplib.SMTP(*address(listener, number), local_hostname="client.example", timeout=SECONDS)
            stack.callback(client.close)
            if tls:
                client.starttls(context=TLS)
            if user:
                client.login(user, password)
            return client

        yield connect


def address(listener, number=0):
    host, port = listener.endpoints[number].rsplit(":", 1)
    return host, int(port)


def submit(client, sender="news@brand.example", to="ann@readers.example"):
    return client.sendmail(sender, [to], LETTER)


# ----------------------------------------------------------------------------------------------------------------------
# Log-in and mail


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_program_submits(mechanism, sinks, engines, listeners, clients, tmp_path):
    engine = engines(sinks(options=["--maildir", str(tmp_path / "mail")]), spool_dir=tmp_path / "spool")
    seen = []

    def authenticate(credentials):
        seen.append(credentials)
        return judge(credentials)

    listener = listeners(of=engine, authenticate=authenticate)
    with engine.events() as stream:
        client = clients(listener, user=None)
        assert client.ehlo()[0] == 250
        client.user, client.password = "app", "secret"
        assert client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))[0] == 235
        assert submit(client) == {}
        event = next(iter(stream))
    assert (event.kind, event.recipient, event.account) == ("delivered", "ann@readers.example", "brand")
    (arrived,) = mail_in(tmp_path / "mail")
    assert "by mail.brand.example with ESMTPSA" in arrived and "Message-ID: <" in arrived and "secret" not in arrived
    (given,) = seen
    assert (given.user, given.password, given.mechanism, given.client, given.tls) == ("app", "secret", mechanism, "127.0.0.1", True)
    assert "app" not in repr(given) and "secret" not in repr(given)
    counts = listener.counts()
    assert (counts.messages, counts.authenticated, counts.auth_failures, counts.tls_handshakes, counts.open) == (1, 1, 0, 1, 1)
    listener.close()
    assert listener.counts().messages == 1 and listener.counts().open == 0 and listener.closed


def test_a_wrong_password_is_refused(listeners, clients):
    listener = listeners()
    for user, password in (("app", "Secret"), ("nobody", "secret"), ("app", "secret" * 30)):
        with pytest.raises(smtplib.SMTPAuthenticationError) as raised:
            clients(listener, user, password)
        assert raised.value.smtp_code == 535
    client = clients(listener, user=None)
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        submit(client)
    assert refused.value.smtp_code == 530
    assert listener.counts().auth_failures >= 3 and listener.counts().messages == 0


def test_nobody_acts_as_another(listeners, clients):
    asked = []
    client = clients(listeners(authenticate=asked.append), user=None)
    client.ehlo()
    assert client.docmd("AUTH", "PLAIN " + "Ym9zcwBhcHAAc2VjcmV0")[0] == 535  # boss NUL app NUL secret
    assert asked == []


def test_what_an_identity_may(engine, listeners, clients):
    def authenticate(credentials):
        return mb.Identity(senders=["BRAND.example", "ann@other.example"], may_route=credentials.user == "router")

    listener = listeners(authenticate=authenticate, account="house")
    client = clients(listener, "plain", "x")
    with pytest.raises(smtplib.SMTPSenderRefused, match="Not allowed to send"):
        submit(client, sender="eve@other.example")
    with pytest.raises(smtplib.SMTPDataError, match="not allowed to this sender"):
        client.sendmail("news@brand.example", ["ann@readers.example"], "X-MB-Campaign: spring\n" + LETTER)
    with engine.events() as stream:
        clients(listener, "router", "x").sendmail("news@brand.example", ["ann@readers.example"], "X-MB-Campaign: spring\n" + LETTER)
        event = next(iter(stream))
    assert (event.campaign, event.account) == ("spring", "house")


def test_passwords_take_tls_unless_it_is_waived(listeners, clients):
    client = clients(listeners(), user=None, tls=False)
    client.ehlo()
    assert not client.has_extn("auth")
    with pytest.raises(smtplib.SMTPSenderRefused):
        submit(client)
    assert submit(clients(listeners(auth_in_clear=True), tls=False)) == {}
    assert submit(clients(listeners(authenticate=None, auth_required=False), user=None, tls=False)) == {}


def test_a_certificate_of_ones_own(listeners, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=mail.brand.example", "-addext", "subjectAltName=DNS:mail.brand.example",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "mail.pem"], check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=tmp_path / "mail.pem")
    ends = [mb.ListenEndpoint("127.0.0.1:0", tls="tls")]
    for certificate, key in ((tmp_path / "mail.pem", str(tmp_path / "key.pem")),
                             ((tmp_path / "mail.pem").read_bytes(), (tmp_path / "key.pem").read_bytes())):
        listener = listeners(ends, tls_certificate=certificate, tls_key=key)
        with socket.create_connection(address(listener), SECONDS) as plain:
            with trusting.wrap_socket(plain, server_hostname="mail.brand.example") as stream:
                assert stream.recv(100).startswith(b"220 mail.brand.example")
    with pytest.raises(mb.IoError, match="tls_key: .*No such file"):
        listeners(tls_certificate=tmp_path / "mail.pem", tls_key=tmp_path / "none.pem")
    with pytest.raises(mb.InvalidArgument):
        listeners(tls_certificate=b"no certificate", tls_key=b"no key")


def test_reports_come_back(sinks, engines, listeners, clients):
    engine = engines(sinks())
    listener = listeners([mb.ListenEndpoint("127.0.0.1:0", inbound=True)], of=engine, inbound_domains=["bounce.brand.example"])
    client = clients(listener, user=None)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        submit(client)  # Nothing is relayed.
    with pytest.raises(smtplib.SMTPDataError, match="reports alone"):
        submit(client, sender="ann@readers.example", to="x@bounce.brand.example")
    complaint = ("From: fbl@readers.example\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
                 "--b\nContent-Type: text/plain\n\nSpam.\n--b\nContent-Type: message/feedback-report\n\n"
                 "Feedback-Type: abuse\nUser-Agent: FBL/1\nVersion: 1\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nx\n--b--\n")
    assert client.sendmail("fbl@readers.example", ["x@bounce.brand.example"], complaint) == {}


# ----------------------------------------------------------------------------------------------------------------------
# Inbound domains

INBOUND = [mb.ListenEndpoint("127.0.0.1:0", tls="none", inbound=True)]


@pytest.fixture
def houses(engine, listeners, clients):
    """houses(**options): a listener for bounce.brand.example, and `write(to, ...)`, which brings it a letter."""
    def start(**more):
        listener = listeners(INBOUND, **{"authenticate": None, "auth_required": False, "inbound_domains": ["bounce.brand.example"], **more})

        def write(*to, letter=LETTER, sender="ann@readers.example"):
            return clients(listener, user=None, tls=False).sendmail(sender, [f"{each}@bounce.brand.example" for each in to], letter)

        return listener, write

    return start


def kept(letters):
    def keep(letter):
        letters.append(letter)
        return True

    return keep


def test_letters_are_kept(houses):
    letters = []
    listener, write = houses(keep=kept(letters))
    assert write("support", "Sales") == {}
    assert write("support", sender="") == {}
    first, second = letters
    assert isinstance(first, mb.Submission) and first.id != second.id
    assert (first.sender, first.recipients) == ("ann@readers.example", ["support@bounce.brand.example", "Sales@bounce.brand.example"])
    assert second.sender == ""
    assert first.data.endswith(LETTER.replace("\n", "\r\n").encode()) and first.data.startswith(b"Received: ")
    assert (first.client, first.hello, first.tls) == ("127.0.0.1", "client.example", False)
    assert "example" not in repr(first).replace(first.hello, "") and "spring" not in repr(first)
    assert listener.counts().messages == 2


def test_a_letter_that_is_not_kept_comes_again(houses):
    answers = [False, True]
    listener, write = houses(keep=lambda letter: answers.pop(0))
    with pytest.raises(smtplib.SMTPDataError) as raised:
        write("support")
    assert raised.value.smtp_code == 452
    assert write("support") == {} and answers == []


def test_which_addresses_there_are(houses):
    asked, letters = [], []

    def inbound_address(address):
        asked.append(address)
        return address.local.lower() == "support"

    _, write = houses(inbound_address=inbound_address, keep=kept(letters))
    assert write("Support") == {}
    with pytest.raises(smtplib.SMTPRecipientsRefused) as raised:
        write("guess")
    assert raised.value.recipients == {"guess@bounce.brand.example": (550, b"5.1.1 No such address here")}
    assert list(write("guess", "support", "guess.again")) == ["guess@bounce.brand.example", "guess.again@bounce.brand.example"]
    assert [each.recipients for each in letters] == [["Support@bounce.brand.example"], ["support@bounce.brand.example"]]
    assert asked[0] == mb.Address("Support@bounce.brand.example") and len(asked) == 5
    assert write("Postmaster") == {} and len(asked) == 5  # There always is one.


def test_return_paths_need_no_word(sinks, engines, houses, tmp_path):
    engine = engines(sinks(options=["--maildir", str(tmp_path / "mail")]))
    with engine.events() as stream:
        started = engine.start(campaign(), rows(1))
        assert next(iter(stream)).kind == "delivered"
    (arrived,) = mail_in(tmp_path / "mail")
    return_path = arrived.split("Return-Path: <", 1)[1].split("@", 1)[0]
    asked, letters = [], []

    def nobody(address):
        asked.append(address)
        return False

    _, write = houses(of=engine, inbound_address=nobody, keep=kept(letters))
    bounce = ("From: mailer-daemon@readers.example\nMIME-Version: 1.0\n"
              "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nGone.\n--b\n"
              "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.readers.example\n\n"
              "Final-Recipient: rfc822; user0@readers.example\nAction: failed\nStatus: 5.1.1\n\n--b--\n")
    assert write(return_path, letter=bounce, sender="") == {}
    assert asked == letters == []
    assert started.status().late_bounces == 1
    forged = return_path[:-1] + ("a" if return_path[-1] != "a" else "b")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        write(forged, letter=bounce, sender="")
    assert len(asked) == 1


WRONG = {
    "raises": lambda about: 1 / 0,
    "forgets to return": lambda about: None,
    "gives a word": lambda about: "yes",
    "gives a number": lambda about: 1,
    "exits": lambda about: sys.exit(5),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("callback", ["keep", "inbound_address"])
def test_what_a_callback_does_wrong_loses_nothing(callback, wrong, houses):
    errors, letters, trouble = [], [], [True]
    good = {"keep": kept(letters), "inbound_address": lambda address: True}

    def sometimes(about):
        return (WRONG[wrong] if trouble else good[callback])(about)

    listener, write = houses(**{**good, callback: sometimes}, inbound_threads=1, on_error=errors.append)
    for _ in range(3):
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused)) as raised:
            write("support")
        code, words = (raised.value.smtp_code, raised.value.smtp_error) if callback == "keep" else next(iter(raised.value.recipients.values()))
        assert code == 451 and words.startswith(b"4.3.0") and words.endswith(b"try again later")
    assert letters == [] and len(errors) == 3
    kind = {"raises": ZeroDivisionError, "exits": SystemExit}.get(wrong, mb.InvalidArgument)
    assert all(isinstance(each, kind) for each in errors), errors
    assert kind is not mb.InvalidArgument or f"{callback}: gave " in str(errors[0])
    trouble.clear()
    assert write("support") == {} and len(letters) == 1  # The thread goes on.


def test_a_wrong_callback_is_unraisable_without_on_error(houses, monkeypatch):
    unraised = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    keep = WRONG["raises"]
    _, write = houses(keep=keep)
    with pytest.raises(smtplib.SMTPDataError):
        write("support")
    assert [(each.exc_type, each.object) for each in unraised] == [(ZeroDivisionError, keep)]


def test_a_slow_keep_holds_up_nobody_else(houses, clients):
    under_way, go = threading.Semaphore(0), threading.Event()

    def keep(letter):
        if "slow" in letter.recipients[0]:
            under_way.release()
            assert go.wait(SECONDS)
        return True

    _, write = houses(keep=keep, inbound_address=lambda address: True, inbound_threads=2, threads=1)
    slow = threading.Thread(target=write, args=("slow",))
    slow.start()
    assert under_way.acquire(timeout=SECONDS)
    assert write("support") == {}
    go.set()
    slow.join()


@pytest.mark.parametrize("what", ["listener", "engine"])
@pytest.mark.parametrize("callback", ["keep", "inbound_address"])
def test_a_callback_for_inbound_mail_may_close(callback, what, engine, houses):
    closing, closed = [], threading.Event()

    def close(about):
        closing[0].close()
        closed.set()
        return True

    listener, write = houses(**{callback: close})
    closing.append(listener if what == "listener" else engine)
    with pytest.raises((smtplib.SMTPException, OSError)) if what == "listener" or callback == "inbound_address" else contextlib.nullcontext():
        write("support")
    assert closed.wait(SECONDS) and closing[0].closed


def test_look_ups_that_wait_are_bounded(houses, clients):
    began, go = threading.Event(), threading.Event()

    def stuck(address):
        began.set()
        return go.wait(SECONDS)

    listener, _ = houses(inbound_address=stuck, inbound_threads=1, limits=mb.ListenLimits(connections_max=2, answer_time=0.01))
    client = clients(listener, user=None, tls=False)
    client.ehlo()
    client.mail("ann@readers.example")
    replies = []
    for _ in range(5):  # One is being looked up, two wait, and nobody waits for them any more.
        replies.append(client.rcpt("support@bounce.brand.example"))
        assert began.wait(SECONDS)
    assert replies == 3 * [(451, b"4.3.0 No answer in time, try again later")] + \
        2 * [(451, b"4.3.0 Cannot look the address up now, try again later")]
    go.set()


def test_letters_that_wait_are_bounded(houses):
    go, taken = threading.Event(), threading.Semaphore(0)

    def keep(letter):
        assert go.wait(SECONDS)
        taken.release()
        return True

    limits = mb.ListenLimits(held_bytes_max=25_000, message_bytes_max=20_000, answer_time=0.01)
    _, write = houses(keep=keep, inbound_threads=1, limits=limits)
    replies = []
    for _ in range(3):  # For the first two nobody waits any more; they take their room all the same.
        with pytest.raises(smtplib.SMTPResponseException) as raised:
            write("support", letter=LETTER + ("x" * 70 + "\r\n") * 140)
        replies.append(raised.value.smtp_code)
    assert replies == [451, 451, 452]
    go.set()
    assert taken.acquire(timeout=SECONDS) and taken.acquire(timeout=SECONDS)


def test_letters_under_way_when_it_closes(engine, houses, clients):
    under_way, go, letters = threading.Semaphore(0), threading.Event(), []

    def keep(letter):
        under_way.release()
        assert go.wait(SECONDS)
        letters.append(letter)
        return True

    listener, write = houses(keep=keep, inbound_threads=1)
    waiting = [clients(listener, user=None, tls=False) for _ in range(3)]
    for each in waiting:  # One is being kept, the others wait for their turn.
        each.ehlo()
        each.mail("ann@readers.example")
        each.rcpt("support@bounce.brand.example")
        each.docmd("DATA")
        each.send(LETTER.replace("\n", "\r\n") + ".\r\n")
    assert under_way.acquire(timeout=SECONDS)
    engine.close()  # Waits for no callback.
    listener.close()
    go.set()
    for each in waiting:
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            while each.getreply()[0] != 250:  # Nobody was told that it is kept.
                pass
            raise AssertionError
    assert listener.counts().messages == 0


def test_one_with_letters_that_is_let_go_of_ends(engine):
    class Program:
        def __init__(self):
            self.listener = mb.Listener.start(engine, "mail.brand.example", INBOUND, auth_required=False,
                                              inbound_domains=["bounce.brand.example"], keep=self.keep, inbound_threads=3)

        def keep(self, letter):
            return True

    others = set(threading.enumerate())  # An earlier test's may be about to end.
    program = Program()
    at = address(program.listener)
    with smtplib.SMTP(*at, timeout=SECONDS) as client:
        assert client.sendmail("ann@readers.example", ["support@bounce.brand.example"], LETTER) == {}
    threads = [each for each in threading.enumerate() if each.name == "mailsbuddy-inbound" and each not in others]
    assert len(threads) == 3
    del program
    gc.collect()
    for each in threads:
        each.join(SECONDS)
    with pytest.raises(OSError):
        socket.create_connection(at, SECONDS)


# ----------------------------------------------------------------------------------------------------------------------
# Callbacks


def raising(credentials):
    if credentials.password == "secret":
        return judge(credentials)
    raise KeyError("the table is gone")


def test_what_a_callback_raises_is_reported(listeners, clients):
    errors = []
    listener = listeners(authenticate=raising, on_error=errors.append, login_threads=1)
    for _ in range(3):
        with pytest.raises(smtplib.SMTPAuthenticationError) as raised:
            clients(listener, password="?")
        assert raised.value.smtp_code == 454
    assert submit(clients(listener)) == {}  # The thread goes on.
    assert len(errors) >= 3 and all(isinstance(each, KeyError) for each in errors)
    assert listener.counts().auth_failures == 0  # Nobody's fault.


def test_without_on_error_it_is_unraisable(listeners, clients, monkeypatch):
    unraised = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)

    def wrong(error):
        raise ZeroDivisionError

    for on_error, kind in ((None, KeyError), (wrong, ZeroDivisionError)):
        with pytest.raises(smtplib.SMTPAuthenticationError):
            clients(listeners(authenticate=raising, on_error=on_error), password="?")
        assert unraised and {each.exc_type for each in unraised} == {kind}
        unraised.clear()


@pytest.mark.parametrize("answer", [True, "app", mb.Identity(senders="brand.example"), mb.Identity(senders=None), mb.Identity(user=7)],  # type: ignore[arg-type]
                         ids=["bool", "str", "senders", "no senders", "user"])
def test_a_wrong_answer_lets_nobody_in(answer, listeners, clients):
    errors = []
    listener = listeners(authenticate=lambda credentials: answer, on_error=errors.append)
    with pytest.raises(smtplib.SMTPAuthenticationError) as raised:
        clients(listener)
    assert raised.value.smtp_code == 454 and isinstance(errors[0], mb.InvalidArgument)


def test_sys_exit_in_a_callback_ends_no_thread(listeners, clients):
    errors = []

    def authenticate(credentials):
        if credentials.password == "exit":
            sys.exit(5)
        return judge(credentials)

    listener = listeners(authenticate=authenticate, on_error=errors.append, login_threads=1)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        clients(listener, password="exit")
    assert submit(clients(listener)) == {} and isinstance(errors[0], SystemExit)


class Slow:
    """A callback that takes until `go`, for everybody but "app"."""

    def __init__(self):
        self.asked, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, credentials):
        if credentials.user != "app":
            self.asked.release()
            assert self.go.wait(SECONDS)
        return judge(credentials)


def begin_login(listener, client):
    """AUTH is on its way, and nobody waits for the answer."""
    client.ehlo()
    client.send("AUTH PLAIN AHNsb3cAc2VjcmV0\r\n")  # NUL slow NUL secret


def test_a_slow_callback_holds_up_nobody_else(listeners, clients):
    slow = Slow()
    listener = listeners(authenticate=slow, login_threads=2)
    waiting = clients(listener, user=None)
    begin_login(listener, waiting)
    assert slow.asked.acquire(timeout=SECONDS)
    assert submit(clients(listener)) == {}  # On the other thread; and the listener's own wait for none.
    slow.go.set()
    assert waiting.getreply()[0] == 535


def test_log_ins_that_wait_are_bounded(listeners, clients):
    slow = Slow()
    listener = listeners(authenticate=slow, login_threads=1, limits=mb.ListenLimits(auth_checks_max=3))
    waiting = [clients(listener, user=None) for _ in range(3)]
    for each in waiting:
        begin_login(listener, each)
    assert slow.asked.acquire(timeout=SECONDS)
    for each in waiting:  # What was sent before is read before: NOOP waits for its turn.
        each.send("NOOP\r\n")
    codes = []
    for _ in range(20):
        with pytest.raises(smtplib.SMTPAuthenticationError) as raised:
            clients(listener)
        codes.append(raised.value.smtp_code)
    assert set(codes) == {454}
    slow.go.set()


def test_answers_after_the_end_are_for_nobody(listeners, clients):
    slow = Slow()
    listener = listeners(authenticate=slow)
    client = clients(listener, user=None)
    begin_login(listener, client)
    assert slow.asked.acquire(timeout=SECONDS)
    listener.close()  # Does not wait for the callback.
    slow.go.set()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.getreply()
    listener.close()


# ----------------------------------------------------------------------------------------------------------------------
# Limits, ends


def test_a_thousand_connections_are_bounded(listeners):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    limits = mb.ListenLimits(connections_max=50, connections_per_client_max=2000, connections_per_client=mb.ListenRate(5000))
    listener = listeners(limits=limits)
    greetings = []
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address(listener), SECONDS)) for _ in range(1000)]
        for each in sockets:
            greetings.append(each.recv(3))
        counts = listener.counts()
        assert greetings.count(b"220") == 50 == counts.open and greetings.count(b"421") == 950 == counts.connections_refused
        listener.close()
        assert listener.counts().connections == 50 and listener.counts().open == 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_messages_of_a_client_are_bounded(listeners, clients):
    client = clients(listeners(limits=mb.ListenLimits(messages_per_client=mb.ListenRate(1, per=3600), message_bytes_max=1000, recipients_max=1)))
    assert client.esmtp_features["size"] == "1000"
    assert submit(client) == {}
    with pytest.raises(smtplib.SMTPSenderRefused) as raised:
        submit(client)
    assert raised.value.smtp_code == 450


def test_drain_lets_a_message_end(listeners, clients):
    listener = listeners()
    client, idle = clients(listener), clients(listener)
    client.mail("news@brand.example")
    client.rcpt("ann@readers.example")
    assert client.docmd("DATA")[0] == 354
    assert not listener.drain(0)
    assert idle.getreply()[0] == 421
    client.send(LETTER.replace("\n", "\r\n") + ".\r\n")
    assert client.getreply()[0] == 250 and client.getreply()[0] == 421
    assert listener.drain(SECONDS) and listener.drain()
    with pytest.raises(OSError):
        socket.create_connection(address(listener), SECONDS)
    assert listener.counts().messages == 1


def test_an_engine_may_be_closed_first(engine, listeners, clients):
    listener = listeners()
    client, other = clients(listener), clients(listener)
    other.mail("news@brand.example")
    other.rcpt("ann@readers.example")
    assert other.docmd("DATA")[0] == 354
    engine.close()
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPServerDisconnected)) as raised:
        submit(client)
    assert getattr(raised.value, "smtp_code", 421) == 421
    other.send(LETTER.replace("\n", "\r\n") + ".\r\n")
    assert other.getreply()[0] in (421, 452)
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        clients(listener)
    assert refused.value.smtp_code == 421
    assert not listener.closed and listener.counts().messages == 0
    with pytest.raises(mb.Closed):
        listeners()


def test_what_was_answered_is_kept_when_the_engine_closes(sink, engines, listeners, clients, tmp_path):
    engine = engines(sink, spool_dir=tmp_path / "spool")
    listener = listeners(of=engine, authenticate=lambda credentials: mb.Identity(may_route=True), threads=2)
    taken, enough = [], threading.Semaphore(0)

    def send(client):
        with contextlib.suppress(smtplib.SMTPException, OSError):
            while True:
                client.sendmail("news@brand.example", ["ann@readers.example"], "X-MB-Schedule: +1h\n" + LETTER)
                taken.append(1)
                enough.release()

    threads = [threading.Thread(target=send, args=(clients(listener),)) for _ in range(4)]
    for each in threads:
        each.start()
    for _ in range(20):
        assert enough.acquire(timeout=SECONDS)
    engine.close()  # While they submit.
    for each in threads:
        each.join()
    listener.close()
    kept = list(engines(sink, spool_dir=tmp_path / "spool").list("state=any"))
    assert len(taken) <= len(kept) <= len(taken) + len(threads)  # Of each client one may be there that it was not told of.
    assert listener.counts().messages >= len(taken)


def test_closing_while_sessions_are_open(engine, listeners, clients):
    listener = listeners()
    connected = [clients(listener) for _ in range(5)]
    connected[0].mail("news@brand.example")
    connected[1].send("MAIL FRO")
    with listener as same:
        assert same is listener and listener.counts().open == 5
    for each in connected:
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            for _ in range(2):  # What is in the client's buffer, then the end.
                each.noop()
    for call in (lambda: listener.endpoints, lambda: listener.drain(0), listener.trace, listener.__enter__):
        with pytest.raises(mb.Closed):
            call()
    assert submit_directly(engine)


def submit_directly(engine):
    return engine.submit(mb.Message("news@brand.example", ["ann@readers.example"], LETTER))


def test_it_may_be_closed_in_its_own_callback(engine):
    started = []

    def authenticate(credentials):
        started[0].close()
        return judge(credentials)

    started.append(mb.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate=authenticate))
    client = smtplib.SMTP(*address(started[0]), timeout=SECONDS)
    client.starttls(context=TLS)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.login("app", "secret")
    assert started[0].closed


def test_counts_stay_while_it_closes(listeners, clients):
    listener = listeners()
    client = clients(listener)
    client.mail("news@brand.example")  # drain() waits for its message.
    draining = threading.Thread(target=lambda: pytest.raises(mb.Closed, listener.drain))
    draining.start()
    seen, counting, closed = set(), threading.Event(), threading.Event()

    def count():
        while not closed.is_set():
            seen.add(listener.counts().connections)
            counting.set()

    counter = threading.Thread(target=count)
    counter.start()
    assert counting.wait(SECONDS)
    listener.close()  # Waits for drain() to notice.
    closed.set()
    for each in (draining, counter):
        each.join()
    assert seen == {1}


@pytest.mark.parametrize("known", [False, True], ids=["alone", "known to its callback"])
def test_one_that_is_let_go_of_ends(known, engine):
    class Program:
        listener = None

        def authenticate(self, credentials):
            return mb.Identity() if self.listener else None

    program, before = Program(), threading.active_count()
    listener = mb.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate=program.authenticate, login_threads=3)
    if known:
        program.listener = listener
    with smtplib.SMTP(*address(listener), timeout=SECONDS) as client:
        client.starttls(context=TLS)
        with contextlib.nullcontext() if known else pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("app", "secret")
    at = address(listener)
    threads = [each for each in threading.enumerate() if each.name == "mailsbuddy-login"]
    assert len(threads) == 3
    del listener, program
    gc.collect()
    for each in threads:
        each.join(SECONDS)
    assert threading.active_count() <= before
    with pytest.raises(OSError):
        socket.create_connection(at, SECONDS)


async def coroutine_function(about):
    return True


@pytest.mark.parametrize("given, words", [
    ({"authenticate": None}, "auth_required=False"), ({"authenticate": 7}, "authenticate: a function"),
    ({"endpoints": "127.0.0.1:0"}, "endpoints: a list"), ({"endpoints": [7]}, "endpoints: ListenEndpoint or str"),
    ({"endpoints": ["nowhere"]}, "endpoints: address"), ({"endpoints": []}, "no endpoints"),
    ({"endpoints": [mb.ListenEndpoint("127.0.0.1:0", tls="odd")]}, '"odd" is none of'),  # type: ignore[arg-type]
    ({"endpoints": [mb.ListenEndpoint("127.0.0.1:0", proxy=True)]}, "no range is trusted"),
    ({"limits": {"connections_max": 1}}, "limits: ListenLimits"), ({"limits": mb.ListenLimits(connections_max=0)}, "limits"),
    ({"limits": mb.ListenLimits(messages_per_client=mb.ListenRate(1, per=-1))}, "messages_per_client: per"),
    ({"limits": mb.ListenLimits(idle_time="long")}, "limits: idle_time"),  # type: ignore[arg-type]
    ({"trusted": ["everybody"]}, "trusted"), ({"login_threads": 0}, "login_threads"), ({"threads": 0}, "threads"),
    ({"keep": kept([])}, "keep: would never be called"), ({"inbound_address": kept([])}, "inbound_address: would never"),
    ({"keep": 7, "inbound_domains": ["bounce.brand.example"]}, "keep: a function"), ({"inbound_threads": 257}, "inbound_threads"),
    ({"authenticate": coroutine_function}, "authenticate: a coroutine function"),
    ({"bare_line_ends": "keep"}, '"keep" is none of'), ({"tls_key": 7}, "tls_key: the path"), ({"of": "engine"}, "engine: Engine")])
def test_a_wrong_option_is_named(given, words, listeners):
    with pytest.raises(mb.InvalidArgument, match=words):
        listeners(**given)


def test_an_address_in_use_is_named(listeners):
    taken = listeners().endpoints[0]
    with pytest.raises(mb.Error, match=taken):
        listeners([taken])


# ----------------------------------------------------------------------------------------------------------------------
# What it tells


def test_it_logs_and_is_traced(listeners, clients, caplog):
    listener = listeners(log=logging.getLogger("listener"))
    trace = listener.trace(user="app")
    submit(clients(listener))
    with pytest.raises(smtplib.SMTPAuthenticationError):
        clients(listener, password="guessed")
    seen = []
    while not any(each.text.upper().startswith("MAIL FROM") for each in seen):
        seen += trace.take(SECONDS)
    assert {each.local for each in seen} == {listener.endpoints[0]} and "app" in {each.user for each in seen}
    assert not any("secret" in each.text or "AGFwcABzZWNyZXQ" in each.text for each in seen)
    with pytest.raises(mb.InvalidArgument, match="client"):
        listener.trace(client="somewhere")
    listener.close()
    assert any("AUTH failed" in each for each in caplog.messages)
    assert not any("guessed" in each or "secret" in each for each in caplog.messages)
    assert repr(listener) == "<mailsbuddy.Listener closed>"


# ----------------------------------------------------------------------------------------------------------------------
# asyncio


def test_asyncio_goes_on_meanwhile(sink, engines):
    async def main():
        async with mailsbuddy.aio.Engine(engines(sink)) as engine:
            arrived, go = asyncio.Event(), asyncio.Event()

            async def authenticate(credentials):
                arrived.set()
                await go.wait()
                return judge(credentials)

            async with await mailsbuddy.aio.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate=authenticate) as listener:
                def client():
                    with smtplib.SMTP(*address(listener), timeout=SECONDS) as client:
                        client.starttls(context=TLS)
                        client.login("app", "secret")
                        return submit(client)

                submitted = asyncio.create_task(asyncio.to_thread(client))
                await asyncio.wait_for(arrived.wait(), SECONDS)  # The loop is free while the log-in waits.
                go.set()
                assert await submitted == {}
                assert await listener.drain(SECONDS)
                assert listener.counts().messages == 1
            assert listener.closed
            with pytest.raises(mb.InvalidArgument, match="authenticate: a function"):
                await mailsbuddy.aio.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate="app")
            async with await mailsbuddy.aio.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], auth_required=False) as listener:
                held = await asyncio.to_thread(smtplib.SMTP, *address(listener), timeout=SECONDS)
                await asyncio.to_thread(held.ehlo)
                await asyncio.to_thread(held.mail, "news@brand.example")  # In the middle of a message: drain() waits for it.
                assert not await listener.drain(0)
                draining = asyncio.create_task(listener.drain())
                await asyncio.sleep(0)
                draining.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await draining
                held.close()

    asyncio.run(main())


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": pytest.importorskip("uvloop").new_event_loop}


@pytest.mark.parametrize("loop_of", LOOPS)
def test_asyncio_keeps_letters(loop_of, sink, engines):
    async def main():
        letters, errors = [], []
        at_once = asyncio.Event()

        async def inbound_address(address):
            await asyncio.sleep(0)
            return address.local != "guess"

        async def keep(letter):
            await asyncio.wait_for(at_once.wait(), SECONDS)  # The loop goes on meanwhile.
            if letter.sender.startswith("eve"):
                raise KeyError("the table is gone")
            letters.append(letter)
            return True

        async with await mailsbuddy.aio.Listener.start(
                engines(sink), "mail.brand.example", INBOUND, auth_required=False, inbound_domains=["bounce.brand.example"],
                inbound_address=inbound_address, keep=keep, on_error=errors.append) as listener:
            def write(to, sender="ann@readers.example"):
                with smtplib.SMTP(*address(listener), timeout=SECONDS) as client:
                    return client.sendmail(sender, [f"{to}@bounce.brand.example"], LETTER)

            writing = asyncio.create_task(asyncio.to_thread(write, "support"))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                await asyncio.to_thread(write, "guess")
            at_once.set()
            assert await writing == {} and len(letters) == 1
            with pytest.raises(smtplib.SMTPDataError) as raised:
                await asyncio.to_thread(write, "support", "eve@readers.example")
            assert raised.value.smtp_code == 451 and [type(each) for each in errors] == [KeyError]

    loop = LOOPS[loop_of]()
    loop.run_until_complete(main())
    loop.close()


@pytest.mark.filterwarnings("error")  # "coroutine ... was never awaited"
@pytest.mark.parametrize("gone", ["before", "before it begins", "meanwhile"])
def test_an_event_loop_that_is_gone_answers_later(gone, sink, engines, monkeypatch):
    errors, unraised, asked, clients = [], [], threading.Event(), []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)  # Where a warning of a destructor would go.
    loop = asyncio.new_event_loop()

    async def authenticate(credentials):
        asked.set()
        await asyncio.Event().wait()

    listener = loop.run_until_complete(mailsbuddy.aio.Listener.start(
        engines(sink), "mail.brand.example", ["127.0.0.1:0"], authenticate=authenticate,
        on_error=lambda error: errors.append(type(error)))).listener  # A traceback would keep the coroutine.
    call_soon = loop.call_soon_threadsafe
    begun = threading.Event()

    def noticed(*args, **more):
        handle = call_soon(*args, **more)
        begun.set()
        return handle

    def log_in():
        with smtplib.SMTP(*address(listener), timeout=SECONDS) as client:
            client.starttls(context=TLS)
            try:
                client.login("app", "secret")
            except smtplib.SMTPAuthenticationError as error:
                clients.append(error.smtp_code)

    logging_in = threading.Thread(target=log_in)
    if gone == "before":
        loop.close()
        logging_in.start()
    else:
        monkeypatch.setattr(loop, "call_soon_threadsafe", noticed)
        logging_in.start()
        assert begun.wait(SECONDS)
        if gone == "meanwhile":
            async def until_asked():
                await asyncio.to_thread(asked.wait, SECONDS)
            loop.run_until_complete(until_asked())
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    logging_in.join()
    listener.close()
    gc.collect()
    assert unraised == [] and set(clients) == {454}
    assert errors and set(errors) <= {mb.Closed, asyncio.CancelledError, concurrent.futures.CancelledError}


# ----------------------------------------------------------------------------------------------------------------------
# The process around it

HEAD = """
import smtplib, ssl, socket
def start(authenticate=lambda credentials: mb.Identity()):
    return mb.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate=authenticate)
def connect(listener):
    client = smtplib.SMTP(*listener.endpoints[0].split(":"))
    client.starttls(context=ssl._create_unverified_context())
    return client
listener = start()
"""

EXITS = {
    "open": "client = connect(listener); client.login('a', 'b')",
    "with a callback that never ends": """
        began = threading.Event()
        def stuck(credentials): began.set(); threading.Event().wait()
        stuck_one = start(stuck); client = connect(stuck_one); client.ehlo(); client.send('AUTH PLAIN AGEAYg==\\r\\n'); began.wait()""",
    "with a callback that computes": """
        began = threading.Event()
        def busy(credentials):
            began.set()
            while True: pass
        busy_one = start(busy); client = connect(busy_one); client.ehlo(); client.send('AUTH PLAIN AGEAYg==\\r\\n'); began.wait()""",
    "with letters under way": """
        began = threading.Event()
        def keep(letter): began.set(); threading.Event().wait()
        inbound = mb.Listener.start(engine, "mail.brand.example", [mb.ListenEndpoint("127.0.0.1:0", inbound=True)], auth_required=False,
                                    inbound_domains=["bounce.brand.example"], keep=keep, inbound_threads=1)
        held = []
        for _ in range(3):
            client = connect(inbound); client.ehlo(); client.mail("a@readers.example"); client.rcpt("x@bounce.brand.example")
            client.docmd("DATA"); client.send("Subject: x\\r\\n\\r\\nx\\r\\n.\\r\\n"); held.append(client)
        began.wait()""",
    "with an address that is looked up": """
        began = threading.Event()
        def find(address):
            began.set()
            while True: pass
        inbound = mb.Listener.start(engine, "mail.brand.example", [mb.ListenEndpoint("127.0.0.1:0", inbound=True)], auth_required=False,
                                    inbound_domains=["bounce.brand.example"], inbound_address=find, inbound_threads=1)
        client = connect(inbound); client.ehlo(); client.mail("a@readers.example"); client.send("RCPT TO:<x@bounce.brand.example>\\r\\n")
        began.wait()""",
    "dropped": "del listener; gc.collect()",
    "its engine closed": "engine.close()",
    "its engine dropped": "del engine; gc.collect()",
    "which closes it, and lets none be started": """
        import atexit, mailsbuddy._engine
        def late():
            assert listener.closed and engine.closed
            try: start()
            except mb.Closed: return
            raise AssertionError
        atexit.unregister(mailsbuddy._engine._close_all); atexit.register(late); atexit.register(mailsbuddy._engine._close_all)""",
    "in a cycle": "listener.itself = listener; del listener, engine",
}


@pytest.mark.parametrize("exit", EXITS)
def test_an_interpreter_ends_cleanly(exit, sink):
    program = Program(sink, HEAD + textwrap.dedent(EXITS[exit]) + "\nprint('end', flush=True)")
    status, out, err = program.end()
    assert (status, out) == (0, "end\n"), (status, err)
    assert "Fatal" not in err and "Traceback" not in err, err


def test_a_fork_is_refused_clearly(sink):
    program = Program(sink, HEAD + """
client = connect(listener)
settle()
child = os.fork()
if child == 0:
    for call in (listener.counts, listener.drain, listener.trace, start):
        try: call()
        except mb.Unsupported as error: print("refused:", error, flush=True)
    assert listener.closed
    listener.close()  # Does nothing, and does not hang.
    del listener
    gc.collect()
    sys.exit(7)
_, status = os.waitpid(child, 0)
client.login("a", "b")
print("child", os.waitstatus_to_exitcode(status), listener.counts().authenticated)
""")
    status, out, err = program.end()
    assert status == 0, err
    assert out.count("refused: this listener was opened by") == 3 and out.count("this engine was opened by") == 1 and "spawn" in out
    assert "child 7 1" in out


def test_ctrl_c_ends_drain(sink):
    program = Program(sink, HEAD + """
client = connect(listener); client.login("a", "b"); client.mail("a@brand.example")
print("go", flush=True)
listener.drain()
""")
    program.wait_for("go")
    program.process.send_signal(signal.SIGINT)
    status, _, err = program.end()
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert status == -signal.SIGINT or status == 130
