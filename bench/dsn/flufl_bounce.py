"""Python's email package and flufl.bounce, which Mailman uses: flufl_bounce.py MESSAGES FILE...

It finds addresses only, and neither complaints nor causes: less work than ours, on the same messages."""

import email
import json
import pathlib
import sys
import time
import warnings

from flufl.bounce import all_failures

warnings.simplefilter("ignore")
count = int(sys.argv[1])
messages = [pathlib.Path(name).read_bytes() for name in sys.argv[2:]]
recipients = failed = 0
wall, cpu = time.perf_counter(), time.process_time()
for number in range(count):
    try:
        temporary, permanent = all_failures(email.message_from_bytes(messages[number % len(messages)]))
        recipients += len(temporary) + len(permanent) if number < len(messages) else 0
    except Exception:  # Some of its detectors do not bear every message.
        failed += number < len(messages)
print(json.dumps({"messages": count, "recipients": recipients, "failed": failed,
                  "seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}))
