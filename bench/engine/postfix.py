"""Postfix delivering what is in its queue, with OpenDKIM before it if mail is to be signed, and everything on that makes it
fast: as many delivery agents as connections, which live for ever and keep their connections, no log, no TLS, no DNS."""

import os
import pathlib
import shutil
import subprocess

from loopback import smtp_source
from submission.postfix import Postfix
from support.harness import BenchError, Process, check, free_port, run, wait_for

NAME = "postfix"
SIGNED = "postfix + OpenDKIM"
OPENDKIM = shutil.which("opendkim", path="/usr/sbin:/usr/bin")
RECIPIENT = "bench@receiver.example"
LOAD_CONNECTIONS = 20
TICKS = os.sysconf("SC_CLK_TCK")

MAIN_CF = """\
maillog_file =
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{to_port}
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_connection_cache_destinations = 127.0.0.1
smtp_connection_reuse_time_limit = 3600s
max_use = 1000000
max_idle = 3600s
default_process_limit = 100
initial_destination_concurrency = {connections}
default_destination_concurrency_limit = {connections}
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
transport_retry_time = 1s
"""

OPENDKIM_CONF = """\
Mode s
Domain sender.example
Selector bench
KeyFile {folder}/key.pem
Socket inet:{port}@127.0.0.1
Canonicalization relaxed/relaxed
InternalHosts 127.0.0.0/8
OversignHeaders From
RequireSafeKeys no
Syslog no
"""


def processes():
    """{process id: (parent, its CPU ticks and those of its children that have ended)}"""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # It ended meanwhile.
            continue
        found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    return found


def cpu_seconds(root):
    """Of a process and all below it, as long as they live: those that ended were waited for by their parents."""
    found = processes()
    total, wanted = 0, [root]
    while wanted:
        parent = wanted.pop()
        total += found[parent][1]
        wanted += [pid for pid, (above, _) in found.items() if above == parent]
    return total / TICKS


class Sender(Postfix):
    def __init__(self, folder, to_port, connections, key=None):
        self.to_port, self.connections = to_port, connections
        self.milter_port = free_port() if key else None
        self.opendkim = self.start_opendkim(folder, key) if key else None
        super().__init__(folder)

    def start_opendkim(self, folder, key):
        if OPENDKIM is None:
            raise BenchError("opendkim is not installed")
        shutil.copy(key, folder / "key.pem")
        (folder / "opendkim.conf").write_text(OPENDKIM_CONF.format(folder=folder, port=self.milter_port))
        return Process([OPENDKIM, "-f", "-x", folder / "opendkim.conf"], stdin=subprocess.DEVNULL)

    def more_main_cf(self):
        text = MAIN_CF.format(to_port=self.to_port, connections=self.connections)
        if self.milter_port:
            text += f"smtpd_milters = inet:127.0.0.1:{self.milter_port}\nmilter_default_action = tempfail\n"
        return text

    def load(self, messages, body_bytes):
        """Into the queue, while nothing takes them out; CPU seconds that took."""
        run(smtp_source.command(self.port, messages, min(LOAD_CONNECTIONS, messages), body_bytes, RECIPIENT))
        check(f"{NAME}: messages in its queue", self.queued("incoming"), messages)
        used = cpu_seconds(self.process.child.pid)
        if self.opendkim:
            used += cpu_seconds(self.opendkim.child.pid)
            self.opendkim.child.terminate()
            self.opendkim.child.wait(30)
        self.stop()
        return used

    def send(self):
        """Delivers all; CPU seconds that took."""
        services = ["qmgr unix n - n 300 1 qmgr", f"smtp unix - - n - {self.connections} smtp",
                    "scache unix - - n - 1 scache", "tlsmgr unix - - n 1000? 1 tlsmgr", "error unix - - n - - error",
                    "retry unix - - n - - error"]
        services += [f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")]
        self.start([*self.services(), *services])
        wait_for(lambda: self.queued("incoming", "active", "deferred", "maildrop") == 0, self.process, seconds=600)
        used = cpu_seconds(self.process.child.pid)
        self.stop()
        return used
