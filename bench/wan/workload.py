"""10 KB messages over one connection with a long way to the receiver: how many a second.

A relay on loopback delays each direction by half the round trip. All send to the same sink, without and with CHUNKING, and the
sink tells the time from the end of the first message to the end of the last: what a sender does before and after is not
counted. Postfix's agent has no BDAT, and smtp-source neither that nor EHLO.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from loopback import smtp_source
from support.harness import BenchError, OwnSink, Process, Report, check_received, run, wait_for
from wan import postfix

MESSAGES = 20
SMOKE_MESSAGES = 2
BODY_BYTES = 10_240
ROUND_TRIPS_MS = (20, 100, 200)
AIM_MS = 100  # What is to be reached is said of this one.
WINDOW = 20   # Messages under way at once by BDAT.

DATA, CHUNKING = "mailsbuddy, DATA", "mailsbuddy, CHUNKING"


class Relay:
    def __init__(self, programs, port, round_trip_ms):
        self.process = Process([programs / "bench_wan_relay", port, round_trip_ms], stdin=subprocess.PIPE)
        self.port = int(wait_for(lambda: re.match(r"port (\d+)\n", self.process.read_output()), self.process)[1])
        # It works for a few microseconds at a time and is to be punctual, on a busy machine too.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(self.process.child.pid, os.SCHED_FIFO, os.sched_param(1))

    def stop(self):
        """(what it carried, its usage)"""
        self.process.child.stdin.close()
        usage = self.process.wait()
        return json.loads(usage.output.splitlines()[-1]), usage


def send_ours(in_flight):
    def send(programs, port, count):
        run([programs / "bench_wan_mailsbuddy", port, count, in_flight])

    return send


def send_smtp_source(_, port, count):
    run(smtp_source.command(port, count, 1, BODY_BYTES))


def send_postfix(_, port, count):
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
        sender = postfix.Sender(pathlib.Path(folder), port)
        sender.load(count, BODY_BYTES)
        sender.send()


# contender, sink's options, how it sends, its messages as a multiple of the run's, the most that one round trip can end.
TURNS = (
    (smtp_source.NAME, (), send_smtp_source, 1, 1),
    (postfix.NAME, (), send_postfix, 1, 1),
    (DATA, (), send_ours(2), 4, 1),
    (postfix.NAME, ("chunking",), send_postfix, 1, 1),
    (CHUNKING, ("chunking",), send_ours(WINDOW), 20, WINDOW),
)


def measure(programs, messages, rounds, progress):
    def digest(contender, count):
        if contender in (DATA, CHUNKING):
            return int(run([programs / "bench_loopback_mailsbuddy", "expect", count]).output)
        recipient = postfix.RECIPIENT if contender == postfix.NAME else smtp_source.RECIPIENT
        return smtp_source.expected_digest(count, BODY_BYTES, recipient)

    def once(turn, round_trip_ms):
        contender, options, send, factor, at_once = turn
        who, count = f"{contender} at {round_trip_ms} ms", messages * factor
        sink = OwnSink(programs, *options)
        relay = Relay(programs, sink.port, round_trip_ms)
        send(programs, relay.port, count)
        carried, usage = relay.stop()
        received = sink.stop()
        check_received(who, received, count, digest(contender, count))
        if carried["connections"] != 1:
            raise BenchError(f"{who}: {carried['connections']} connections instead of one")
        if received.seconds < (count - 1) // at_once * round_trip_ms / 1000 * 0.99:
            raise BenchError(f"{who}: {count} messages in {received.seconds:.3f} s; the relay does not delay")
        return (count - 1) / received.seconds, carried["late_us_mean"], 100 * usage.cpu_seconds / usage.wall_seconds

    runs = {(turn[0], turn[1], ms): [] for ms in ROUND_TRIPS_MS for turn in TURNS}
    for number in range(rounds):
        for ms in ROUND_TRIPS_MS:
            progress(f"round {number + 1} of {rounds}, {ms} ms")
            for turn in TURNS if number % 2 == 0 else reversed(TURNS):
                runs[turn[0], turn[1], ms].append(once(turn, ms))

    report = Report()
    rates = {key: [rate for rate, _, _ in each] for key, each in runs.items()}
    for (contender, options, ms), each in rates.items():
        sink = " to a sink with CHUNKING" if options else ""
        report.add(contender, f"messages per second at {ms} ms{sink}", each, "1/s")
        report.add(contender, f"round trips a message at {ms} ms{sink}", [1000 / ms / rate for rate in each], "")
    every = [one for each in runs.values() for one in each]
    report.add("relay", "later than it should be, mean", [late for _, late, _ in every], "us")
    report.add("relay", "busy", [busy for _, _, busy in every], "% of a core")

    def best(ms, *keys):
        return [max(each) for each in zip(*(rates[name, options, ms] for name, options in keys), strict=True)]

    for ms in ROUND_TRIPS_MS:
        peers = best(ms, (smtp_source.NAME, ()), (postfix.NAME, ()))
        chunking_peers = best(ms, (smtp_source.NAME, ()), (postfix.NAME, ()), (postfix.NAME, ("chunking",)))
        aim = ms == AIM_MS
        report.ratio(f"messages per second at {ms} ms, DATA, mailsbuddy / the better peer", rates[DATA, (), ms], peers,
                     floor=1.8 if aim else None)
        report.ratio(f"messages per second at {ms} ms, CHUNKING, mailsbuddy / the best peer",
                     rates[CHUNKING, ("chunking",), ms], chunking_peers, floor=4.0 if aim else None)
    return report
