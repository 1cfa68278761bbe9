#!/usr/bin/python3
"""What dkimpy signs, whole and changed, before our verifier and dkimpy's: they must agree on pass or not pass. Then ARC, both
ways: chains that dkimpy and we seal in turn. Usage: dkimpy_signs.py PATH_OF_dkim_judge COUNT"""

import base64
import collections
import io
import logging
import multiprocessing
import random
import re
import subprocess
import sys

try:
    import authres  # noqa: F401 - dkimpy's ARC signer needs it.
    import dkim
    import nacl.signing
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

FORMS = [(header, body) for header in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]
WORDS = [b"news", b"=?utf-8?q?caf=C3=A9?=", b"\xc3\xa9t\xc3\xa9", b'"a\\"b"', b"b=", b"bh=x;", b"a:b", b"\xff\xfe", b"(comment)",
         b";", b"=20", b".", b"<x@y>"]
NAMES = [b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"List-Id", b"MIME-Version", b"References", b"Received"]
SIGNED = [b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"Subject"]
WHITE = [b" ", b"  ", b"\t", b" \t ", b"\t\t"]

# Of one reason each, with which we differ from dkimpy; anything else fails the test.
ARGUED = {
    "message-syntax": "a bare CR or LF in the header, or a line that is no field: RFC 5322 2.2. dkimpy reads LF as a line end",
    "bad-syntax": "a value that RFC 6376 3.5 or 3.2 does not allow; \"meticulously validate\" (6.1.1)",
    "from-count": "not exactly one From: RFC 5322 3.6, RFC 6376 3.8",
}
# The other way round: white space before a header field's colon, which RFC 5322 4.5 has readers accept; dkimpy refuses it.
OBSOLETE_COLON = re.compile(rb"^[!-9;-~]+[ \t]+:", re.MULTILINE)


def words(rng, most):
    return b"".join(rng.choice(WORDS) + (rng.choice(WHITE) if rng.random() < 0.5 else b"") for _ in range(rng.randrange(most)))


def value(rng):
    text = words(rng, 9)
    if rng.random() < 0.3:
        text += b"\r\n" + rng.choice(WHITE) + b"folded" + rng.choice(WHITE)
    return b" " + text


def draft(rng):
    fields = [b"From: News" + rng.choice(WHITE) + b"<news@brand.example>\r\n"]
    fields += [rng.choice(NAMES) + b":" + value(rng) + b"\r\n" for _ in range(rng.randrange(12))]
    rng.shuffle(fields)
    body = b"" if rng.random() < 0.1 else b"".join(
        (rng.choice(WHITE) if rng.random() < 0.3 else b"") + words(rng, 6) + b"\r\n" for _ in range(rng.randrange(12)))
    body += b"\r\n" * (rng.randrange(5) if rng.random() < 0.3 else 0)
    if rng.random() < 0.02:
        body += b"L" * 70_000 + b"\r\n"
    return b"".join(fields) + b"\r\n" + body


def changed(rng, text):
    """One change anywhere: what must not pass then, and what may."""
    at = rng.randrange(len(text))
    kind = rng.randrange(7)
    if kind == 0:
        return text[:at] + bytes([text[at] ^ (1 << rng.randrange(8))]) + text[at + 1:]
    if kind == 1:
        spaces = [match.start() for match in re.finditer(rb"[ \t]", text)]
        at = rng.choice(spaces)
        return text[:at] + rng.choice(WHITE) + text[at + 1:]
    if kind == 2:
        return rng.choice(NAMES) + b": added\r\n" + text
    if kind == 3:
        return text + rng.choice([b"\r\n", b"x\r\n", b" \r\n", b"\t\r\n", b"\r\n\r\n"])
    if kind == 4:
        lines = text.split(b"\r\n")
        del lines[rng.randrange(len(lines) - 1)]
        return b"\r\n".join(lines)
    if kind == 5:
        return text.replace(rng.choice([b"Subject:", b"To:", b"Date:"]), b"subJect :", 1)
    return b"From: <evil@example.org>\r\n" + text


class Keys:
    def __init__(self, tool):
        keys = subprocess.run(["/usr/bin/openssl", "genrsa", "-traditional", "1024"], check=True, capture_output=True).stdout
        public = subprocess.run(["/usr/bin/openssl", "rsa", "-pubout", "-outform", "DER"], input=keys, check=True,
                                capture_output=True).stdout
        self.rsa = keys
        signing = nacl.signing.SigningKey.generate()
        self.ed25519 = base64.b64encode(bytes(signing))
        self.records = {
            b"rsa._domainkey.brand.example": b"v=DKIM1; k=rsa; p=" + base64.b64encode(public),
            b"ed._domainkey.brand.example": b"v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(signing.verify_key)),
            b"s1._domainkey.list.example": b"v=DKIM1; k=rsa; p=" + base64.b64encode(public),
        }
        self.tool = tool


KEYS = None


def dns(name, timeout=5):
    return KEYS.records.get(name.rstrip(b"."))


def made(number):
    """A signed message, changed if its number is odd, and dkimpy's verdict."""
    rng = random.Random(number)
    text = draft(rng)
    by_rsa = number % 4 < 2
    field = dkim.sign(text, b"rsa" if by_rsa else b"ed", b"brand.example", KEYS.rsa if by_rsa else KEYS.ed25519,
                      canonicalize=FORMS[number // 4 % 4], include_headers=SIGNED,
                      signature_algorithm=b"rsa-sha256" if by_rsa else b"ed25519-sha256")
    text = field + text
    if number % 2:
        text = changed(rng, text)
    try:
        verdict = dkim.verify(text, dnsfunc=dns)
    except Exception as error:  # Of a changed message dkimpy raises what comes.
        verdict = f"{type(error).__name__}"
    return text, verdict


def ask(what, texts):
    """Our verdicts."""
    lines = b"".join(b"record %s %s\n" % item for item in KEYS.records.items())
    lines += b"key %d\n%s\n" % (len(KEYS.rsa), KEYS.rsa)
    stdin = lines + b"".join(b"%s %d\n%s\n" % (what, len(text), text) for text in texts)
    return subprocess.run([KEYS.tool], input=stdin, check=True, stdout=subprocess.PIPE).stdout


def compare(count):
    with multiprocessing.Pool() as pool:  # Forked, so that the keys are there.
        messages = pool.map(made, range(count), chunksize=50)
    wrong, argued, passed = [], collections.Counter(), 0
    for number, ((text, theirs), line) in enumerate(zip(messages, ask(b"dkim", [text for text, _ in messages]).splitlines(),
                                                        strict=True)):
        status, reason = line.decode().split()
        passed += status == "pass"
        if (status == "pass") == (theirs is True):
            continue
        if number % 2 and theirs is True and reason in ARGUED:
            argued[reason] += 1
        elif number % 2 and theirs == "MessageFormatError" and OBSOLETE_COLON.search(text):
            argued["white space before a colon"] += 1
        else:
            wrong.append(f"message {number}: dkimpy {theirs}, we {status} {reason}\n{text[:2000]!r}")
    print(f"{count} messages of dkimpy, {passed} pass, {len(wrong)} wrong, argued: {dict(argued)}")
    print("\n".join(wrong[:5]))
    return not wrong and passed >= count // 2


def seal_by_dkimpy(text):
    """Its signer takes the state of the chain from the one Authentication-Results field of its own name."""
    sets = text.count(b"ARC-Seal:")
    name = b"mx%d.example" % sets
    text = b"Authentication-Results: %s; arc=%s\r\n" % (name, b"pass" if sets else b"none") + text
    return b"".join(dkim.arc_sign(text, b"s1", b"list.example", KEYS.rsa, name)) + text


def seal_by_us(texts):
    out, sealed = io.BytesIO(ask(b"seal", texts)), []
    for text in texts:
        field = out.read(int(out.readline()))
        out.readline()
        sealed.append(field + text)
    return sealed


def chains(count):
    """Chains of up to four sets, sealed by both in turn; then with one change."""
    rng = random.Random(8617)
    texts = [draft(rng) for _ in range(count)]
    wrong = []
    for length in range(1, 5):
        half = count // 2 if length % 2 else 0
        texts = ([seal_by_dkimpy(text) for text in texts[:count // 2]] + seal_by_us(texts[count // 2:]) if half else
                 seal_by_us(texts[:count // 2]) + [seal_by_dkimpy(text) for text in texts[count // 2:]])
        cases = texts + [changed(rng, text) for text in texts]
        for number, (text, line) in enumerate(zip(cases, ask(b"arc", cases).splitlines(), strict=True)):
            status, reason = line.decode().split()
            try:
                theirs = dkim.arc_verify(text, dnsfunc=dns)
            except Exception as error:
                theirs = (b"fail", [], type(error).__name__)
            agreed = (status == "pass") == (theirs[0] == b"pass")
            argued = (reason in ARGUED if theirs[0] == b"pass" else
                      theirs[2] == "MessageFormatError" and OBSOLETE_COLON.search(text))
            if not agreed and (number < count or not argued):
                wrong.append(f"chain {number} of {length}: dkimpy {theirs[0]} {theirs[2]}, we {status} {reason}\n{text[:3000]!r}")
            if number < count and status != "pass":
                wrong.append(f"chain {number} of {length} does not pass: {reason}")
    print(f"{count} chains of up to 4 sets, {len(wrong)} wrong")
    print("\n".join(wrong[:5]))
    return not wrong


def main():
    global KEYS
    logging.getLogger("dkimpy").setLevel(logging.CRITICAL + 1)
    KEYS = Keys(sys.argv[1])
    good = compare(int(sys.argv[2]))
    return 0 if chains(60) and good else 1


if __name__ == "__main__":
    sys.exit(main())
