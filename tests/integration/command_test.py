"""The command itself: help, version, shell completion, keys, and its judgement of addresses."""

import base64
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree

import support

SUBCOMMANDS = ["send", "sink", "listen", "dkim", "dkim keygen", "dkim record", "dkim sign", "dkim verify", "dkim check",
               "address", "address check", "bounce", "bounce classify", "bounce parse", "bounce rules", "bounce rules test",
               "completion", "warm", "warm plan", "warm explain", "warm presets",
               "warm pin", "warm unpin", "warm pause", "warm resume", "warm skip", "warm repeat", "warm limits"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPORA = pathlib.Path(os.environ.get("MAILSBUDDY_CORPORA") or ROOT / "../shared/corpora")

# Its README says what the labels are; those left out are judged by other standards than SMTP's, or disputed.
WANTED = {"valid": True, "valid-syntax-special-domain": True, "needs-smtputf8": True, "rfc5322-only": False,
          "invalid": False}
# Rows that contradict others of the corpus: "::" for a single group, which five rows labelled valid have; and a display
# name in quotes, which another row labelled valid has.
CONTRADICTED = {"test@[IPv6:1111:2222:3333:4444:5555:6666::8888]", '"Display Name" <me@example.com>'}


def unescape(text):
    r"""Of the corpus: \\ \t \r \n \uXXXX."""
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)",
                  lambda m: {"\\": "\\", "t": "\t", "r": "\r", "n": "\n"}.get(m[1]) or chr(int(m[1][1:], 16)), text)


class Help(unittest.TestCase):
    def test_version(self):
        run = support.command("--version")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertRegex(run.stdout, r"^mailsbuddy \d+\.\d+\.\d+\n$")

    def test_help_of_every_subcommand(self):
        self.assertEqual(support.command("--help").returncode, 0)
        for name in SUBCOMMANDS:
            with self.subTest(name):
                run = support.command(*name.split(), "--help")
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                if name not in ("dkim", "address", "warm"):  # These only hold others, and name them.
                    self.assertRegex(run.stdout, r"Example[^\n]*:[\s\S]*\n +.*mailsbuddy " + name)
                self.assertLessEqual(max(map(len, run.stdout.splitlines())), 160)


class Warm(unittest.TestCase):
    AUDIENCE = ["--audience", "gmail=40%,outlook=30%,yahoo=15%", "--volume", "100000", "--ips", "2", "--start", "2027-01-04"]

    def test_plan(self):
        run = support.command("warm", "plan", *self.AUDIENCE)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        days = [line.split() for line in run.stdout.splitlines() if re.match(r" +\d+  2027-", line)]
        self.assertEqual(days[0][1:], ["2027-01-04", "1000", "500", "1000", "1000", "3500", "3500"])
        self.assertEqual(days[-1][-1], "100000")
        self.assertRegex(run.stdout, r"finished 2027-01-\d\d .*: microsoft: curve adaptive")

    def test_plan_as_json_and_chart(self):
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder, "plan.svg")
            run = support.command("warm", "plan", *self.AUDIENCE, "--curve", "200,400", "--json", "--svg", chart)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            drawn = xml.etree.ElementTree.parse(chart).getroot()
        plan = json.loads(run.stdout)
        self.assertEqual(sum(row["messages"] for row in plan["rows"]), 100_000)
        self.assertTrue(all(row["messages"] <= row["cap"] for row in plan["rows"]))
        self.assertEqual({each["bound"] for each in plan["providers"]}, {"curve 200,400"})
        self.assertEqual(len(drawn.findall("{http://www.w3.org/2000/svg}polyline")), 5)  # Four providers and all.

    def test_plan_of_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "r.csv")
            file.write_text("name,email\nA,a@gmail.com\nB,b@hotmail.com\nC,c@brand.example\nD,not an address\n", encoding="utf-8")
            run = support.command("warm", "plan", "--recipients", file, "--volume", 300, "--json")
        self.assertEqual((run.returncode, run.stderr),
                         (0, f"mailsbuddy warm plan: {file}: left out, no valid address: 1\n"))
        self.assertEqual({each["provider"]: each["messages"] for each in json.loads(run.stdout)["providers"]},
                         {"google": 100, "microsoft": 100, "other": 100})

    def test_plan_from_now(self):
        begun = time.time()
        plan = json.loads(support.command("warm", "plan", "--audience", "gmail=100%", "--volume", 10, "--json").stdout)
        self.assertGreaterEqual(plan["finish"], int(begun))

    def test_explain(self):
        with tempfile.TemporaryDirectory() as folder:
            limits = pathlib.Path(folder, "limits.tsv")
            limits.write_text("google ip:192.0.2.7 connections=3\n", encoding="utf-8")
            run = support.command("warm", "explain", "--provider", "Gmail", "--ip", "192.0.2.7", "--curve", "sparkpost", "--day", 9,
                                  "--limits", limits)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for part in ("192.0.2.7 at google: warming", "sending day 9 of 29", "0 sent of 50,000", "connections  3 of 3",
                     "limits.tsv:1, for ip 192.0.2.7 at google", "sent today at least 37,500"):
            self.assertIn(part, run.stdout)
        self.assertEqual(json.loads(support.command("warm", "explain", "--provider", "yahoo", "--json").stdout)["cap"], 500)

    def test_presets(self):
        names = [each["name"] for each in json.loads(support.command("warm", "presets", "--json").stdout)]
        self.assertIn("sendgrid", names)
        for name in names:
            self.assertIn(name, support.command("warm", "presets").stdout)
            self.assertGreater(len(support.command("warm", "presets", name).stdout.splitlines()), 20)

    def test_refusals(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder, "bad.tsv")
            bad.write_text("google ip connections=many\n", encoding="utf-8")
            for words, reason in [
                    (["plan"], "--recipients or --audience"), (["plan", "--audience", "gmail=40%"], "--volume"),
                    (["plan", "--audience", "gmail=40", "--volume", 1], "PROVIDER=SHARE%"),
                    (["plan", "--audience", "gmail=60%,yahoo=60%", "--volume", 1], "120 % together"),
                    (["plan", *self.AUDIENCE[:4], "--curve", "nope"], "conservative"),
                    (["plan", *self.AUDIENCE[:4], "--start", "2027-02-30"], "no such day"),
                    (["plan", *self.AUDIENCE[:4], "--start", "2250-01-01"], "2199"),
                    (["plan", *self.AUDIENCE[:4], "--limits", bad], "bad.tsv:1: connections"),
                    (["plan", *self.AUDIENCE[:4], "--svg", folder + "/no/such.svg"], "--svg"),
                    (["plan", "--recipients", folder + "/none.csv"], "No such file"),
                    (["explain", "--provider", "google", "--state", bad], "no snapshot"), (["presets", "nope"], "nope")]:
                with self.subTest(words):
                    run = support.command("warm", *words)
                    self.assertEqual((run.returncode, run.stdout), (2, ""))
                    self.assertIn(reason, run.stderr)


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = ('source <("$MAILSBUDDY" completion bash) && COMP_WORDS=("$@") && COMP_CWORD=$(($# - 1)) && '
                  '{ _mailsbuddy; printf "%s\\n" "${COMPREPLY[@]}"; }')
        run = subprocess.run(["bash", "-uc", script, "bash", *words], capture_output=True, text=True, check=True)
        self.assertEqual(run.stderr, "")
        return set(run.stdout.split())

    def test_bash_reads_the_script(self):
        script = support.command("completion", "bash")
        self.assertEqual((script.returncode, script.stderr), (0, ""))
        self.assertEqual(support.command("completion").stdout, script.stdout, "bash is the default")
        subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=True)
        loaded = subprocess.run(["bash", "-euc", script.stdout + "complete -p mailsbuddy"], capture_output=True,
                                text=True, check=True)
        self.assertIn("_mailsbuddy mailsbuddy", loaded.stdout)

    def test_words_offered(self):
        self.assertEqual(self.complete("mailsbuddy", "s"), {"send", "sink", "suppress"})
        self.assertEqual(self.complete("mailsbuddy", "dkim", ""), {"keygen", "record", "sign", "verify", "check", "--help"})
        self.assertLessEqual({"--template", "--tls", "--help"}, self.complete("mailsbuddy", "send", "--t") | {"--help"})
        self.assertEqual(self.complete("mailsbuddy", "send", "--tem"), {"--template"})
        self.assertEqual(self.complete("mailsbuddy", "send", "--tls", "required", "--tem"), {"--template"})
        self.assertEqual(self.complete("mailsbuddy", "address", "c"), {"check"})
        self.assertEqual(self.complete("mailsbuddy", "nonsense", ""), set())

    def test_every_long_option_of_the_help_is_offered(self):
        for name in ("send", "sink", "dkim keygen"):
            with self.subTest(name):
                shown = support.command(*name.split(), "--help").stdout
                listed = set(re.findall(r"^ +(?:-\w,)?(--[a-z-]+)", shown, re.M))
                self.assertEqual(self.complete("mailsbuddy", *name.split(), "--"), listed)

    def test_zsh_script_is_one_for_bash_compinit(self):
        script = support.command("completion", "zsh").stdout
        self.assertTrue(script.startswith("autoload -U +X bashcompinit && bashcompinit\n"))
        self.assertNotRegex(script, r"\bpath=", "in zsh, path is the PATH")

    def test_unknown_shell(self):
        run = support.command("completion", "tcsh")
        self.assertEqual((run.returncode, run.stdout), (2, ""))


class Keys(unittest.TestCase):
    def test_key_and_record_belong_together(self):
        made = support.command("dkim", "keygen", "--bits", 1024, "--allow-short-rsa")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        public = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=made.stdout.encode(),
                                capture_output=True, check=True)
        record = support.command("dkim", "record", "s1", "brand.example", text=made.stdout).stdout
        self.assertTrue(record.startswith("s1._domainkey.brand.example. IN TXT "))
        text = "".join(re.findall(r'"([^"]*)"', record))
        tags = dict(tag.strip().split("=", 1) for tag in text.split(";"))

        self.assertEqual((tags["v"], tags["k"], base64.b64decode(tags["p"])), ("DKIM1", "rsa", public.stdout))

    def test_refused(self):
        key = support.command("dkim", "keygen", "--bits", 1024, "--allow-short-rsa").stdout
        for name, arguments, text, said in [("too small", ["keygen", "--bits", 512], None, "--bits"),
                                            ("weak", ["keygen", "--bits", 1024], None, "weak"),
                                            ("no key", ["record", "s1", "brand.example"], "hello", "standard input"),
                                            ("nothing", ["record", "s1", "brand.example"], "", "standard input"),
                                            ("no domain", ["record", "s1"], key, "DOMAIN"),
                                            ("bad domain", ["record", "s1", "brand example"], key, "brand example")]:
            with self.subTest(name):
                run = support.command("dkim", *arguments, text=text)
                self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
                self.assertIn(said, run.stderr)

    def test_ed25519_key_and_record(self):
        made = support.command("dkim", "keygen", "--type", "ed25519").stdout
        public = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=made.encode(),
                                capture_output=True, check=True).stdout
        record = support.command("dkim", "record", "s1", "brand.example", text=made).stdout
        self.assertIn(f'"v=DKIM1; k=ed25519; p={base64.b64encode(public[-32:]).decode()}"', record)


class Sign(unittest.TestCase):
    """dkim sign: what comes out is what went in with a signature on top that dkimpy verifies."""

    MESSAGE = "From: Brand <news@brand.example>\nSubject: a  b\n\nHello. \n\n\n"  # As a shell has it.

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.keys, cls.records = {}, {}
        for kind in ("rsa", "ed25519"):
            cls.keys[kind] = pathlib.Path(cls.folder.name, f"{kind}.pem")
            cls.keys[kind].write_text(support.command("dkim", "keygen", "--type", kind).stdout)
            line = support.command("dkim", "record", kind, "brand.example", "--key", cls.keys[kind]).stdout
            cls.records[f"{kind}._domainkey.brand.example."] = "".join(re.findall(r'"([^"]*)"', line)).encode()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def sign(self, kind, *options, text=MESSAGE):
        return support.command("dkim", "sign", "--domain", "brand.example", "--selector", kind, "--key", self.keys[kind],
                               *options, text=text)

    def verify(self, message, index=0):
        return support.dkim.DKIM(message).verify(index, dnsfunc=lambda name, timeout=5: self.records[name.decode()])

    def test_every_canonicalisation_and_engine(self):
        for kind in self.keys:
            for canon in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
                for engine in ("native", "opendkim"):
                    with self.subTest(f"{kind} {canon} {engine}"):
                        run = self.sign(kind, "--canon", canon, "--engine", engine, "--at", 1_700_000_000)
                        self.assertEqual((run.returncode, run.stderr), (0, ""))
                        message = run.stdout.encode().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                        self.assertTrue(message.endswith(self.MESSAGE.replace("\n", "\r\n").encode()))
                        self.assertIn(f"c={canon}", run.stdout)
                        self.assertIn("t=1700000000", run.stdout)
                        self.assertTrue(self.verify(message))

    def test_twice_signs_with_two_keys(self):
        once = self.sign("rsa").stdout
        twice = self.sign("ed25519", text=once).stdout.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        self.assertEqual(twice.count(b"DKIM-Signature:"), 2)
        self.assertTrue(self.verify(twice, 0))
        self.assertTrue(self.verify(twice, 1))

    def test_body_length_is_warned_of(self):
        run = self.sign("rsa", "--body-length", 5)
        self.assertEqual(run.returncode, 0)
        self.assertIn("warning: l=5", run.stderr)

    def test_refused(self):
        weak = pathlib.Path(self.folder.name, "weak.pem")
        weak.write_text(support.command("dkim", "keygen", "--bits", 1024, "--allow-short-rsa").stdout)
        for name, options, text, said in [("no From", [], "To: a@brand.example\n\n", "no From field"),
                                          ("nothing", [], "", "no From field"),
                                          ("no such form", ["--canon", "relaxed"], self.MESSAGE, "--canon"),
                                          ("no such engine", ["--engine", "other"], self.MESSAGE, "--engine"),
                                          ("identity elsewhere", ["--identity", "a@other.example"], self.MESSAGE,
                                           "identity")]:
            with self.subTest(name):
                run = self.sign("rsa", *options, text=text)
                self.assertEqual((run.returncode, run.stdout), (2, ""))
                self.assertIn(said, run.stderr)
        sign = ["dkim", "sign", "--domain", "brand.example", "--selector", "s1", "--key"]
        run = support.command(*sign, weak, text=self.MESSAGE)
        self.assertEqual(run.returncode, 2)
        self.assertIn("weak", run.stderr)
        self.assertEqual(support.command(*sign, weak, "--allow-short-rsa", text=self.MESSAGE).returncode, 0)
        run = support.command(*sign, "/nonexistent.pem", text=self.MESSAGE)
        self.assertEqual(run.returncode, 2)
        self.assertIn("/nonexistent.pem: No such file", run.stderr)


class Verify(support.TestCase):
    """dkim verify and dkim check, with the key of brand.example in a DNS server and in a file."""

    MESSAGE = "From: Brand <news@brand.example>\r\nSubject: a  b\r\n\r\nHello.\r\n"

    def setUp(self):
        super().setUp()
        sign = support.command("dkim", "sign", "--domain", "brand.example", "--selector", "s1", "--key", self.world.key.file,
                               "--at", 1_700_000_000, text=self.MESSAGE)
        self.assertEqual((sign.returncode, sign.stderr), (0, ""))
        self.signed = sign.stdout.replace("\r\n", "\n").replace("\n", "\r\n")
        self.dns = ["--dns", self.world.name_server.endpoint]

    def verify(self, *options, text=None):
        run = support.command("dkim", "verify", *options, text=self.signed if text is None else text)
        return run.returncode, [json.loads(line) for line in run.stdout.splitlines()], run.stderr

    def test_verdicts(self):
        good = {"domain": "brand.example", "selector": "s1", "result": "pass", "reason": "ok"}
        self.assertEqual(self.verify(*self.dns),
                         (0, [{"file": "-", "verdict": "pass", "signatures": [good]}], ""))
        status, (line,), _ = self.verify(*self.dns, text=self.signed.replace("Hello", "Hallo"))
        self.assertEqual((status, line["verdict"], line["signatures"][0]["reason"]), (1, "fail", "body-hash-mismatch"))
        status, (line,), _ = self.verify(*self.dns, text=self.MESSAGE)
        self.assertEqual((status, line["verdict"], line["signatures"]), (1, "none", []))
        status, (line,), _ = self.verify(*self.dns, text=self.signed.replace("s=s1", "s=s2"))
        self.assertEqual((status, line["verdict"], line["signatures"][0]["result"]), (1, "permerror", "permerror"))
        self.assertIn("no-key", line["signatures"][0]["reason"])

    def test_files_records_and_time(self):
        name = "s1._domainkey.brand.example"
        record = self.world.name_server.txt(f"{name}.".encode())
        keys = self.world.write("keys.tsv", f"{name}\tTXT\t{record.decode()}\n")
        late = self.world.write("late.tsv", f"{name}\tTIMEOUT\t\n")
        one, two = self.world.write("one.eml", self.signed), self.world.write("two.eml", self.signed.replace("\r\n", "\n"))
        for engine in ("native", "opendkim"):
            status, lines, said = self.verify("--records", keys, "--engine", engine, one, two)
            self.assertEqual((status, [line["verdict"] for line in lines], said), (0, ["pass", "pass"], ""))
            self.assertEqual([line["file"] for line in lines], [str(one), str(two)])
            status, (line,), _ = self.verify("--records", late, "--engine", engine, one)
            self.assertEqual((status, line["verdict"]), (1, "temperror"))
            status, (line,), _ = self.verify("--records", keys, "--engine", engine, "--at", 1_600_000_000, one)
            self.assertEqual((status, line["verdict"]), (1, "permerror"))

    def test_refused(self):
        bad = self.world.write("bad.tsv", "a\tMX\t10 b\n")
        for options, said in [(["/nonexistent.eml"], "/nonexistent.eml"), (["--records", "/nonexistent.tsv"], "/nonexistent.tsv"),
                              (["--records", bad], "line 1"), (["--dns", "here"], "here"), (["--engine", "other"], "--engine"),
                              (["--dns", "127.0.0.1", "--records", bad], "--dns"), (["--at", "noon"], "--at")]:
            with self.subTest(said):
                status, lines, stderr = self.verify(*options)
                self.assertEqual((status, lines), (2, []))
                self.assertIn(said, stderr)

    def check(self, *arguments):
        run = support.command("dkim", "check", *arguments)
        return run.returncode, run.stdout + run.stderr

    def test_check(self):
        other = self.world.write("other.pem", support.command("dkim", "keygen", "--type", "ed25519").stdout)
        status, text = self.check("brand.example", "s1", "--key", self.world.key.file, *self.dns)
        self.assertEqual(status, 0, text)
        self.assertIn("public half of the private key", text)
        for arguments, expected, said in [(["brand.example", "s1", "--key", other], 1, "does not go with the private key"),
                                          (["brand.example", "s9"], 1, "mailsbuddy dkim record s9 brand.example"),
                                          (["brand.example", "s9", "--key", other], 1, 'IN TXT "v=DKIM1; k=ed25519; p='),
                                          (["brand.example", "s1", "--key", "/nonexistent.pem"], 2, "/nonexistent.pem"),
                                          (["brand.example"], 2, "SELECTOR")]:
            with self.subTest(said):
                status, text = self.check(*arguments, *self.dns)
                self.assertEqual(status, expected, text)
                self.assertIn(said, text)


class SinkUsage(unittest.TestCase):
    def test_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            port = support.loopback.free_port(["127.0.0.1"])
            for name, arguments, said in [("not ours", ["--listen", "192.0.2.1:0"], "192.0.2.1"),
                                          ("no address", ["--listen", "here"], "here"),
                                          ("no such profile", ["--listen", f"127.0.0.1:{port}=x"], "x"),
                                          ("no such setting", ["--profile", "a:colour=red"], "colour"),
                                          ("no such value", ["--profile", "a:latency=red"], "latency"),
                                          ("no folder", ["--listen", "127.0.0.1:0", "--maildir", f"{folder}/a/b"],
                                           "a/b"),
                                          ("no such file", ["--profiles", f"{folder}/none.json"], "none.json")]:
                with self.subTest(name):
                    run = support.command("sink", *arguments)
                    self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
                    self.assertIn(said, run.stderr)


class Addresses(unittest.TestCase):
    def judge(self, lines):
        run = support.command("address", "check", text="".join(line + "\n" for line in lines))
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        judged = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual(len(judged), len(lines))
        return judged

    def test_the_form_of_a_line(self):
        lines = ["Ann@Bücher.Example", "Jörg@b.example", '"a"@b.example', "a@[192.0.2.1]", "nobody", "",
                 "a@b.example\r"]
        ann, joerg, quoted, literal, nobody, empty, crlf = self.judge(lines)
        self.assertEqual(list(ann), ["input", "valid", "smtputf8", "ascii", "reason"])
        self.assertEqual(list(ann.values()), ["Ann@Bücher.Example", True, False, "Ann@xn--bcher-kva.example", None])
        self.assertEqual(list(joerg.values()), ["Jörg@b.example", True, True, None, None])
        self.assertEqual([each["ascii"] for each in (quoted, literal, crlf)],
                         ["a@b.example", "a@[192.0.2.1]", "a@b.example"])
        for bad in (nobody, empty):
            self.assertEqual((bad["valid"], bad["ascii"]), (False, None))
            self.assertTrue(bad["reason"])

    def test_the_corpus(self):
        if not (CORPORA / "addresses.tsv").exists():
            self.skipTest(f"{CORPORA}/addresses.tsv is not there; MAILSBUDDY_CORPORA says where")
        lines = (CORPORA / "addresses.tsv").read_text(encoding="utf-8").split("\n")
        rows = [line.split("\t") for line in lines[1:] if line]
        asked = [(unescape(row[0]), row[1], row[2] == "yes") for row in rows if row[1] in WANTED]
        asked = [each for each in asked if "\n" not in each[0] and not each[0].endswith("\r")]  # Those are no line.
        asked = [each for each in asked if each[0] not in CONTRADICTED]
        self.assertGreater(len(asked), 300)
        wrong = []
        for (address, label, not_ascii), judged in zip(asked, self.judge([address for address, _, _ in asked])):
            self.assertEqual(judged["input"], address)
            local_not_ascii = not address.rpartition("@")[0].rpartition("<")[2].isascii()
            needs_smtputf8 = judged["valid"] and not_ascii and local_not_ascii
            if (judged["valid"], judged["smtputf8"]) != (WANTED[label], needs_smtputf8):
                wrong.append((address, label, judged))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    support.main()
