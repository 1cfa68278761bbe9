"""A queue of ten thousand to ten million recipients on disk: how soon another process delivers the first of them, what memory
that takes, and what CPU a message costs while so many are queued. Half of them are at 20 large domains; the others at 20 as
well, so that what is sent is the same mail however long the queue, or at small ones of 250 each, which are the more sites and
connections the longer it is. With MAILSBUDDY_BENCH_SMALL_DOMAINS=1000000 at so many; with MAILSBUDDY_BENCH_CHART=FILE an SVG of
the cost."""

import json
import math
import os
import pathlib
import statistics
import tempfile

from support.harness import OwnSink, Report, check, run

MESSAGES = 10_000_000  # Of the largest queue.
SMOKE_MESSAGES = 2_000
SMALLEST = 10_000
MEASURED = 100_000  # Messages that are sent of each.
ROWS_OF_SMALL = 250
FEW, FEW_DOMAINS = "40 domains", 20  # And the 20 large ones: the same mail however long the queue.
MANY = "a domain for every 500"      # Half of the rows are at the small ones.

OURS = "mailsbuddy"
MEGABYTE = 1_000_000


def chart(series, title):
    """{name: [(rows, microseconds)]} as an SVG, rows on a logarithmic axis."""
    width, height, left, top, right, bottom = 640, 300, 60, 40, 40, 50
    every = [point for points in series.values() for point in points]
    low, high = (math.log10(pick(rows for rows, _ in every)) for pick in (min, max))
    most = math.ceil(max(value for _, value in every) / 10) * 10
    def x(rows):
        return left + (width - left - right) * (math.log10(rows) - low) / max(high - low, 1e-9)
    def y(value):
        return height - bottom - (height - top - bottom) * value / most
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>', f'<text x="{left}" y="22" font-size="14">{title}</text>']
    for step in range(6):
        value = most * step / 5
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for rows in sorted({rows for rows, _ in every}):
        parts.append(f'<text x="{x(rows):.1f}" y="{height - bottom + 18}" text-anchor="middle">{rows:,}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" text-anchor="middle">recipients queued</text>')
    for (name, points), colour, below in zip(series.items(), ("#1565c0", "#c62828"), (True, False)):
        line = " ".join(f"{x(rows):.1f},{y(value):.1f}" for rows, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(rows):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'
                  f'<text x="{x(rows):.1f}" y="{y(value) + (18 if below else -9):.1f}" text-anchor="middle">{value:.1f}</text>'
                  for rows, value in points]
        rows, value = points[-1]
        parts.append(f'<text x="{x(rows):.1f}" y="{y(value) + (34 if below else -25):.1f}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def sizes(largest):
    found = [largest]
    while found[0] > SMALLEST:
        found.insert(0, max(found[0] // 10, SMALLEST))
    return found


def measure(programs, messages, rounds, progress):
    program = programs / "bench_backlog_mailsbuddy"

    def once(rows, domains):
        with tempfile.TemporaryDirectory(prefix="mailsbuddy-bench-", dir="/var/tmp") as folder:
            sink = OwnSink(programs)
            spool = pathlib.Path(folder) / "spool"
            filled = json.loads(run([program, "fill", spool, rows, domains, sink.port]).output)
            gone_on = json.loads(run([program, "go_on", spool, MEASURED, sink.port]).output)
            received = sink.stop()
        check("rows accepted", filled["rows"], rows)
        check("most of them were still queued", gone_on["queued"] > rows / 2, True)
        check("no message counted that did not arrive", received.messages >= gone_on["sent"], True)
        return filled, gone_on

    def many(rows):
        return int(os.environ.get("MAILSBUDDY_BENCH_SMALL_DOMAINS", max(1, rows // 2 // ROWS_OF_SMALL)))

    report = Report()
    series = {}
    for name, small_domains in ((FEW, lambda rows: FEW_DOMAINS), (MANY, many)):
        for rows in sizes(messages):
            runs = []
            for number in range(rounds):
                progress(f"{rows:,} rows, {name}, round {number + 1} of {rounds}")
                runs.append(once(rows, small_domains(rows)))
            def each(key, scale):
                return [scale * gone_on[key] for _, gone_on in runs]
            def a_message(key):
                return [1e6 * gone_on[key] / max(gone_on["sent"], 1) for _, gone_on in runs]
            what = f"{rows:,} rows, {name}"
            series.setdefault(name, []).append((rows, statistics.median(a_message("cpu_seconds"))))
            report.add(OURS, f"{what}: imported per second", [rows / filled["seconds"] for filled, _ in runs], "1/s")
            report.add(OURS, f"{what}: opened, first delivery", each("first_seconds", 1), "s")
            report.add(OURS, f"{what}: resident then", each("held_bytes", 1 / MEGABYTE), "MB")
            report.add(OURS, f"{what}: peak", each("peak_bytes", 1 / MEGABYTE), "MB")
            report.add(OURS, f"{what}: CPU a message", a_message("cpu_seconds"), "us")
            report.add(OURS, f"{what}: of it RocksDB's threads", a_message("background_cpu_seconds"), "us")
            report.ceilings[OURS, f"{what}: opened, first delivery"] = 5
            report.ceilings[OURS, f"{what}: peak"] = 400
    if path := os.environ.get("MAILSBUDDY_BENCH_CHART"):
        pathlib.Path(path).write_text(chart(series, "CPU microseconds a message, durable, rendered, to a sink"), encoding="utf-8")
    return report
