"""10 KB messages, unsigned, 20 connections, over loopback: the whole way of a message but for signing.

Against Postfix smtp-sink the sink is the bottleneck, so messages per second are compared; against our own sink, which
takes more than either sends, the sender's messages per CPU-second. Ours renders each message, smtp-source repeats one.
"""

from loopback import smtp_source
from support.harness import OwnSink, Report, SmtpSink, check_received, run

MESSAGES = 20_000
SMOKE_MESSAGES = 200
VERIFY_MESSAGES = 500  # Through a dumping smtp-sink, once, off the clock.
CONNECTIONS = 20
BODY_BYTES = 10_240

OURS = "mailsbuddy"


def measure(programs, messages, rounds, progress):
    connections = min(CONNECTIONS, messages)

    def command(contender, port, count):
        if contender == OURS:
            return [programs / "bench_loopback_mailsbuddy", port, count, connections]
        return smtp_source.command(port, count, connections, BODY_BYTES)

    def expected(contender, count):
        if contender == OURS:
            return int(run([programs / "bench_loopback_mailsbuddy", "expect", count]).output)
        return smtp_source.expected_digest(count, BODY_BYTES)

    def once(contender, sink, count, digest):
        usage = run(command(contender, sink.port, count))
        received = sink.stop()
        check_received(f"{contender} to {sink.name}", received, count, digest)
        return usage, received

    contenders = [smtp_source.NAME, OURS]
    digests = {contender: expected(contender, messages) for contender in contenders}
    for contender in contenders:
        count = min(messages, VERIFY_MESSAGES)
        once(contender, SmtpSink(dump=True), count, expected(contender, count))

    sinks = {SmtpSink.name: SmtpSink, OwnSink.name: lambda: OwnSink(programs)}
    runs = {(contender, sink): [] for sink in sinks for contender in contenders}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for sink, start_sink in sinks.items():
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                runs[contender, sink].append(once(contender, start_sink(), messages, digests[contender]))

    report = Report()
    rates = {key: [messages / usage.wall_seconds for usage, _ in each] for key, each in runs.items()}
    per_cpu = {key: [messages / usage.cpu_seconds for usage, _ in each] for key, each in runs.items()}
    for (contender, sink), each in runs.items():
        report.add(contender, f"messages per second to {sink}", rates[contender, sink], "1/s")
        report.add(contender, f"messages per CPU-second to {sink}", per_cpu[contender, sink], "1/s")
        report.add(contender, f"CPU of {sink} per message", [r.usage.cpu_seconds / messages * 1e6 for _, r in each], "us")
    report.ratio("messages per second to smtp-sink, mailsbuddy / smtp-source",
                 rates[OURS, SmtpSink.name], rates[smtp_source.NAME, SmtpSink.name], floor=1.0)
    report.ratio("messages per CPU-second to mailsbuddy sink, mailsbuddy / smtp-source",
                 per_cpu[OURS, OwnSink.name], per_cpu[smtp_source.NAME, OwnSink.name], floor=1.5)
    return report
