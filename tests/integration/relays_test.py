"""Relays that ask for a log-in, TLS from the first octet, or LMTP: other people's servers, by name and with verified TLS."""

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

    def send(self, server, url, **changed):
        return self.world.send(egress="127.0.0.2=mx1.brand.example", relay=f"*={url}", port=1,
                               **{"tls-ca": server.certificate, "allow-target": None} | changed)

    def check_delivered(self, server, url, by, **changed):
        run = self.send(server, url, **changed)
        self.assertEqual(run.status, 0, run.stderr + server.log.read_text())
        self.assertEqual(run.recipients("delivered"), {ANN, BOB}, run.events)
        mails = support.maildir(server.maildir)
        self.assertEqual(len(mails), 2)
        said = server.log.read_text(errors="replace")
        self.assertIn(by, said)
        self.assertNotIn("secret", run.stderr)

    def check_kept_back(self, server, url, cause, **changed):
        run = self.send(server, url, **{"max-age": "2s"} | changed)
        self.assertEqual(run.recipients("expired"), {ANN, BOB}, run.events)
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
