"""What the machine has no more of is said, delivery goes on, and intake takes again when there is some: without a restart."""

import os
import resource
import select
import smtplib
import socket
import subprocess
import unittest

import events_test
import submission_test
import support
from support import loopback

ROOM, LITTLE = "320m", "200m"  # With less than 256 MB free the spool takes nothing new (RocksSpoolOptions::reserve_bytes).


class Disk:
    """A file system whose size changes while it is used."""

    def __init__(self, test):
        self.path = test.enterContext(events_test.small_disk(test.world.folder / "disk", 320 << 10))

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    def fill(self):
        """Leaves some KB."""
        state = os.statvfs(self.path)
        self.resize(f"{(state.f_blocks - state.f_bfree) * state.f_frsize // 1024 + 16}k")


def answer_to(client, recipient):
    """The code and the words of the answer to a message; None: it was taken."""
    try:
        client.sendmail("news@brand.example", [recipient], submission_test.MESSAGE)
    except smtplib.SMTPSenderRefused as refused:
        return refused.smtp_code, refused.smtp_error.decode()
    except smtplib.SMTPDataError as refused:
        return refused.smtp_code, refused.smtp_error.decode()
    return None


class Listening(submission_test.SubmissionTest):
    def begin(self, spool, profile="starttls,defer=100%,sticky"):
        """Every recipient is deferred once, so that what was taken before has still to go."""
        self.listener.stop()
        self.sinks.stop()
        self.sinks = self.world.sinks({submission_test.AWAY: "away"}, {"away": profile})
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, "--spool", spool, port=self.sinks.port)
        self.submission = self.listener.ports[0]
        return self.client()

    def wait_for(self, kind, recipient):
        loopback.wait_until(lambda: [e for e in self.listener.events if (e["kind"], e["recipient"]) == (kind, recipient)],
                            f"{kind} {recipient}", self.listener.process, self.listener.log)

    def until_taken(self, client, recipient):
        loopback.wait_until(lambda: answer_to(client, recipient) is None, f"250 for {recipient}", self.listener.process,
                            self.listener.log)

    def test_disk_that_is_almost_full(self):
        disk = Disk(self)
        client = self.begin(disk.path / "spool")
        self.assertIsNone(answer_to(client, "before@away.example"))
        disk.resize(LITTLE)
        loopback.wait_until(lambda: answer_to(client, "meanwhile@away.example"), "a refusal", self.listener.process)
        code, words = answer_to(client, "meanwhile@away.example")
        self.assertEqual(code, 452)
        self.assertIn("4.3.1", words)
        self.wait_for("delivered", "before@away.example")
        self.assertIsNotNone(answer_to(client, "meanwhile@away.example"))
        disk.resize(ROOM)
        self.until_taken(client, "after@away.example")
        self.wait_for("delivered", "after@away.example")
        self.assertEqual({mail.recipient for mail in self.world.mail()} - {"meanwhile@away.example"},
                         {"before@away.example", "after@away.example"})

    def test_disk_that_is_full(self):
        disk = Disk(self)
        client = self.begin(disk.path / "spool")
        self.assertIsNone(answer_to(client, "before@away.example"))
        self.wait_for("deferred", "before@away.example")
        disk.fill()
        refusals = []
        loopback.wait_until(lambda: refusals.append(answer_to(client, "meanwhile@away.example")) or refusals[-1], "a refusal",
                            self.listener.process)
        self.assertEqual(refusals[-1][0] // 100, 4, refusals[-1])
        disk.resize(ROOM)
        self.until_taken(client, "after@away.example")
        for recipient in ("before@away.example", "after@away.example"):
            self.wait_for("delivered", recipient)

    # UBSan opens a pipe to see whether it may look at an object, and takes a failure for a wrong object.
    @unittest.skipIf("asan" in support.PROGRAM or "tsan" in support.PROGRAM, "a sanitizer needs files of its own")
    def test_too_many_files(self):
        client = self.begin(self.world.folder / "spool", "starttls,messages-per-connection=1")
        pid = self.listener.process.pid
        self.assertIsNone(answer_to(client, "before@away.example"))
        self.wait_for("delivered", "before@away.example")
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))  # What is open stays so, and no more is opened.
        taken = []
        for number in range(5):
            refused = answer_to(client, f"r{number}@away.example")
            if refused is None:
                taken.append(f"r{number}@away.example")
            else:  # It was told so.
                self.assertEqual(refused[0] // 100, 4, refused)
        self.assertTrue(taken)
        late = socket.create_connection(("127.0.0.1", self.submission), 30)  # By the system: nobody accepts it.
        self.addCleanup(late.close)
        loopback.wait_until(lambda: [e for e in self.listener.events if e["kind"] == "deferred" and e["recipient"] in taken
                                     and "too many open files" in str(e).lower()], "a deferral", self.listener.process)
        self.assertEqual(select.select([late], [], [], 0.5)[0], [])
        self.assertIsNone(self.listener.process.poll())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        with late.makefile("rb") as said:
            self.assertTrue(said.readline().startswith(b"220 "))
        self.until_taken(self.client(), "after@away.example")
        for recipient in [*taken, "after@away.example"]:
            self.wait_for("delivered", recipient)
        self.listener.stop()


class Sending(support.TestCase):
    RECEIVERS = {"quick.example": "127.0.0.31"}

    def setUp(self):
        super().setUp()
        self.world.write("template.eml", support.TEMPLATE)
        self.everybody = {f"user{number}@quick.example" for number in range(50)}
        self.world.write_rows("rows.csv", ["email", "name"], [[each, "Ann"] for each in self.everybody])
        self.sinks = self.world.sinks({"127.0.0.31": "good"}, {"good": ""})

    def test_disk_that_is_almost_full(self):
        disk = Disk(self)
        disk.resize(LITTLE)
        refused = self.world.send(port=self.sinks.port, spool=disk.path / "spool", campaign="spring")
        self.assertEqual(refused.status, 2, refused.stderr)
        self.assertRegex(refused.stderr, r"\d+ MB are free on its disk, and 256 MB are kept")
        disk.resize(ROOM)
        run = self.world.send(port=self.sinks.port, spool=disk.path / "spool", campaign="spring")
        self.assertEqual(run.status, 0, run.stderr)
        self.check_received_once(self.world.mail(), self.everybody)

    def test_disk_that_fills_while_it_sends(self):
        disk = Disk(self)
        process = self.world.start_send(port=self.sinks.port, spool=disk.path / "spool", campaign="spring", rate=20)
        self.world.wait_for_events(process, 5)
        disk.fill()
        loopback.wait_until(lambda: len(self.world.mail()) >= 10, "some mail", process)
        disk.resize(ROOM)
        run = self.world.finish(process)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("delivered"), self.everybody)
        self.check_received_once(self.world.mail(), self.everybody)

    @unittest.skipIf("asan" in support.PROGRAM or "tsan" in support.PROGRAM, "a sanitizer's allocator counts nothing")
    def test_more_memory_than_it_may_use(self):
        refused = self.world.send(port=self.sinks.port, campaign="spring", memory_max=1)
        self.assertEqual(refused.status, 2, refused.stderr)
        self.assertRegex(refused.stderr, r"\d+ MB of memory are used, and 1 MB may be")


if __name__ == "__main__":
    support.main()
