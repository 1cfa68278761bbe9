"""The real command on a spool on disk is killed with -9 again and again, at every step of a recipient's way, while it
sends over SMTP to receivers that keep what they take. Whatever the moment, afterwards:

- every row is settled, or held because its campaign's policy says so, and none is settled twice;
- every settled row was reported, once at least;
- what was delivered was taken, and what was taken twice was unknown at a kill, once for each further copy;
- with on-unknown drop or hold nobody is mailed twice;
- who is held is held whatever is killed, and is mailed once, after the release; a command that is killed has held or
  released each row or not, and has lost none;
- what is unknown after a kill is no more than was claimed then: a few rows a connection.

MAILSBUDDY_KILLS says how many kills (scripts/kill_test N), MAILSBUDDY_SEED which ones.
"""

import collections
import contextlib
import errno
import json
import os
import random
import re
import smtplib
import socket
import subprocess
import threading
import time
import unittest

import submission_test
import support
from support import loopback

KILLS = int(os.environ.get("MAILSBUDDY_KILLS", "28"))
SEED = int(os.environ.get("MAILSBUDDY_SEED", "1"))
CONNECTIONS = 2  # For each egress IP and receiver.
CLAIMED = 5 * len(support.EGRESS) * CONNECTIONS  # For each receiver: two in flight, three made ahead a connection.
UNKNOWN = "the process ended while the message was on its way"
RECEIVERS = {"quick.example": "127.0.0.31", "slow.example": "127.0.0.32", "grey.example": "127.0.0.33"}
PROFILES = {"quick": "", "slow": "latency=15ms,chunking", "grey": "sticky,defer=40%,reject=20%"}
APPEND_ROWS = 4096  # The import writes so many at a time.
DOMAINS = 60  # d0.example, ...: as many look-ups, all at the quick receiver.


class SlowNames:
    """A name server before the world's, which takes its time for every answer about names that have `of` in them."""

    def __init__(self, port, seconds, of=b""):
        self.port, self.seconds, self.of = port, seconds, of
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            if not query:
                return
            threading.Timer(self.seconds if self.of in query else 0, self.answer, (query, client)).start()

    def answer(self, query, client):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as up:
            up.settimeout(5)
            up.sendto(query, ("127.0.0.1", self.port))
            self.socket.sendto(up.recv(4096), client)

    def close(self):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


# What makes a step long: `rows` by domain, options of `send`, and for how long after the import a kill may come.
Kind = collections.namedtuple("Kind", "rows options seconds")
KINDS = {
    "intake": Kind({"quick.example": 200, **{f"nowhere{i}.example": 700 for i in range(20)}}, {}, 0.5),
    "route": Kind({f"d{i}.example": 3 for i in range(DOMAINS)}, {"slow_names": 0.1}, 0.8),
    "pull": Kind({"quick.example": 120}, {"rate": 25}, 1.5),
    "make": Kind({"quick.example": 150}, {"padding": 300_000}, 1.0),
    "send": Kind({"slow.example": 150, "quick.example": 200}, {}, 1.0),
    "settle": Kind({"grey.example": 150, "quick.example": 400}, {}, 1.0),
    # Two pages of a command: of the second nothing is sent but asked about, for as long as names take.
    "hold": Kind({"quick.example": 100, "slow.example": 60, "grey.example": 80,
                  **{f"nowhere{i}.example": 850 for i in range(10)}},
                 {"slow_names": 1.0, "slow_of": b"nowhere", "rate": 25}, 0.4),
}


# What kills are to meet, of the table in the design: rows read, rows being written, no domain routed yet, nothing claimed,
# claimed and not taken by the receiver, taken and not settled, settled and not reported, and deferred. Then, of what an
# operator says: rows held before and after, and a command that was not answered yet.
STEPS = ("inject", "store", "route", "pull", "make", "send", "classify, learn, settle", "report", "retry",
         "held", "hold", "release")


class Life:
    """One process, from its start to its end. `said` is its standard error so far."""

    def __init__(self, world, **changed):
        self.said = ""
        self.imported = threading.Event()  # Or it has ended.
        self.process = world.start_send("--json", **changed)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.said += line
            if line.startswith("campaign '"):
                self.imported.set()
        self.imported.set()

    def number(self, pattern):
        found = re.search(pattern, self.said)
        return int(found[1]) if found else None

    def kill(self):
        """False: it had ended by itself."""
        self.process.kill()
        return self.end() < 0

    def end(self):
        status = self.process.wait(support.RUN_SECONDS)
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status


def feed(life, fifo, lines, random_):
    """Gives some of the lines to the import, and kills it; how many."""
    deadline = time.monotonic() + support.RUN_SECONDS
    while life.process.poll() is None and time.monotonic() < deadline:
        try:
            pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.002)
    else:
        return 0
    given = 1 + random_.randrange(len(lines))
    os.set_blocking(pipe, True)
    with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "w") as out:
        out.write("".join(lines[:given]))
        out.flush()
        time.sleep(random_.random() * 0.02)
        life.process.kill()
    return given


class Campaign:
    """One spool, one campaign, and what became of it over all its lives."""

    def __init__(self, test, kind, policy, number, random_):
        self.test, self.world, self.kind, self.policy, self.random = test, test.world, KINDS[kind], policy, random_
        self.name = f"{kind}{number}"
        self.folder = self.world.folder / self.name
        self.folder.mkdir()
        self.recipients = [f"{self.name}.u{i}@{domain}" for domain, rows in self.kind.rows.items() for i in range(rows)]
        random_.shuffle(self.recipients)
        self.lines = ["email,name\n", *(f"{each},N\n" for each in self.recipients)]
        mailed = [each for each in self.recipients if "@nowhere" not in each]
        self.suppressed = set(random_.sample(mailed, len(mailed) // 20))
        rows = self.world.write(f"{self.name}/rows.csv", "".join(self.lines))
        options = dict(self.kind.options)
        padding = ("x" * 70 + "\n") * (options.pop("padding", 0) // 71)
        seconds, of = options.pop("slow_names", 0), options.pop("slow_of", b"")
        self.names = SlowNames(self.world.name_server.port, seconds, of) if seconds else None
        self.events_file = self.folder / "events.jsonl"
        self.changed = {"template": self.world.write(f"{self.name}/t.eml", support.TEMPLATE + padding), "campaign": self.name,
                        "recipients": rows, "spool": self.folder / "spool", "events": self.events_file, "port": test.sinks.port,
                        "suppress": self.world.write(f"{self.name}/suppress", "".join(f"{each}\n" for each in self.suppressed)),
                        "on_unknown": policy, "connections": CONNECTIONS, "max_age": "1d",
                        "durability": random_.choice(["power-loss", "process-crash"]), **options}
        if self.names:
            self.changed["dns"] = self.names.endpoint
        self.once = policy != "resend"  # Nobody may be mailed twice.
        self.released = False  # Who is held, at last.
        self.complete = False  # Its import.
        self.lives = 0
        self.killed = None     # What was known of the process that was killed last.

    def events(self):
        if not self.events_file.exists():
            return []
        lines = self.events_file.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]  # The last one may be cut off.

    def copies(self):
        """How often each recipient's mail was taken."""
        return self.test.copies(self.name)

    def live_and_die(self, hits):
        """Until it is killed. False: it was through before."""
        in_import = not self.complete and self.name.startswith("intake") and self.lives < 3
        self.lives += 1
        fifo = self.folder / "fifo"
        if in_import and not fifo.exists():
            os.mkfifo(fifo)
        life = Life(self.world, **{**self.changed, "recipients": fifo if in_import else self.changed["recipients"]})
        if in_import:
            given = feed(life, fifo, self.lines, self.random)
            hits["store" if given > APPEND_ROWS else "inject"] += 1
        else:
            if self.complete or self.random.random() < 0.8:
                life.imported.wait(support.RUN_SECONDS)
            self.meanwhile(life)
        killed = life.kill()
        if not killed:
            self.test.assertIn(life.process.returncode, (0, 1), life.said)
        self.look_back(life, hits)
        self.complete = self.complete or "campaign '" in life.said
        if self.complete and "campaign '" in life.said:  # Else it found what the one before it found.
            self.killed = {"events": self.events(), "copies": self.copies()} if killed else None
        return killed

    def meanwhile(self, life):
        """What there is to a life until it is killed, at any moment, also one at which nothing happens; or until it ends."""
        life.reader.join(self.random.random() * self.kind.seconds)

    def look_back(self, life, hits):
        """What the process before was doing when it was killed, as this one found it."""
        before = self.killed
        if before is None or "campaign '" not in life.said or not self.complete:
            return
        settled = life.number(r": (\d+) of \d+ recipients are settled") or 0
        unknown = {e["recipient"] for e in self.events()[len(before["events"]):] if e.get("detail") == UNKNOWN}
        final = {e["recipient"] for e in before["events"] if e["kind"] in support.FINAL}
        deferred = {e["recipient"] for e in before["events"] if e["kind"] == "deferred"} - final
        taken = {each for each in unknown if before["copies"][each] > 0}
        hits["route"] += settled == 0 and not unknown
        hits["pull"] += 0 < settled < len(self.recipients) and not unknown
        hits["make" if self.name.startswith("make") else "send"] += bool(unknown - taken)
        hits["classify, learn, settle"] += bool(taken)
        hits["report"] += settled > len(final)
        hits["retry"] += bool(deferred)
        hits["unknown rows"] += len(unknown)
        self.test.assertLessEqual(len(unknown), CLAIMED * len(self.kind.rows))
        self.test.most_unknown = max(self.test.most_unknown, len(unknown))

    def live_to_the_end(self, hits, statuses):
        life = Life(self.world, **self.changed)
        status = life.end()
        self.look_back(life, hits)
        self.complete = True
        self.test.assertIn(status, statuses, life.said)
        self.killed = None
        return life

    def finish(self, hits):
        self.end(self.live_to_the_end(hits, (0, 1) if self.policy == "hold" else (0,)))

    def end(self, life):
        self.check(life)
        if self.names:
            self.names.close()
        self.world.children.processes.remove(life.process)

    def check(self, life):
        events, copies = self.events(), self.copies()
        unknown = collections.Counter(e["recipient"] for e in events if e["stage"] == "final_dot" and e["cause"] != "reply")
        finals = collections.defaultdict(set)
        for event in events:
            if event["kind"] in support.FINAL:
                finals[event["recipient"]].add((event["kind"], event["time"]))
        everybody = set(self.recipients)
        held = {e["recipient"] for e in events if e["kind"] == "held"} - set(finals)
        check = self.test.assertEqual
        check(everybody - set(finals) - held, set(), "neither settled nor held")
        check({r: f for r, f in finals.items() if len(f) > 1}, {}, "settled twice")
        check(set(finals) - everybody, set(), "nobody's")
        check(bool(held) and self.policy != "hold", False, "held against the policy")
        check({r for r, f in finals.items() if next(iter(f))[0] == "suppressed"}, self.suppressed & set(finals), "suppressed")
        check(self.suppressed & set(copies), set(), "suppressed, and mailed")
        delivered = {r for r, f in finals.items() if next(iter(f))[0] == "delivered"}
        check({r for r in delivered if copies[r] == 0}, set(), "delivered, and nobody took it")
        check({r: n for r, n in copies.items() if n > 1 + unknown[r]}, {}, "copies of what was not unknown")
        check({r for r in copies if r not in delivered and not unknown[r]}, set(), "taken, and neither delivered nor unknown")
        if self.once:
            check({r: n for r, n in copies.items() if n > 1}, {}, "mailed twice")
        if self.policy == "drop":
            check({r for r, f in finals.items() if next(iter(f))[0] == "failed"}, set(unknown), "dropped")
        if self.policy == "hold":
            check(held, set() if self.released else set(unknown), "held")
        rows = {(e["recipient"], e["row"]) for e in events}
        check(len(rows), len(everybody), "rows doubled by the import")
        total = life.number(r"(\d+) recipients (?:at|are settled)")
        check(total, len(everybody), life.said)
        self.test.duplicates += sum(n - 1 for n in copies.values() if n > 1)


class HeldCampaign(Campaign):
    """Whose rows an operator holds and releases while it is sent, one command a life."""

    def __init__(self, test, kind, policy, number, random_):
        super().__init__(test, kind, policy, number, random_)
        self.control = self.folder / "control"
        self.changed["control"] = self.control
        self.once = policy == "drop"  # What is unknown is released with the others.
        self.held, self.claimed, self.bounced = set(), set(), set()  # When it was at rest.
        self.ever_held = set()

    def ask(self, command, filter_):
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as asked, asked.makefile("r") as answers:
            asked.connect(str(self.control))
            asked.sendall(json.dumps({"command": f"queue {command}", "arguments": {"filter": filter_}}).encode() + b"\n")
            self.answer = json.loads(answers.readline())

    def meanwhile(self, life):
        super().meanwhile(life)
        if not life.imported.is_set():
            return
        self.command = self.random.choice(["hold", "release"] if self.held else ["hold"])
        self.domain = self.random.choice((None, None, *RECEIVERS))
        filter_ = f"campaign={self.name}" + (f",domain={self.domain}" if self.domain else "")
        self.asker = threading.Thread(target=self.ask, args=(self.command, filter_))
        self.asker.start()
        self.asker.join(self.random.choice((None, 0.25 * self.random.random() ** 2)))

    def live_and_die(self, hits):
        before = self.copies()
        self.command = self.answer = None
        killed = super().live_and_die(hits)
        if self.command:
            self.asker.join()
        if self.complete:
            self.compare(before, hits, killed)
        if not killed and self.held:  # All else was settled.
            self.release()
            return self.live_and_die(hits)
        return killed

    def queue(self, *words):
        done = support.command("queue", *words, "--spool", self.changed["spool"], "--json")
        self.test.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def compare(self, before, hits, killed):
        """Its rows, now that nobody sends it, with what they were and what was said meanwhile."""
        rows = self.queue("list", "--filter", f"campaign={self.name},state=any", "--max", 2 * len(self.recipients))
        check, states = self.test.assertEqual, {row["address"]: row["state"] for row in rows}
        check(len(rows), len(self.recipients), "rows")
        check(set(states), set(self.recipients), "lost, or nobody's")
        held, copies = {r for r, state in states.items() if state == "held"}, self.copies()
        check({r for r in self.held & held if copies[r] != before[r]}, set(), "held, and mailed")
        gone = {r for r in self.held - held if not (self.command == "release" and self.said_of(r))}
        check(gone, set(), "held, and not released")
        by_policy = self.claimed if self.policy == "hold" else set()
        new = held - self.held - by_policy
        check({r for r in new if not (self.command == "hold" and self.said_of(r))}, set(), "held by nobody")
        result = (self.answer or {}).get("result")
        check(killed and self.answer is not None and not result, False, self.answer)
        bounced = {r for r, state in states.items() if state == "bounced" and "@nowhere" in r}
        if self.command == "hold" and result:  # What the DNS had said of a name may have been on its way to the spool.
            check(0 <= result["rows"] - len(new) <= len({r for r in bounced - self.bounced if self.said_of(r)}), True,
                  f"{len(new)} of {result['rows']} held")
        if self.command == "release" and result:
            check({r for r in held & self.held if self.said_of(r)}, set(), "released, and held")
        hits["held"] += bool(self.held & held)
        if self.command and not result and killed:
            hits[self.command] += 1
            hits[f"{self.command} in part"] += bool(new if self.command == "hold" else self.held - held) and any(
                self.said_of(r) and state == ("queued" if self.command == "hold" else "held") for r, state in states.items())
        hits["rows held"] += len(new)
        hits["rows released"] += len(self.held - held)
        self.bounced, self.held, self.claimed = bounced, held, {r for r, state in states.items() if state == "claimed"}
        self.ever_held |= held

    def said_of(self, recipient):
        return self.domain is None or recipient.endswith("@" + self.domain)

    def release(self):
        (released,) = self.queue("release", "--filter", f"campaign={self.name}")
        self.test.assertGreaterEqual(released["rows"], len(self.held))
        self.held = set()

    def finish(self, hits):
        self.command = self.answer = None
        before = self.copies()
        self.live_to_the_end(hits, (0, 1))
        self.compare(before, hits, False)
        self.release()
        self.released = True
        life = self.live_to_the_end(hits, (0,))
        told = {e["recipient"] for e in self.events() if e["kind"] == "held"}
        self.test.assertEqual(self.ever_held - told, set(), "held, and nobody was told")
        self.end(life)


class Killed(support.TestCase):
    RECEIVERS = {**RECEIVERS, **{f"d{i}.example": "127.0.0.31" for i in range(DOMAINS)}}

    def setUp(self):
        super().setUp()
        self.sinks = self.world.sinks({address: name.split(".")[0] for name, address in RECEIVERS.items()}, PROFILES)
        self.most_unknown = self.duplicates = 0
        self.seen, self.taken = set(), collections.defaultdict(collections.Counter)

    def copies(self, campaign):
        """Of what the sinks have taken: how often each recipient's mail. Each file is read once."""
        for entry in os.scandir(self.world.folder / "mail" / "new"):
            if entry.name in self.seen:
                continue
            self.seen.add(entry.name)
            with open(entry.path, "rb") as file:
                to = re.search(rb"^Delivered-To: (.*?)\r?$", file.read(2000), re.M)[1].decode()
            self.taken[to.split(".")[0]][to] += 1
            os.unlink(entry.path)
        return self.taken[campaign].copy()

    def test_at_every_step(self):
        random_ = random.Random(SEED)
        hits, kills, number = collections.Counter(), 0, 0
        begun = time.monotonic()
        while kills < KILLS:
            kind = list(KINDS)[number % len(KINDS)]
            policy = ("resend", "drop", "hold")[(number + number // len(KINDS)) % 3]
            with self.subTest(f"{kind}{number}, seed {SEED}, {policy}"):
                campaign = (HeldCampaign if kind == "hold" else Campaign)(self, kind, policy, number, random_)
                for _ in range(min(4 if KILLS < 100 else 12, KILLS - kills)):
                    if not campaign.live_and_die(hits):
                        break
                    kills += 1
                campaign.finish(hits)
            number += 1
            if KILLS >= 100:
                print(f"{kills} kills, {number} campaigns, {time.monotonic() - begun:.0f} s", dict(hits), flush=True)
        counts = self.sinks.stop()["total"]
        print(f"{kills} kills, {number} campaigns, {counts['accepted']} taken, {self.duplicates} twice, "
              f"at most {self.most_unknown} unknown after a kill; kills that found:")
        for step, count in sorted(hits.items()):
            print(f"  {step}: {count}")
        self.assertEqual(counts["accepted"], sum(sum(each.values()) for each in self.taken.values()))
        for step in STEPS if KILLS >= 200 else ("inject", "send"):
            self.assertGreater(hits[step] + (step == "inject") * hits["store"], 0, f"no kill met {step}")


class Listening(submission_test.SubmissionTest):
    """The same for `listen --spool`: what was answered 250 is sent, whenever it is killed."""

    def start(self):
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, "--spool", self.world.folder / "spool",
                                                 port=self.sinks.port, max_age="1d")
        self.submission = self.listener.ports[0]

    def submit_until_killed(self, seconds, answered):
        """How many were tried."""
        client, tried = self.client(), 0
        timer = threading.Timer(seconds, self.listener.process.kill)
        timer.start()
        with contextlib.suppress(smtplib.SMTPException, OSError):
            while True:
                to = f"r{len(answered)}.{self.listener.process.pid}@away.example"
                tried += 1
                client.sendmail("news@brand.example", [to], submission_test.MESSAGE)
                answered.add(to)
        timer.join()
        self.listener.process.wait()
        return tried

    def ended(self):
        return {e["recipient"] for e in self.listener.events if e["kind"] in support.FINAL}

    def test_what_was_answered_is_sent(self):
        self.listener.stop()
        random_, answered, tried = random.Random(SEED), set(), 0
        kills = max(4, KILLS // 10)
        for _ in range(kills):
            self.start()
            tried += self.submit_until_killed(random_.random() * 0.4, answered)
        self.start()
        try:
            loopback.wait_until(lambda: answered <= self.ended(), "the end of all that was answered", self.listener.process)
        except RuntimeError as error:
            missing = answered - self.ended()
            told = [(e["recipient"], e["kind"], e.get("attempt"), e.get("detail"), e.get("due")) for e in self.listener.events
                    if e["recipient"] in missing]
            last = [(e["time"], e["recipient"], e["kind"]) for e in self.listener.events[-3:]]
            self.fail(f"{error}: {len(missing)} of {len(answered)}; their last events: {told[-20:]}; the last of all: {last}\n"
                      f"{self.listener.log.read_text()}")
        self.listener.stop()
        copies = collections.Counter(each.recipient for each in self.world.mail())
        unknown = collections.Counter(e["recipient"] for e in self.listener.events if e.get("detail") == UNKNOWN)
        self.assertEqual(answered - set(copies), set(), "answered 250, and not sent")
        self.assertEqual({r: n for r, n in copies.items() if n > 1 + unknown[r]}, {}, "copies of what was not unknown")
        print(f"{kills} kills of listen, {tried} messages tried, {len(answered)} answered, {len(copies)} sent, "
              f"{sum(n - 1 for n in copies.values())} twice, {sum(unknown.values())} unknown")


if __name__ == "__main__":
    support.main()
