#!/usr/bin/env python3
"""Runs one workload of bench/ with its contenders. scripts/bench builds first and then calls this."""

import argparse
import importlib
import json
import os
import pathlib
import platform
import re
import resource
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORKLOADS = sorted(path.parent.name for path in HERE.glob("*/workload.py"))
ROUNDS = 5


def machine():
    def first(pattern, file, default="unknown"):
        found = re.search(pattern, pathlib.Path(file).read_text(encoding="utf-8"), re.MULTILINE)
        return found[1].strip() if found else default

    return {
        "cpu": first(r"^model name\s*:(.*)$", "/proc/cpuinfo"),
        "cores": os.cpu_count(),
        "memory_bytes": int(first(r"^MemTotal:\s*(\d+) kB", "/proc/meminfo", "0")) * 1024,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "open_files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],  # What bounds the engine's connections.
        "load_average": os.getloadavg()[0],  # Above 0 before the start: something else was running.
    }


def show(report):
    width = max((len(each["metric"]) for each in report.results), default=0)
    side = max((len(each["contender"]) for each in report.results), default=0)
    for each in report.results:
        ceiling = report.ceilings.get((each["contender"], each["metric"]))
        target = "" if ceiling is None else f"   at most {ceiling:g}: {'met' if each['value'] <= ceiling else 'MISSED'}"
        print(f"{each['contender']:{side}}  {each['metric']:{width}}  {each['value']:>12,.1f} {each['unit']}{target}")
    for name, value in report.ratios.items():
        floor = report.floors.get(name)
        target = "" if floor is None else f"   at least {floor:.2f}: {'met' if value >= floor else 'MISSED'}"
        print(f"{name}: {value:.2f}{target}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--messages", type=int, help="messages (rows) of each run; default: the workload's")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each contender runs; medians are reported")
    parser.add_argument("--smoke", action="store_true", help="one round of few messages, for their correctness alone")
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="the folder of the built bench programs")
    args = parser.parse_args()

    sys.dont_write_bytecode = True  # The source tree stays as it is.
    sys.path.insert(0, str(HERE))
    from support.harness import BenchError  # After the path is set.

    workload = importlib.import_module(f"{args.workload}.workload")
    messages = args.messages or (workload.SMOKE_MESSAGES if args.smoke else workload.MESSAGES)
    about = machine()
    try:
        report = workload.measure(args.programs.resolve(), messages, 1 if args.smoke else args.rounds,
                                  lambda line: print(f"    {args.workload}: {line}", file=sys.stderr))
    except BenchError as error:
        sys.exit(f"bench {args.workload}: {error}")
    if args.json:
        print(json.dumps({"workload": args.workload, "results": report.results, "ratios": report.ratios,
                          "machine": about}, indent=1))
    else:
        show(report)


if __name__ == "__main__":
    main()
