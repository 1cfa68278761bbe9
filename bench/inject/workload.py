"""A million rows made durable in the spool, in batches as an import writes them, beside RocksDB given the same octets with the
same syncs; then the spool opened by a process of its own, which reads and settles 100,000 of them. With --messages 10000000:
ten million rows."""

import json
import os
import pathlib
import tempfile

from support.harness import Report, check, run

MESSAGES = 1_000_000
SMOKE_MESSAGES = 20_000

OURS = "mailsbuddy"
MEGABYTE = 1_000_000
SMALL_DOMAINS = 20_000


def measure(programs, messages, rounds, progress):
    ours, by_row, by_batch, opened = [], [], [], []
    domains = int(os.environ.get("MAILSBUDDY_BENCH_SMALL_DOMAINS", SMALL_DOMAINS))
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        # Not /tmp, which may be memory: what is measured is a disk that syncs.
        with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-", dir="/var/tmp") as folder:
            folder = pathlib.Path(folder)
            program = programs / "bench_inject_mailsbuddy"
            ours.append(json.loads(run([program, "inject", folder / "spool", messages, domains]).output))
            opened.append(json.loads(run([program, "open", folder / "spool"]).output))
            check("rows queued after opening", opened[-1]["queued"], messages)
            check("rows were read", opened[-1]["read"] > 0, True)
            for name, into in (("row", by_row), ("batch", by_batch)):
                into.append(json.loads(run([programs / "bench_inject_raw", folder / name, messages, domains, name]).output))

    report = Report()
    report.add(OURS, "rows per second", [each["rows"] / each["seconds"] for each in ours], "1/s")
    report.add(OURS, "rows per CPU-second", [each["rows"] / each["cpu_seconds"] for each in ours], "1/s")
    report.add(OURS, "octets on disk by rows' own", [each["disk_bytes"] / each["own_bytes"] for each in ours], "")
    report.add(OURS, "peak while injecting", [each["peak_bytes"] / MEGABYTE for each in ours], "MB")
    report.add(OURS, "opened, first rows read", [each["open_seconds"] for each in opened], "s")
    report.add(OURS, "resident then", [each["held_bytes"] / MEGABYTE for each in opened], "MB")
    report.add(OURS, "peak, 100,000 settled", [each["peak_bytes"] / MEGABYTE for each in opened], "MB")
    report.add(OURS, "CPU to read a row", [1e6 * each["read_cpu_seconds"] / each["sent"] for each in opened], "us")
    report.add(OURS, "CPU to claim and settle it", [1e6 * each["settle_cpu_seconds"] / each["sent"] for each in opened], "us")
    report.add(OURS, "settled per second", [each["sent"] / each["settle_seconds"] for each in opened], "1/s")
    report.add("RocksDB, a Put a row", "rows per second", [each["rows"] / each["seconds"] for each in by_row], "1/s")
    report.add("RocksDB, a Put a batch", "rows per second", [each["rows"] / each["seconds"] for each in by_batch], "1/s")
    report.ceilings[OURS, "octets on disk by rows' own"] = 1.3
    report.ceilings[OURS, "peak, 100,000 settled"] = 400
    report.ceilings[OURS, "opened, first rows read"] = 5
    report.ratio("speed by RocksDB's, a Put a row", [1 / each["seconds"] for each in ours],
                 [1 / each["seconds"] for each in by_row], floor=0.5)
    report.ratio("speed by RocksDB's, a Put a batch", [1 / each["seconds"] for each in ours],
                 [1 / each["seconds"] for each in by_batch], floor=0.5)
    return report
