"""What the sinks receive is judged by other people's programs: dkimpy, libopendkim, Python's email package."""

import base64
import os
import subprocess

import dkim

import hostile
import support

VERIFIER = os.environ["OPENDKIM_VERIFY"]
PNG = bytes(range(256)) * 5
BLOB = b"\r\n.\r\n\0\xff" * 300


def nested_template():
    """Text and HTML with an inline picture, beside an attachment; a charset that is not UTF-8."""

    return f"""\
Subject: =?iso-8859-1?Q?Gr=FC=DFe?= an {{{{ name }}}}
Reply-To: =?utf-8?Q?J=C3=B6rg?= <hello@brand.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/related; boundary=middle

--middle
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe an {{{{ name }}}}
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>Grüße an <b>{{{{ name }}}}</b> <img src="cid:logo@brand.example"></p>
--inner--
--middle
Content-Type: image/png
Content-ID: <logo@brand.example>
Content-Disposition: inline; filename=logo.png
Content-Transfer-Encoding: base64

{base64.encodebytes(PNG).decode()}
--middle--
--outer
Content-Type: application/octet-stream
Content-Disposition: attachment; filename*=utf-8''Preise%20%E2%82%AC.bin
Content-Transfer-Encoding: base64

{base64.encodebytes(BLOB).decode()}
--outer--
"""


class Oracles(support.TestCase):
    RECEIVERS = {"plain.example": "127.0.0.41", "tls.example": "127.0.0.42", "bdat.example": "127.0.0.43",
                 "simple.example": "127.0.0.44"}
    PROFILES = {"plain": "", "tls": "starttls", "bdat": "chunking,latency=1ms", "simple": "pipelining=off,smtputf8=off"}

    def setUp(self):
        super().setUp()
        listeners = {address: domain.removesuffix(".example") for domain, address in self.RECEIVERS.items()}
        self.sinks = self.world.sinks(listeners, self.PROFILES)

    def send(self, template, rows, **changed):
        self.world.write("template.eml", template)
        self.world.write_rows("rows.csv", ["email", "name"], rows)
        run = self.world.send(port=self.sinks.port, **changed)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("delivered"), {address for address, _ in rows}, run.finals)
        mail = self.world.mail()
        self.check_received_once(mail, run.recipients("delivered"))
        self.assertEqual(self.sinks.stop()["total"]["protocol_errors"], 0)
        return run, mail

    def check_mail(self, mail):
        for received in mail:
            with self.subTest(received.recipient):
                self.assertTrue(received.line_ends_kept)
                self.check_sane(received)
                self.check_dkim(received)
        verdicts = self.opendkim({received.recipient: received.raw for received in mail})
        self.assertEqual({recipient: verdict for recipient, verdict in verdicts.items() if verdict != "ok"}, {})

    def opendkim(self, messages):
        """libopendkim's word on each of {name: message}, with the keys that the DNS server has."""
        name = f"{self.world.key.selector}._domainkey.{self.world.key.domain}"
        record = self.world.name_server.txt(f"{name}.".encode())
        keys = self.world.write("keys", name.encode() + b"\t" + record + b"\n")
        files = {str(self.world.write(f"message-{n}", raw)): name for n, (name, raw) in enumerate(messages.items())}
        verified = subprocess.run([VERIFIER, keys, *files], capture_output=True, text=True, timeout=60)
        self.assertLess(verified.returncode, 2, verified.stderr)
        lines = [line.split("\t") for line in verified.stdout.splitlines()]
        self.assertEqual(len(lines), len(files))
        return {files[file]: verdict for file, verdict in lines}

    def test_every_message(self):
        domains = list(self.RECEIVERS)
        rows = [[f"{name}@{domain}", value] for name, value in hostile.VALUES.items() for domain in domains]
        rows += [[f"user{number}@{domains[number % 4]}", "Ann"] for number in range(300)]
        rows += [[f"jürgen{number}@{domains[number % 3]}", "Jürgen"] for number in range(6)]
        run, mail = self.send(hostile.TEMPLATE, rows)
        self.assertEqual({e["recipient"].split("@")[1] for e in run.finals.values() if e["tls"]}, {"tls.example"})
        self.check_mail(mail)
        for received in mail:
            with self.subTest(received.recipient):
                local = received.recipient.split("@")[0]
                if not local.startswith("jürgen"):
                    hostile.check_content(self, received, local if local in hostile.VALUES else "plain")
        for name in ("message-id", "return-path"):
            values = {str(m.message["Message-ID"]) if name == "message-id" else m.return_path for m in mail}
            self.assertEqual(len(values), len(mail), f"two messages have the same {name}")
        self.check_altered(mail[0])

    def check_altered(self, received):
        """The oracles do say no: a header added, a header changed, the body changed, the key of another selector."""
        raw = received.raw
        altered = {
            "second From": b"From: evil@brand.example\r\n" + raw,
            "second List-Unsubscribe": b"List-Unsubscribe: <https://evil.example/>\r\n" + raw,
            "other Subject": raw.replace(b"\r\nSubject: ", b"\r\nSubject: Not ", 1),
            "other body": raw[:-10] + b"x" + raw[-10:],
            "no such key": raw.replace(b"s=s1", b"s=s2", 1),
        }
        for name, message in altered.items():
            with self.subTest(name):
                self.assertNotEqual(message, raw)
                self.assertFalse(dkim.verify(message, dnsfunc=self.world.name_server.txt))
        self.assertNotIn("ok", self.opendkim(altered).values())

    def test_nested_content_signed_by_the_parent_domain(self):
        rows = [[f"user{number}@{domain}", "Zoë & Co"] for number in range(3) for domain in self.RECEIVERS]
        sender = '"Jörg, \\"der\\" Händler" <news@mail.brand.example>'
        _, mail = self.send(nested_template(), rows, **{"from": sender})
        self.check_mail(mail)
        for received in mail:
            with self.subTest(received.recipient):
                message = received.message
                self.assertIn("d=brand.example", message["DKIM-Signature"])
                self.assertEqual(message["Subject"], "Grüße an Zoë & Co")
                (sender,) = message["From"].addresses
                self.assertEqual(sender.display_name, 'Jörg, "der" Händler')
                self.assertEqual(sender.addr_spec, "news@mail.brand.example")
                self.assertEqual(message["Reply-To"].addresses[0].display_name, "Jörg")
                self.assertEqual(received.part("text/plain").strip(), "Grüße an Zoë & Co")
                self.assertIn('Grüße an <b>Zoë &amp; Co</b> <img src="cid:logo@brand.example">',
                              received.part("text/html"))
                self.assertEqual(received.part("image/png"), PNG)
                (attached,) = message.iter_attachments()
                self.assertEqual((attached.get_filename(), attached.get_content()), ("Preise €.bin", BLOB))


if __name__ == "__main__":
    support.main()
