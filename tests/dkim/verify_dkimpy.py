#!/usr/bin/python3
"""Verifies what dkim_messages writes with dkimpy. Usage: verify_dkimpy.py PATH_OF_dkim_messages COUNT"""

import io
import logging
import multiprocessing
import subprocess
import sys

try:
    import dkim
except ImportError:
    print("skipped: dkimpy (python3-dkim) is not installed")
    sys.exit(77)

records = {}


def messages(stream):
    """The (should pass, what, message) of each entry."""
    while line := stream.readline():
        verdict, size, what = line.split(b" ", 2)
        message = stream.read(int(size))
        stream.readline()
        yield verdict == b"pass", what.decode().strip(), message


def verifies(message):
    def dns(name, timeout=5):
        return records.get(name.rstrip(b"."))

    try:
        return dkim.verify(message, dnsfunc=dns)
    except dkim.DKIMException as error:
        return f"refused: {error}"


def judged(entry):
    """What is wrong with an entry; empty: nothing."""
    expected, what, message = entry
    got = verifies(message)
    return "" if (got is True) == expected else f"message {what}: expected {'pass' if expected else 'fail'}, got {got}"


def main():
    logging.getLogger("dkimpy").setLevel(logging.CRITICAL)
    count = int(sys.argv[2])
    stream = io.BytesIO(subprocess.run([sys.argv[1], str(count)], check=True, stdout=subprocess.PIPE).stdout)
    for _ in range(2):
        selector, record = stream.readline().strip().split(b" ", 1)
        records[selector + b"._domainkey.brand.example"] = record
    with multiprocessing.Pool() as pool:  # Forked, so that the records are there.
        found = pool.map(judged, messages(stream), chunksize=100)
    wrong = [each for each in found if each]
    print("\n".join(wrong[:50]))
    print(f"{len(found)} messages, {len(wrong)} wrong")
    return 1 if wrong or len(found) != count else 0


if __name__ == "__main__":
    sys.exit(main())
