"""Events reach their file, whatever becomes of the file and of the process: what is not in it is in the spool."""

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import unittest

import submission_test
import support
from support import loopback

FULL = pathlib.Path("/dev/full")  # Takes nothing, as a disk that is full: ENOSPC.
WAITING = "events wait until they can be written"
AGAIN = "events are written to"


def events_of(file):
    """Each line whole, each recipient settled once."""
    events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return support.Run(0, "", "", [event for event in events if event["kind"] != "decision"])


class Said:
    """A process' standard error, read from a file while it runs."""

    def __init__(self, folder, children, command, **options):
        self.log = folder / "send.log"
        with open(self.log, "wb") as log:
            self.process = children.start([str(word) for word in command], stdout=subprocess.PIPE, stderr=log, **options)

    @property
    def text(self):
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, words):
        loopback.wait_until(lambda: words in self.text, words, self.process, self.log)

    def end(self):
        self.process.communicate(timeout=support.RUN_SECONDS)
        return self.process.returncode


@contextlib.contextmanager
def small_disk(folder, kilobytes):
    """A file system of that size, mounted there."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        raise unittest.SkipTest("a file system can be mounted by root alone")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Events(support.TestCase):
    RECEIVERS = {"quick.example": "127.0.0.31"}

    def setUp(self):
        super().setUp()
        self.everybody = {f"user{number}@quick.example" for number in range(300)}
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], [[each, "Ann"] for each in sorted(self.everybody)])
        self.sinks = self.world.sinks({"127.0.0.31": "good"}, {"good": ""})
        self.spool = self.world.folder / "spool"
        self.temporary = self.world.folder / "temporary"
        self.temporary.mkdir()
        self.log_folder = self.world.folder

    def start(self, *words, events, **changed):
        changed = {"campaign": "spring", "port": self.sinks.port, "events": events, **changed}
        return Said(self.log_folder, self.world.children, [support.PROGRAM, "send", *self.world.options(**changed), *words],
                    env={**os.environ, "TMPDIR": str(self.temporary)})

    def resume(self, spool):
        """What a second process reports of all that the first one did not."""
        file = self.world.folder / "resumed.jsonl"
        words = ["--dkim", self.world.key.option, "--port", self.sinks.port, "--dns", self.world.name_server.endpoint, "--allow-target", "127.0.0.0/8"]
        done = support.command("resume", "--spool", spool, "--events", file, "--egress", "127.0.0.2=mx1.brand.example", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return events_of(file).recipients("delivered")

    def wait_until_settled(self, run, control):
        def settled():
            asked = support.command("campaign", "status", "spring", "--control", control, "--json")
            return asked.returncode == 0 and json.loads(asked.stdout)["recipients"]["delivered"] == len(self.everybody)
        loopback.wait_until(settled, "the end of the campaign", run.process, run.log)

    def test_disk_fills_and_empties_again(self):
        with small_disk(self.world.folder / "disk", 64) as disk:
            filler, events = disk / "filler", disk / "events.jsonl"
            filler.write_bytes(b"x" * (56 << 10))  # Leaves room for some lines.
            run = self.start(events=events, spool=self.spool)
            run.wait_for(WAITING)
            self.assertIn("No space left on device", run.text)
            loopback.wait_until(lambda: len(self.world.mail()) == len(self.everybody), "all mail", run.process, run.log)
            self.assertIsNone(run.process.poll())
            written = events.read_bytes()
            self.assertTrue(written == b"" or written.endswith(b"\n"), "a line is cut off")
            subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
            self.assertEqual(run.end(), 0, run.text)
            self.assertEqual(events_of(events).recipients("delivered"), self.everybody)
            self.assertEqual((run.text.count(WAITING), run.text.count(AGAIN)), (1, 1), run.text)

    def test_disk_with_what_is_said_fills_and_empties_again(self):
        with small_disk(self.world.folder / "disk", 64) as disk:
            events, self.log_folder = disk / "events.jsonl", disk
            (disk / "filler").write_bytes(b"x" * (64 << 10))
            run = self.start("--trace", "all", events=events, spool=self.spool)
            loopback.wait_until(lambda: len(self.world.mail()) == len(self.everybody), "all mail", run.process, run.log)
            self.assertIsNone(run.process.poll())
            self.assertEqual(run.text, "")
            subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
            self.assertEqual(run.end(), 0, run.text)
            self.assertEqual(events_of(events).recipients("delivered"), self.everybody)

    def test_interrupted_while_nothing_can_be_written(self):
        run = self.start(events=FULL, spool=self.spool)
        run.wait_for(WAITING)
        loopback.wait_until(lambda: len(self.world.mail()) == len(self.everybody), "all mail", run.process, run.log)
        support.interrupt(run.process)
        self.assertEqual(run.end(), 1, run.text)
        self.assertRegex(run.text, r"\d+ events are not written: /dev/full: No space left on device")
        self.assertIn(f"kept in {self.spool}", run.text)
        self.assertEqual(self.resume(self.spool), self.everybody)
        self.assertEqual(len(self.world.mail()), len(self.everybody))

    def test_temporary_spool_is_kept_with_what_is_not_reported(self):
        run = self.start(events=FULL)
        run.wait_for(WAITING)
        loopback.wait_until(lambda: len(self.world.mail()) == len(self.everybody), "all mail", run.process, run.log)
        support.interrupt(run.process)
        self.assertEqual(run.end(), 1, run.text)
        (kept,) = self.temporary.iterdir()
        self.assertIn(f"mailsbuddy resume --spool {kept} goes on with them", run.text)
        self.assertEqual(self.resume(kept), self.everybody)

    def test_temporary_spool_is_kept_with_what_is_not_sent(self):
        run = self.start(events=self.world.folder / "events.jsonl", rate=20)
        loopback.wait_until(lambda: len(self.world.mail()) >= 10, "some mail", run.process, run.log)
        support.interrupt(run.process)
        self.assertEqual(run.end(), 1, run.text)
        first = events_of(self.world.folder / "events.jsonl").recipients("delivered")
        (kept,) = self.temporary.iterdir()
        self.assertIn(f"mailsbuddy resume --spool {kept} goes on with them", run.text)
        second = self.resume(kept)
        self.assertEqual(first & second, set())
        self.assertEqual(first | second, self.everybody)
        self.check_received_once(self.world.mail(), self.everybody)

    def test_temporary_spool_goes_when_all_is_done(self):
        run = self.start(events=self.world.folder / "events.jsonl")
        self.assertEqual(run.end(), 0, run.text)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_killed_with_all_settled_and_nothing_reported(self):
        control = self.world.folder / "control"
        run = self.start("--control", control, events=FULL, spool=self.spool)
        self.wait_until_settled(run, control)
        run.process.kill()
        run.end()
        self.assertEqual(self.resume(self.spool), self.everybody)

    def test_nobody_reads_on(self):
        """A pipe whose reader is gone: the next one has all that no other had."""
        pipe = self.world.folder / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        run = self.start(events=pipe, rate=100)
        loopback.wait_until(lambda: len(self.world.mail()) >= 10, "some mail", run.process, run.log)
        os.close(reader)
        run.wait_for(WAITING)
        self.assertIn("Broken pipe", run.text)
        with open(pipe, encoding="utf-8") as reader:
            rest = [json.loads(line) for line in reader.read().splitlines()]
        self.assertEqual(run.end(), 0, run.text)
        self.assertTrue(rest)
        self.assertTrue({event["recipient"] for event in rest} <= self.everybody)

    def unread(self, **changed):
        """A pipe whose reader stays and does not read, and who writes to it."""
        pipe = self.world.folder / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 8192)
        run = self.start(events=pipe, **changed)
        run.wait_for(WAITING)
        self.assertIn(f"{pipe}: nobody reads it", run.text)
        loopback.wait_until(lambda: len(self.world.mail()) == len(self.everybody), "all mail", run.process, run.log)
        return run, reader

    def test_reader_that_does_not_read_for_long(self):
        run, reader = self.unread()
        read = b""
        while run.process.poll() is None:
            with contextlib.suppress(BlockingIOError):
                read += os.read(reader, 1000)
        while more := os.read(reader, 1000):  # The end: nobody writes.
            read += more
        self.assertEqual(run.end(), 0, run.text)
        self.assertEqual((run.text.count(WAITING), run.text.count(AGAIN)), (1, 1), run.text)
        events = [json.loads(line) for line in read.splitlines()]
        self.assertEqual(sorted(e["recipient"] for e in events if e["kind"] == "delivered"), sorted(self.everybody))

    def test_interrupted_while_nobody_reads(self):
        run, reader = self.unread(spool=self.spool)
        support.interrupt(run.process)
        self.assertEqual(run.end(), 1, run.text)
        self.assertRegex(run.text, r"\d+ events are not written: .*/pipe: nobody reads it")
        read = b"".join(iter(lambda: os.read(reader, 1000), b""))
        self.assertTrue(read.endswith(b"\n"), "a line is cut off")
        first = {json.loads(line)["recipient"] for line in read.splitlines()}
        self.assertTrue(first)
        self.assertEqual(first | self.resume(self.spool), self.everybody)


class Listening(submission_test.SubmissionTest):
    def test_what_listen_cannot_write_its_next_start_writes(self):
        self.listener.stop()
        spool, events = self.world.folder / "spool", self.listener.events_file
        events.unlink(missing_ok=True)
        events.symlink_to(FULL)
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, "--spool", spool, port=self.sinks.port)
        self.submission = self.listener.ports[0]
        self.client().sendmail("news@brand.example", ["ann@away.example"], submission_test.MESSAGE)
        log = self.listener.log
        loopback.wait_until(lambda: WAITING in log.read_text(), WAITING, self.listener.process, log)
        support.interrupt(self.listener.process)
        self.listener.process.communicate(timeout=support.RUN_SECONDS)
        self.assertEqual(self.listener.process.returncode, 1, log.read_text())
        self.assertIn(f"they are kept in {spool}", log.read_text())
        events.unlink()
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, "--spool", spool, port=self.sinks.port)
        loopback.wait_until(lambda: [e["recipient"] for e in self.listener.events] == ["ann@away.example"], "its event",
                            self.listener.process, self.listener.log)
        self.listener.stop()

    def test_what_nobody_reads_is_not_said_and_it_serves_on(self):
        self.listener.stop()
        self.listener = submission_test.Listener(self.world, self.ENDPOINTS, "--trace", "all", port=self.sinks.port, stderr=subprocess.PIPE)
        self.submission = self.listener.ports[0]
        self.listener.process.stderr.close()
        client = self.client()
        for number in range(5):
            client.sendmail("news@brand.example", [f"r{number}@away.example"], submission_test.MESSAGE)
        loopback.wait_until(lambda: len(self.listener.events) == 5, "their events", self.listener.process)
        self.assertEqual(self.listener.stop()["messages"], 5)


if __name__ == "__main__":
    support.main()
