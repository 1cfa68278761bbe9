"""Postfix smtp-source: one body made once, sent again and again. It neither renders nor pipelines."""

from support.harness import digest

NAME = "smtp-source"
RECIPIENT = "bench@[127.0.0.1]"


def command(port, messages, connections, body_bytes, recipient=RECIPIENT):
    # -d: keep connections open from message to message, as ours does.
    return ["/usr/sbin/smtp-source", "-d", "-s", connections, "-l", body_bytes, "-m", messages,
            "-f", "bench@sender.example", "-t", recipient, f"inet:127.0.0.1:{port}"]


def body(size):
    """What -l SIZE sends: lines of 80 octets that begin with the last digit of their number, then the rest."""
    full = (size - 1) // 80
    lines = [str(number % 10).encode() + b"X" * 77 for number in range(1, full + 1)]
    return b"\r\n".join([*lines, b"X" * (size - 80 * full)]) + b"\r\n"


def expected_digest(messages, body_bytes, recipient=RECIPIENT):
    return messages * digest(recipient, body(body_bytes)) % 2**64
