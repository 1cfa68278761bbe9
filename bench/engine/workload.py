"""10 KB messages, 20 connections, over loopback, from a durable queue: the engine with its spool, which imports, renders,
delivers, settles and reports, and Postfix, which delivers a queue that it already holds. Both on the same disk, to the same
sink. Signed with RSA-2048: Postfix with OpenDKIM, from the moment it takes the mail, for that is when it signs; and the bare
signature of as many octets, which no signer can avoid."""

import pathlib
import tempfile

from engine.postfix import NAME as POSTFIX
from engine.postfix import OPENDKIM, RECIPIENT, SIGNED, Sender
from loopback import smtp_source
from support.harness import OwnSink, Report, check, check_received, run

MESSAGES = 20_000
SMOKE_MESSAGES = 200
CONNECTIONS = 20
BODY_BYTES = 10_240

OURS = "mailsbuddy"
OURS_SIGNED = "mailsbuddy, signed"
RAW = "EVP_DigestSign"


def measure(programs, messages, rounds, progress):
    connections = min(CONNECTIONS, messages)
    digest = int(run([programs / "bench_loopback_mailsbuddy", "expect", messages]).output)

    def ours(folder, key=None):
        sink = OwnSink(programs)
        usage = run([programs / "bench_engine_mailsbuddy", folder / "spool", sink.port, messages, connections, *([key] if key else [])])
        received = sink.stop()
        check_received(OURS, received, messages, digest)
        check(f"{OURS}: signed messages", received.signed, messages if key else 0)
        return usage.cpu_seconds, received.seconds

    def postfix(folder, key=None):
        sink = OwnSink(programs)
        sender = Sender(folder, sink.port, connections, key)
        loading = sender.load(messages, BODY_BYTES)
        sending = sender.send()
        received = sink.stop()
        check_received(POSTFIX, received, messages, smtp_source.expected_digest(messages, BODY_BYTES, RECIPIENT))
        check(f"{POSTFIX}: signed messages", received.signed, messages if key else 0)
        return sending + (loading if key else 0), received.seconds

    def raw(_, key):
        usage = run([programs / "bench_signed_raw", key, messages, BODY_BYTES + 1024])
        return usage.cpu_seconds, usage.wall_seconds

    # Not /tmp, which may be memory: what is measured is a disk that syncs.
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-", dir="/var/tmp") as place:
        place = pathlib.Path(place)
        place.chmod(0o755)
        key = place / "key.pem"
        run([programs / "bench_signed_mailsbuddy", "keygen", key])
        turns = [(POSTFIX, postfix, None), (OURS, ours, None), (RAW, raw, key), (OURS_SIGNED, ours, key)]
        if OPENDKIM:
            turns.append((SIGNED, postfix, key))
        else:
            progress("opendkim is not installed: no signed Postfix")
        runs = {name: [] for name, _, _ in turns}
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for name, once, with_key in turns if number % 2 == 0 else reversed(turns):
                with tempfile.TemporaryDirectory(dir=place) as folder:
                    runs[name].append(once(pathlib.Path(folder), with_key))

    report = Report()
    per_cpu = {name: [messages / cpu for cpu, _ in each] for name, each in runs.items()}
    for name, each in runs.items():
        what = "signatures" if name == RAW else "messages"
        report.add(name, f"{what} per CPU-second", per_cpu[name], "1/s")
        report.add(name, f"{what} per second", [messages / seconds for _, seconds in each], "1/s")
    report.ratio("messages per CPU-second, mailsbuddy / postfix", per_cpu[OURS], per_cpu[POSTFIX], floor=10)
    if OPENDKIM:
        report.ratio("messages per CPU-second, signed, mailsbuddy / postfix + OpenDKIM", per_cpu[OURS_SIGNED], per_cpu[SIGNED],
                     floor=5)
    report.ratio("messages per CPU-second, signed / raw signatures", per_cpu[OURS_SIGNED], per_cpu[RAW], floor=0.9)
    return report
