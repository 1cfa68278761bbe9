"""Reports read in one thread: the corpora of other projects where they are, else our own samples."""

import importlib.util
import json
import os
import pathlib
import sys

from support.harness import Report, check, run

MESSAGES = 100_000
SMOKE_MESSAGES = 1_000
FLOOR = 20_000     # Messages per second of one core.
PYTHON_SHARE = 50  # The contender reads one message of so many: it takes that much longer.

HERE = pathlib.Path(__file__).resolve().parent
OURS = "mailsbuddy"
THEIRS = "email and flufl.bounce"


def files():
    corpora = pathlib.Path(os.environ.get("MAILSBUDDY_CORPORA", HERE.parents[2] / "shared" / "corpora")) / "bounces"
    found = [path for path in corpora.glob("*/*") if path.is_file() and path.stat().st_size > 0]
    return sorted(found) or sorted((HERE / "samples").glob("*.eml"))


def measure(programs, messages, rounds, progress):
    samples = files()
    messages = max(messages, len(samples))
    contender = importlib.util.find_spec("flufl.bounce") if importlib.util.find_spec("flufl") else None
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    ours, theirs = [], []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}, {len(samples)} files from {samples[0].parents[1].name}")
        ours.append(json.loads(run([programs / "bench_dsn_mailsbuddy", messages, *samples]).output))
        check("reports are the same in every round", ours[-1]["reports"], ours[0]["reports"])
        check("recipients are the same in every round", ours[-1]["recipients"], ours[0]["recipients"])
        check("most files are reports", ours[-1]["reports"] * 10 >= len(samples) * 9, True)
        if contender is not None:
            count = max(messages // PYTHON_SHARE, len(samples))
            theirs.append(json.loads(run([python, HERE / "flufl_bounce.py", count, *samples]).output))

    report = Report()
    report.add(OURS, "messages per second", [each["messages"] / each["seconds"] for each in ours], "1/s")
    report.add(OURS, "messages per CPU-second", [each["messages"] / each["cpu_seconds"] for each in ours], "1/s")
    report.add(OURS, "recipients found, each file once", [each["recipients"] for each in ours], "")
    report.ratio(f"messages per CPU-second, in {FLOOR}", [each["messages"] / each["cpu_seconds"] for each in ours],
                 [FLOOR] * len(ours), 1)
    if theirs:
        report.add(THEIRS, "messages per CPU-second", [each["messages"] / each["cpu_seconds"] for each in theirs], "1/s")
        report.add(THEIRS, "recipients found, each file once", [each["recipients"] for each in theirs], "")
        report.ratio("messages per CPU-second, ours to theirs", [each["messages"] / each["cpu_seconds"] for each in ours],
                     [each["messages"] / each["cpu_seconds"] for each in theirs])
    return report
