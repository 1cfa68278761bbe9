"""One connection pool of ours against Postfix, OpenSMTPD, Exim and aiosmtpd: messages as they are, every octet compared.

receivers_test.py sends through the whole engine. Here are the windows, refusals and octets that it does not choose.
"""

import collections
import json
import os
import random
import re
import subprocess
import unittest

import hostile
import servers
import support

POOL_SEND = os.environ["POOL_SEND"]
SENDER = "news@brand.example"
TEXT = [b"spring", b"is", b"here", b".", b"..", b"=20", b"From", b"\t", b"x" * 60, b"MAIL FROM:<evil@brand.example>", b"QUIT"]


def head(number, *more):
    fields = [b"X-Number: %d" % number, b"From: News <news@brand.example>", b"To: undisclosed-recipients:;",
              b"Date: Mon, 23 Nov 2026 19:57:48 +0000", b"Message-ID: <%d@brand.example>" % number,
              b"Subject: a folded\r\n one", *more]
    return b"\r\n".join(fields) + b"\r\n\r\n"


def body(random_, dots):
    """Lines of words, empty lines, lines of white space; with `dots` also lines that begin with one."""
    lines = []
    for _ in range(random_.randrange(1, 200)):
        line = b" ".join(random_.choices(TEXT, k=random_.randrange(0, 12))) + b" " * random_.choice([0, 0, 3])
        lines.append(b"x" + line if line.startswith(b".") and not dots else line)
    return b"\r\n".join(lines) + b"\r\n"


def as_sent(message):
    """Each line end is CRLF, and there is one at the end."""
    lines = re.split(rb"\r\n|\r|\n", message)
    return b"\r\n".join(lines if lines[-1] == b"" else [*lines, b""])


class Peer:
    """What every server is asked. A class for each says what it is and has."""

    TLS = SMTPUTF8 = KNOWS_USERS = True
    NUL = True  # It keeps a line with a NUL as it is.

    def setUp(self):
        super().setUp()
        self.domain = next(iter(self.RECEIVERS))
        self.address = self.RECEIVERS[self.domain]
        self.server = self.SERVER(self.world.children, self.world.folder, self.address, self.domain)
        self.mails = []

    def mail(self, to, message, sender=SENDER, smtputf8=False):
        """One more message; its number is in the X-Number that head() made."""
        file = self.world.write(f"{len(self.mails)}.eml", message)
        self.mails.append((to, message))
        return {"from": sender, "to": to, "file": str(file), "smtputf8": smtputf8}

    def send(self, mails, tls=None, in_flight=2, connections=3):
        tls = tls or ("required" if self.TLS else "none")
        lines = "".join(json.dumps(each) + "\n" for each in mails)
        run = subprocess.run([POOL_SEND, self.address, str(self.server.port), tls, str(in_flight), str(connections)], input=lines,
                             capture_output=True, text=True, timeout=support.RUN_SECONDS, check=False)
        self.assertEqual(run.returncode, 0, run.stderr + self.server.log.read_text(errors="replace")[-4000:])
        found = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual(sum(len(each["to"]) for each in mails), len(found), "one outcome a recipient")
        return found

    def delivered(self, found):
        """{(message, recipient)} that were; all others are in the second value."""
        good = {(each["message"], each["recipient"]) for each in found if each["outcome"] == "delivered"}
        return good, [each for each in found if each["outcome"] != "delivered"]

    def wait_for(self, count):
        """Patient for as long as there is progress: a busy disk is no failure."""
        def there():
            return len(support.loopback.maildir_files(self.server.maildir))

        while (before := there()) < count:
            support.loopback.wait_until(lambda: there() > before, f"{count} messages in the mailbox, {before} there", log=self.server.log)

    def check_mailbox(self, good):
        """Exactly these (message, recipient), each once, octet by octet; and the server took no more than these."""
        self.wait_for(len(good))
        came = collections.Counter()
        for file in support.loopback.maildir_files(self.server.maildir):
            stored = file.read_bytes()
            stored = stored if b"\r\n" in stored else stored.replace(b"\n", b"\r\n")
            trace, _, rest = stored.partition(b"X-Number: ")
            number = int(rest[:rest.index(b"\r")])
            recipient = re.search(r"^Delivered-To: (.*)\r$", trace.decode(), re.M)[1]
            came[number, recipient] += 1
            wanted = as_sent(self.mails[number][1])
            self.assertEqual(b"X-Number: " + rest, wanted if self.NUL else re.sub(rb"\0[^\r]*", b"", wanted), f"message {number}")
        self.assertEqual(came, collections.Counter(good))

    def hundreds(self, count, dots):
        random_ = random.Random(1)
        return [self.mail([f"r{number}@{self.domain}"], head(number) + body(random_, dots(number))) for number in range(count)]

    # ------------------------------------------------------------------------------------------------------------------

    def test_hundreds_overlap(self):
        good, bad = self.delivered(self.send(self.hundreds(200, lambda number: True)))
        self.assertEqual(bad, [])
        self.check_mailbox(good)
        self.check_log()

    def test_twenty_in_flight(self):
        # By BDAT where it is offered and no line begins with a dot; both ways on one connection.
        good, bad = self.delivered(self.send(self.hundreds(200, lambda number: number % 10 == 9), in_flight=20, connections=2))
        self.assertEqual(bad, [])
        self.check_mailbox(good)
        self.check_log()
        self.check_chunks(sum(re.search(rb"^\.", message, re.M) is None for _, message in self.mails))

    def test_in_clear(self):
        good, bad = self.delivered(self.send(self.hundreds(40, lambda number: number % 2 == 0), tls="none", in_flight=5))
        self.assertEqual(bad, [])
        self.check_mailbox(good)

    def test_unknown_recipients_cost_nobody_else(self):
        mails, expected = [], set()
        for number in range(60):
            known = [f"r{number}a@{self.domain}", f"r{number}b@{self.domain}"][:number % 3]
            unknown = [f"{servers.UNKNOWN}{number}@{self.domain}"] if self.KNOWS_USERS and (number % 2 or not known) else []
            elsewhere = [f"ann{number}@elsewhere.example"] if not known + unknown or number % 5 == 0 else []
            mails.append(self.mail([*unknown, *known, *elsewhere], head(number) + b"Hello.\r\n"))
            expected |= {(number, each) for each in known}
        for in_flight in (2, 20):
            good, bad = self.delivered(self.send(mails, in_flight=in_flight))
            self.assertEqual(good, expected)
            self.assertEqual({(each["stage"], each["cause"], each["code"] // 100) for each in bad}, {("rcpt_to", "reply", 5)}, bad)
        self.check_mailbox([*expected, *expected])

    def test_what_is_too_large_is_not_sent(self):
        large = head(1) + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 5000
        mails = [self.mail([f"r0@{self.domain}"], head(0) + b"a\r\n"), self.mail([f"r1@{self.domain}"], large),
                 self.mail([f"r2@{self.domain}"], head(2) + b"b\r\n")]
        for in_flight in (2, 20):
            good, (bad,) = self.delivered(self.send(mails, in_flight=in_flight, connections=1))
            self.assertEqual(good, {(0, f"r0@{self.domain}"), (2, f"r2@{self.domain}")})
            self.assertEqual((bad["message"], bad["cause"], bad["stage"]), (1, "too_large", "mail_from"))
        self.check_mailbox([*good, *good])

    def test_eight_bit(self):
        eight = bytes(range(128, 256)) * 5 + b"\r\n" + "Grüße, 山田".encode() + b"\r\n.\xff\r\n"
        mails = [self.mail([f"r{n}@{self.domain}"], head(n, b"Content-Transfer-Encoding: 8bit") + eight) for n in range(5)]
        good, bad = self.delivered(self.send(mails, in_flight=20))
        self.assertEqual(bad, [])
        self.check_mailbox(good)

    def test_smtputf8(self):
        names = ["jürgen", "δοκιμή", "用户", "почта"]
        mails = [self.mail([f"{name}@{self.domain}"], head(n, "X-Name: jürgen".encode()) + b"Hello.\r\n", f"{name}@brand.example",
                           smtputf8=True) for n, name in enumerate(names)]
        plain = self.mail([f"ann@{self.domain}"], head(len(names)) + b"Hello.\r\n")
        good, bad = self.delivered(self.send([*mails, plain], in_flight=20))
        if self.SMTPUTF8:
            self.assertEqual(bad, [])
        else:
            self.assertEqual({each["cause"] for each in bad}, {"smtputf8_unavailable"})
            self.assertEqual(good, {(len(names), f"ann@{self.domain}")})
        self.check_mailbox(good)

    def test_no_form_of_smuggling_leaves_us(self):
        # What stands behind each end would be a message to the victim, were it read as commands.
        mails = []
        for number, end in enumerate(hostile.ENDS):
            inner = f"MAIL FROM:<evil@brand.example>\r\nRCPT TO:<victim@{self.domain}>\r\nDATA\r\n".encode()
            mails.append(self.mail([f"r{number}@{self.domain}"],
                                   head(number) + b"a" + end + inner + head(number) + b"smuggled" + end + b"QUIT\r\n"))
        number = len(mails)
        whole = head(number) + b"".join(b"a" + end + b"RSET\r\n" for end in hostile.ENDS)
        mails.append(self.mail([f"r{number}@{self.domain}"], whole))
        for in_flight in (2, 20):
            good, bad = self.delivered(self.send(mails, in_flight=in_flight, connections=2))
            self.assertEqual(bad, [])
            self.assertEqual(len(good), len(mails))
        self.check_mailbox([*good, *good])

    def check_log(self):
        self.assertNotRegex(self.server.log.read_text(errors="replace"), self.COMPLAINTS)

    def check_chunks(self, count):
        """That so many came by BDAT, where there is CHUNKING."""


class Postfix(Peer, support.TestCase):
    RECEIVERS = {"postfix.example": "127.0.0.21"}
    SERVER = servers.Postfix
    COMPLAINTS = support.POSTFIX_COMPLAINTS

    def check_chunks(self, count):
        def said():  # At the end of each connection.
            return re.findall(r"disconnect from .* mail=.* bdat=(\d+) ", self.server.log.read_text(errors="replace"))

        support.loopback.wait_until(lambda: sum(map(int, said())) >= count, f"{count} messages by BDAT", log=self.server.log)
        self.assertEqual(sum(map(int, said())), count)


class OpenSmtpd(Peer, support.TestCase):
    RECEIVERS = {"opensmtpd.example": "127.0.0.22"}
    SERVER = servers.OpenSmtpd
    TLS = SMTPUTF8 = KNOWS_USERS = NUL = False
    COMPLAINTS = r"(?i)(failed-command|\bfatal\b|invalid)"


class Exim(Peer, support.TestCase):
    RECEIVERS = {"exim.example": "127.0.0.23"}
    SERVER = servers.Exim
    COMPLAINTS = r"(?i)(panic|(protocol|synchronization|syntax) (violation|error))"

    def check_chunks(self, count):
        taken = [line for line in self.server.log.read_text().splitlines() if " <= " in line]
        self.assertEqual(sum(" K " in line for line in taken), count)  # "K": it came by CHUNKING.
        self.assertEqual(len(taken), len(self.mails))


class Aiosmtpd(Peer, support.TestCase):
    RECEIVERS = {"aiosmtpd.example": "127.0.0.24"}
    SERVER = servers.Aiosmtpd
    COMPLAINTS = r"(?i)(error|exception|traceback)"


if __name__ == "__main__":
    support.main()
