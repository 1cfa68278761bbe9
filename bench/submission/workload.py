"""10 KB messages from smtp-source over 50 connections, each answered when it is durable: our listener in front of the
durable spool, which syncs once for many messages, and Postfix's smtpd with its queue, on the same disk.

Both are asked for the same: after a loss of power what was answered 250 is
there. The load takes a core for itself, so on a machine of few cores it is a bound for whoever is faster.
"""

import json
import pathlib
import re
import subprocess
import tempfile

from loopback import smtp_source
from submission.postfix import NAME as POSTFIX
from submission.postfix import Postfix
from support.harness import Process, Report, check, run, wait_for

MESSAGES = 10_000
SMOKE_MESSAGES = 200
CONNECTIONS = 50
BODY_BYTES = 10_240
RECIPIENT = "bench@receiver.example"  # Our listener takes no mail for the loopback address.
THREADS = 1

OURS = "mailsbuddy listener"


class Listener:
    def __init__(self, programs, folder):
        self.process = Process([programs / "bench_submission_mailsbuddy", folder / "spool", THREADS], stdin=subprocess.PIPE)
        self.port = int(wait_for(lambda: re.match(r"port (\d+)\n", self.process.read_output()), self.process)[1])

    def stop(self):
        """How many messages are in its log, the sum of their digests, and what it all took."""
        self.process.child.stdin.close()
        usage = self.process.wait()
        report = json.loads(usage.output.splitlines()[-1])
        return report["messages"], int(report["digest"]), usage


def measure(programs, messages, rounds, progress):
    connections = min(CONNECTIONS, messages)

    def load(port):
        return run(smtp_source.command(port, messages, connections, BODY_BYTES, RECIPIENT)).wall_seconds

    def ours(folder):
        listener = Listener(programs, folder)
        seconds = load(listener.port)
        count, digest, _ = listener.stop()
        check(f"{OURS}: messages in the spool", count, messages)
        check(f"{OURS}: digest of recipients and bodies", digest, smtp_source.expected_digest(messages, BODY_BYTES, RECIPIENT))
        return seconds

    def postfix(folder):
        server = Postfix(folder)
        seconds = load(server.port)
        check(f"{POSTFIX}: messages in the queue", server.stop(), messages)
        return seconds

    rates = {POSTFIX: [], OURS: []}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        turns = [(POSTFIX, postfix), (OURS, ours)]
        for contender, once in turns if number % 2 == 0 else reversed(turns):
            with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
                rates[contender].append(messages / once(pathlib.Path(folder)))

    report = Report()
    for contender, each in rates.items():
        report.add(contender, "durable messages per second", each, "1/s")
    report.ratio("durable messages per second, mailsbuddy listener / postfix smtpd", rates[OURS], rates[POSTFIX], floor=3.0)
    return report
