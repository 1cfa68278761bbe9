"""A queue of ten thousand to ten million recipients on disk, half at 20 domains, half at small ones of 250: how soon another
process delivers the first of them, what memory that takes, and what CPU a message costs while so many are queued. With
MAILSBUDDY_BENCH_SMALL_DOMAINS=1000000 as many small domains; with MAILSBUDDY_BENCH_CHART=FILE an SVG of the cost."""

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

OURS = "mailsbuddy"
MEGABYTE = 1_000_000


def chart(points, title):
    """[(rows, microseconds)] as an SVG, rows on a logarithmic axis."""
    width, height, left, top, right, bottom = 640, 300, 60, 40, 20, 50
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])
    most = math.ceil(max(value for _, value in points) / 10) * 10
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
    for rows, _ in points:
        parts.append(f'<text x="{x(rows):.1f}" y="{height - bottom + 18}" text-anchor="middle">{rows:,}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" text-anchor="middle">recipients queued</text>')
    line = " ".join(f"{x(rows):.1f},{y(value):.1f}" for rows, value in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="2"/>')
    parts += [f'<circle cx="{x(rows):.1f}" cy="{y(value):.1f}" r="3.5" fill="#1565c0"/>'
              f'<text x="{x(rows):.1f}" y="{y(value) - 9:.1f}" text-anchor="middle">{value:.1f}</text>' for rows, value in points]
    return "\n".join([*parts, "</svg>"]) + "\n"


def sizes(largest):
    found = [largest]
    while found[0] > SMALLEST:
        found.insert(0, max(found[0] // 10, SMALLEST))
    return found


def measure(programs, messages, rounds, progress):
    program = programs / "bench_backlog_mailsbuddy"

    def once(rows):
        domains = int(os.environ.get("MAILSBUDDY_BENCH_SMALL_DOMAINS", max(1, rows // 2 // ROWS_OF_SMALL)))
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

    report = Report()
    points = []
    for rows in sizes(messages):
        runs = []
        for number in range(rounds):
            progress(f"{rows:,} rows, round {number + 1} of {rounds}")
            runs.append(once(rows))
        cost = [1e6 * each["cpu_seconds"] / max(each["sent"], 1) for _, each in runs]
        points.append((rows, statistics.median(cost)))
        report.add(OURS, f"{rows:,} rows: imported per second", [rows / filled["seconds"] for filled, _ in runs], "1/s")
        report.add(OURS, f"{rows:,} rows: opened, first delivery", [each["first_seconds"] for _, each in runs], "s")
        report.add(OURS, f"{rows:,} rows: resident then", [each["held_bytes"] / MEGABYTE for _, each in runs], "MB")
        report.add(OURS, f"{rows:,} rows: peak", [each["peak_bytes"] / MEGABYTE for _, each in runs], "MB")
        report.add(OURS, f"{rows:,} rows: CPU a message", cost, "us")
        report.ceilings[OURS, f"{rows:,} rows: opened, first delivery"] = 5
        report.ceilings[OURS, f"{rows:,} rows: peak"] = 400
    if path := os.environ.get("MAILSBUDDY_BENCH_CHART"):
        pathlib.Path(path).write_text(chart(points, "CPU microseconds a message, durable, rendered, to a sink"), encoding="utf-8")
    return report
