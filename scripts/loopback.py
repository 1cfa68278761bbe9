"""Servers on this machine's loopback, for the demo and the integration tests: a DNS server and receivers.

All are child processes, each ended by its own process id. What cannot be started is a RuntimeError that says why.
"""

import contextlib
import json
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import dns.resolver

START_SECONDS = 30  # A server that is not up by then will not come up. Under sanitizers on a busy machine all is slow.


def free_port(addresses):
    """A port that is free on all the addresses, for TCP and UDP; below those that outgoing connections take."""
    for _ in range(100):
        port = random.randrange(10000, 32000)
        with contextlib.ExitStack() as stack:
            try:
                for address in addresses:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((address, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port on " + ", ".join(addresses))


def wait_until(condition, what, process=None, log=None):
    """Returns the condition's first value that is true. The process, if given, must live on meanwhile."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        if value := condition():
            return value
        time.sleep(0.05)
    words = f":\n{log.read_text(errors='replace')}" if log and log.exists() else ""
    raise RuntimeError(f"{what} did not come up{words}")


class Children:
    """Starts processes and ends each by its process id."""

    def __init__(self):
        self.processes = []

    def start(self, command, **options):
        process = subprocess.Popen(command, **options)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGCONT)  # A stopped process does not see the first.
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self.processes.clear()


class Key:
    """A new DKIM key of the command under test: `file`, and `record`, the line of a zone file that publishes it."""

    def __init__(self, program, folder, domain, selector):
        self.domain, self.selector, self.file = domain, selector, folder / f"{domain}.pem"
        self.file.write_bytes(subprocess.run([program, "dkim", "keygen"], check=True, capture_output=True).stdout)
        with open(self.file, encoding="ascii") as pem:
            record = [program, "dkim", "record", selector, domain]
            self.record = subprocess.run(record, stdin=pem, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def option(self):
        return f"{self.domain}:{self.selector}:{self.file}"


def sign_zone(folder):
    """Signs example.zone in its place; the file with the keys to trust."""
    def run(*command):
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    make = ["ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256"]
    key, zone_key = run(*make, "-k", "example"), run(*make, "example")
    run("ldns-signzone", "-f", "signed.zone", "example.zone", zone_key, key)
    (folder / "signed.zone").rename(folder / "example.zone")
    return folder / f"{key}.key"


class NameServer:
    """NSD, serving one zone, `example`. Its records are lines of a zone file. With `sign` the zone is signed by DNSSEC
    (ldnsutils), and `anchors` is the file with its keys."""

    def __init__(self, children, folder, records, sign=False):
        self.port = free_port(["127.0.0.1"])
        self.endpoint = f"127.0.0.1:{self.port}"
        start = ["$ORIGIN example.", "$TTL 300", "@ SOA ns.example. admin.example. 1 3600 900 86400 60",
                 "@ NS ns", "ns A 127.0.0.1"]
        (folder / "example.zone").write_text("\n".join([*start, *records]) + "\n")
        if sign:
            self.anchors = sign_zone(folder)
        (folder / "nsd.conf").write_text(
            f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
"""
        )
        log = folder / "nsd.log"
        program = shutil.which("nsd") or "/usr/sbin/nsd"  # /usr/sbin is not on everyone's PATH.
        with open(log, "wb") as out:
            process = children.start([program, "-d", "-c", str(folder / "nsd.conf")], stdout=out, stderr=out)
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers, self.resolver.port = ["127.0.0.1"], self.port
        self.resolver.lifetime = 0.1  # Whoever asks before it listens gets no answer at all.
        wait_until(lambda: self.answers("example.", "SOA"), "NSD", process, log)
        self.resolver.lifetime = 10

    def answers(self, name, kind):
        try:
            return self.resolver.resolve(name, kind)
        except Exception:
            return None

    def txt(self, name, timeout=5):
        """What dkimpy's dnsfunc= wants: the record's bytes, or None."""
        try:
            return b"".join(self.resolver.resolve(name.decode(), "TXT")[0].strings)
        except dns.resolver.NXDOMAIN:
            return None


class Sinks:
    """`mailsbuddy sink` on one port of the given addresses: {address: profile name}, with {profile name: settings}."""

    def __init__(self, children, program, folder, listeners, profiles, options=(), port=None):
        self.children, self.process = children, None
        self.port = port or free_port(list(listeners))
        name = f"sink-{next(iter(listeners))}"
        self.ports = folder / f"{name}.ports"
        self.log = folder / f"{name}.log"
        self.command = [program, "sink", "--json", "--port-file", str(self.ports), *options]
        for name, settings in profiles.items():
            self.command += ["--profile", f"{name}:{settings}"]
        for address, profile in listeners.items():
            self.command += ["--listen", f"{address}:{self.port}={profile}"]

    def start(self):
        self.ports.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = self.children.start(self.command, stdout=subprocess.PIPE, stderr=log)
        wait_until(self.ports.exists, "the receivers", self.process, self.log)
        return self

    def stop(self):
        """Ends the receivers; what they counted."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=START_SECONDS)
        if self.process.returncode != 0:
            raise RuntimeError(f"mailsbuddy sink ended with {self.process.returncode}: {self.log.read_text()}")
        return json.loads(out)

    def kill(self):
        """Ends them as a crash would."""
        self.process.kill()
        self.process.communicate()


def maildir_files(maildir):
    """What came into a maildir, oldest name first; nothing, where it is not made yet."""
    return sorted((pathlib.Path(maildir) / "new").glob("*"))
