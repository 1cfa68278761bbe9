"""Applications and servers submit to `mailsbuddy listen`, which sends on to a receiver that keeps what it takes."""

import base64
import collections
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import unittest

import hostile
import servers
import support

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE  # The listener's certificate is its own.
AWAY = "127.0.0.31"
MESSAGE = f"From: News <news@{support.SENDER}>\r\nTo: ann@away.example\r\nSubject: Hello\r\n\r\nHello.\r\n"


class Listener:
    """`mailsbuddy listen` with one user of each kind; `ports` in the order of `endpoints`."""

    def __init__(self, world, endpoints, *flags, port, egress=("127.0.0.2=mx1.brand.example",), max_age="60s", name="listen",
                 stderr=None):
        self.events_file = world.folder / f"{name}.jsonl"
        self.inbound = world.folder / "inbound"
        self.log = world.folder / f"{name}.log"
        ports = world.folder / f"{name}.ports"
        ports.unlink(missing_ok=True)
        password = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True).stdout.strip()
        users = world.write("users", f"# user:hash:account:rights\napp:{password}:acme:route\n"
                                     f"limited:{password}:acme:from={support.SENDER}\n")
        command = [support.PROGRAM, "listen", "--json", "--verbose", "--host", "mail.brand.example", "--users", users,
                   "--port-file", ports, "--events", self.events_file, "--dns", world.name_server.endpoint,
                   "--port", port, "--dkim", world.key.option, "--first-retry", "1s", "--max-age", max_age,
                   "--inbound-domain", "bounce.example", "--inbound-maildir", self.inbound,
                   "--trusted", "127.0.0.0/8", "--message-bytes", 1_000_000, *flags]
        for endpoint in endpoints:
            command += ["--listen", f"127.0.0.1:0={endpoint}"]
        for each in egress:
            command += ["--egress", each]
        command += ["--allow-target", "127.0.0.0/8"]
        with open(self.log, "wb") as log:
            self.process = world.children.start([str(word) for word in command], stdout=subprocess.PIPE, stderr=stderr or log)
        support.loopback.wait_until(ports.exists, "the listener", self.process, self.log)
        self.ports = [int(line.split()[0].rsplit(":", 1)[1]) for line in ports.read_text().splitlines()]

    def stop(self):
        """Its counts, once all it took is settled."""
        self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def finish(self):
        out, _ = self.process.communicate(timeout=support.RUN_SECONDS)
        assert self.process.returncode == 0, (self.process.returncode, out, self.log.read_text())
        return json.loads(out)

    @property
    def events(self):
        return [json.loads(line) for line in self.events_file.read_text().split("\n")[:-1]]


class SubmissionTest(support.TestCase):
    RECEIVERS = {"away.example": AWAY}
    ENDPOINTS = ("starttls", "tls", "starttls,inbound", "plain,proxy", "plain")
    FLAGS = ()

    def setUp(self):
        super().setUp()
        self.sinks = self.world.sinks({AWAY: "away"}, {"away": "starttls,smtputf8"})
        self.listener = Listener(self.world, self.ENDPOINTS, *self.FLAGS, port=self.sinks.port,
                                 egress=("127.0.0.2=mx1.brand.example", "127.0.0.3=mx2.brand.example,warm"))
        self.submission, self.implicit, self.inbound, self.proxied, self.plain = self.listener.ports

    def arrived(self, count):
        """What the receiver has, once that many messages are there; each is signed and whole."""
        folder = self.world.folder / "mail"
        support.loopback.wait_until(lambda: len(support.loopback.maildir_files(folder)) >= count,
                                    f"{count} messages", self.listener.process, self.listener.log)
        mail = self.world.mail()
        self.assertEqual(len(mail), count)
        for received in mail:
            self.check_dkim(received)
        return mail

    def client(self, port=None, user="app", password="secret"):
        client = smtplib.SMTP("127.0.0.1", port or self.submission, local_hostname="client.example", timeout=30)
        self.addCleanup(client.close)
        client.starttls(context=TLS)
        if user:
            client.login(user, password)
        return client


class Smtplib(SubmissionTest):
    def test_starttls_and_each_mechanism(self):
        for mechanism in ("PLAIN", "LOGIN"):
            with self.subTest(mechanism):
                client = self.client(user=None)
                client.ehlo()
                self.assertEqual(set(client.esmtp_features["auth"].split()), {"PLAIN", "LOGIN"})
                client.user, client.password = "app", "secret"
                code, _ = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
                self.assertEqual(code, 235)
                self.assertEqual(client.sendmail("news@brand.example", [f"{mechanism}@away.example"], MESSAGE), {})
        for received in self.arrived(2):
            self.assertEqual(received.return_path, "<news@brand.example>")
            (trace,) = received.message.get_all("Received")
            self.assertRegex(trace, r"^from client\.example \(\[127\.0\.0\.1\]\)\s+by mail\.brand\.example with ESMTPSA id \w+;")
            self.assertEqual(len(received.message.get_all("Date")), 1)
            self.assertEqual(len(received.message.get_all("Message-ID")), 1)

    def test_implicit_tls_and_many_messages_on_a_connection(self):
        with smtplib.SMTP_SSL("127.0.0.1", self.implicit, context=TLS, timeout=30) as client:
            client.login("app", "secret")
            for number in range(30):
                client.sendmail("news@brand.example", [f"r{number}@away.example"], MESSAGE)
        self.check_received_once(self.arrived(30), {f"r{number}@away.example" for number in range(30)})
        self.assertEqual(self.listener.stop()["messages"], 30)

    def test_what_is_refused(self):
        def code(call):
            with self.assertRaises(smtplib.SMTPException) as caught:
                call()
            error = caught.exception
            return next(iter(error.recipients.values()))[0] if hasattr(error, "recipients") else error.smtp_code

        clear = smtplib.SMTP("127.0.0.1", self.submission, timeout=30)
        self.addCleanup(clear.close)
        clear.ehlo()
        self.assertNotIn("auth", clear.esmtp_features)
        self.assertEqual(clear.docmd("AUTH", "PLAIN AGFwcABzZWNyZXQ=")[0], 538)
        nobody = self.client(user=None)
        self.assertEqual(code(lambda: nobody.sendmail("news@brand.example", ["ann@away.example"], MESSAGE)), 530)
        self.assertEqual(code(lambda: nobody.login("app", "wrong")), 535)
        limited = self.client(user="limited")
        self.assertEqual(code(lambda: limited.sendmail("x@other.example", ["ann@away.example"], MESSAGE)), 550)
        self.assertEqual(code(lambda: limited.sendmail("news@brand.example", ["ann"], MESSAGE)), 501)
        self.assertEqual(code(lambda: limited.sendmail("news@brand.example", ["ann@away.example"], "X-MB-Pool: warm\r\n" + MESSAGE)), 550)
        app = self.client()
        self.assertEqual(code(lambda: app.sendmail("news@brand.example", ["ann@away.example"], "x" * 1_100_000)), 552)
        self.assertEqual(code(lambda: app.sendmail("news@brand.example", ["ann@away.example"], "Subject: no From\r\n\r\n")), 550)
        counts = self.listener.stop()
        self.assertEqual(counts["messages"], 0)
        self.assertEqual(counts["auth_failures"], 2)  # smtplib tries one mechanism after the other.
        self.assertNotIn("secret", self.listener.log.read_text())
        self.assertNotIn("wrong", self.listener.log.read_text())

    def test_header_fields_choose_pool_and_campaign(self):
        client = self.client()
        fields = "X-MB-Pool: warm\r\nX-MB-Campaign: spring\r\nX-MB-Priority: bulk\r\nX-MB-Schedule: +1s\r\n"
        client.sendmail("news@brand.example", ["ann@away.example"], fields + MESSAGE)
        (received,) = self.arrived(1)
        self.assertEqual([name for name in received.message if name.lower().startswith("x-mb-")], [])
        self.listener.stop()
        (event,) = self.listener.events
        self.assertEqual((event["kind"], event["campaign"], event["egress"]), ("delivered", "spring", "127.0.0.3"))

    def test_smtputf8_and_eight_bit(self):
        client = self.client()
        message = MESSAGE.replace("Hello.", "Grüße.").encode()
        client.sendmail("news@brand.example", ["jürgen@away.example"], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        (received,) = self.arrived(1)
        self.assertEqual(received.recipient, "jürgen@away.example")
        self.assertIn("Grüße.".encode(), received.raw)

    def test_chunks_in_one_write(self):
        client = self.client()
        self.assertIn("chunking", client.esmtp_features)
        group = b""
        for number in range(20):
            data = MESSAGE.encode()
            group += b"MAIL FROM:<news@brand.example>\r\nRCPT TO:<r%d@away.example>\r\n" % number
            group += b"BDAT 10\r\n" + data[:10] + b"BDAT %d LAST\r\n" % (len(data) - 10) + data[10:]
        client.sock.sendall(group)
        replies = [client.getreply()[0] for _ in range(20 * 4)]
        self.assertEqual(collections.Counter(replies), {250: 80})
        self.check_received_once(self.arrived(20), {f"r{number}@away.example" for number in range(20)})

    def test_at_the_end_nobody_is_cut_off(self):
        idle, writing = self.client(), self.client()
        writing.docmd("MAIL FROM:<news@brand.example>")
        writing.docmd("RCPT TO:<ann@away.example>")
        writing.docmd("DATA")
        writing.sock.sendall(MESSAGE.encode() + b"first half, ")
        self.listener.process.send_signal(signal.SIGTERM)
        self.assertEqual(idle.getreply(), (421, b"4.3.2 Shutting down, try again later"))
        with self.assertRaises(ConnectionRefusedError):
            smtplib.SMTP("127.0.0.1", self.submission, timeout=30)
        writing.sock.sendall(b"second half\r\n.\r\n")
        self.assertEqual(writing.getreply()[0], 250)
        self.assertEqual(writing.getreply(), (421, b"4.3.2 Shutting down, try again later"))
        counts = self.listener.finish()
        self.assertEqual((counts["messages"], counts["unsettled"]), (1, 0))
        (received,) = self.world.mail()
        self.assertIn(b"first half, second half\r\n", received.raw)

    def test_inbound_mail_is_kept_and_nothing_relayed(self):
        client = smtplib.SMTP("127.0.0.1", self.inbound, timeout=30)
        self.addCleanup(client.close)
        client.starttls(context=TLS)
        client.ehlo()
        self.assertNotIn("auth", client.esmtp_features)
        refused = client.sendmail("", ["b+token@bounce.example", "ann@away.example"], "Subject: returned\r\n\r\n")
        self.assertEqual({address: code for address, (code, _) in refused.items()}, {"ann@away.example": 550})
        (file,) = support.loopback.maildir_files(self.listener.inbound)
        text = file.read_bytes().decode()
        self.assertTrue(text.startswith("Return-Path: <>\r\nDelivered-To: b+token@bounce.example\r\nReceived: from "), text)
        self.assertTrue(text.endswith("Subject: returned\r\n\r\n"), text)
        self.assertEqual(self.listener.stop()["messages"], 1)
        self.assertEqual(self.world.mail(), [])


class Trace(SubmissionTest):
    """What comes in and goes out, followed by the process itself and by others while it runs."""

    RECEIVERS = {"away.example": AWAY, "other.example": AWAY}

    def setUp(self):
        super().setUp()
        self.control = self.world.folder / "control"
        self.other = Listener(self.world, ("starttls",), "--trace", "all", "--control", self.control, port=self.sinks.port,
                              name="other")

    def follow(self, name, *words):
        """`mailsbuddy trace`, and where it writes; once it is followed."""
        out = self.world.folder / name
        with open(out, "wb") as file:
            process = self.world.children.start([str(word) for word in (support.PROGRAM, "trace", "--control", self.control, *words)],
                                                stdout=file, stderr=subprocess.STDOUT)
        return process, out

    def send(self, sender="news@brand.example", recipient="ann@away.example"):
        client = self.client(self.other.ports[0])
        client.sendmail(sender, [recipient], MESSAGE)
        client.quit()

    def test_all(self):
        _, out = self.follow("all", "all")
        # Until somebody is seen to follow: whoever comes before is not shown.
        support.loopback.wait_until(lambda: self.send() or "MAIL FROM" in out.read_text(), "a trace", self.other.process, out)
        self.other.stop()
        by_itself = self.other.log.read_text()
        for words in (" * connected", "> 220 mail.brand.example ESMTP", "< STARTTLS", "* TLSv1.3 TLS_", "AUTH PLAIN (masked)",
                      f"to 127.0.0.1:{self.other.ports[0]} app < mail FROM:<news@brand.example>", "< Subject: Hello", "octets)",
                      "< .", "> 250 2.0.0"):
            self.assertIn(words, out.read_text())
        for words in ('"text":"connected"', '"text":"AUTH PLAIN (masked)"', '"user":"app","text":"mail FROM:<news@brand.example>',
                      '"text":"MAIL FROM:<news@brand.example>'):  # The last one goes out.
            self.assertIn(words, by_itself)
        for transcript in (out.read_text(), by_itself):
            self.assertNotIn(base64.b64encode(b"\0app\0secret").decode(), transcript)
            self.assertNotIn("Hello.", transcript)

    def test_filters(self):
        _, sender = self.follow("sender", "sender=brand.example", "--bodies", "full", "--json")
        _, domain = self.follow("domain", "domain=away.example")
        _, there = self.follow("there", "client=192.0.2.1")

        def from_there():
            with smtplib.SMTP("127.0.0.1", self.other.ports[0], timeout=30) as client:
                client.ehlo()
                self.assertEqual(client.docmd("XCLIENT ADDR=192.0.2.1")[0], 220)
            return there.read_text()
        support.loopback.wait_until(from_there, "a trace of 192.0.2.1", self.other.process, there)

        def followed():
            self.send()
            self.send("x@unseen.example", "bob@other.example")
            return "RCPT TO" in domain.read_text() and "MAIL FROM" in sender.read_text().upper()
        support.loopback.wait_until(followed, "a trace", self.other.process, sender)
        self.send(recipient="last@away.example")  # Now that it is followed from its beginning.

        def ended():
            text = sender.read_text()
            return "Queued as" in text[text.find("rcpt TO:<last@"):] and "* last@away.example: final_dot: 250" in domain.read_text()
        support.loopback.wait_until(ended, "its end", self.other.process, sender)
        self.other.stop()
        self.assertEqual({event["recipient"] for event in self.other.events},
                         {"ann@away.example", "bob@other.example", "last@away.example"})

        lines = [json.loads(line) for line in sender.read_text().splitlines()]
        self.assertEqual({(line["local"], line["user"]) for line in lines}, {(f"127.0.0.1:{self.other.ports[0]}", "app")})
        said = collections.defaultdict(list)
        for line in lines:
            said[line["connection"]].append(line["text"] if line["trace"] == "received" else line["trace"] + " " + line["text"])
        conversation = said[max(said)]
        self.assertEqual(conversation[:2], ["step connected", "sent 220 mail.brand.example ESMTP"])  # Its sender came later.
        begin = conversation.index(f"mail FROM:<news@brand.example> size={len(MESSAGE)}")
        self.assertIn("AUTH PLAIN (masked)", conversation[:begin])
        data = ["data", "sent 354 End data with <CR><LF>.<CR><LF>", *MESSAGE.split("\r\n")[:-1], "."]
        self.assertEqual(conversation[begin + 1:begin + 4 + len(data)],
                         ["sent 250 2.1.0 Ok", "rcpt TO:<last@away.example>", "sent 250 2.1.5 Ok", *data])
        self.assertRegex(conversation[begin + 4 + len(data)], "^sent 250 2.0.0 Queued as ")
        self.assertFalse(any("unseen" in line for each in said.values() for line in each), said)

        lines = domain.read_text().splitlines()
        self.assertEqual({re.sub(r"^[0-9:.]+ #[0-9]+ (\S+ \S+) .*$", r"\1", line) for line in lines}, {"127.0.0.2 mx.away.example"})
        for words in ("* connecting to", "* TLSv1.3", "> MAIL FROM:<news@brand.example>", "> RCPT TO:<last@away.example>",
                      "> Subject: Hello", "* last@away.example: final_dot: 250 2.0.0 Ok"):
            self.assertTrue(any(words in line for line in lines), f"no {words} in {lines}")
        self.assertFalse(any("other.example" in line or "Hello." in line for line in lines), lines)

        lines = [re.sub(r"^[0-9:.]+ in#([0-9]+) (\S+) to \S+ ", r"\1 \2 ", line) for line in there.read_text().splitlines()]
        self.assertEqual({line.split()[1] for line in lines}, {"192.0.2.1"})
        self.assertEqual([line.split(" ", 2)[2] for line in lines].count("< XCLIENT ADDR=192.0.2.1"),
                         len({line.split()[0] for line in lines}))
        self.assertFalse(any("mail from" in line.lower() for line in lines), lines)

    def test_what_cannot_be_printed_ends_it_and_nothing_else(self):
        said = self.world.folder / "said"
        with open("/dev/full", "wb") as full, open(said, "wb") as errors:
            follower = self.world.children.start([str(word) for word in (support.PROGRAM, "trace", "--control", self.control)],
                                                 stdout=full, stderr=errors)
        support.loopback.wait_until(lambda: self.send() or follower.poll() is not None, "its end", self.other.process, said)
        self.assertEqual(follower.returncode, 1)
        self.assertEqual(said.read_text(), "mailsbuddy trace: standard output: No space left on device\n")
        self.assertGreater(self.other.stop()["messages"], 0)

    def test_mistakes(self):
        for words, said in ((["--control", self.world.folder / "none"], "is the process running?"),
                            (["--control", self.control, "colour=red"], "client="),
                            (["--control", self.control, "client=here"], "client: "),
                            (["--control", self.control, "--bodies", "some"], "--bodies")):
            run = subprocess.run([str(word) for word in (support.PROGRAM, "trace", *words)], capture_output=True, text=True, timeout=30)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(said, run.stderr)

    def test_a_filter_that_is_none(self):
        run = subprocess.run([support.PROGRAM, "listen", "--host", "h.example", "--no-auth", "--egress", "127.0.0.2=mx1.brand.example",
                              "--listen", "127.0.0.1:0", "--trace", "user"], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 2)
        self.assertIn("--trace", run.stderr)


class Kept(SubmissionTest):
    """With --spool what was answered 250 outlives the process, however that ends."""

    def start(self):
        self.listener = Listener(self.world, self.ENDPOINTS, "--spool", self.world.folder / "spool", port=self.sinks.port)
        self.submission = self.listener.ports[0]

    def test_killed_between_the_answer_and_the_sending(self):
        self.listener.stop()
        self.start()
        client = self.client()
        for number in range(20):  # For later, so that none is under way when the process dies.
            client.sendmail("news@brand.example", [f"r{number}@away.example"], "X-MB-Schedule: +2s\r\n" + MESSAGE)
        self.listener.process.kill()
        self.listener.process.wait()
        self.start()
        self.check_received_once(self.arrived(20), {f"r{number}@away.example" for number in range(20)})
        self.assertEqual(self.listener.stop()["unsettled"], 0)

    def test_another_command_goes_on_with_what_a_killed_one_took(self):
        self.listener.stop()
        self.start()
        client = self.client()
        for number in range(20):
            client.sendmail("news@brand.example", [f"r{number}@away.example"], "X-MB-Schedule: +2s\r\n" + MESSAGE)
        self.listener.process.kill()
        self.listener.process.wait()
        options = ["--spool", self.world.folder / "spool", "--egress", "127.0.0.2=mx1.brand.example", "--dns",
                   self.world.name_server.endpoint, "--port", self.sinks.port, "--dkim", self.world.key.option,
                   "--allow-target", "127.0.0.0/8", "--json"]
        done = support.command("resume", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["recipients"]["delivered"], 20)
        self.check_received_once(self.world.mail(), {f"r{number}@away.example" for number in range(20)})
        again = support.command("resume", *options)
        self.assertEqual(again.returncode, 2, again.stderr)
        self.assertIn("nothing in it is open", again.stderr)


class Smuggling(SubmissionTest):
    """The public forms, over a socket, by everything that can carry a message."""

    VICTIM = b"MAIL FROM:<news@brand.example>\r\nRCPT TO:<victim@away.example>\r\nDATA\r\n" + MESSAGE.encode() + b"smuggled"

    def envelope(self, client):
        client.docmd("MAIL FROM:<news@brand.example>")
        client.docmd("RCPT TO:<ann@away.example>")

    def by_data(self, client, content):
        self.envelope(client)
        self.assertEqual(client.docmd("DATA")[0], 354)
        client.sock.sendall(content + b"\r\n.\r\n")
        return client.getreply()[0]

    def by_bdat(self, client, content):
        self.envelope(client)
        client.sock.sendall(b"BDAT %d LAST\r\n" % len(content) + content)
        return client.getreply()[0]

    def by_octets(self, client, content):
        """Each chunk is an octet: no form stands in one piece."""
        self.envelope(client)
        chunks = [content[:len(MESSAGE)], *(bytes([octet]) for octet in content[len(MESSAGE):])]
        client.sock.sendall(b"".join(b"BDAT %d\r\n" % len(chunk) + chunk for chunk in chunks) + b"BDAT 0 LAST\r\n")
        codes = [client.getreply()[0] for _ in range(len(chunks) + 1)]
        self.assertEqual(set(codes[:-1]), {250})
        return codes[-1]

    def check(self, carry):
        taken = 0
        for end in hostile.ENDS:
            with self.subTest(end):
                client = self.client()
                bare = re.search(rb"(?<!\r)\n|\r(?!\n)", end) is not None
                code = carry(client, MESSAGE.encode() + b"a" + end + self.VICTIM + end + b"QUIT\r\n")
                self.assertEqual(code, 550 if bare else 250)
                self.assertEqual(client.docmd("NOOP"), (250, b"2.0.0 Ok"))  # And no reply to anything within.
                taken += code == 250
                client.close()
        mail = self.arrived(taken)
        self.assertEqual({received.recipient for received in mail}, {"ann@away.example"})
        for received in mail:
            self.assertEqual(received.raw.count(b"smuggled"), 1)

    def test_nothing_is_smuggled_by_data(self):
        self.check(self.by_data)

    def test_nothing_is_smuggled_by_bdat(self):
        self.check(self.by_bdat)

    def test_nothing_is_smuggled_by_chunks_of_an_octet(self):
        self.check(self.by_octets)

    def test_the_end_of_data_in_a_chunk_is_content(self):
        # Here it is a line with a dot; for whom we send it on to it must not be the end.
        client = self.client()
        content = MESSAGE.encode() + b"a\r\n.\r\n" + self.VICTIM + b"\r\n.\r\n..\r\nQUIT\r\n"
        self.assertEqual(self.by_bdat(client, content), 250)
        self.assertEqual(self.by_octets(client, content), 250)
        mail = self.arrived(2)
        for received in mail:
            self.assertEqual(received.recipient, "ann@away.example")
            self.assertTrue(received.raw.endswith(content[len(MESSAGE):]), received.raw)

    def test_sizes_of_chunks_are_decimal_numbers_alone(self):
        # Two readers that differ about a size differ about where the next command begins.
        group = b"MAIL FROM:<news@brand.example>\r\nRCPT TO:<ann@away.example>\r\n"
        for size in (b"+5", b"-1", b"0x10", b"5,0", b"5.0", b"5e1", b"", b"LAST", b"5 LAST LAST", b"5LAST", b"5\tLAST", b"5 LAS",
                     b"18446744073709551617", b"99999999999999999999999", b"5\0", b"\xd9\xa5"):
            with self.subTest(size):
                client = self.client()
                client.sock.sendall(group + b"BDAT " + size + b"\r\n")
                codes = [client.getreply()[0] for _ in range(3)]
                self.assertEqual(codes[:2], [250, 250])
                self.assertEqual(codes[2] // 100, 5, size)
                client.close()
        self.assertEqual(self.listener.stop()["messages"], 0)

    def test_nothing_said_in_clear_counts_under_tls(self):
        with socket.create_connection(("127.0.0.1", self.submission), 30) as raw:
            file = raw.makefile("rb")
            file.readline()
            raw.sendall(b"STARTTLS\r\nEHLO smuggled\r\nMAIL FROM:<evil@brand.example>\r\n")
            self.assertTrue(file.readline().startswith(b"220 "))
            with TLS.wrap_socket(raw) as tls:
                tls.sendall(b"NOOP\r\n")
                self.assertEqual(tls.recv(1000), b"250 2.0.0 Ok\r\n")


class Normalising(SubmissionTest):
    FLAGS = ("--bare-line-ends", "normalise")

    def test_each_line_end_becomes_crlf(self):
        client = self.client()
        client.docmd("MAIL FROM:<news@brand.example>")
        client.docmd("RCPT TO:<ann@away.example>")
        client.docmd("DATA")
        client.sock.sendall(MESSAGE.replace("\r\n", "\n").encode() + b"a\n.\nb\rc\r\n.\r\n")
        self.assertEqual(client.getreply()[0], 250)
        (received,) = self.arrived(1)
        self.assertTrue(received.raw.endswith(b"\r\n\r\nHello.\r\na\r\n.\r\nb\r\nc\r\n"), received.raw)


class Swaks(SubmissionTest):
    def setUp(self):
        if shutil.which("swaks") is None:
            raise unittest.SkipTest("swaks is not installed")
        super().setUp()

    def swaks(self, *options, status=0):
        run = subprocess.run(["swaks", "--helo", "client.example", "--from", "news@brand.example", "--data", MESSAGE.replace("\r\n", "\\n"),
                              *map(str, options)], capture_output=True, text=True, timeout=support.RUN_SECONDS, check=False)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return run.stdout

    def test_every_way_in(self):
        login = ["--auth-user", "app", "--auth-password", "secret"]
        server = ["--server", f"127.0.0.1:{self.submission}"]
        ways = {
            "starttls-plain": [*server, "--tls", "--auth", "PLAIN", *login],
            "starttls-login": [*server, "--tls", "--auth", "LOGIN", *login],
            "implicit": ["--server", f"127.0.0.1:{self.implicit}", "--tlsc", "--auth", "PLAIN", *login],
            "pipelined": [*server, "--tls", "--pipeline", "--auth", "PLAIN", *login],
        }
        for name, options in ways.items():
            with self.subTest(name):
                self.swaks("--to", f"{name}@away.example", *options)
        self.check_received_once(self.arrived(len(ways)), {f"{name}@away.example" for name in ways})

    def test_a_wrong_password_and_none(self):
        server = ["--server", f"127.0.0.1:{self.submission}", "--tls", "--to", "ann@away.example"]
        self.assertIn("535 5.7.8", self.swaks(*server, "--auth", "PLAIN", "--auth-user", "app", "--auth-password", "no", status=28))
        self.assertIn("530 5.7.0", self.swaks(*server, status=23))

    def test_proxies_name_their_client(self):
        inbound = ["--to", "b@bounce.example", "--server", f"127.0.0.1:{self.inbound}"]
        self.swaks(*inbound, "--xclient-addr", "203.0.113.9", "--xclient-helo", "behind.example")
        for version in (1, 2):
            out = self.swaks("--to", "b@bounce.example", "--server", f"127.0.0.1:{self.proxied}", "--proxy-version", version,
                             "--proxy-family", "TCP4" if version == 1 else "AF_INET", "--proxy-protocol", "STREAM",
                             "--proxy-command", "PROXY", "--proxy-source", "203.0.113.7", "--proxy-source-port", "1111",
                             "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25", status=23)
            self.assertIn("530 5.7.0", out)
        self.assertEqual(self.listener.log.read_text().count("client 203.0.113.9: message"), 1)
        (file,) = support.loopback.maildir_files(self.listener.inbound)
        self.assertIn("Received: from behind.example ([203.0.113.9])", file.read_bytes().decode())


class PostfixRelay(SubmissionTest):
    """Postfix hands all it takes to us, with STARTTLS and AUTH; it pipelines. (It has no CHUNKING as a client.)"""

    def setUp(self):
        super().setUp()
        self.postfix = servers.PostfixRelay(self.world.children, self.world.folder, "127.0.0.21", self.submission, "app", "secret")

    def test_hundred_messages(self):
        recipients = {f"r{number}@away.example" for number in range(100)}
        with smtplib.SMTP(self.postfix.address, self.postfix.port, timeout=30) as client:
            for recipient in sorted(recipients):
                client.sendmail("news@brand.example", [recipient], MESSAGE)
        self.check_received_once(self.arrived(len(recipients)), recipients)
        log = self.postfix.log.read_text(errors="replace")
        self.assertRegex(log, r"TLS connection established to 127\.0\.0\.1")
        self.assertNotRegex(log, r"(?i)(warning|fatal|panic|status=deferred|status=bounced)")
        self.assertEqual(self.listener.stop()["protocol_errors"], 0)

    def test_what_we_refuse_comes_back(self):
        with smtplib.SMTP(self.postfix.address, self.postfix.port, timeout=30) as client:
            client.sendmail("", ["ann@away.example"], "X-MB-Pol: warm\r\n" + MESSAGE)
            client.sendmail("news@brand.example", ["ann@away.example"], MESSAGE)
        self.arrived(1)
        support.loopback.wait_until(lambda: "status=bounced" in self.postfix.log.read_text(), "the bounce", log=self.postfix.log)
        self.assertIn("550 5.6.0 X-MB-Pol: not known", self.postfix.log.read_text())
        counts = self.listener.stop()
        self.assertEqual((counts["messages"], counts["messages_refused"]), (1, 1))


class OpenSmtpdRelay(SubmissionTest):
    """OpenSMTPD hands all it takes to us, with STARTTLS and AUTH."""

    def test_messages(self):
        relay = servers.OpenSmtpdRelay(self.world.children, self.world.folder, "127.0.0.22", self.submission, "app", "secret")
        recipients = {f"r{number}@away.example" for number in range(30)}
        with smtplib.SMTP(relay.address, relay.port, timeout=30) as client:
            for recipient in sorted(recipients):
                client.sendmail("news@brand.example", [recipient], MESSAGE)
        self.check_received_once(self.arrived(len(recipients)), recipients)
        counts = self.listener.stop()
        self.assertEqual((counts["messages"], counts["protocol_errors"]), (len(recipients), 0))


NODE_MODULES = "/usr/share/nodejs"  # Debian's node-nodemailer.
NODEMAILER = """
const nodemailer = require("nodemailer");
const [port, secure] = [Number(process.argv[2]), process.argv[3] === "tls"];
const transport = nodemailer.createTransport({host: "127.0.0.1", port, secure, requireTLS: !secure, pool: true,
  maxConnections: 3, auth: {user: "app", pass: "secret"}, tls: {rejectUnauthorized: false}});
const mails = [...Array(20).keys()].map((number) => transport.sendMail({
  from: "News <news@brand.example>", to: `r${number}@away.example`, subject: "Grüße", text: "Hallo.\\n.\\n..x\\n",
  dsn: {id: `id${number}`, return: "headers", notify: "failure", recipient: "news@brand.example"}}));
Promise.all(mails).then((sent) => {
  for (const each of sent) if (!each.response.startsWith("250 2.0.0 Queued as ")) throw new Error(each.response);
  transport.close();
}).catch((error) => { console.error(error); process.exit(1); });
"""


class Nodemailer(SubmissionTest):
    def setUp(self):
        if shutil.which("node") is None or not os.path.isdir(f"{NODE_MODULES}/nodemailer"):
            raise unittest.SkipTest("node or nodemailer is not installed")
        super().setUp()

    def send(self, port, way):
        script = self.world.write("send.js", NODEMAILER)
        run = subprocess.run(["node", script, str(port), way], capture_output=True, text=True, timeout=support.RUN_SECONDS, check=False,
                             env={**os.environ, "NODE_PATH": NODE_MODULES})
        self.assertEqual(run.returncode, 0, run.stderr + self.listener.log.read_text())

    def test_pooled_over_starttls_and_tls(self):
        self.send(self.submission, "starttls")
        self.send(self.implicit, "tls")
        mail = self.arrived(40)
        counted = collections.Counter(received.recipient for received in mail)
        self.assertEqual(counted, {f"r{number}@away.example": 2 for number in range(20)})
        for received in mail:
            self.assertEqual(received.message.get_content().split(), ["Hallo.", ".", "..x"])


if __name__ == "__main__":
    support.main()
