"""Replies classified on one thread with all rules: ours, with as many synthetic rules again, RE2::Set, and a loop over Python's re."""

import json
import os
import pathlib
import random
import re
import sys
import tempfile

from support.harness import Report, check, run

MESSAGES = 0  # A run takes as many as it can in SECONDS.
SMOKE_MESSAGES = 1
SECONDS = 2.0

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORPORA = pathlib.Path(os.environ.get("MAILSBUDDY_CORPORA", ROOT.parent / "shared" / "corpora"))
US_A_REPLY_MAX = 1.0         # 1,000,000 a second.
DOUBLED_RATIO_MIN = 1 / 1.1  # Twice the rules cost less than 10 %.
AGREEMENT_MIN = 0.7          # Contenders do not fold texts, but they must do the same work.


def rule_files():
    """In the order of the build."""
    listed = re.search(r"set\(rule_files\s+(.*?)\)", (ROOT / "bounce/CMakeLists.txt").read_text(), re.DOTALL)[1].split()
    return [ROOT / "bounce" / name for name in listed]


def rule_lines():
    for file in rule_files():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                yield line.split("\t")


def replies():
    corpus = CORPORA / "replies.tsv"
    if corpus.exists():
        return [line.split("\t")[0] for line in corpus.read_text(encoding="utf-8").splitlines()[1:]]
    return [columns[9] for columns in rule_lines()]  # Our own samples.


def synthetic_rules():
    """As many as ours, each with as many phrases, of the same words: all begin as real ones do, and none occurs."""
    rows = list(rule_lines())
    words = sorted({word for row in rows for word in re.findall(r"[a-z]{2,}", row[5])})
    generator = random.Random(1)
    lines = []
    for number, row in enumerate(rows):
        phrases = [
            " ".join([*generator.choices(words, k=generator.randint(1, 3)), "".join(generator.choices("aeioulnrst", k=6))])
            for _ in row[5].split("|")
        ]
        phrases = sorted({phrase for phrase in phrases if phrase not in row[5]})
        sample = "550 " + phrases[0]
        lines.append("\t".join([f"synthetic.{number}", *row[1:5], "|".join(phrases), "content_policy", "-", "-", sample]))
    return "\n".join(lines) + "\n"


def measure(programs, messages, rounds, progress):
    seconds = 0.01 if messages == SMOKE_MESSAGES else SECONDS
    report = Report()
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
        folder = pathlib.Path(folder)
        texts = folder / "replies"
        texts.write_text("\n".join(replies()) + "\n", encoding="utf-8")
        twice = folder / "synthetic.tsv"
        twice.write_text(synthetic_rules(), encoding="utf-8")
        as_json = folder / "rules.json"
        as_json.write_text(run([programs / "bench_classify_re2", "--dump", *rule_files()]).output, encoding="utf-8")
        contenders = {
            "mailsbuddy": [programs / "bench_classify_mailsbuddy", texts, seconds],
            "twice the rules": [programs / "bench_classify_mailsbuddy", texts, seconds, twice],
            "RE2::Set": [programs / "bench_classify_re2", texts, seconds, *rule_files()],
            "Python re": [sys.executable, HERE / "python_re.py", texts, seconds, as_json],
        }
        measured = {name: [] for name in contenders}
        for number in range(rounds):
            for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
                progress(f"round {number + 1}, {name}")
                measured[name].append(json.loads(run(contenders[name]).output))
    judge(report, measured)
    return report


def judge(report, measured):
    ours = measured["mailsbuddy"][0]
    check("rules with as many again", measured["twice the rules"][0]["rules"], 2 * ours["rules"])
    check("verdicts with synthetic rules", measured["twice the rules"][0]["decided"], ours["decided"])
    costs = {}
    for name, runs in measured.items():
        costs[name] = [1e6 * each["cpu_seconds"] / each["replies"] for each in runs]
        same = sum(a == b for a, b in zip(runs[0]["decided"], ours["decided"], strict=True)) / len(ours["decided"])
        check(f"{name}: at least {AGREEMENT_MIN:.0%} of the verdicts are ours", same >= AGREEMENT_MIN, True)
        report.add(name, "verdicts by the same rule as ours", [100 * same], "%")
        report.add(name, "CPU time of a reply", costs[name], "us")
        report.add(name, "replies per CPU-second", [1e6 / cost for cost in costs[name]], "replies/s")
    report.add("mailsbuddy", "rules", [ours["rules"]], "rules")
    report.add("mailsbuddy", "mean text of a reply", [ours["mean_bytes"]], "bytes")
    report.ceilings[("mailsbuddy", "CPU time of a reply")] = US_A_REPLY_MAX
    report.ratio("speed with twice the rules", costs["mailsbuddy"], costs["twice the rules"], DOUBLED_RATIO_MIN)
    report.ratio("speed to RE2::Set", costs["RE2::Set"], costs["mailsbuddy"])
    report.ratio("speed to Python re", costs["Python re"], costs["mailsbuddy"])
