"""What the workloads share: processes with their CPU time, sinks, rounds and medians. Standard library only."""

import hashlib
import json
import os
import pathlib
import pwd
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

PROCESS_SECONDS_MAX = 600  # A hanging contender ends the run; no result depends on it.


class BenchError(Exception):
    """A run that did not do what it measures: a contender failed, or mail was lost, repeated or changed."""


@dataclass
class Usage:
    """One finished process and all it waited for."""

    wall_seconds: float
    cpu_seconds: float  # User and system.
    output: str = field(default="", repr=False)


class Process:
    """A child whose resources are read with wait4(2) at its end."""

    def __init__(self, command, stdin=None):
        self.command = [str(word) for word in command]
        self.out = tempfile.TemporaryFile("w+")
        self.err = tempfile.TemporaryFile("w+")
        self.started = time.monotonic()
        self.child = subprocess.Popen(self.command, stdin=stdin, stdout=self.out, stderr=self.err)

    def read_output(self):
        self.out.seek(0)
        return self.out.read()

    def wait(self, expect_status=0):
        guard = threading.Timer(PROCESS_SECONDS_MAX, self.child.kill)
        guard.start()
        _, status, usage = os.wait4(self.child.pid, 0)
        wall = time.monotonic() - self.started
        guard.cancel()
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.child.returncode != expect_status:
            self.err.seek(0)
            raise BenchError(f"{' '.join(self.command)}: exit status {self.child.returncode}\n{self.err.read()[-2000:]}")
        return Usage(wall, usage.ru_utime + usage.ru_stime, self.read_output())


def run(command):
    return Process(command, stdin=subprocess.DEVNULL).wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Received:
    """What a sink took: how many messages, and the sum modulo 2^64 of digest() over them where the sink reads them."""

    messages: int
    digest: int | None
    usage: Usage
    distinct: int | None = None  # Different Message-IDs.
    signed: int | None = None    # Messages with a DKIM-Signature on top.
    seconds: float | None = None  # From the end of the first message to the end of the last.


def digest(recipient, body):
    """The same as digest() in support/mail.h."""
    return int.from_bytes(hashlib.sha256(recipient.encode() + b"\0" + body).digest()[:8], "big")


class OwnSink:
    """bench_sink: mailsbuddy's sink in a process of its own, which digests every message."""

    name = "mailsbuddy sink"

    def __init__(self, programs, *options):
        self.process = Process([programs / "bench_sink", *options], stdin=subprocess.PIPE)
        self.port = int(wait_for(lambda: re.match(r"port (\d+)\n", self.process.read_output()), self.process)[1])

    def stop(self):
        self.process.child.stdin.close()  # Its sign to end.
        usage = self.process.wait()
        report = json.loads(usage.output.splitlines()[-1])
        return Received(report["messages"], int(report["digest"]), usage, report["distinct"], report["signed"],
                        report["seconds"])


class SmtpSink:
    """Postfix smtp-sink. It counts; what it took is read only where it dumps, which is slow."""

    name = "smtp-sink"

    def __init__(self, dump=False):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-")
        self.dump = pathlib.Path(self.folder.name, "dump") if dump else None
        command = ["/usr/sbin/smtp-sink", "-c"]
        if os.getuid() == 0:  # It refuses to serve as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder.name, nobody.pw_uid, nobody.pw_gid)
            command += ["-u", "nobody"]
        command += ["-D", self.dump] if dump else []
        self.process = Process([*command, f"inet:127.0.0.1:{self.port}", "128"], stdin=subprocess.DEVNULL)
        wait_for(self.answers, self.process)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"220 "
        except ConnectionRefusedError:
            return False

    def stop(self):
        self.process.child.terminate()
        usage = self.process.wait(expect_status=-15)
        counts = re.findall(r"mesg=(\d+)", usage.output)
        received = Received(int(counts[-1]) if counts else 0, None, usage)
        if self.dump:
            received.digest = self.dump_digest(received.messages)
        self.folder.cleanup()
        return received

    def dump_digest(self, messages):
        text = self.dump.read_bytes()
        parts = re.split(rb"(?:\A|(?<=\n))X-Client-Addr: ", text)[1:]
        if len(parts) != messages:
            raise BenchError(f"smtp-sink counted {messages} messages and dumped {len(parts)}")
        total = 0
        for part in parts:
            head, body = part.split(b"\n\n", 1)
            recipient = re.search(rb"^X-Rcpt-Args: <([^>]*)>", head, re.MULTILINE)[1].decode()
            total += digest(recipient, body[:-1].replace(b"\n", b"\r\n"))  # A dump adds an empty line.
        return total % 2**64


def wait_for(ready, process, seconds=30):
    """Waits until ready() gives something; a process that ends first is an error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        if process.child.poll() is not None:
            process.err.seek(0)
            raise BenchError(f"{' '.join(process.command)}: ended at its start\n{process.err.read()[-2000:]}")
        time.sleep(0.01)
    process.child.kill()
    raise BenchError(f"{' '.join(process.command)}: not ready after {seconds} s")


@dataclass
class Report:
    """The outcome of a workload."""

    results: list = field(default_factory=list)
    ratios: dict = field(default_factory=dict)
    floors: dict = field(default_factory=dict)    # Of ratios: what is to be reached.
    ceilings: dict = field(default_factory=dict)  # Of results, by (contender, metric).

    def add(self, contender, metric, values, unit):
        """The median over the rounds."""
        self.results.append(
            {"contender": contender, "metric": metric, "value": statistics.median(values), "unit": unit})

    def ratio(self, name, ours, theirs, floor=None):
        """The median of the ratios round by round: what disturbs a whole round cancels out."""
        self.ratios[name] = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        if floor is not None:
            self.floors[name] = floor


def check(what, got, expected):
    if got != expected:
        raise BenchError(f"{what}: {got}, expected {expected}")


def check_received(who, received, messages, expected_digest):
    """Each message once and intact, as far as the sink can tell."""
    check(f"{who}: messages taken", received.messages, messages)
    if received.digest is not None:
        check(f"{who}: digest of recipients and bodies", received.digest, expected_digest)
    if received.distinct is not None:
        check(f"{who}: different Message-IDs", received.distinct, messages)
