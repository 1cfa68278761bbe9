#!/usr/bin/env python3
"""`mailsbuddy tls check` and `mailsbuddy send` against receivers whose TLSA records are in a zone that is signed here."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import support  # noqa: E402
from support import PROGRAM, TEMPLATE, command, loopback  # noqa: E402

HOSTS = {"right": "127.0.0.11", "wrong": "127.0.0.12", "bare": "127.0.0.13"}


def openssl(folder, *arguments):
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True).stdout


def certificate(folder, name):
    """A self-signed certificate: its files, and the digest of its key for a TLSA record 3 1 1."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    key = openssl(folder, "pkey", "-in", f"{name}.key", "-pubout", "-outform", "DER")
    return hashlib.sha256(key).hexdigest()


@unittest.skipUnless(shutil.which("ldns-signzone"), "ldnsutils is not installed")
class Dane(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailsbuddy-tls-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.children = loopback.Children()
        self.addCleanup(self.children.stop)
        digests = {name: certificate(self.folder, name) for name in HOSTS}
        sinks = loopback.Sinks(self.children, PROGRAM, self.folder, {HOSTS["right"]: "tls"}, {"tls": "starttls"},
                               ["--tls-cert", self.folder / "right.pem", "--tls-key", self.folder / "right.key"])
        self.port = sinks.port
        sinks.start()
        loopback.Sinks(self.children, PROGRAM, self.folder, {HOSTS["wrong"]: "tls"}, {"tls": "starttls"},
                       ["--tls-cert", self.folder / "wrong.pem", "--tls-key", self.folder / "wrong.key"],
                       port=self.port).start()
        loopback.Sinks(self.children, PROGRAM, self.folder, {HOSTS["bare"]: "clear"}, {"clear": ""}, port=self.port).start()
        records = []
        for name, address in HOSTS.items():
            records += [f"{name} MX 10 mx.{name}", f"mx.{name} A {address}"]
        records.append(f"_{self.port}._tcp.mx.right TLSA 3 1 1 {digests['right']}")
        records.append(f"_{self.port}._tcp.mx.wrong TLSA 3 1 1 {digests['right']}")
        records += ["alias MX 10 mx.alias", "mx.alias CNAME mx.right"]
        records.append('_smtp._tls.right TXT "v=TLSRPTv1; rua=mailto:reports@right.example"')
        self.dns = loopback.NameServer(self.children, self.folder, records, sign=True)
        self.options = ["--dns", self.dns.endpoint, "--port", self.port, "--trust-anchors", self.dns.anchors,
                        "--allow-target", "127.0.0.0/8"]

    def check(self, domain):
        done = command("tls", "check", domain, "--connect", *self.options)
        return done.returncode, done.stdout

    def test_check(self):
        status, said = self.check("right.example")
        self.assertEqual(status, 0, said)
        self.assertIn("right.example: good: its MX records are signed", said)
        self.assertIn("right.example: policy: opportunistic (dane); verified by DANE", said)
        self.assertIn("mx.right.example: good: TLS, verified by DANE", said)
        self.assertIn("right.example: good: wants TLS reports at reports@right.example", said)
        status, said = self.check("alias.example")
        self.assertEqual(status, 0, said)
        self.assertIn("mx.alias.example: note: an alias of mx.right.example", said)
        self.assertIn(f"_{self.port}._tcp.mx.right.example: good: TLSA 3 1 1 ", said)
        self.assertIn("mx.alias.example: good: TLS, verified by DANE", said)
        status, said = self.check("wrong.example")
        self.assertEqual(status, 1, said)
        self.assertIn("mx.wrong.example: bad: start_tls: tls_failed", said)
        status, said = self.check("bare.example")
        self.assertEqual(status, 1, said)
        self.assertIn("mx.bare.example: bad: mail goes in clear", said)

    def test_without_trust_there_is_no_dane(self):
        done = command("tls", "check", "wrong.example", "--connect", "--dns", self.dns.endpoint, "--port", self.port,
                       "--allow-target", "127.0.0.0/8")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("nothing validates here", done.stdout)

    def test_bad_options(self):
        for option in (["--tls-domain", "x"], ["--tls-domain", "x=maybe"], ["--tls-domain", "x=required:a"],
                       ["--trust-anchors", self.folder / "none"], ["--trust-anchors", self.folder / "right.key"]):
            done = command("tls", "check", "right.example", "--dns", self.dns.endpoint, *option)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertTrue(done.stderr.startswith("mailsbuddy tls check: "), done.stderr)

    def test_send(self):
        (self.folder / "mail.eml").write_text(TEMPLATE)
        (self.folder / "rows.csv").write_text("email,name\n" + "".join(f"ann@{name}.example,Ann\n" for name in HOSTS))
        done = command("send", "--template", self.folder / "mail.eml", "--recipients", self.folder / "rows.csv",
                       "--from", "news@brand.example", "--egress", "127.0.0.1=mx.brand.example", "--max-age", "3s",
                       "--first-retry", "1s", "--events", self.folder / "events.jsonl", *self.options)
        events = (self.folder / "events.jsonl").read_text()
        finals = {}
        for line in events.splitlines():
            event = json.loads(line)
            finals[event["recipient"]] = event
        self.assertEqual(finals["ann@right.example"]["kind"], "delivered", done.stderr)
        self.assertEqual(finals["ann@right.example"]["tls_verified"], "dane")
        self.assertEqual(finals["ann@bare.example"]["kind"], "delivered")
        self.assertNotIn("tls_verified", finals["ann@bare.example"])
        self.assertEqual(finals["ann@wrong.example"]["kind"], "expired")


if __name__ == "__main__":
    support.main()
