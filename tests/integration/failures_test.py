"""What cannot work is said in one clear line before anything is sent, and what stops midway loses nobody."""

import json
import os
import signal
import socket
import subprocess
import time

import support
from support import loopback

RECEIVERS = {"quick.example": "127.0.0.31", "slow.example": "127.0.0.32"}


class Refused(support.TestCase):
    """Each mistake: exit status 2, one line that names what and where, no connection to any receiver."""

    RECEIVERS = RECEIVERS

    def setUp(self):
        super().setUp()
        self.sinks = self.world.sinks({"127.0.0.31": "quick"}, {"quick": ""})
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write("rows.csv", "email,name\nann@quick.example,Ann\nbob@quick.example,Bob\n")

    def check_table(self, cases):
        """cases: {name: (changed options, what the line must say)}"""
        for name, (changed, *said) in cases.items():
            with self.subTest(name):
                run = self.world.send(port=changed.pop("port", self.sinks.port), **changed)
                self.check_refused(run, said)
        self.assertEqual(self.sinks.stop()["total"]["connections"], 0)

    def check_refused(self, run, said):
        self.assertEqual(run.status, 2, run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertRegex(run.stderr, r"^mailsbuddy send: \S")
        for words in said:
            self.assertIn(str(words), run.stderr)
        self.assertEqual(run.events, [])

    def test_template(self):
        write = self.world.write
        unclosed = write("unclosed.eml", "Subject: x\n\nHello\n{% if name %}there\n")
        subject = write("subject.eml", "Subject: {{ name | nonsense }}\n\nHello\n")
        injected = write("injected.eml", "Bad header\nSubject: x\n\nHello\n")
        self.check_table({
            "missing": ({"template": self.world.folder / "none.eml"}, "--template", "none.eml", "No such file"),
            "a folder": ({"template": self.world.folder}, "--template", self.world.folder, "directory"),
            "block not closed": ({"template": unclosed}, unclosed, "text:", "if"),
            "no such filter": ({"template": subject}, subject, "nonsense"),
            "no header line": ({"template": injected}, injected, "1"),
            "not https": ({"unsubscribe": "http://brand.example/u"}, "https", "unsubscribe"),
            "bad unsubscribe template": ({"unsubscribe": "https://brand.example/{{"}, "List-Unsubscribe:1:"),
        })

    def test_recipients(self):
        write = self.world.write
        no_column = write("names.csv", "first,last\nAnn,Lee\n")
        empty = write("empty.csv", "")
        twice = write("twice.csv", "email,name,name\n")
        broken = write("broken.csv", 'email,"na"me"\n')
        huge = write("huge.csv", "email,name\nann@quick.example," + "x" * (1 << 20) + "\n")
        self.check_table({
            "missing": ({"recipients": self.world.folder / "none.csv"}, "--recipients", "none.csv", "No such file"),
            "a folder": ({"recipients": self.world.folder}, "--recipients", self.world.folder, "directory"),
            "no address column": ({"recipients": no_column}, f"{no_column}:1:", "address column", "'first', 'last'"),
            "named column absent": ({"address_column": "mailbox"}, "rows.csv:1:", "mailbox"),
            "empty": ({"recipients": empty}, empty, "empty"),
            "column twice": ({"recipients": twice}, f"{twice}:1:", "'name'", "twice"),
            "no CSV": ({"recipients": broken}, f"{broken}:1:", "CSV"),
            "no end of line": ({"recipients": huge}, f"{huge}:2:", "octets"),
            "no suppression list": ({"suppress": self.world.folder / "none.txt"}, "--suppress", "none.txt", "No such"),
            "no address in it": ({"suppress": write("no.txt", "ann@quick.example\nnot an address\n")}, "no.txt:2:"),
        })

    def test_key(self):
        write, folder = self.world.write, self.world.folder
        garbage = write("garbage.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        curve = folder / "curve.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", curve], check=True, capture_output=True)
        other = f"other.example:s1:{self.world.key.file}"
        cases = {
            "missing": ({"dkim": f"brand.example:s1:{folder}/none.pem"}, "--dkim", "none.pem", "No such file"),
            "a folder": ({"dkim": f"brand.example:s1:{folder}"}, "--dkim", folder, "directory"),
            "not a key": ({"dkim": f"brand.example:s1:{garbage}"}, "--dkim", garbage, "key"),
            "no type of DKIM": ({"dkim": f"brand.example:s1:{curve}"}, "--dkim", curve, "EC", "RSA or Ed25519"),
            "of another domain": ({"dkim": other}, "brand.example", "DKIM key"),
            "no selector": ({"dkim": "brand.example"}, "--dkim", "DOMAIN:SELECTOR:KEYFILE"),
            "bad selector": ({"dkim": f"brand.example:s 1:{self.world.key.file}"}, "--dkim", "selector"),
            "twice": ({"dkim": [self.world.key.option] * 2}, "--dkim", "brand.example"),
        }
        if os.geteuid() != 0:
            locked = write("locked.pem", self.world.key.file.read_bytes())
            locked.chmod(0)
            cases["no permission"] = ({"dkim": f"brand.example:s1:{locked}"}, "--dkim", locked, "Permission denied")
        self.check_table(cases)

    def test_egress(self):
        mx1 = "127.0.0.2=mx1.brand.example"
        self.check_table({
            "not of this machine": ({"egress": "192.0.2.1=mx1.brand.example"}, "egress", "192.0.2.1", "not available"),
            "the second one": ({"egress": [mx1, "192.0.2.1=mx2.brand.example"]}, "egress", "192.0.2.1"),
            "no address": ({"egress": "mx1.brand.example=mx1.brand.example"}, "egress", "mx1.brand.example"),
            "no name": ({"egress": "127.0.0.2"}, "--egress", "127.0.0.2", "IP=EHLO_NAME"),
            "bad name": ({"egress": "127.0.0.2=mx 1"}, "egress", "mx 1"),
            "twice": ({"egress": [mx1, mx1]}, "egress", "127.0.0.2", "twice"),
        })

    def test_name_server(self):
        closed = loopback.free_port(["127.0.0.1"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            silent_at = f"127.0.0.1:{silent.getsockname()[1]}"
            self.check_table({
                "closed port": ({"dns": f"127.0.0.1:{closed}"}, "--dns", f"127.0.0.1:{closed}"),
                "silent": ({"dns": silent_at}, "--dns", silent_at),
                "no address": ({"dns": "ns.example"}, "--dns", "ns.example"),
                "no port": ({"dns": "127.0.0.1:99999"}, "--dns", "127.0.0.1:99999"),
            })

    def test_other_options(self):
        folder = self.world.folder
        self.check_table({
            "no address in From": ({"from": "News"}, "--from", "News"),
            "two in From": ({"from": "a@brand.example, b@brand.example"}, "--from"),
            "nothing behind the name": ({"from": "News <>"}, "--from"),
            "a curve of none of our IPs": ({"warm": "192.0.2.9=sparkpost"}, "--warm", "192.0.2.9", "--egress"),
            "no curve": ({"warm": "127.0.0.2"}, "--warm", "IP=CURVE"),
            "no such curve": ({"warm": "127.0.0.2=steep"}, "--warm", "steep"),
            "no such overflow": ({"overflow": "sideways"}, "--overflow", "sideways", "pool:NAME"),
            "overflow to no pool": ({"overflow": "pool:moon"}, "moon"),
            "limits in no file": ({"limits": folder / "none.txt"}, "--limits", "No such"),
            "events in no folder": ({"events": folder / "none/all.jsonl"}, "--events", "none/all.jsonl", "No such"),
        })

    def test_usage(self):
        """The option parser's own complaints: one line, and where to read on."""
        cases = {
            "unknown option": (["send", *self.world.options(), "--bogus"], "--bogus"),
            "unknown subcommand": (["sned"], "sned"),
            "no subcommand": ([], "subcommand"),
            "nothing said": (["send"], "required"),
            "no number": (["send", *self.world.options(port="many")], "--port"),
            "no such policy": (["send", *self.world.options(tls="maybe")], "--tls"),
            "no duration": (["send", *self.world.options(first_retry="soon")], "--first-retry"),
            "connections out of range": (["send", *self.world.options(connections=0)], "--connections"),
        }
        for name, (arguments, said) in cases.items():
            with self.subTest(name):
                run = support.command(*arguments)
                self.assertEqual(run.returncode, 2, run.stderr)
                self.assertEqual(run.stdout, "")
                self.assertIn(said, run.stderr.splitlines()[0])
                self.assertLessEqual(run.stderr.count("\n"), 2, run.stderr)
        self.assertEqual(self.sinks.stop()["total"]["connections"], 0)


class Partly(support.TestCase):
    """Part of it works: the rest is reported, by name."""

    RECEIVERS = RECEIVERS

    def test_signatures_are_tried_before_the_campaign(self):
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write("rows.csv", "name,email\nAnn,ann@quick.example\n")
        sinks = self.world.sinks({"127.0.0.31": "quick"}, {"quick": ""})
        good = self.world.send(port=sinks.port)
        self.assertEqual(good.status, 0, good.stderr)
        self.assertNotIn("warning", good.stderr)
        unpublished = self.world.send(port=sinks.port, dkim=f"{support.SENDER}:s9:{self.world.key.file}")
        self.assertEqual(unpublished.status, 0, unpublished.stderr)
        self.assertIn(f"see mailsbuddy dkim check {support.SENDER} s9", unpublished.stderr)

    def test_bad_rows_are_reported_and_the_rest_is_sent(self):
        self.world.write("template.eml", support.TEMPLATE)
        rows = self.world.write("rows.csv", (
            b'\xef\xbb\xbfname,EMAIL\r\n'
            b'Ann,ann@quick.example\r\n'        # 2
            b'"Bob\r\nthe second",bob@quick.example\r\n'  # 3 and 4
            b'\r\n'
            b'No address,\r\n'                  # 6
            b'Not one,not-an-address\r\n'       # 7
            b'Dots,a..b@quick.example\r\n'      # 8
            b'One field\r\n'                    # 9
            b'Three,c@quick.example,fields\r\n' # 10
            b'Again,Ann@quick.example\r\n'      # 11
            b'Quote "in" it,d@quick.example\r\n'  # 12
            b'Bytes \xff\xfe,e@quick.example\r\n'  # 13
            + b'"' + b'x' * 40000 + b'",f@quick.example\r\n'  # 14
            + b'Zoe,zoe@quick.example'))        # 15, the end without a line end
        sinks = self.world.sinks({"127.0.0.31": "quick"}, {"quick": ""})
        run = self.world.send("--json", port=sinks.port)
        self.assertEqual(run.status, 0, run.stderr)
        summary = json.loads(run.stdout)
        self.assertEqual((summary["accepted"], summary["refused"], summary["settled"]), (3, 9, True), summary)
        self.assertIn(f"{rows}.bad.csv", run.stderr)
        _, *bad = support.read_csv(f"{rows}.bad.csv")
        reported = {int(line): (address, reason) for line, address, reason in bad}
        self.assertEqual(sorted(reported), list(range(6, 15)), reported)
        for line, (address, said) in {6: ("", "@"), 7: ("not-an-address", "@"), 8: ("a..b@quick.example", "dot"),
                                      9: ("", "1 fields"), 10: ("c@quick.example", "3 fields"),
                                      11: ("Ann@quick.example", "before"), 12: ("", "CSV"),
                                      13: ("e@quick.example", "UTF-8"), 14: ("f@quick.example", "octets")}.items():
            with self.subTest(line):
                self.assertEqual(reported[line][0], address)
                self.assertIn(said, reported[line][1])
        self.check_received_once(self.world.mail(),
                                 {"ann@quick.example", "bob@quick.example", "zoe@quick.example"})

    def test_a_line_break_in_from_is_a_space(self):
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email"], [["ann@quick.example"]])
        sinks = self.world.sinks({"127.0.0.31": "quick"}, {"quick": ""})
        run = self.world.send(port=sinks.port, **{"from": "News\r\nBcc: x@y.example <news@brand.example>"})
        self.assertEqual(run.status, 0, run.stderr)
        (received,) = self.world.mail()
        (sender,) = received.message["From"].addresses
        self.assertEqual((sender.display_name, sender.addr_spec), ("News Bcc: x@y.example", "news@brand.example"))
        self.assertNotIn("Bcc", received.message)

    def test_what_a_cold_ip_does_not_take(self):
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], [[f"u{i}@quick.example", "Ann"] for i in range(12)])
        sinks = self.world.sinks({"127.0.0.31": "quick"}, {"quick": ""})
        report = self.world.folder / "pace.txt"
        run = self.world.send(port=sinks.port, egress="127.0.0.2=mx1.brand.example", warm="127.0.0.2=5,10", overflow="fail",
                              pace_report=report)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(len(run.recipients("delivered")), 5)
        self.assertEqual({event["cause"] for event in run.finals.values() if event["kind"] == "failed"}, {"over_cap"})
        self.assertEqual(len(self.world.mail()), 5)
        self.assertIn("127.0.0.2 at quick.example: warming", report.read_text(encoding="utf-8"))
        self.assertIn("5 sent of 5", report.read_text(encoding="utf-8"))

    def test_every_kind_of_outcome_is_reported(self):
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], [
            ["ann@quick.example", "Ann"], ["said-no@quick.example", "Bob"], ["x@nowhere.example", "Eve"],
            ["y@slow.example", "Yan"]])
        self.world.write("no.txt", "said-no@quick.example\r\n\r\n")
        sinks = self.world.sinks({"127.0.0.31": "quick", "127.0.0.32": "full"},
                                 {"quick": "", "full": 'reject=100%,reject-reply="552 5.2.2 Mailbox is full"'})
        run = self.world.send("--json", port=sinks.port, suppress=self.world.folder / "no.txt")
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual({r: (e["kind"], e["cause"]) for r, e in run.finals.items()}, {
            "ann@quick.example": ("delivered", "reply"), "said-no@quick.example": ("suppressed", "suppressed"),
            "x@nowhere.example": ("bounced", "no_such_domain"), "y@slow.example": ("bounced", "reply")})
        bounced = run.finals["y@slow.example"]
        self.assertEqual((bounced["code"], bounced["enhanced"], bounced["stage"], bounced["mx"]),
                         (552, "5.2.2", "rcpt_to", "mx.slow.example"))
        self.assertEqual(json.loads(run.stdout)["recipients"]["bounced"], 2)
        self.assertEqual(run.stdout.count("\n"), 1)


class Interrupted(support.TestCase):
    """Ctrl-C: what is on the wire is answered, the rest is named, nobody is mailed twice."""

    RECEIVERS = RECEIVERS

    def setUp(self):
        super().setUp()
        self.rows = [[f"user{number}@{list(RECEIVERS)[number % 2]}", "Ann"] for number in range(2000)]
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], self.rows)
        self.sinks = self.world.sinks({"127.0.0.31": "steady", "127.0.0.32": "steady"},
                                      {"steady": "latency=20ms,defer=10%"})

    def start(self, *flags):
        process = self.world.start_send(*flags, port=self.sinks.port, connections=5, first_retry="30s")
        self.world.wait_for_events(process, 200)
        return process

    def test_once(self):
        process = self.start("--json")
        support.interrupt(process)
        run = self.world.finish(process)
        self.assertEqual(run.status, 1, run.stderr)
        summary = json.loads(run.stdout)
        self.assertFalse(summary["settled"])
        unsent_file = f"{self.world.folder}/rows.csv.unsent.csv"
        self.assertIn(unsent_file, run.stderr)
        header, *unsent = support.read_csv(unsent_file)
        self.assertEqual(header, ["email", "state"])
        self.assertEqual({state for _, state in unsent} - {"queued", "deferred"}, set())
        everyone = {address for address, _ in self.rows}
        delivered = run.recipients("delivered")
        self.assertEqual(len(unsent), len({address for address, _ in unsent}), "a recipient is named twice")
        self.assertEqual({address for address, _ in unsent}, everyone - delivered)
        self.assertGreater(len(unsent), 0)
        self.assertEqual(summary["recipients"]["delivered"], len(delivered))
        self.check_received_once(self.world.mail(), delivered)

    def test_twice_ends_at_once(self):
        process = self.start()
        self.sinks.process.send_signal(signal.SIGSTOP)  # Now no answer comes, and the first Ctrl-C waits for some.
        support.interrupt(process)
        loopback.wait_until(lambda: "stopping" in process.stderr.readline(), "the wait for answers", process)
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        support.interrupt(process)
        self.assertEqual(process.wait(10), 130)


if __name__ == "__main__":
    support.main()
