"""dkimpy as a contender and as the judge. Run by /usr/bin/python3, which Debian's python3-dkim is for.

dkimpy.py FOLDER ROUNDS MILLISECONDS: checks every FOLDER/*.eml, signs every FOLDER/*.unsigned for the time given, and prints
the lines that bench_dkim_sign prints. Exit status 1: a signature does not verify."""

import pathlib
import sys
import time

import dkim

ALGORITHMS = {"rsa": b"rsa-sha256", "ed25519": b"ed25519-sha256"}
HEADERS = [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
           b"List-Id", b"List-Unsubscribe", b"List-Unsubscribe-Post", b"Feedback-ID"]


def verifies(folder, kind, message):
    record = (folder / f"{kind}.txt").read_bytes()
    return dkim.verify(message, dnsfunc=lambda name, timeout=5: record)


def sign(kind, message, key):
    return dkim.sign(message, b"s1", b"brand.example", key, canonicalize=(b"relaxed", b"relaxed"), include_headers=HEADERS,
                     signature_algorithm=ALGORITHMS[kind])


def seed(pem):
    """What dkimpy takes as an Ed25519 key: the last 32 octets of its PKCS#8 (RFC 8410 7), in base 64."""
    import base64
    der = base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))
    return base64.b64encode(der[-32:])


def main():
    folder, rounds, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000
    for file in sorted(folder.glob("*.eml")):
        if not verifies(folder, file.name.split(".")[0], file.read_bytes()):
            sys.exit(f"{file.name} does not verify")
    for file in sorted(folder.glob("*.unsigned")):
        kind, kilobytes, _ = file.name.split(".")
        message, pem = file.read_bytes(), (folder / f"{kind}.pem").read_bytes()
        key = pem if kind == "rsa" else seed(pem)
        if not verifies(folder, kind, sign(kind, message, key) + message):
            sys.exit(f"dkimpy's own signature of {file.name} does not verify")
        values = []
        for _ in range(rounds):
            calls, start = 0, time.thread_time()
            while time.thread_time() - start < seconds or calls == 0:
                sign(kind, message, key)
                calls += 1
            values.append(calls / (time.thread_time() - start))
        print(kind, "dkimpy", kilobytes, *values)


if __name__ == "__main__":
    main()
