"""Relays that ask for a log-in, TLS from the first octet, or LMTP: other people's servers, by name and with verified TLS."""

import collections
import json
import re
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
        # How many transactions there are is for the pace to say. Each recipient is in one, and some share one.
        together = [re.findall(r" > RCPT TO:<(.*)>\n", one) for one in log.split("127.0.0.2 mx.away.example > MAIL FROM:")[1:]]
        self.assertEqual(sorted(sum(together, [])), sorted([ANN, BOB, full, nobody]), log)
        self.assertGreater(max(map(len, together)), 1, log)
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


class RenewedTokens(Relays):
    """XOAUTH2 with a token that expires while mail is sent, and a file in which another process renews it."""

    LOGINS = 3

    def setUp(self):
        super().setUp()
        self.people = {f"r{number}@{DOMAIN}" for number in range(24)}
        self.world.write_rows("rows.csv", ["email", "name"], [[each, "R"] for each in sorted(self.people)])
        self.file = self.world.folder / "token"
        self.renew("token-1")

    def renew(self, token):
        made = self.world.write("token.made", token + "\n")
        made.rename(self.file)

    def start(self, *words, **changed):
        self.server = servers.Aiosmtpd(self.world.children, self.world.folder, RELAY, DOMAIN, *words)
        return super().start(self.server, f"smtp://ann@{HOST}:{self.server.port}", connections=1,
                             **{"relay-token": f"*={self.file}", "messages-per-connection": 2} | changed)

    def said(self, word):
        """Log-ins by token."""
        lines = [line.split() for line in self.server.log.read_text().splitlines()]
        return collections.Counter(line[1] for line in lines if line[0] == word)

    def check_all_once(self, run):
        self.assertEqual(run.status, 0, run.stderr + self.server.log.read_text())
        self.assertEqual(run.recipients("delivered"), self.people)
        mail = support.maildir(self.server.maildir)
        self.check_received_once(mail, self.people)
        for received in mail:
            self.check_dkim(received)
        # Two messages a log-in at most, so that each token but the last is used up.
        taken = self.said("taken")
        self.assertGreaterEqual(sum(taken.values()), len(self.people) / 2)
        self.assertEqual({taken[f"token-{number}"] for number in range(1, len(taken))}, {self.LOGINS}, taken)
        self.assertGreaterEqual(len(taken), 4)
        return taken

    def test_renewed_before_the_refusal(self):
        run = self.world.finish(self.start(f"tokens={self.LOGINS},{self.file}", trace="all"))
        taken = self.check_all_once(run)
        self.assertIn("> AUTH XOAUTH2 (masked)", run.stderr)
        self.assertNotIn("token-", run.stderr)
        self.assertEqual(self.said("refused"), {f"token-{number}": 1 for number in range(1, len(taken))})
        self.assertEqual({event["kind"] for event in run.events}, {"delivered"})  # Said at once, on the same connection.

    def test_renewed_after_the_refusal(self):
        process = self.start(f"tokens={self.LOGINS}")

        def deferrals():
            return process.events.read_text().count('"kind":"deferred"') if process.events.exists() else 0

        def kept_back(number, before):
            return process.poll() is not None or f"token-{number}" in self.said("refused") and deferrals() > before
        for number in range(1, len(self.people)):
            before = deferrals()
            support.loopback.wait_until(lambda: kept_back(number, before), f"the end of token-{number}", log=self.server.log)
            if process.poll() is not None:
                break
            self.renew(f"token-{number + 1}")
        run = self.world.finish(process)
        self.check_all_once(run)
        deferred = [event for event in run.events if event["kind"] == "deferred"]
        self.assertTrue(deferred, run.events)
        self.assertEqual({(event["stage"], event["cause"], event["code"], event["enhanced"]) for event in deferred},
                         {("auth", "reply", 535, "5.7.8")})


if __name__ == "__main__":
    support.main()
