"""A running `mailsbuddy listen` whose IP is warming: what it says of its pace, and what an operator tells it."""

import json
import smtplib
import stat

import submission_test
import support

IP = "127.0.0.2"
PROVIDER = "away.example"


class Control(submission_test.SubmissionTest):
    ENDPOINTS = ("plain",)
    FLAGS = ("--auth-in-clear", "--warm", f"{IP}=3,6 hour=1", "--zone", "Europe/Berlin")

    def setUp(self):
        support.TestCase.setUp(self)
        self.control = self.world.folder / "control"
        self.report = self.world.folder / "pace.txt"
        limits = self.world.write("limits.tsv", f"{PROVIDER} ip connections=4\n")
        self.sinks = self.world.sinks({submission_test.AWAY: "away"}, {"away": "starttls,smtputf8"})
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, *self.FLAGS, "--control", self.control,
                                                 "--pace-report", self.report, "--limits", limits, port=self.sinks.port)
        (self.plain,) = self.listener.ports

    def submit(self, count, name):
        with smtplib.SMTP("127.0.0.1", self.plain, local_hostname="client.example", timeout=30) as client:
            client.login("app", "secret")
            for number in range(count):
                client.sendmail("news@brand.example", [f"{name}{number}@away.example"], submission_test.MESSAGE)

    def warm(self, order, *words, status=0):
        run = support.command("warm", order, "--control", self.control, *words)
        self.assertEqual(run.returncode, status, run.stderr)
        return run.stderr if status else run.stdout

    def order(self, order, *words):
        (stands,) = json.loads(self.warm(order, "--provider", PROVIDER, "--ip", IP, "--json", *words))
        return stands

    def test_what_it_says_and_what_it_is_told(self):
        self.assertEqual(stat.S_IMODE(self.control.stat().st_mode), 0o600)
        self.submit(5, "a")
        self.arrived(3)  # The day's cap.
        said = self.warm("explain")
        for part in (f"{IP} at {PROVIDER}: warming", "sending day 1 of 2", "3 sent of 3", "connections  4 of 4",
                     "limits.tsv:1"):
            self.assertIn(part, said)
        self.assertEqual(self.warm("explain", "--provider", "google"), "no mail is on its way to google\n")
        (stands,) = json.loads(self.warm("explain", "--provider", PROVIDER, "--ip", IP, "--json"))
        self.assertEqual((stands["used"], stands["cap"], stands["state"]), (3, 3, "warming"))

        stands = self.order("pin", "--cap", "4")
        self.assertEqual((stands["state"], stands["cap"]), ("pinned", 4))
        self.arrived(4)
        self.assertEqual(self.order("unpin")["cap"], 3)
        (stands,) = json.loads(self.warm("pause", "--provider", PROVIDER.title(), "--ip", IP, "--json"))
        self.assertEqual((stands["provider"], stands["state"]), (PROVIDER, "paused"))
        self.assertEqual(self.order("resume")["state"], "warming")
        self.assertEqual(self.order("skip")["cap"], 6)
        self.arrived(5)
        self.assertIn("the operator", self.order("repeat")["why"])
        self.assertIn(f"brand.example is not paused at {PROVIDER}",
                      self.warm("resume", "--provider", PROVIDER, "--domain", "Brand.Example", status=2))

        slower = self.world.write("slower.tsv", f"{PROVIDER} ip connections=2\n")
        self.warm("limits", slower)
        self.assertIn("connections  2 of 2", self.warm("explain"))
        self.check_refusals()
        self.assertEqual(self.listener.stop()["messages"], 5)
        self.assertFalse(self.control.exists())
        self.assertIn("5 sent of 6", self.report.read_text(encoding="utf-8"))
        decisions = [event["rule"] for event in self.listener.events if event["kind"] == "decision"]
        for rule in ("operator.pin", "operator.unpin", "operator.pause", "operator.resume", "settings"):
            self.assertIn(rule, decisions)

    def check_refusals(self):
        bad = self.world.write("bad.tsv", f"{PROVIDER} ip connections=many\n")
        both = ["--provider", PROVIDER, "--ip", IP]
        for order, words, reason in [
                ("limits", [bad], "bad.tsv:1: connections"),
                ("pause", ["--provider", PROVIDER, "--ip", "192.0.2.9"], "192.0.2.9"),
                ("pause", ["--provider", PROVIDER], "--ip is needed"),
                ("resume", ["--provider", PROVIDER], "either --ip or --domain"),
                ("pin", [*both, "--cap", "many"], "--cap many"), ("pin", [*both, "--cap", "1,2"], "--cap 1,2")]:
            with self.subTest(order, words=words):
                self.assertIn(reason, self.warm(order, *words, status=2))
        nobody = support.command("warm", "explain", "--control", self.world.folder / "none")
        self.assertEqual(nobody.returncode, 2)
        self.assertIn("is the process running?", nobody.stderr)
        second = support.command("listen", "--host", "mail.brand.example", "--no-auth", "--listen", "127.0.0.1:0=plain",
                                 "--egress", f"{IP}=mx1.brand.example", "--control", self.control, "--dns",
                                 self.world.name_server.endpoint)
        self.assertEqual(second.returncode, 2)
        self.assertIn("another process answers there", second.stderr)


class Zones(support.unittest.TestCase):
    def test_plan_in_a_zone(self):
        run = support.command("warm", "plan", "--audience", "gmail=100%", "--volume", 1_000, "--curve", "100,200",
                              "--start", "2027-03-27", "--zone", "Europe/Berlin")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        days = [line.split()[1] for line in run.stdout.splitlines() if "  2027-" in line[:8]]
        self.assertEqual(days, ["2027-03-27", "2027-03-28", "2027-03-29", "2027-03-30", "2027-03-31", "2027-04-01"][:len(days)])
        self.assertIn("Europe/Berlin", run.stdout)

    def test_zones_that_are_none(self):
        for zone in ("Europe/Nowhere", "../../../etc/passwd", "/etc/passwd", "+25:00", "CET-1CEST,M13.1.0,M1.1.0", ""):
            with self.subTest(zone):
                run = support.command("warm", "plan", "--audience", "gmail=100%", "--volume", 1, "--zone", zone)
                self.assertEqual((run.returncode, run.stdout), (2, ""))
                self.assertIn("--zone", run.stderr)


if __name__ == "__main__":
    support.main()
