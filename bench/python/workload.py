"""What Python programs see: rows from a generator into the durable engine, 10 KB messages to a sink, replies to verdicts.

Every contender is a program that times itself, from its first row to its last answer, so that no interpreter's start is
compared. Each makes every letter anew from its row, as its users do; `smtplib, made before` is what is left when
somebody else has made them. All letters have the same body, whose digests the sink sums.
"""

import json
import os
import pathlib
import sys
import tempfile

from classify.workload import replies
from support.harness import BenchError, OwnSink, Report, check_received, digest, run

from . import mail

MESSAGES = 100_000   # Rows, and the messages of our campaign; peers send fewer, for rates are compared.
SMOKE_MESSAGES = 200
PEER_SHARE = {"smtplib": 40, "smtplib, made before": 20, "aiosmtplib": 40, "nodemailer": 20}
CONNECTIONS = 20
CLASSIFY_SECONDS = 2.0

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".venv/bin/python"
NODE_MODULES = "/usr/share/nodejs"  # Debian's node-nodemailer.

MEMORY, DURABLE = "mailsbuddy", "mailsbuddy, durable"
SEND_FLOORS = {"smtplib": 20.0, "aiosmtplib": 10.0, "nodemailer": 10.0}
ROWS_A_SECOND, REPLIES_A_SECOND = 200_000, 300_000


def expected_digest(count):
    """Of the letters to all recipients; the same bodies for all contenders."""
    return sum(digest(fields["email"], mail.text(fields).replace("\n", "\r\n").encode()) for fields in mail.rows(count)) % 2**64


def measured(command):
    return json.loads(run(command).output)


def send_commands(folder):
    """Of each contender: (sink port, messages, where it may write) to its command."""
    letter = folder / "letter.json"
    letter.write_text(json.dumps({"sender": mail.SENDER, "listId": mail.LIST_ID, "subject": mail.SUBJECT.format("{{ name }}"),
                                  "text": mail.text_with("{{ name }}", "{{ city }}", "{{ points }}")}))
    ours = [PYTHON, HERE / "send_mailsbuddy.py"]
    return {
        MEMORY: lambda port, count, own: [*ours, port, count, CONNECTIONS],
        DURABLE: lambda port, count, own: [*ours, port, count, CONNECTIONS, own / "spool"],
        "smtplib": lambda port, count, own: [PYTHON, HERE / "send_smtplib.py", port, count, "made"],
        "smtplib, made before": lambda port, count, own: [PYTHON, HERE / "send_smtplib.py", port, count, "raw"],
        "aiosmtplib": lambda port, count, own: [PYTHON, HERE / "send_aiosmtplib.py", port, count, CONNECTIONS],
        "nodemailer": lambda port, count, own: ["node", HERE / "send_nodemailer.js", port, count, CONNECTIONS, letter],
    }


def in_turns(contenders, rounds, progress):
    """once() of each contender, round by round, in changing order."""
    runs = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            progress(f"round {number + 1}, {name}")
            with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
                runs[name].append(contenders[name](pathlib.Path(folder)))
    return runs


def measure_sending(programs, messages, rounds, progress, report):
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
        commands = send_commands(pathlib.Path(folder))
        counts = {name: max(messages // PEER_SHARE.get(name, 1), min(messages, SMOKE_MESSAGES)) for name in commands}
        digests = {count: expected_digest(count) for count in set(counts.values())}

        def sender(name):
            def once(own):
                sink = OwnSink(programs)
                took = measured(commands[name](sink.port, counts[name], own))
                check_received(name, sink.stop(), counts[name], digests[counts[name]])
                return took
            return once

        runs = in_turns({name: sender(name) for name in commands}, rounds, progress)
    for metric, key in (("messages per second", "wall_seconds"), ("messages per CPU-second", "cpu_seconds")):
        rates = {name: [counts[name] / each[key] for each in runs[name]] for name in runs}
        for name, each in rates.items():
            report.add(name, metric, each, "1/s")
        for name in (*SEND_FLOORS, "smtplib, made before"):
            report.ratio(f"{metric}, mailsbuddy / {name}", rates[MEMORY], rates[name], SEND_FLOORS.get(name))


def measure_rows(messages, rounds, progress, report):
    contenders = {MEMORY: "rows_mailsbuddy.py", "sqlite3": "rows_sqlite.py"}
    runs = in_turns({name: lambda own, file=file: measured([PYTHON, HERE / file, own, messages]) for name, file in contenders.items()},
                    rounds, progress)
    rates = {name: [messages / each["wall_seconds"] for each in took] for name, took in runs.items()}
    for name, each in rates.items():
        report.add(name, "durable rows per second", each, "1/s")
        report.add(name, "CPU of a row", [took["cpu_seconds"] / messages * 1e6 for took in runs[name]], "us")
    report.ratio(f"durable rows per second, mailsbuddy / {ROWS_A_SECOND:,}", rates[MEMORY], [ROWS_A_SECOND] * rounds, 1.0)
    report.ratio("durable rows per second, mailsbuddy / sqlite3", rates[MEMORY], rates["sqlite3"])


def measure_classifying(messages, rounds, progress, report):
    seconds = 0.05 if messages == SMOKE_MESSAGES else CLASSIFY_SECONDS
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
        texts = pathlib.Path(folder, "replies")
        texts.write_text("\n".join(replies()) + "\n", encoding="utf-8")
        ways = {f"mailsbuddy, {how}": how for how in ("batch", "single")}
        command = [PYTHON, HERE / "classify_mailsbuddy.py"]
        runs = in_turns({name: lambda own, how=how: measured([*command, how, texts, seconds]) for name, how in ways.items()},
                        rounds, progress)
    rates = {name: [each["replies"] / each["wall_seconds"] for each in took] for name, took in runs.items()}
    for name, each in rates.items():
        report.add(name, "replies per second", each, "1/s")
        report.add(name, "replies per CPU-second", [took["replies"] / took["cpu_seconds"] for took in runs[name]], "1/s")
    report.ratio(f"replies per second by batch / {REPLIES_A_SECOND:,}", rates["mailsbuddy, batch"], [REPLIES_A_SECOND] * rounds, 1.0)


def measure(programs, messages, rounds, progress):
    package = programs.parent / "bindings/python"
    if not (package / "mailsbuddy").is_dir() or not PYTHON.exists():
        raise BenchError(f"{package}, {PYTHON}: not there; scripts/setup build bench installs what they take")
    os.environ.update(PYTHONPATH=str(package), PYTHONDONTWRITEBYTECODE="1", NODE_PATH=NODE_MODULES)
    report = Report()
    measure_rows(messages, rounds, progress, report)
    measure_sending(programs, messages, rounds, progress, report)
    measure_classifying(messages, rounds, progress, report)
    return report
