"""The parts that talk: SMTP with the command's receivers, DNS with NSD."""

import email.message
import os
import smtplib as std
import ssl
import socket
import subprocess
import sys
import threading
import time
import traceback

import mailsbuddy as mb
import pytest
from loopback_servers import children, name_server, receivers_of  # noqa: F401: fixtures
from mailsbuddy import dkim, dmarc, dns, hygiene, smtp, smtplib, spf

MESSAGE = b"From: News <news@brand.example>\r\nTo: ann@example.net\r\nSubject: Hello\r\n\r\nHello.\r\n.\r\nBye.\r\n"


def client(receivers, **options):
    return smtp.Client("127.0.0.1", receivers.port, ehlo_name="mx1.brand.example", **options)


# SMTP

def test_messages_arrive_as_they_were(receivers_of):
    receivers = receivers_of()
    with client(receivers) as connection:
        assert connection.connected and connection.remote == f"127.0.0.1:{receivers.port}" and not connection.tls
        for _ in range(3):
            result = connection.send(MESSAGE)
            assert result.delivered and list(result.outcomes) == ["ann@example.net"]
    assert not connection.connected and len(receivers.mail()) == 3
    assert all(each.endswith(MESSAGE.replace(b"\r\n", b"\n")) or each.endswith(MESSAGE) for each in receivers.mail())


def test_tls_is_used_demanded_and_verified(receivers_of):
    receivers = receivers_of("starttls")
    with client(receivers, tls="required") as connection:
        assert connection.tls and not connection.verified
        assert connection.send(MESSAGE).delivered
    with pytest.raises(smtp.ConnectFailed) as raised:
        client(receivers, tls="verified").connect()
    assert raised.value.outcome.stage == "start_tls" and raised.value.outcome.cause == "tls_failed" and raised.value.remedy


def test_without_tls_nothing_secret_goes(receivers_of):
    receivers = receivers_of()
    for options, cause in (({"tls": "required"}, "tls_unavailable"), ({"user": "u", "password": "p"}, "tls_unavailable")):
        with pytest.raises(smtp.ConnectFailed) as raised:
            client(receivers, **options).connect()
        assert raised.value.outcome.cause == cause


def test_refusals_are_results(receivers_of):
    receivers = receivers_of('reject=100%,reject-reply="550 5.1.1 No such user here"')
    with client(receivers) as connection:
        result = connection.send(MESSAGE, recipients=["ann@example.net", "bob@example.net"])
        assert not result.delivered and set(result.refused) == {"ann@example.net", "bob@example.net"}
        outcome = result.refused["ann@example.net"]
        assert (outcome.stage, outcome.reply.code, outcome.reply.enhanced) == ("rcpt_to", 550, "5.1.1")
        assert "ann" not in repr(result) and connection.connected


def test_more_recipients_than_a_transaction_takes(receivers_of):
    receivers = receivers_of()
    with client(receivers) as connection:
        result = connection.send(MESSAGE, recipients=[f"r{n}@example.net" for n in range(250)])
        assert result.delivered and len(result.outcomes) == 250


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else gets the port.
        with pytest.raises(smtp.ConnectFailed, match="connect"):
            smtp.Client("127.0.0.1", taken.getsockname()[1], ehlo_name="mx1.brand.example").connect()


def test_a_closed_client_says_so_and_connects_again(receivers_of):
    receivers = receivers_of()
    connection = client(receivers)
    with pytest.raises(mb.Closed):
        connection.send(MESSAGE)
    for _ in range(2):
        assert connection.connect().send(MESSAGE).delivered
        connection.close()
    connection.connect()
    with pytest.raises(mb.AlreadyExists):
        connection.connect()
    connection.quit()


def test_a_client_connects_again_when_the_server_has_hung_up():
    """The server answers EHLO and hangs up, each time."""
    hang_up = threading.Semaphore(0)

    def serve(listening):
        for _ in range(2):
            with listening.accept()[0] as peer:
                peer.sendall(b"220 mx.example ready\r\n")
                peer.recv(512)
                peer.sendall(b"250 mx.example\r\n")
                hang_up.acquire()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,), daemon=True)
        server.start()
        connection = smtp.Client("127.0.0.1", listening.getsockname()[1], ehlo_name="mx1.brand.example")
        for _ in range(2):
            assert connection.connect().connected
            hang_up.release()
            while connection.connected:
                time.sleep(0.01)
        connection.close()
        server.join()


@pytest.mark.parametrize(("options", "what"), [
    ({"tls": "perhaps"}, "tls"), ({"timeout": 0}, "timeout"), ({"timeout": "soon"}, "timeout"), ({"local_address": "here"}, "here"),
])
def test_options_that_are_wrong(options, what):
    with pytest.raises(mb.InvalidArgument, match=what):
        smtp.Client("127.0.0.1", 25, ehlo_name="mx1.brand.example", **options)


def test_a_wrong_type_shows_no_password():
    with pytest.raises(mb.InvalidArgument, match="port: an int is needed") as raised:
        smtp.Client("127.0.0.1", "25", user="ann", password=bytes([104, 105]).decode())
    assert "'hi'" not in "".join(traceback.format_exception(raised.value, chain=True))


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]


def test_silence_ends_with_the_timeout():
    silent = Silent()
    with silent.socket, pytest.raises(smtp.ConnectFailed) as raised:
        client(silent, timeout=0.2).connect()
    assert (raised.value.outcome.stage, raised.value.outcome.cause) == ("greeting", "timeout")


def scripted(replies):
    """A server that answers each line of a client with the next of these; b"" closes the connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        accepted, _ = server.accept()
        with accepted, accepted.makefile("rb") as lines:
            for reply in replies:
                if not reply:
                    return
                accepted.sendall(reply)
                if reply[:3] == b"354":
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                elif not lines.readline():
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    return server, server.getsockname()[1], thread


HELLO = [b"220 mx.example.net\r\n", b"250 mx.example.net\r\n"]


@pytest.mark.parametrize(("replies", "stage", "cause"), [
    ([*HELLO, b""], "mail_from", "connection_lost"),
    ([*HELLO, b"550 5.1.8 Not you\r\n", b"221 Bye\r\n"], "mail_from", "reply"),
    ([*HELLO, b"421 4.3.2 Going away\r\n", b""], "mail_from", "reply"),
    ([*HELLO, b"nonsense\r\n", b""], "mail_from", "protocol_error"),
    ([*HELLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b""], "final_dot", "connection_lost"),
    ([*HELLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"554 5.7.1 Spam\r\n", b""], "final_dot", "reply"),
])
def test_every_failure_is_an_outcome(replies, stage, cause):
    server, port, thread = scripted(replies)
    with server:
        connection = smtp.Client("127.0.0.1", port, ehlo_name="mx1.brand.example").connect()
        [outcome] = connection.send(MESSAGE).outcomes.values()
        connection.close()
        thread.join()
    assert (outcome.stage, outcome.cause) == (stage, cause)
    assert outcome.unknown == (stage == "final_dot" and cause != "reply") and not outcome.delivered


@pytest.mark.parametrize("replies", [[b""], [b"554 5.7.1 Go away\r\n", b""], [b"nonsense\r\n", b""], [HELLO[0], b""]])
def test_every_failure_to_connect_is_one_exception(replies):
    server, port, thread = scripted(replies)
    with server, pytest.raises(smtp.ConnectFailed):
        smtp.Client("127.0.0.1", port, ehlo_name="mx1.brand.example").connect()
    thread.join()


def test_ctrl_c_ends_the_wait_and_other_threads_run_meanwhile():
    code = """
import os, signal, socket, threading
from mailsbuddy import smtp
server = socket.create_server(("127.0.0.1", 0))
connection = smtp.Client("127.0.0.1", server.getsockname()[1], ehlo_name="mx1.brand.example")
def interrupt():
    server.accept()  # Runs only while the main thread waits without the GIL.
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    connection.connect()
except KeyboardInterrupt:
    assert not connection.connected
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "interrupted\n" and done.returncode == 0, done.stderr


def test_a_fork_is_refused_and_ends_cleanly(receivers_of):
    receivers = receivers_of()
    code = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from conftest import settle
from mailsbuddy import smtp
import mailsbuddy
connection = smtp.Client("127.0.0.1", {receivers.port}, ehlo_name="mx1.brand.example").connect()
settle()
child = os.fork()
if child == 0:
    try:
        connection.quit()
    except mailsbuddy.Unsupported as error:
        assert "fork" in error.detail
        del connection
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
connection.quit()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_threads_do_not_share_a_client():
    silent = Silent()
    connection = client(silent, timeout=60)
    begun = threading.Thread(target=lambda: pytest.raises(smtp.ConnectFailed, connection.connect))
    with silent.socket:
        begun.start()
        accepted, _ = silent.socket.accept()
        with pytest.raises(mb.Unavailable, match="another thread"):
            connection.quit()
        accepted.close()
        begun.join()


# In the place of smtplib

def standard_message():
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Bcc"], message["Subject"] = "news@brand.example", "ann@example.net", "eve@example.net", "Grüße"
    message.set_content("Hello.\n")
    return message


def test_what_smtplib_does(receivers_of):
    """The same calls to both, and the same mail at the other end."""
    receivers = receivers_of()
    for module in (std, smtplib):
        with module.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example") as server:
            assert server.sendmail("news@brand.example", ["ann@example.net"], "Subject: Hello\n\nHello.\n") == {}
            assert server.send_message(standard_message()) == {}
    mails = [each.partition(b"Subject:")[2] for each in receivers.mail()]
    assert sorted(mails)[0::2] == sorted(mails)[1::2] and not any(b"eve" in each for each in mails)


def test_what_smtplib_raises(receivers_of):
    receivers = receivers_of('reject=100%,reject-reply="550 5.1.1 No such user here"')
    said = []
    for module in (std, smtplib):
        with module.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example") as server:
            with pytest.raises(std.SMTPRecipientsRefused) as raised:
                server.sendmail("news@brand.example", ["ann@example.net"], "Subject: Hello\n\nHello.\n")
            said.append({who: code for who, (code, _) in raised.value.recipients.items()})
    assert said[0] == said[1] == {"ann@example.net": 550}


def test_what_programs_for_smtplib_say_first(receivers_of):
    receivers = receivers_of("starttls")
    unverified = ssl._create_unverified_context()
    for module in (std, smtplib):
        with module.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example") as server:
            assert server.ehlo()[0] == 250
            server.starttls(context=unverified)
            server.ehlo_or_helo_if_needed()
            assert server.sendmail("news@brand.example", ["ann@example.net"], "Subject: Hello\n\nHello.\n") == {}
            with pytest.raises((ssl.SSLError, std.SMTPException)):
                module.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example").starttls(context=ssl.create_default_context())
    assert len(receivers.mail()) == 2


def test_smtplib_demands_what_it_is_told_to(receivers_of):
    receivers = receivers_of()
    with pytest.raises(std.SMTPNotSupportedError):
        smtplib.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example").starttls()
    with pytest.raises(std.SMTPNotSupportedError):
        smtplib.SMTP("127.0.0.1", receivers.port, local_hostname="mx1.brand.example").login("u", "p")


# DNS

def test_many_questions_at_once(name_server):
    resolver = dns.Resolver(name_server, concurrency=3)
    answers = resolver.query([("mx", "brand.example"), ("txt", "none.example"), ("address", "host-only.example"),
                              ("mx", "host-only.example"), ("mx", "null.example")] * 40)
    assert len(answers) == 200
    assert [(each.status, each.records) for each in answers[:5]] == [
        ("ok", ["10 mx.brand.example"]), ("nxdomain", []), ("ok", ["192.0.2.7"]), ("no_data", []), ("ok", ["0 "])]
    assert answers[5:10] == answers[:5] and resolver.query([]) == []


@pytest.mark.parametrize(("make", "what"), [
    (lambda: dns.Resolver(["not an address"]), "servers"), (lambda: dns.Resolver(tries=0), "tries"),
    (lambda: dns.Resolver(timeout=0), "timeout"), (lambda: dns.Resolver(concurrency=0).mx("brand.example"), "concurrency"),
    (lambda: dns.Resolver().query([("soa", "brand.example")]), "soa"),
])
def test_resolvers_that_cannot_be(make, what):
    with pytest.raises(mb.InvalidArgument, match=what):
        make()


def test_a_silent_server_is_a_failure_that_names_it():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        answer = dns.Resolver(server, timeout=0.05, tries=1).mx("brand.example")
    assert answer.status == "failed" and server in answer.detail


def test_spf_costs(name_server):
    resolver = dns.Resolver(name_server)
    cost = spf.cost("brand.example", resolver)
    assert (cost.lookups, cost.void_lookups, cost.problems, cost.domains) == (3, 1, [], ["brand.example", "spf.brand.example"])
    assert [each.name for each in spf.cost("loop.example", resolver).problems] == ["loop"]
    assert [each.name for each in spf.cost("deep0.example", resolver).problems] == ["too_many_lookups"]
    assert [each.name for each in spf.cost("text-only.example", resolver).problems] == ["no_record"]


def test_dmarc_is_found_above(name_server):
    resolver = dns.Resolver(name_server)
    assert dmarc.look_up("news.brand.example", resolver).policy == "reject"
    assert dmarc.look_up("loop.example", resolver) is None


def test_addresses_with_dns(name_server):
    checked = hygiene.check_addresses(
        ["ann@brand.example", "ann@none.example", "ann@null.example", "ann@host-only.example", "ann@text-only.example"],
        resolver=dns.Resolver(name_server), disposable=False)
    assert [each.problems for each in checked] == [[], ["no_such_domain"], ["null_mx"], [], ["no_mail_host"]]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = dns.Resolver(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.05, tries=1)
        [unknown] = hygiene.check_addresses(["ann@brand.example"], resolver=resolver, disposable=False)
    assert (unknown.problems, unknown.status) == (["dns_failure"], "risky")


def test_dkim_keys_come_from_dns(name_server):
    signed = dkim.Signer("brand.example", "s1", dkim.keygen("ed25519")).sign(MESSAGE)
    [signature] = dkim.Verifier(dns.Resolver(name_server)).verify(signed).signatures
    assert signature.reason == "no-key"


def test_what_is_left_open_does_not_hold_up_the_interpreter():
    silent = Silent()
    code = f"""
from mailsbuddy import dns, smtp
import threading
client = smtp.Client("127.0.0.1", {silent.port}, ehlo_name="mx1.brand.example")
resolver = dns.Resolver("127.0.0.1:9")
waiting = threading.Thread(target=client.connect, daemon=True)
waiting.start()
waiting.join(0.2)  # Whether it is connecting by then or not.
print("left open")
"""
    with silent.socket:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "left open\n" and done.returncode == 0, done.stderr
