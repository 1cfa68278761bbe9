"""Relays that ask for a log-in, TLS from the first octet, or LMTP: other people's servers, by name and with verified TLS."""

import json
import smtplib
import subprocess

import servers
import support

DOMAIN = "away.example"
RELAY = "127.0.0.35"
HOST = f"mx.{DOMAIN}"
ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"


class Relays(support.TestCase):
    RECEIVERS = {DOMAIN: RELAY}

    def setUp(self):
        super().setUp()
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write("rows.csv", f"email,name\n{ANN},Ann\n{BOB},Bob\n")

    def start(self, server, url, **changed):
        return self.world.start_send(egress="127.0.0.2=mx1.brand.example", relay=f"*={url}", port=1,
                                     **{"tls-ca": server.certificate, "allow-target": None} | changed)

    def check_delivered(self, server, url, by, **changed):
        run = self.world.finish(self.start(server, url, **changed))
        self.assertEqual(run.status, 0, run.stderr + server.log.read_text())
        self.assertEqual(run.recipients("delivered"), {ANN, BOB}, run.events)
        mails = support.maildir(server.maildir)
        self.assertEqual(len(mails), 2)
        said = server.log.read_text(errors="replace")
        self.assertIn(by, said)
        self.assertNotIn("secret", run.stderr)
        return run

    def check_kept_back(self, server, url, cause, **changed):
        process = self.start(server, url, **changed)
        self.world.wait_for_events(process, 1)
        support.interrupt(process)
        run = self.world.finish(process)
        self.assertEqual((run.status, run.finals), (1, {}), run.events)
        deferred = [event for event in run.events if event["kind"] == "deferred"]
        self.assertTrue(deferred, run.events)
        self.assertEqual({(event["stage"], event["cause"]) for event in deferred}, {cause}, deferred)
        self.assertFalse(server.maildir.exists() and support.maildir(server.maildir))


class Exim(Relays):
    def server(self, *mechanisms):
        return servers.EximRelay(self.world.children, self.world.folder, RELAY, DOMAIN, mechanisms)

    def test_plain(self):
        server = self.server("PLAIN", "LOGIN")
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "A=plain:ann")

    def test_login(self):
        server = self.server("LOGIN")
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "A=login:ann")

    def test_tls_from_the_first_octet(self):
        server = self.server("PLAIN")
        self.check_delivered(server, f"smtps://ann:s%3ae%40t-secret@{HOST}:{server.tls_port}", "A=plain:ann")

    def test_wrong_password(self):
        server = self.server("PLAIN", "LOGIN")
        self.check_kept_back(server, f"smtp://ann:wrong@{HOST}:{server.port}", ("auth", "reply"))

    def test_no_mechanism_in_common(self):
        server = self.server()
        self.check_kept_back(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", ("auth", "auth_unavailable"))

    def test_a_certificate_of_nobody_we_trust(self):
        server = self.server("PLAIN")
        self.check_kept_back(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", ("start_tls", "tls_failed"),
                             **{"tls-ca": None})
        self.assertNotIn("A=plain", server.log.read_text() if server.log.exists() else "")


class PostfixWithDovecot(Relays):
    def server(self, mechanisms="plain login"):
        return servers.PostfixSubmission(self.world.children, self.world.folder, RELAY, DOMAIN, mechanisms)

    def test_plain(self):
        server = self.server()
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "sasl_method=PLAIN, sasl_username=ann")

    def test_login(self):
        server = self.server("login")
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "sasl_method=LOGIN, sasl_username=ann")

    def test_tls_from_the_first_octet(self):
        server = self.server()
        run = self.check_delivered(server, f"smtps://ann:s%3ae%40t-secret@{HOST}:{server.tls_port}", "sasl_method=PLAIN", trace="all")
        self.assertNotIn("STARTTLS", run.stderr)
        for words in ("TLSv1.3 ", "verified", "< 250-PIPELINING", "> AUTH PLAIN (masked)"):
            self.assertIn(words, run.stderr)

    def test_wrong_password(self):
        server = self.server()
        self.check_kept_back(server, f"smtp://ann:wrong@{HOST}:{server.port}", ("auth", "reply"))

    def test_no_mechanism_in_common(self):
        server = self.server("cram-md5")
        self.check_kept_back(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", ("auth", "auth_unavailable"))


class DovecotLmtp(Relays):
    """Each recipient of one message has a reply of its own."""

    def test_recipients_of_one_transaction(self):
        server = servers.Dovecot(self.world.children, self.world.folder, RELAY, DOMAIN)
        listener = self.world.folder / "ports"
        with open(self.world.folder / "lmtp.log", "wb") as log:
            self.world.children.start([str(word) for word in (
                support.PROGRAM, "listen", "--host", "mail.brand.example", "--no-auth", "--listen", "127.0.0.1:0=plain",
                "--port-file", listener, "--egress", "127.0.0.2=mx1.brand.example", "--relay", f"*=lmtp://{HOST}:{server.port}",
                "--dns", self.world.name_server.endpoint, "--events", self.world.folder / "lmtp.jsonl", "--trace", "all")],
                stdout=subprocess.DEVNULL, stderr=log)
        support.loopback.wait_until(listener.exists, "the listener")
        events = lambda: [json.loads(line) for line in (self.world.folder / "lmtp.jsonl").read_text().splitlines()]
        port = int(listener.read_text().split()[0].rsplit(":", 1)[1])
        full, nobody = f"full@{DOMAIN}", f"nobody@{DOMAIN}"
        text = "From: news@brand.example\r\nSubject: Hi\r\n\r\n" + "A line of it.\r\n" * 200
        with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example") as client:
            client.sendmail("news@brand.example", [ANN, full, nobody, BOB], text)
        support.loopback.wait_until(lambda: len(events()) >= 4, "four events")
        self.assertEqual({e["recipient"]: (e["kind"], e["stage"]) for e in events()}, {
            ANN: ("delivered", "final_dot"), BOB: ("delivered", "final_dot"), full: ("bounced", "final_dot"),
            nobody: ("bounced", "rcpt_to")})
        read = (self.world.folder / "lmtp.log").read_text
        for reply in (f"< 250 2.0.0 <{ANN}>", f"< 552 5.2.2 <{full}>", f"< 550 5.1.1 <{nobody}>", f"< 250 2.0.0 <{BOB}>"):
            support.loopback.wait_until(lambda: reply in read(), reply, log=self.world.folder / "lmtp.log")
        log = read()
        self.assertIn(log.count("127.0.0.2 mx.away.example > DATA"), range(1, 4), log)  # How many share one is for the pace to say.
        for name, count in (("ann", 1), ("bob", 1), ("full", 0)):
            self.assertEqual(len(list((server.mail(name) / "new").glob("*"))), count)


class Aiosmtpd(Relays):
    def server(self, *words):
        return servers.Aiosmtpd(self.world.children, self.world.folder, RELAY, DOMAIN, *words)

    def test_plain(self):
        server = self.server("auth=PLAIN")
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "PLAIN ann")

    def test_login(self):
        server = self.server("auth=LOGIN")
        self.check_delivered(server, f"smtp://ann:s%3ae%40t-secret@{HOST}:{server.port}", "LOGIN ann")

    def test_tls_from_the_first_octet(self):
        server = self.server("auth=PLAIN", "implicit")
        self.check_delivered(server, f"smtps://ann:s%3ae%40t-secret@{HOST}:{server.port}", "PLAIN ann")

    def test_wrong_password(self):
        server = self.server("auth=PLAIN")
        self.check_kept_back(server, f"smtp://ann:wrong@{HOST}:{server.port}", ("auth", "reply"))

    def test_lmtp(self):
        server = self.server("lmtp")
        self.check_delivered(server, f"lmtp://{HOST}:{server.port}", "LHLO")


if __name__ == "__main__":
    support.main()
