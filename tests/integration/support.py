"""What the integration tests share: the real command in a folder of its own, beside real servers on loopback.

Run by CTest, which names the command under test in MAILSBUDDY and the libopendkim verifier in OPENDKIM_VERIFY.
"""

import collections
import contextlib
import csv
import email
import email.errors
import email.policy
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import dkim

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import loopback  # noqa: E402

SKIPPED = 77  # CTest's SKIP_RETURN_CODE.
PROGRAM = os.environ["MAILSBUDDY"]
SENDER = "brand.example"
RUN_SECONDS = 60  # No run of the command here takes that long, not even under a sanitizer.
EGRESS = {"127.0.0.2": "mx1.brand.example", "127.0.0.3": "mx2.brand.example"}
FINAL = {"delivered", "bounced", "suppressed", "expired", "cancelled", "failed"}
TEMPLATE = "Subject: Hello {{ name }}\nContent-Type: text/plain; charset=utf-8\n\nDear {{ name }},\nspring is here.\n"


def command(*arguments, text=None, **options):
    """Runs the command to its end."""
    return subprocess.run([PROGRAM, *map(str, arguments)], input=text, capture_output=True, text=True, encoding="utf-8",
                          errors="surrogateescape", timeout=RUN_SECONDS, check=False, **options)


# What Postfix logs of a client that does wrong; the file system's clock is none of its doing.
POSTFIX_COMPLAINTS = (r"(?i)(warning: (?!file system clock|resetting file time stamps)|fatal|panic|"
                      r"improper command pipelining)")


class Run(collections.namedtuple("Run", "status stdout stderr events")):
    """One ended `mailsbuddy send`."""

    @property
    def finals(self):
        """The final event of each recipient; a second one is an error."""
        settled = {}
        for event in self.events:
            if event["kind"] in FINAL:
                assert event["recipient"] not in settled, f"{event['recipient']} is settled twice"
                settled[event["recipient"]] = event
        return settled

    def recipients(self, kind):
        return {recipient for recipient, event in self.finals.items() if event["kind"] == kind}

    @property
    def unknown(self):
        """Recipients that some attempt left without the answer to their end of data: these may be mailed twice."""
        return {e["recipient"] for e in self.events if e["stage"] == "final_dot" and e["cause"] != "reply"}


class Received:
    """A message in a maildir: `raw` as on the wire, below the trace fields that the receiver put on top."""

    def __init__(self, file):
        stored = file.read_bytes()
        self.line_ends_kept = b"\r\n" in stored
        self.stored = stored if self.line_ends_kept else stored.replace(b"\n", b"\r\n")
        start = self.stored.find(b"DKIM-Signature:")
        self.raw = self.stored[max(start, 0):]
        trace = self.stored[:max(start, 0)].decode()  # UTF-8 as it is (RFC 6532): nothing for Python's parser.
        self.recipient = re.search(r"^Delivered-To: (.*)\r$", trace, re.M)[1]
        self.return_path = re.search(r"^Return-Path: (.*)\r$", trace, re.M)[1]
        self.internationalised = not self.recipient.isascii()  # Its To is UTF-8 as it is (RFC 6532).
        if self.internationalised:
            self.message = email.message_from_string(self.raw.decode(), policy=email.policy.default)
        else:
            self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    def part(self, kind):
        """The decoded text of the one part of that type, "text/plain" say."""
        (content,) = [p.get_content() for p in self.message.walk() if p.get_content_type() == kind]
        return content


class World:
    """A folder with a key, a DNS server that publishes it and the receivers, and whatever else a test starts."""

    def __init__(self, receivers):
        """receivers: {domain: address} below `example`."""
        self.children = loopback.Children()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailsbuddy-test-"))
        self.folder.chmod(0o711)  # Receivers that give up root for a user of their own pass through.
        self.runs = 0
        try:
            self.key = loopback.Key(PROGRAM, self.folder, SENDER, "s1")
            records = [f"{SENDER}. MX 10 mx.{SENDER}.", f"mx.{SENDER}. A 127.0.0.2", self.key.record]
            for domain, address in receivers.items():
                records += [f"{domain}. MX 10 mx.{domain}.", f"mx.{domain}. A {address}"]
            self.name_server = loopback.NameServer(self.children, self.folder, records)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.children.stop()
        if os.environ.get("MAILSBUDDY_KEEP"):  # For a look at what went wrong.
            print("kept:", self.folder, file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def sinks(self, listeners, profiles, port=None):
        """Receivers that keep what they take in folder/mail."""
        keep = ["--maildir", str(self.folder / "mail")]
        return loopback.Sinks(self.children, PROGRAM, self.folder, listeners, profiles, keep, port).start()

    def mail(self):
        """What the sinks have received."""
        return maildir(self.folder / "mail")

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def write_rows(self, name, columns, rows):
        with open(self.folder / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
        return self.folder / name

    def options(self, **changed):
        """The options of a `send` that works, with changes: {"from": ...}; None leaves one out, a list repeats it."""
        values = {
            "template": self.folder / "template.eml", "recipients": self.folder / "rows.csv",
            "from": f"News <news@{SENDER}>", "dkim": self.key.option, "dns": self.name_server.endpoint,
            "egress": [f"{ip}={name}" for ip, name in EGRESS.items()],
            "unsubscribe": f"https://{SENDER}/u/{{{{ mb_token }}}}", "rate": 0, "first-retry": "1s", "max-age": "60s",
            "allow-target": "127.0.0.0/8",
        }
        values.update({name.replace("_", "-"): value for name, value in changed.items()})
        words = []
        for name, value in values.items():
            for each in value if isinstance(value, list) else [value]:
                words += [] if each is None else [f"--{name}", str(each)]
        return words

    def start_send(self, *flags, **changed):
        """Starts a `send` in the background; finish() waits for it."""
        self.runs += 1
        events = changed.setdefault("events", self.folder / f"events{self.runs}.jsonl")
        process = self.children.start([PROGRAM, "send", *self.options(**changed), *flags], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        process.events = pathlib.Path(events)
        return process

    @staticmethod
    def finish(process):
        stdout, stderr = process.communicate(timeout=RUN_SECONDS)
        text = process.events.read_text(encoding="utf-8") if process.events.exists() else ""
        events = [json.loads(line) for line in text.splitlines()]
        return Run(process.returncode, stdout, stderr, [event for event in events if event["kind"] != "decision"])

    def send(self, *flags, **changed):
        return self.finish(self.start_send(*flags, **changed))

    def wait_for_events(self, process, count):
        """Until that many events are logged; the run must not end before."""
        loopback.wait_until(lambda: process.events.exists() and process.events.read_bytes().count(b"\n") >= count,
                            f"{count} events", process)


class TestCase(unittest.TestCase):
    """A test with a World, `self.world`, made from the class's RECEIVERS."""

    RECEIVERS = {}
    maxDiff = 4000

    def setUp(self):
        self.world = World(self.RECEIVERS)
        self.addCleanup(self.world.close)

    def check_sane(self, received):
        """It is a message that any receiver can take and store: RFC 5322 2.1 and 2.3, and Python finds no defect."""
        lines = received.raw.split(b"\r\n")
        self.assertEqual(lines[-1], b"", "does not end with CRLF")
        for line in lines:
            self.assertNotRegex(line, b"[\r\n\0]")
            self.assertLessEqual(len(line), 998)
        defects = [d for part in received.message.walk() for d in part.defects]
        defects += [d for part in received.message.walk() for header in part.values() for d in header.defects]
        if received.internationalised:  # RFC 6532 allows what Python reports of every such message.
            defects = [d for d in defects if not isinstance(d, email.errors.NonASCIILocalPartDefect)]
        self.assertEqual(defects, [])
        for name in ("From", "To", "Date", "Message-ID", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post",
                     "List-Id", "Feedback-ID"):
            self.assertEqual(len(received.message.get_all(name, [])), 1, name)

    def check_dkim(self, received):
        self.assertTrue(dkim.verify(received.raw, dnsfunc=self.world.name_server.txt), received.recipient)

    def check_received_once(self, mail, recipients):
        """The recipients' mail, each once, and nobody else's."""
        counted = collections.Counter(received.recipient for received in mail)
        self.assertEqual({r: n for r, n in counted.items() if n != 1}, {}, "came more than once")
        self.assertEqual(set(counted), set(recipients))


def read_csv(path):
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.reader(file))


def maildir(folder):
    return [Received(file) for file in loopback.maildir_files(folder)]


def interrupt(process):
    process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def stopped(process, seconds):
    """The process hangs meanwhile, and for so long at least."""
    until = time.monotonic() + seconds
    process.send_signal(signal.SIGSTOP)
    yield
    time.sleep(max(0, until - time.monotonic()))
    process.send_signal(signal.SIGCONT)


def main():
    """unittest.main(), but when all is skipped the exit status says so to CTest."""
    result = unittest.main(exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped and len(result.skipped) >= result.testsRun else 0)
