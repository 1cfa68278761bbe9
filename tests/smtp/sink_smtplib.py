"""Talks to a sink on 127.0.0.1:PORT with Python's smtplib and reads what it kept. Usage: sink_smtplib.py PORT MAILDIR"""

import os
import smtplib
import socket
import ssl
import sys

PORT, MAILDIR = int(sys.argv[1]), sys.argv[2]
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE  # The sink's certificate is its own.


def kept():
    """Kept messages by recipients, and forgotten again."""
    found = {}
    directory = os.path.join(MAILDIR, "new")
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            trace, message = file.read().split(b"Subject: ", 1)
        recipients = [line.split(b": ")[1] for line in trace.splitlines() if line.startswith(b"Delivered-To")]
        found[b",".join(recipients).decode()] = b"Subject: " + message
        os.unlink(path)
    return found


def plain_and_tls(tls):
    message = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\xe4\r\n"
    big = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 300_000
    with smtplib.SMTP("127.0.0.1", PORT) as client:
        client.ehlo()
        assert client.has_extn("starttls") and client.has_extn("pipelining"), client.esmtp_features
        assert client.esmtp_features["size"] == str(10 << 20), client.esmtp_features
        if tls:
            assert client.starttls(context=CONTEXT)[0] == 220
            client.ehlo()
            assert not client.has_extn("starttls"), client.esmtp_features
        assert client.sendmail("a@s.example", ["x@d.example", "y@d.example"], message) == {}
        if tls:
            assert client.sendmail("a@s.example", ["big@d.example"], big) == {}
        try:
            client.sendmail("a@s.example", ["x@d.example"], b"x" * (11 << 20))
            raise AssertionError("a message beyond SIZE was taken")
        except smtplib.SMTPSenderRefused as refused:
            assert refused.smtp_code == 552, refused
    expected = {"x@d.example,y@d.example": message}
    if tls:
        expected["big@d.example"] = big
    found = kept()
    assert found == expected, {to: text[:100] for to, text in found.items()}


def nothing_said_in_clear_counts_under_tls():
    with socket.create_connection(("127.0.0.1", PORT)) as raw:
        file = raw.makefile("rb")
        file.readline()
        raw.sendall(b"STARTTLS\r\nEHLO smuggled\r\n")
        assert file.readline().startswith(b"220 ")
        with CONTEXT.wrap_socket(raw) as tls:
            tls.sendall(b"NOOP\r\n")
            assert tls.recv(1000) == b"250 2.0.0 Ok\r\n"


plain_and_tls(tls=False)
plain_and_tls(tls=True)
nothing_said_in_clear_counts_under_tls()
