"""A million rows (address and three fields, 20,020 domains) from a RowSource into Engine::start: how fast they come in, and
how much memory a campaign takes that is held ready, and then begins to be sent."""

import json

from support.harness import OwnSink, Report, check, run

MESSAGES = 1_000_000
SMOKE_MESSAGES = 2_000

OURS = "mailsbuddy"
MEGABYTE = 1_000_000


def measure(programs, messages, rounds, progress):
    runs = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        sink = OwnSink(programs)
        usage = run([programs / "bench_rows_mailsbuddy", sink.port, messages])
        received = sink.stop()
        each = json.loads(usage.output)
        check("rows accepted", (each["accepted"], each["refused"], each["total"]), (messages, 0, messages))
        check("something was delivered", each["delivered"] > 0, True)
        check("each message once", received.distinct, received.messages)
        check("no message counted that did not arrive", received.messages >= each["delivered"], True)
        runs.append(each)

    report = Report()
    report.add(OURS, "rows per second", [messages / each["start_seconds"] for each in runs], "1/s")
    report.add(OURS, "rows per CPU-second", [messages / each["start_cpu_seconds"] for each in runs], "1/s")
    report.add(OURS, "resident before", [each["before_bytes"] / MEGABYTE for each in runs], "MB")
    report.add(OURS, "resident, held ready", [each["held_bytes"] / MEGABYTE for each in runs], "MB")
    report.add(OURS, "peak until held ready", [each["held_peak_bytes"] / MEGABYTE for each in runs], "MB")
    report.add(OURS, "peak, sending begun", [each["peak_bytes"] / MEGABYTE for each in runs], "MB")
    report.ceilings[OURS, "peak, sending begun"] = 300
    return report
