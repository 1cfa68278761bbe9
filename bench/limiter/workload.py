"""Permits: how many try_take a second of CPU one thread does with every window in force, and what 10,000 lanes x 50 IPs of limits
cost in memory and, while nothing is due, in CPU; what a Pacer takes that sends for a million From domains with a limit each, and what is
kept of a million providers that are forgotten."""

import json

from support.harness import Report, check, run

MESSAGES = 100_000_000
SMOKE_MESSAGES = 100_000

OURS = "mailsbuddy"
TAKES_MIN = 20_000_000
LIMITS = 500_000


def measure(programs, messages, rounds, progress):
    runs = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        each = json.loads(run([programs / "bench_limiter_mailsbuddy", messages]).output)
        check("permits at the pace of the limit", each["given"], messages)
        check("permits at ten times its pace", each["given_of_ten"], (messages + 9) // 10)
        check("limits that wait", (each["limits"], each["waiting"]), (LIMITS, LIMITS))
        runs.append(each)

    report = Report()
    report.add(OURS, "try_take per second, all given", [messages / each["given_seconds"] for each in runs], "1/s")
    report.add(OURS, "try_take per second, one in ten given", [messages / each["tenth_seconds"] for each in runs], "1/s")
    report.add(OURS, "memory of a limit", [each["bytes_per_limit"] for each in runs], "B")
    report.add(OURS, "CPU while 500,000 wait half a second", [each["asleep_cpu_seconds"] * 1e3 for each in runs], "ms")
    report.add(OURS, "permits per second, a million From domains", [each["names"] / each["names_seconds"] for each in runs], "1/s")
    report.add(OURS, "memory of a million From domains", [each["names_bytes"] / 1e6 for each in runs], "MB")
    report.add(OURS, "memory of a million forgotten providers", [each["forgotten_bytes"] / 1e6 for each in runs], "MB")
    report.ceilings[OURS, "memory of a limit"] = 200
    report.ceilings[OURS, "memory of a million From domains"] = 60
    report.ceilings[OURS, "memory of a million forgotten providers"] = 400
    report.ceilings[OURS, "CPU while 500,000 wait half a second"] = 1
    report.ratio("try_take per second against 20 million", [messages / each["given_seconds"] for each in runs],
                 [TAKES_MIN] * len(runs), floor=1.0)
    return report
