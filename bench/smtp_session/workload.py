"""The client's session alone, in one thread, against a server that is a string of replies: messages per CPU-second by DATA one after
the other, by DATA with the next envelope behind the message, and by BDAT with eight in flight."""

import json

from support.harness import Report, check, run

MESSAGES = 1_000_000
SMOKE_MESSAGES = 2_000

OURS = "mailsbuddy"
LEAST = {"floor": "commands copied, replies searched", "copied": "all octets copied, replies searched"}
WAYS = {"one": "DATA, one at a time", "two": "DATA, two in flight", "bdat": "BDAT, eight in flight"}


def measure(programs, messages, rounds, progress):
    runs = []
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        each = json.loads(run([programs / "bench_smtp_session_mailsbuddy", messages]).output)
        for way in (*LEAST, *WAYS):
            check("messages that arrived", each[way]["messages"], messages)
            check("octets that arrived", each[way]["octets"], messages * each["message_octets"])
        runs.append(each)

    def speed(way):
        return [messages / each[way]["seconds"] for each in runs]

    report = Report()
    for way, name in LEAST.items():
        report.add("floor", f"messages per CPU-second, {name}", speed(way), "1/s")
    for way, name in WAYS.items():
        report.add(OURS, f"messages per CPU-second, {name}", speed(way), "1/s")
        for least, what in LEAST.items():
            report.ratio(f"{name}, against {what}", speed(way), speed(least))
    return report
