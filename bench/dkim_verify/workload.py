"""Signed messages of 1, 10 and 100 KB verified per CPU-second of one thread: our verifier with its cache of parsed keys and
without, and libopendkim, beside the bare EVP_DigestVerify, with RSA-2048 and Ed25519. No DNS: keys are at hand."""

from support.harness import Report, check, run

MESSAGES = 40  # Milliseconds of CPU time a contender has in each of its turns.
SMOKE_MESSAGES = 1
TURNS = 15     # Of each contender in a round.

OURS = "mailsbuddy"
FLOOR = "EVP_DigestVerify"
PEER = "libopendkim"
TO_REACH = {("rsa", 10, FLOOR): 0.60, ("rsa", 10, PEER): 5.0}


def measure(programs, messages, rounds, progress):
    found = {}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        turns = 1 if messages == SMOKE_MESSAGES else TURNS
        for line in run([programs / "bench_dkim_verify", turns, messages]).output.splitlines():
            key, contender, kilobytes, *values = line.split()
            found.setdefault((key, int(kilobytes), contender), []).extend(map(float, values))
    check("contenders and sizes measured", len(found), 2 * 3 * 4)

    report = Report()
    for (key, kilobytes, contender), values in found.items():
        report.add(contender, f"{key}, {kilobytes} KB: messages per CPU-second", values, "1/s")
    for (key, kilobytes, contender), values in found.items():
        if contender.startswith(OURS):
            for other in (FLOOR, PEER):
                to_reach = TO_REACH.get((key, kilobytes, other)) if contender == OURS else None
                report.ratio(f"{key}, {kilobytes} KB: {contender} / {other}", values, found[key, kilobytes, other], to_reach)
    return report
