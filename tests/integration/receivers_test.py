"""Postfix, OpenSMTPD, Exim and aiosmtpd, as Debian packages them, take the engine's mail."""

import re

import hostile
import servers
import support


class ReceiverTest(support.TestCase):
    """Sends every hostile value and some harmless ones to one server."""

    def start(self, kind, domain):
        self.domain = domain
        self.server = kind(self.world.children, self.world.folder, self.RECEIVERS[domain], domain)
        self.rows = [[f"{name}@{domain}", value] for name, value in hostile.VALUES.items()]
        self.rows += [[f"user{number}@{domain}", "Ann"] for number in range(100)]
        self.world.write("template.eml", hostile.TEMPLATE)

    def send(self, rows, **changed):
        self.world.write_rows("rows.csv", ["email", "name"], rows)
        return self.world.send(port=self.server.port, connections=4, **changed)

    def delivered(self, count):
        """The mailbox, once it has that many messages."""
        support.loopback.wait_until(
            lambda: len(support.loopback.maildir_files(self.server.maildir)) >= count,
            f"{count} messages in the mailbox", log=self.server.log)
        return support.maildir(self.server.maildir)

    def check(self, run, tls):
        recipients = {address for address, _ in self.rows}
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("delivered"), recipients, run.finals)
        self.assertEqual({event["tls"] for event in run.finals.values()}, {tls})
        mail = self.delivered(len(recipients))
        self.check_received_once(mail, recipients)
        for received in mail:
            with self.subTest(received.recipient):
                self.check_sane(received)
                self.check_dkim(received)
                local = received.recipient.split("@")[0]
                hostile.check_content(self, received, local if local in hostile.VALUES else "plain")
                self.assertRegex(received.return_path, r"^<[^@<>\s]+@brand\.example>$")


class Postfix(ReceiverTest):
    RECEIVERS = {"postfix.example": "127.0.0.21"}

    def setUp(self):
        super().setUp()
        self.start(servers.Postfix, "postfix.example")

    def test_takes_everything_with_opportunistic_tls(self):
        self.rows.append(["jürgen.weiß@postfix.example", "Ann"])
        run = self.send(self.rows)
        self.check(run, tls=True)
        log = self.server.log.read_text(errors="replace")
        self.assertNotRegex(log, support.POSTFIX_COMPLAINTS)

    def test_takes_everything_with_tls_required_or_off(self):
        self.rows = self.rows[:40]
        self.check(self.send(self.rows, tls="required"), tls=True)
        recipients = {address for address, _ in self.rows}
        self.assertEqual(self.send(self.rows, tls="none").recipients("delivered"), recipients)
        self.assertEqual(len(self.delivered(2 * len(recipients))), 2 * len(recipients))


class OpenSmtpd(ReceiverTest):
    RECEIVERS = {"opensmtpd.example": "127.0.0.22"}

    def setUp(self):
        super().setUp()
        self.start(servers.OpenSmtpd, "opensmtpd.example")

    def test_takes_everything(self):
        self.check(self.send(self.rows), tls=False)
        self.assertNotRegex(self.server.log.read_text(errors="replace"), r"(?i)(failed-command|\bfatal\b|invalid)")

    def test_gets_nothing_when_tls_is_required(self):
        run = self.send(self.rows[:3], tls="required", max_age="6s")
        self.assertEqual({e["kind"] for e in run.finals.values()}, {"expired"}, run.stderr)
        deferrals = {(event["stage"], event["cause"]) for event in run.events if event["kind"] == "deferred"}
        self.assertEqual(deferrals, {("start_tls", "tls_unavailable")})
        self.assertNotIn("envelope", self.server.log.read_text())

    def test_without_smtputf8_is_not_offered_such_addresses(self):
        run = self.send([["jürgen@opensmtpd.example", "Ann"], ["ann@opensmtpd.example", "Ann"]])
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("delivered"), {"ann@opensmtpd.example"})
        refused = run.finals["jürgen@opensmtpd.example"]
        self.assertEqual((refused["kind"], refused["cause"]), ("bounced", "smtputf8_unavailable"), refused)
        self.assertIsNone(re.search("rgen", self.server.log.read_text()))


class Exim(ReceiverTest):
    RECEIVERS = {"exim.example": "127.0.0.23"}

    def setUp(self):
        super().setUp()
        self.start(servers.Exim, "exim.example")

    def test_takes_everything_with_opportunistic_tls(self):
        self.rows.append(["jürgen.weiß@exim.example", "Ann"])
        self.check(self.send(self.rows), tls=True)
        self.assertNotRegex(self.server.log.read_text(errors="replace"), r"(?i)(protocol|synchronization|syntax) (violation|error)")

    def test_takes_everything_with_tls_off(self):
        self.rows = self.rows[:60]
        self.check(self.send(self.rows, tls="none"), tls=False)


class Aiosmtpd(ReceiverTest):
    RECEIVERS = {"aiosmtpd.example": "127.0.0.24"}

    def setUp(self):
        super().setUp()
        self.start(servers.Aiosmtpd, "aiosmtpd.example")

    def test_takes_everything_with_opportunistic_tls(self):
        self.rows.append(["jürgen.weiß@aiosmtpd.example", "Ann"])
        self.check(self.send(self.rows), tls=True)


if __name__ == "__main__":
    support.main()
