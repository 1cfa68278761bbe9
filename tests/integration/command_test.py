"""The command itself: help, version, shell completion, keys, and its judgement of addresses."""

import base64
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import support

SUBCOMMANDS = ["send", "sink", "dkim", "dkim keygen", "dkim record", "address", "address check", "completion",
               "warm", "warm plan", "warm explain", "warm presets"]
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
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual({each["provider"]: each["messages"] for each in json.loads(run.stdout)["providers"]},
                         {"google": 100, "microsoft": 100, "other": 100})

    def test_explain(self):
        with tempfile.TemporaryDirectory() as folder:
            limits = pathlib.Path(folder, "limits.tsv")
            limits.write_text("google ip:192.0.2.7 connections=3\n", encoding="utf-8")
            run = support.command("warm", "explain", "--provider", "gmail", "--ip", "192.0.2.7", "--curve", "sparkpost", "--day", 9,
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
        self.assertEqual(self.complete("mailsbuddy", "s"), {"send", "sink"})
        self.assertEqual(self.complete("mailsbuddy", "dkim", ""), {"keygen", "record", "--help"})
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
        made = support.command("dkim", "keygen", "--bits", 1024)
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        public = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=made.stdout.encode(),
                                capture_output=True, check=True)
        record = support.command("dkim", "record", "s1", "brand.example", text=made.stdout).stdout
        self.assertTrue(record.startswith("s1._domainkey.brand.example. IN TXT "))
        text = "".join(re.findall(r'"([^"]*)"', record))
        tags = dict(tag.strip().split("=", 1) for tag in text.split(";"))

        self.assertEqual((tags["v"], tags["k"], base64.b64decode(tags["p"])), ("DKIM1", "rsa", public.stdout))

    def test_refused(self):
        key = support.command("dkim", "keygen", "--bits", 1024).stdout
        for name, arguments, text, said in [("too small", ["keygen", "--bits", 512], None, "--bits"),
                                            ("no key", ["record", "s1", "brand.example"], "hello", "standard input"),
                                            ("nothing", ["record", "s1", "brand.example"], "", "standard input"),
                                            ("no domain", ["record", "s1"], key, "DOMAIN"),
                                            ("bad domain", ["record", "s1", "brand example"], key, "brand example")]:
            with self.subTest(name):
                run = support.command("dkim", *arguments, text=text)
                self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
                self.assertIn(said, run.stderr)


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
