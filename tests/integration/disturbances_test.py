"""Receivers that hang, crash, come back and hang up: every recipient is settled once and mailed once."""

import collections
import time

import support


class Disturbances(support.TestCase):
    RECEIVERS = {"hanging.example": "127.0.0.51", "crashing.example": "127.0.0.52", "curt.example": "127.0.0.53"}

    EACH = 600  # Recipients, where crashes are waited for.

    def setUp(self):
        super().setUp()
        self.world.write("template.eml", support.TEMPLATE)
        self.port = support.loopback.free_port(list(self.RECEIVERS.values()))

    def sink(self, domain, settings):
        return self.world.sinks({self.RECEIVERS[domain]: "p"}, {"p": settings}, self.port)

    def start(self, domains, each, **changed):
        rows = [[f"user{number}@{domain}", "Ann"] for number in range(each) for domain in domains]
        self.world.write_rows("rows.csv", ["email", "name"], rows)
        self.everyone = {address for address, _ in rows}
        return self.world.start_send(port=self.port, connections=6, **changed)

    def wait_for_mail(self, process, domain, count):
        """Until the domain has so much mail; the run must not end before."""
        def enough():
            lines = process.events.read_text().splitlines() if process.events.exists() else []
            return sum(f"@{domain}" in line and '"kind":"delivered"' in line for line in lines) >= count
        support.loopback.wait_until(enough, f"mail for {domain}", process)

    def copies(self):
        return collections.Counter(received.recipient for received in self.world.mail())

    def crash(self, sink):
        sink.kill()
        time.sleep(0.5)  # Connections are refused meanwhile.
        sink.start()

    def crash_until_unknown(self, sink, process):
        """Again and again, until a crash came while a message waited for its last answer. One in two does, about."""
        for count in range(20, self.EACH, 20):
            self.wait_for_mail(process, "crashing.example", count)
            self.crash(sink)
            lines = process.events.read_text().splitlines()
            if any('"stage":"final_dot"' in line and '"cause":"reply"' not in line for line in lines):
                return
        self.fail("no crash met a message that waited for its last answer")

    def test_hanging_crashing_and_curt_receivers_at_once(self):
        hanging = self.sink("hanging.example", "latency=5ms")
        crashing = self.sink("crashing.example", "latency=20ms,defer=5%")
        curt = self.sink("curt.example", "latency=5ms,messages-per-connection=7,connections=2")
        process = self.start(list(self.RECEIVERS), 500)
        self.wait_for_mail(process, "hanging.example", 50)
        with support.stopped(hanging.process, 2):
            for count in (100, 250):
                self.wait_for_mail(process, "crashing.example", count)
                self.crash(crashing)
        run = self.world.finish(process)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("delivered"), self.everyone)
        copies = self.copies()
        self.assertEqual(set(copies), self.everyone)
        twice = {recipient for recipient, number in copies.items() if number > 1}
        self.assertEqual(twice - run.unknown, set(), "twice, though the outcome was known")
        self.assertTrue(all(r.endswith("@crashing.example") for r in run.unknown), run.unknown)
        self.assertTrue({e["cause"] for e in run.events if e["recipient"].endswith("@crashing.example")} - {"reply"},
                        "it crashed, and nobody noticed")
        self.assertGreater(curt.stop()["total"]["connections"], 500 / 7)
        self.assertEqual(hanging.stop()["total"]["accepted"], 500)

    def test_drop_on_unknown_mails_nobody_twice(self):
        crashing = self.sink("crashing.example", "latency=20ms")
        process = self.start(["crashing.example"], self.EACH, on_unknown="drop")
        self.crash_until_unknown(crashing, process)
        run = self.world.finish(process)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(set(run.finals), self.everyone)
        self.assertEqual(run.recipients("failed"), run.unknown)
        copies = self.copies()
        self.assertEqual({r: n for r, n in copies.items() if n > 1}, {})
        self.assertEqual(run.recipients("delivered") - set(copies), set())
        self.assertEqual(set(copies) - run.recipients("delivered") - run.unknown, set())

    def test_hold_on_unknown_leaves_them_to_a_person(self):
        crashing = self.sink("crashing.example", "latency=20ms")
        process = self.start(["crashing.example"], self.EACH, on_unknown="hold")
        self.crash_until_unknown(crashing, process)
        run = self.world.finish(process)
        held = {event["recipient"] for event in run.events if event["kind"] == "held"}
        self.assertTrue(held)
        self.assertEqual(held, run.unknown)
        self.assertEqual(run.recipients("delivered"), self.everyone - held)
        self.assertEqual({r: n for r, n in self.copies().items() if n > 1}, {})
        self.assertEqual(run.status, 1, run.stderr)
        unsent = support.read_csv(f"{self.world.folder}/rows.csv.unsent.csv")[1:]
        self.assertEqual({tuple(row) for row in unsent}, {(address, "held") for address in held})


if __name__ == "__main__":
    support.main()
