"""Signatures per CPU-second of one thread: our signer, one message or four at once, libopendkim and dkimpy beside the bare
EVP_DigestSign, with RSA-2048 and Ed25519, of messages of 1, 10 and 100 KB; and the body hash beside plain SHA-256. dkimpy
checks every contender's."""

import pathlib
import tempfile

from support.harness import Report, check, run

MESSAGES = 40  # Milliseconds of CPU time a contender has in each of its turns.
SMOKE_MESSAGES = 1
TURNS = 15     # Of each contender in a round.

OURS = "mailsbuddy"
BATCH = "mailsbuddy-batch"  # Four messages at once.
FLOORS = {"rsa": "EVP_DigestSign", "ed25519": "EVP_DigestSign", "hash": "SHA-256"}
TO_REACH = {("rsa", 10): 0.95, ("ed25519", 10): 0.70, ("hash", 100): 0.60}
BATCH_TO_REACH = {("rsa", 10): 1.8}  # With AVX-512 IFMA.
PYTHON = "/usr/bin/python3"


def measure(programs, messages, rounds, progress):
    found = {}
    turns = 1 if messages == SMOKE_MESSAGES else TURNS
    script = pathlib.Path(__file__).with_name("dkimpy.py")
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
            lines = run([programs / "bench_dkim_sign", folder, turns, messages]).output
            lines += run([PYTHON, "-B", script, folder, 1, messages]).output
        for line in lines.splitlines():
            what, contender, kilobytes, *values = line.split()
            found.setdefault((what, int(kilobytes), contender), []).extend(map(float, values))
    check("contenders and sizes measured", len(found), 2 * 3 * 5 + 3 * 2)

    report = Report()
    for (what, kilobytes, contender), values in found.items():
        unit = "hashes" if what == "hash" else "signatures"
        report.add(contender, f"{what}, {kilobytes} KB: {unit} per CPU-second", values, "1/s")
    for (what, kilobytes, contender), values in found.items():
        floor = FLOORS[what]
        if contender == OURS:
            report.ratio(f"{what}, {kilobytes} KB: {OURS} / {floor}", values, found[what, kilobytes, floor],
                         TO_REACH.get((what, kilobytes)))
        elif contender == BATCH:
            lanes = "avx512ifma" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
            report.ratio(f"{what}, {kilobytes} KB: {BATCH} / {floor}", values, found[what, kilobytes, floor],
                         BATCH_TO_REACH.get((what, kilobytes)) if lanes else None)
        elif contender == "libopendkim":
            report.ratio(f"{what}, {kilobytes} KB: {OURS} / {contender}", found[what, kilobytes, OURS], values)
    return report
