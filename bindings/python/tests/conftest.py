"""What the tests share: receivers on loopback, which are `mailsbuddy sink` processes, and an engine that sends to them."""

import contextlib
import json
import os
import pathlib
import quopri
import re
import signal
import subprocess
import threading

import mailsbuddy as mb
import pytest

PROGRAM = os.environ.get("MAILSBUDDY", "")
END_SECONDS = 60  # A receiver that has not ended by then will not end: the limit of a failure, no wait.
EML = "Subject: Hello {{ name }}\n\nDear {{ name }} of {{ city }},\nspring is here.\n"
LETTER = "From: News <news@brand.example>\nSubject: x\n\nx\n"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class Sink:
    """A receiver with the settings of one profile, as `mailsbuddy sink --help` has them."""

    def __init__(self, folder, settings="", options=()):
        folder.mkdir()
        command = [PROGRAM, "sink", "--json", "--listen", "127.0.0.1:0=it", "--profile",
                   f"it:{settings}", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        listening = self.process.stderr.readline().decode()  # "listening on 127.0.0.1:PORT (it)"
        assert listening.startswith("listening on "), listening + self.process.stderr.read().decode()
        self.port = int(listening.split()[2].rsplit(":", 1)[1])

    def stop(self):
        """Ends it; what it counted."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=END_SECONDS)
        assert self.process.returncode == 0, err
        return json.loads(out)["total"]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def sinks(tmp_path):
    """sinks(settings): another receiver."""
    started = []

    def start(settings="latency=0s", options=()):
        started.append(Sink(tmp_path / f"sink{len(started)}", settings, options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def sink(sinks):
    return sinks()


def options_for(sink, **more):
    """Options of an engine that sends all mail to a receiver."""
    return {"egress": [mb.EgressIp("127.0.0.1", "mx1.brand.example")], "relays": {"*": f"smtp://127.0.0.1:{sink.port}"},
            "limits": "* ip messages_per_second=0", "workers": 1, "cpu_threads": 1, "first_retry": 1, "tls": "none", **more}


def settle():
    """Returns at a moment when all other threads of this process sleep: what a program that forks must do in a test.

    A fork copies a lock as another thread has it. Python's, glibc's and our own are seen to; the allocator's of gcc 12's
    address sanitizer are not, and the child would wait for one for good."""
    before = None
    while True:
        others = {}
        for task in pathlib.Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # It has ended.
                if int(task.name) != threading.get_native_id():
                    status = (task / "status").read_text()
                    others[task.name] = re.findall(r"^(?:State|\w*voluntary_ctxt_switches):\s+(\S+)", status, re.MULTILINE)
        if others == before and all(state == "S" for state, *_ in others.values()):
            return  # None has run between the two looks.
        before = others


@pytest.fixture
def engines(request):
    """engines(sink, **options): another engine, closed at the end."""
    opened = []

    def start(sink, **more):
        opened.append(mb.Engine.open(**options_for(sink, **more)))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def engine(engines, sink):
    return engines(sink)


def campaign(id="spring", **more):
    return mb.Campaign(id, content=mb.Template.parse_eml(EML), sender="News <news@brand.example>",
                       return_path_domain="bounce.brand.example", account="brand", **more)


def rows(count, domain="readers.example"):
    return [{"email": f"user{i}@{domain}", "name": f"Reader {i}", "city": "Rome"} for i in range(count)]


def mail_in(folder):
    """What a receiver with --maildir has kept, as text, quoted-printable decoded."""
    return [quopri.decodestring(path.read_bytes()).decode() for path in sorted((pathlib.Path(folder) / "new").iterdir())]
