#!/usr/bin/python3
"""Verifies what dkim_messages writes with dkimpy. Usage: verify_dkimpy.py PATH_OF_dkim_messages"""

import io
import logging
import subprocess
import sys

try:
    import dkim
except ImportError:
    print("skipped: dkimpy (python3-dkim) is not installed")
    sys.exit(77)


def messages(stream):
    """The (should pass, what, message) of each entry."""
    while line := stream.readline():
        verdict, size, what = line.split(b" ", 2)
        message = stream.read(int(size))
        stream.readline()
        yield verdict == b"pass", what.decode().strip(), message


def verifies(message, record):
    def dns(name, timeout=5):
        return record if name.rstrip(b".") == b"s1._domainkey.brand.example" else None

    try:
        return dkim.verify(message, dnsfunc=dns)
    except dkim.DKIMException as error:
        return f"refused: {error}"


def main():
    logging.getLogger("dkimpy").setLevel(logging.CRITICAL)
    written = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
    stream = io.BytesIO(written)
    record = stream.readline().strip()
    count = wrong = 0
    for expected, what, message in messages(stream):
        count += 1
        got = verifies(message, record)
        if (got is True) != expected:
            wrong += 1
            print(f"message {what}: expected {'pass' if expected else 'fail'}, got {got}")
    print(f"{count} messages, {wrong} wrong")
    return 1 if wrong or count < 2000 else 0


if __name__ == "__main__":
    sys.exit(main())
