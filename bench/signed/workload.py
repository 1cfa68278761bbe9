"""10 KB messages signed with RSA-2048, 20 connections, over loopback, every core busy: how much of the engine's CPU goes
into the signature itself, which no signer can avoid. The sink is another process, so that the engine's CPU is its own."""

import pathlib
import tempfile

from support.harness import OwnSink, Report, check, check_received, run

MESSAGES = 8_000
SMOKE_MESSAGES = 100
CONNECTIONS = 20

OURS = "mailsbuddy"
RAW = "EVP_DigestSign"


def measure(programs, messages, rounds, progress):
    digest = int(run([programs / "bench_loopback_mailsbuddy", "expect", messages]).output)

    def ours(key):
        sink = OwnSink(programs)
        usage = run([programs / "bench_signed_mailsbuddy", key, sink.port, messages, min(CONNECTIONS, messages)])
        received = sink.stop()
        check_received(OURS, received, messages, digest)
        check(f"{OURS}: signed messages", received.signed, messages)
        return usage

    def raw(key):
        return run([programs / "bench_signed_raw", key, messages])

    runs = {OURS: [], RAW: []}
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-") as folder:
        key = pathlib.Path(folder, "key.pem")
        run([programs / "bench_signed_mailsbuddy", "keygen", key])
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for contender, start in [(RAW, raw), (OURS, ours)] if number % 2 == 0 else [(OURS, ours), (RAW, raw)]:
                runs[contender].append(start(key))

    report = Report()
    per_cpu = {contender: [messages / usage.cpu_seconds for usage in each] for contender, each in runs.items()}
    for contender, each in runs.items():
        what = "messages" if contender == OURS else "signatures"
        report.add(contender, f"{what} per CPU-second", per_cpu[contender], "1/s")
        report.add(contender, f"{what} per second", [messages / usage.wall_seconds for usage in each], "1/s")
    report.ratio("messages per CPU-second / raw signatures per CPU-second", per_cpu[OURS], per_cpu[RAW], floor=0.85)
    return report
