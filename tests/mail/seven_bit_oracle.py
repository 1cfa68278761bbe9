"""Writes random messages with octets above 127, has them made 7-bit, and reads both with Python's email package: the same
parts of the same types with the same decoded octets, and no octet above 127."""

import email
import email.policy
import pathlib
import random
import subprocess
import sys
import tempfile

WORDS = ["plain", "w\u00f6rd", "\u4f60\u597d", "\U0001f600", "=20", "--=_x", "From ", ".", "a=b", "trailing ", "\ttab", "\u00e9" * 90, "x" * 200]
PARTS = {"text/plain; charset=utf-8": "utf-8", "text/html; charset=iso-8859-1": "latin-1", "application/octet-stream": None, "": "utf-8"}
MESSAGES = 400


def text(rng, charset):
    lines = []
    for _ in range(rng.randrange(1, 8)):
        lines.append(" ".join(rng.choice(WORDS) for _ in range(rng.randrange(0, 9))))
    return "\r\n".join(lines).encode(charset, "replace") + rng.choice([b"", b"\r\n"])


def leaf(rng):
    kind = rng.choice(list(PARTS))
    headers = [f"Content-Type: {kind}"] if kind else []
    charset = PARTS[kind]
    if charset is None:
        body = bytes(rng.choice([rng.randrange(256), 0x41, 0x42]) for _ in range(rng.randrange(0, 300)))
        headers.append("Content-Transfer-Encoding: " + rng.choice(["binary", "8bit"]))
    else:
        body = text(rng, charset)
        if rng.random() < 0.7:
            headers.append("Content-Transfer-Encoding:" + rng.choice([" 8bit", "\r\n 8BIT"]))
    rng.shuffle(headers)
    return headers, body


def entity(rng, depth):
    """Header lines and body of a part."""
    draw = rng.random()
    if depth < 4 and draw < 0.35:
        boundary = f"=_{rng.randrange(10**9)}_{depth}"
        subtype = rng.choice(["mixed", "alternative", "digest"])
        pieces = []
        for _ in range(rng.randrange(1, 4)):
            if subtype == "digest":
                headers, body = [], message(rng, depth + 1)
            else:
                headers, body = entity(rng, depth + 1)
            pieces.append(b"--" + boundary.encode() + b"\r\n" + join(headers, body) + b"\r\n")
        preamble = rng.choice([b"", "pr\u00e4ambel\r\n".encode()])
        headers = [f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"']
        if rng.random() < 0.5:
            headers.append("Content-Transfer-Encoding: 8bit")
        return headers, preamble + b"".join(pieces) + b"--" + boundary.encode() + b"--\r\n"
    if depth < 4 and draw < 0.5:
        headers = ["Content-Type: message/rfc822"] + (["Content-Transfer-Encoding: 8bit"] if rng.random() < 0.5 else [])
        return headers, message(rng, depth + 1)
    return leaf(rng)


def join(headers, body):
    return "".join(line + "\r\n" for line in headers).encode() + b"\r\n" + body


def message(rng, depth):
    headers, body = entity(rng, depth)
    return join(["From: a@b.example", "Subject: x"] + (["MIME-Version: 1.0"] if rng.random() < 0.8 else []) + headers, body)


def leaves(whole):
    """(type, decoded octets) of every part that holds no others."""
    found = []
    for part in whole.walk():
        if part.is_multipart():
            found.append((part.get_content_type(), len(part.get_payload())))
        else:
            found.append((part.get_content_type(), part.get_payload(decode=True)))
    return found


def encodings(whole):
    return {(part.is_multipart(), str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()) for part in whole.walk()}


def check(before, after):
    assert not any(octet > 127 for octet in after), "an octet above 127"
    parse = lambda raw: email.message_from_bytes(raw, policy=email.policy.SMTP)
    old, new = parse(before), parse(after)
    for one, other in zip(leaves(old), leaves(new)):
        assert one == other, (one, other)
    assert len(leaves(old)) == len(leaves(new)), "other parts"
    assert encodings(new) <= {(True, "7bit"), (False, "7bit"), (False, "base64"), (False, "quoted-printable")} or \
        not any(octet > 127 for octet in before), encodings(new)
    for name, value in old.items():
        if name != "Content-Transfer-Encoding":
            assert value == new[name], name


def main():
    rng = random.Random(2026)
    failed = refused = converted = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(MESSAGES):
            (pathlib.Path(folder) / f"{number}.eml").write_bytes(message(rng, 0))
        subprocess.run([sys.argv[1], folder], check=True)
        for file in sorted(pathlib.Path(folder).glob("*.eml")):
            if file.with_suffix(".refused").exists():
                refused += 1
                print(f"{file.name}: {file.with_suffix('.refused').read_text()}")
                continue
            before, after = file.read_bytes(), file.with_suffix(".seven").read_bytes()
            converted += before != after
            try:
                check(before, after)
            except AssertionError as error:
                failed += 1
                print(f"{file.name}: {str(error)[:400]}")
    print(f"{MESSAGES} messages, {converted} changed, {refused} refused, {failed} not as they were")
    return 0 if converted > MESSAGES / 2 and not refused and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
