"""What operators say of a campaign while it is sent, and of its spool when nobody sends it."""

import json
import socket
import subprocess
import threading

import support
from support import loopback

RECEIVERS = {"quick.example": "127.0.0.31", "slow.example": "127.0.0.32"}


class Queue(support.TestCase):
    RECEIVERS = RECEIVERS

    def setUp(self):
        super().setUp()
        self.rows = [[f"user{number}@{list(RECEIVERS)[number % 2]}", "Ann"] for number in range(400)]
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], self.rows)
        self.sinks = self.world.sinks({"127.0.0.31": "good", "127.0.0.32": "good"}, {"good": ""})
        self.spool = self.world.folder / "spool"
        self.control = self.world.folder / "control"

    def ask(self, *words, place=None, status=0):
        """The JSON lines of a command about the running process, or about `place`."""
        where = ["--spool", place] if place else ["--control", self.control]
        done = support.command(*words, *where, "--json")
        self.assertEqual(done.returncode, status, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def request(self, command, arguments):
        """What the running process answers another program."""
        with socket.socket(socket.AF_UNIX) as asked, asked.makefile("r") as answers:
            asked.connect(str(self.control))
            asked.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
            return json.loads(answers.readline())

    def test_running_then_at_rest_then_resumed(self):
        process = self.world.start_send(port=self.sinks.port, spool=self.spool, control=self.control, rate=20, campaign="spring")
        self.world.wait_for_events(process, 40)
        self.ask("campaign", "pause", "spring")
        loopback.wait_until(lambda: self.ask("campaign", "status", "spring")[0]["recipients"]["claimed"] == 0, "a pause", process)
        (status,) = self.ask("campaign", "status", "spring")
        self.assertTrue(status["paused"])
        self.assertEqual(status["total"], 400)
        queued = status["recipients"]["queued"]
        self.assertGreater(queued, 0)
        self.assertEqual(sum(group["queued"] for group in self.ask("queue", "summary", "--by", "domain")), queued)
        of_provider = self.ask("queue", "list", "--filter", "provider=slow.example", "--max", "1000")
        self.assertTrue(of_provider)
        self.assertTrue(all(row["address"].endswith("@slow.example") for row in of_provider))
        (failed,) = self.ask("queue", "fail", "--filter", "provider=slow.example", "--reason", "not there")
        self.assertEqual(failed, {"rows": len(of_provider), "under_way": 0, "unknown": 0, "unknown_domains": 0, "unreadable": 0})
        self.ask("queue", "fail", status=2)  # Of everything, and it was not said so.
        for misspelt in {}, {"filters": "job=spring"}, {"filter": ["job=spring"]}, {"filter": ""}, {"filter": "", "all": "yes"}, {"filter": 1, "all": True}:
            for command in "queue fail", "queue hold", "queue release", "queue move":
                answer = self.request(command, misspelt)
                self.assertIn("filter", answer.get("error", ""), (command, misspelt, answer))
        self.assertEqual(self.ask("campaign", "status", "spring")[0]["recipients"]["failed"], failed["rows"])
        self.ask("queue", "drain", "127.0.0.3")
        loopback.wait_until(lambda: self.ask("queue", "egress")[1]["connections"] == 0, "an empty IP", process)
        self.ask("campaign", "list", place=self.spool, status=2)  # It is the running process's.
        support.interrupt(process)
        first = self.world.finish(process)
        self.assertEqual(first.status, 1, first.stderr)

        (resting,) = self.ask("campaign", "list", place=self.spool)
        self.assertEqual(resting["campaign"], "spring")
        self.assertEqual(resting["recipients"]["failed"], failed["rows"])
        left = self.ask("queue", "list", "--max", "1000", place=self.spool)
        self.assertTrue(left)
        self.assertTrue(all(row["state"] == "queued" for row in left))
        never, forgotten, *rest = [row["address"] for row in left]
        self.ask("suppress", "add", never, "--reason", "complaint", place=self.spool)
        (check,) = self.ask("suppress", "check", never, place=self.spool)
        self.assertEqual((check["suppressed"], check["reason"]), (True, "complaint"))
        (erased,) = self.ask("queue", "erase", forgotten, place=self.spool)
        self.assertEqual((erased["rows"], erased["cancelled"]), (1, 1))
        self.assertEqual(self.ask("queue", "list", "--filter", f"address={forgotten},state=any", place=self.spool), [])

        events = self.world.folder / "resumed.jsonl"
        resumed = support.command("resume", *self.resume_options(), "--events", events)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        received = [mail.recipient for mail in self.world.mail()]
        self.assertEqual(len(received), len(set(received)), "somebody was mailed twice")
        delivered = {address for address, _ in self.rows} & set(received)
        self.assertTrue(set(rest) <= delivered)
        self.assertNotIn(never, delivered)
        self.assertNotIn(forgotten, delivered)
        self.assertTrue({row["address"] for row in of_provider}.isdisjoint(delivered))
        export = support.command("suppress", "export", "--spool", self.spool)
        self.assertRegex(export.stdout, rf"^{never},complaint,\d+,default\n$")
        self.ask("campaign", "erase", "spring", place=self.spool)
        self.assertEqual(self.ask("campaign", "list", place=self.spool), [])

    def test_held_until_released_over_a_kill(self):
        process = self.world.start_send(port=self.sinks.port, spool=self.spool, control=self.control, rate=20, campaign="spring", max_age="1h")
        self.world.wait_for_events(process, 40)
        (held,) = self.ask("queue", "hold", "--filter", "domain=slow.example", "--reason", "a wrong link")
        self.assertGreater(held["rows"], 0)
        self.ask("queue", "hold", status=2)
        (again,) = self.ask("queue", "hold", "--filter", "domain=slow.example")
        self.assertEqual(again["rows"], 0)
        process.kill()
        process.communicate()
        rows = self.ask("queue", "list", "--filter", "state=held", "--max", "1000", place=self.spool)
        self.assertEqual(len(rows), held["rows"])
        addresses = {row["address"] for row in rows}
        self.assertTrue(all(address.endswith("@slow.example") for address in addresses))

        events = self.world.folder / "resumed.jsonl"
        resumed = support.command("resume", *self.resume_options(), "--first-retry", "1s", "--events", events)
        self.assertEqual(resumed.returncode, 1, resumed.stderr)  # Nothing is left but what waits for a person.
        self.assertTrue(addresses.isdisjoint(mail.recipient for mail in self.world.mail()))
        (status,) = self.ask("campaign", "status", "spring", place=self.spool)
        self.assertEqual(status["recipients"]["held"], held["rows"])
        told = [json.loads(line) for line in events.read_text().splitlines()]
        self.assertEqual({event["recipient"] for event in told if event["kind"] == "held"} - addresses, set())
        (released,) = self.ask("queue", "release", "--filter", "job=spring", place=self.spool)
        self.assertEqual(released["rows"], held["rows"])
        resumed = support.command("resume", *self.resume_options(), "--first-retry", "1s", "--events", events)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        received = [mail.recipient for mail in self.world.mail()]
        self.assertEqual(set(received), {address for address, _ in self.rows})
        self.assertEqual(len([address for address in received if address in addresses]), len(addresses))

    def test_a_name_server_that_never_answers_holds_up_no_other_command(self):
        silent = threading.Event()

        def forward(asked):  # Until it falls silent.
            while not silent.is_set():
                question, asker = asked.recvfrom(4096)
                if not question:
                    continue
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
                    upstream.settimeout(5)
                    upstream.sendto(question, ("127.0.0.1", self.world.name_server.port))
                    asked.sendto(upstream.recv(4096), asker)

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.bind(("127.0.0.1", 0))
            forwarding = threading.Thread(target=forward, args=(asked,), daemon=True)
            forwarding.start()
            process = self.world.start_send(port=self.sinks.port, spool=self.spool, control=self.control, campaign="spring", start_at="+1h",
                                            max_age="1d", dns=f"127.0.0.1:{asked.getsockname()[1]}")
            loopback.wait_until(lambda: self.control.exists() and self.request("campaign list", {})["result"], "a campaign", process)
            silent.set()
            asked.sendto(b"", asked.getsockname())
            forwarding.join()
            of_provider = {"filter": "provider=slow.example", "cursor": None}
            for command in "queue hold", "queue fail", "queue release", "queue list", "queue summary":
                begun = self.request(command, of_provider)["result"]  # It is being looked up, and nobody waits for that.
                until = begun.pop("cursor")
                self.assertEqual((until[:3], len(until)), ([0, 0, 0], 4))
                self.assertIn(begun, ({"rows": 0, "under_way": 0, "unknown": 0, "unknown_domains": 0, "unreadable": 0}, {"rows": []}, {}))
            begun = self.request("queue summary", {**of_provider, "cursor": [0, 0, 0, until[3] - 30_000]})["result"]
            self.assertEqual((begun["unknown"], begun["cursor"]), (400, None))  # Its time is over, though that of others is not.
            whole = self.request("queue hold", {"filter": "provider=slow.example"})["result"]  # Of who does not ask on.
            self.assertEqual((whole["cursor"], whole["unknown"]), (None, 400))
            (held,) = self.ask("queue", "hold", "--filter", "provider=slow.example")
            self.assertEqual(held, {"rows": 0, "under_way": 0, "unknown": 400, "unknown_domains": 2, "unreadable": 0})
            asked = self.request("queue summary", of_provider)["result"]  # Not once more, now.
            self.assertEqual((asked["unknown"], asked["unknown_domains"], asked["groups"]), (400, 2, []))
            support.interrupt(process)
            self.world.finish(process)

    def test_erased_while_it_is_sent(self):
        process = self.world.start_send("--json", port=self.sinks.port, spool=self.spool, control=self.control, rate=20, campaign="spring")
        self.world.wait_for_events(process, 20)
        self.ask("campaign", "erase", "spring")
        run = self.world.finish(process)
        self.assertEqual(run.status, 1, run.stderr)
        self.assertIn("campaign 'spring' was erased", run.stderr)
        self.assertGreaterEqual(json.loads(run.stdout)["recipients"]["delivered"], 1)
        self.assertEqual(self.ask("campaign", "list", place=self.spool), [])

    def test_answers_of_another_version(self):
        """Commands that are not done in pages there are done; what makes no sense is said, and no crash."""
        failed = {"rows": 3, "under_way": 0}
        nameless = {"groups": [{"name": "", "counts": [1] + 9 * [0]}]}
        results = [failed, nameless, nameless, {"groups": {"spring": [1, 2]}}, {"moved": "all"}]

        def serve(listener):
            for result in results:
                asked = listener.accept()[0]
                with asked, asked.makefile("r") as requests:
                    requests.readline()
                    asked.sendall(json.dumps({"result": result}).encode() + b"\n")

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.control))
            listener.listen()
            server = threading.Thread(target=serve, args=(listener,), daemon=True)
            server.start()
            self.assertEqual(self.ask("queue", "fail", "--all"), [failed])
            self.assertEqual(self.ask("queue", "summary", "--by", "account")[0]["account"], "(none)")
            self.assertEqual(self.ask("queue", "summary", "--by", "provider")[0]["provider"], "(not known yet)")
            for words in ["summary"], ["move", "--pool", "other", "--all"]:
                done = support.command("queue", *words, "--control", self.control)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("makes no sense", done.stderr)
            server.join()

    def test_resume_that_cannot_choose_leaves_all_as_it_is(self):
        for name in ("spring", "summer"):  # Each with recipients on the wire, whom going on would settle or send to.
            process = self.world.start_send(port=self.sinks.port, spool=self.spool, rate=20, campaign=name)
            self.world.wait_for_events(process, 20)
            process.kill()
            process.communicate()
        before = self.ask("queue", "list", "--max", "1000", place=self.spool)
        self.assertEqual({row["campaign"] for row in before}, {"spring", "summer"})
        refused = support.command("resume", *self.resume_options())
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("--campaign: spring, summer", refused.stderr)
        unknown = support.command("resume", *self.resume_options(), "--campaign", "autumn")
        self.assertEqual(unknown.returncode, 2, unknown.stderr)
        self.assertIn("no campaign 'autumn'", unknown.stderr)
        self.assertEqual(self.ask("queue", "list", "--max", "1000", place=self.spool), before)
        self.spool = self.world.folder / "nowhere"
        nowhere = support.command("resume", *self.resume_options())
        self.assertEqual(nowhere.returncode, 2, nowhere.stderr)
        self.assertFalse(self.spool.exists())

    def test_lists_and_counts_of_a_running_process(self):
        process = self.world.start_send(port=self.sinks.port, spool=self.spool, control=self.control, rate=1, campaign="spring")
        self.world.wait_for_events(process, 1)
        lines = [f"user{number}@lists.example,complaint,{1_700_000_000 + number},*" for number in range(25_000)]
        listed = self.world.write("list.csv", "\n".join(lines) + "\n")
        done = support.command("suppress", "import", listed, "--control", self.control)
        self.assertEqual((done.returncode, done.stdout), (0, "25000 taken\n"), done.stderr)
        done = support.command("suppress", "export", "--control", self.control)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), sorted(lines))
        page = self.request("suppress export", {})["result"]
        self.assertLessEqual(len(page["lines"]), 10_000)
        self.assertTrue(page["cursor"])
        self.assertIn("cursor", self.request("suppress export", {"cursor": "behind it"})["error"])
        with open("/dev/full", "w") as full:
            done = subprocess.run([support.PROGRAM, "suppress", "export", "--control", self.control], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("No space left", done.stderr)
        bad = self.world.write("bad.csv", "good@lists.example\n" * 3 + "no address\n")
        done = support.command("suppress", "import", bad, "--control", self.control)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lines 1 to 4", done.stderr)

        self.ask("campaign", "pause", "spring")
        loopback.wait_until(lambda: self.ask("campaign", "status", "spring")[0]["recipients"]["claimed"] == 0, "a pause", process)
        (status,) = self.ask("campaign", "status", "spring")
        for by in "campaign", "account", "domain", "provider", "state":
            groups = self.ask("queue", "summary", "--filter", "state=any", "--by", by)
            for state, count in status["recipients"].items():
                self.assertEqual(sum(group[state] for group in groups), count, (by, state))
            first, *others = self.ask("queue", "summary", "--filter", "state=any", "--by", by, "--max", "1")
            self.assertIn(first, groups)  # Of equals any.
            self.assertEqual(sum(first[state] for state in status["recipients"]), sum(groups[0][state] for state in status["recipients"]))
            self.assertEqual([other["others"] for other in others], [len(groups) - 1] if len(groups) > 1 else [])
        self.assertIn("by", self.request("queue summary", {"by": "colour"})["error"])
        (failed,) = self.ask("queue", "fail", "--filter", "domain=slow.example")
        self.assertEqual(set(failed), {"rows", "under_way", "unknown", "unknown_domains", "unreadable"})
        left = self.ask("queue", "summary", "--by", "domain")
        self.assertEqual([group["domain"] for group in left], ["quick.example"])
        support.interrupt(process)
        self.world.finish(process)
        done = support.command("suppress", "export", "--spool", self.spool)  # It is durable.
        self.assertEqual(sorted(done.stdout.splitlines())[1:], sorted(lines), done.stderr)

    def test_more_than_a_year_ahead(self):
        for option in ("start_at", "not_after"):
            for wait in ("+200000d", "+367d", "+8800h", "+99999999999d"):
                run = self.world.send(port=self.sinks.port, **{option: wait})
                self.assertEqual(run.status, 2, run.stderr)
                self.assertIn(f"--{option.replace('_', '-')} {wait}: more than a year", run.stderr)

    def resume_options(self):
        words = ["--spool", self.spool, "--port", self.sinks.port, "--dns", self.world.name_server.endpoint,
                 "--dkim", self.world.key.option, "--allow-target", "127.0.0.0/8", "--rate", 0]
        for ip, name in support.EGRESS.items():
            words += ["--egress", f"{ip}={name}"]
        return words


class Suppression(support.TestCase):
    RECEIVERS = {}

    def test_lists(self):
        spool, key = self.world.folder / "spool", self.world.write("key", "0123456789abcdef0123456789abcdef\n")
        spool.mkdir()
        place = ["--spool", spool, "--suppression-key", key]
        some = self.world.write("list.csv", "".join(f"user{number}@one.example\n" for number in range(1000)))
        done = support.command("suppress", "import", some, "--account", "*", *place)
        self.assertEqual((done.returncode, done.stdout), (0, "1000 taken\n"), done.stderr)
        check = support.command("suppress", "check", "USER7@one.example", "--account", "brand", "--json", *place)
        self.assertTrue(json.loads(check.stdout)["suppressed"])
        exported = support.command("suppress", "export", *place).stdout
        self.assertEqual(exported.count("hmac-sha256:"), 1000)
        self.assertNotIn("@", exported)
        again = self.world.write("again.csv", exported)
        other = ["--spool", self.world.folder / "other", "--suppression-key", key]
        (self.world.folder / "other").mkdir()
        done = support.command("suppress", "import", again, *other)
        self.assertEqual(done.stdout, "1000 taken\n", done.stderr)
        check = support.command("suppress", "check", "user7@one.example", "--account", "brand", "--json", *other)
        self.assertTrue(json.loads(check.stdout)["suppressed"])
        bad = self.world.write("bad.csv", "user1@one.example\nuser2@one.example,because\n")
        done = support.command("suppress", "import", bad, *place)
        self.assertEqual(done.returncode, 2)
        self.assertIn("because", done.stderr)
        done = support.command("suppress", "check", "a@b.example")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--control", done.stderr)


if __name__ == "__main__":
    support.main()
