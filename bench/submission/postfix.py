"""Postfix smtpd in a folder of its own: each message a synced file in its hold queue, the least it can do with one."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess

from support.harness import BenchError, Process, free_port, wait_for

NAME = "postfix smtpd"
DAEMONS = pathlib.Path("/usr/lib/postfix/sbin")
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace",
          "maildrop", "public", "pid")

# in_flow_delay would slow down reception while nothing is delivered.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = bench.example
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
in_flow_delay = 0
"""


class Postfix:
    def __init__(self, folder):
        if os.geteuid() != 0 or not (DAEMONS / "master").exists():
            raise BenchError("Postfix and root are needed: its master starts processes as several users")
        self.folder, self.port = folder, free_port()
        owner = pwd.getpwnam("postfix").pw_uid
        folder.chmod(0o755)
        for name in QUEUES:
            path = folder / "queue" / name
            path.mkdir(parents=True)
            if name != "pid":
                os.chown(path, owner, -1)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            shutil.chown(folder / "queue" / name, group="postdrop")
            (folder / "queue" / name).chmod(mode)
        (folder / "data").mkdir()
        os.chown(folder / "data", owner, -1)
        (folder / "main.cf").write_text(MAIN_CF.format(folder=folder, daemons=DAEMONS) + self.more_main_cf())
        self.start(self.services())

    def more_main_cf(self):
        # HOLD: cleanup moves the file aside, and no queue manager takes processor or disk from the reception measured.
        return "smtpd_recipient_restrictions = check_client_access static:HOLD, permit_mynetworks, reject\n"

    def services(self):
        """What takes mail into the queue, and nothing that takes it out."""
        return [f"127.0.0.1:{self.port} inet n - n - - smtpd", "cleanup unix n - n - 0 cleanup",
                "rewrite unix - - n - - trivial-rewrite", "anvil unix - - n - 1 anvil",
                "postlog unix-dgram n - n - 1 postlogd", "proxymap unix - - n - - proxymap"]

    def start(self, services):
        (self.folder / "master.cf").write_text("\n".join(services) + "\n")
        self.process = Process([DAEMONS / "master", "-c", self.folder, "-d"], stdin=subprocess.DEVNULL)
        wait_for(self.answers, self.process)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def queued(self, *queues):
        """How many messages are in these queues."""
        return sum(len(files) for queue in queues for _, _, files in os.walk(self.folder / "queue" / queue))

    def stop(self):
        """How many messages it holds."""
        self.process.child.terminate()
        self.process.child.wait(30)  # It ends its own children first; its status says nothing.
        return self.queued("hold")
