"""Parts of one room alone, in Google's benchmark frame: to find a cost, and to see that it went."""

import json

from support.harness import Report, check, run

MESSAGES = 0
SMOKE_MESSAGES = 1


def measure(programs, messages, rounds, progress):
    report = Report()
    for program in sorted(programs.glob("bench_micro_*")):
        progress(program.name)
        options = ["--benchmark_format=json", f"--benchmark_min_time={0.001 if messages == SMOKE_MESSAGES else 0.5}"]
        found = json.loads(run([program, *options]).output)["benchmarks"]
        check(f"{program.name} measures something", bool(found), True)
        for each in found:
            check(each["name"], each.get("error_occurred", False), False)
            report.add(program.name.removeprefix("bench_micro_"), f"CPU time of {each['name']}", [each["cpu_time"]],
                       each["time_unit"])
    return report
