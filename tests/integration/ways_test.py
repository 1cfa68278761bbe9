"""Ways out: through real proxies, to relays, and never to networks that DNS has no business with; and what --trace shows."""

import json
import shutil
import subprocess
import unittest

import support
from support import loopback

DOMAIN = "away.example"
RECEIVER = "127.0.0.31"
PROXY = "127.0.0.41"


class Ways(support.TestCase):
    RECEIVERS = {DOMAIN: RECEIVER}

    def setUp(self):
        super().setUp()
        self.sinks = self.world.sinks({RECEIVER: "away"}, {"away": "starttls=on"})
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write("rows.csv", f"email,name\nann@{DOMAIN},Ann\nbob@{DOMAIN},Bob\n")

    def send(self, *flags, **changed):
        changed.setdefault("port", self.sinks.port)
        return self.world.send(*flags, egress="127.0.0.2=mx1.brand.example", **changed)

    def start_proxy(self, program, arguments, port, log):
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"{program} is not installed")
        with open(log, "wb") as output:
            process = self.world.children.start([program, *map(str, arguments)], stdout=output, stderr=output)

        def listens():
            return subprocess.run(["ss", "-Hltn", f"src {PROXY}:{port}"], capture_output=True, text=True).stdout != ""

        loopback.wait_until(listens, program, process, log)

    def check_delivered(self, run):
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual({(e["kind"], e["egress"]) for e in run.events}, {("delivered", "127.0.0.2")}, run.events)
        self.assertEqual(len(self.world.mail()), 2)

    def test_socks5(self):
        port = loopback.free_port([PROXY])
        log = self.world.folder / "microsocks.log"
        self.start_proxy("microsocks", ["-i", PROXY, "-p", port, "-u", "ann", "-P", "s:e@t"], port, log)
        self.check_delivered(self.send(proxy=f"127.0.0.2=socks5://ann:s%3ae%40t@{PROXY}:{port}"))
        self.assertIn(f"connected to {RECEIVER}:{self.sinks.port}", log.read_text())

    def test_socks5_refuses(self):
        port = loopback.free_port([PROXY])
        self.start_proxy("microsocks", ["-i", PROXY, "-p", port, "-u", "ann", "-P", "secret"], port,
                         self.world.folder / "microsocks.log")
        run = self.send(proxy=f"127.0.0.2=socks5://ann:wrong@{PROXY}:{port}", **{"max-age": "2s"})
        self.assertEqual(run.recipients("expired"), {f"ann@{DOMAIN}", f"bob@{DOMAIN}"}, run.events)
        self.assertNotIn("wrong", run.stderr + json.dumps(run.events))
        self.assertEqual(self.sinks.stop()["total"]["connections"], 0)

    def test_proxy_header(self):
        port = loopback.free_port([PROXY])
        configuration = self.world.write("haproxy.cfg", f"""\
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen egress
  bind {PROXY}:{port} accept-proxy
  log stdout format raw local0
  log-format "src=%[src] dst=%[dst]:%[dst_port]"
  server destination 0.0.0.0
""")
        log = self.world.folder / "haproxy.log"
        self.start_proxy("haproxy", ["-db", "-f", configuration], port, log)
        self.check_delivered(self.send(proxy=f"127.0.0.2=proxy://{PROXY}:{port}"))
        said = f"src=127.0.0.2 dst={RECEIVER}:{self.sinks.port}"
        loopback.wait_until(lambda: said in log.read_text(), said, log=log)

    def test_relay(self):
        self.check_delivered(self.send(port=1, relay=f"*=smtp://{RECEIVER}:{self.sinks.port}", **{"allow-target": None}))

    def test_loopback_is_refused(self):
        run = self.send(**{"allow-target": None})
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.recipients("bounced"), {f"ann@{DOMAIN}", f"bob@{DOMAIN}"}, run.events)
        self.assertEqual({e["cause"] for e in run.events}, {"prohibited_address"})
        self.assertEqual(self.sinks.stop()["total"]["connections"], 0)

    def test_trace(self):
        run = self.send(trace=f"domain={DOMAIN}")
        self.check_delivered(run)
        for words in ("connecting to", "< 220 ", "> EHLO mx1.brand.example", "TLSv1.3", "> RCPT TO:<ann@", "> Subject: Hello",
                      "octets)", f"ann@{DOMAIN}: final_dot: 250"):
            self.assertIn(words, run.stderr)
        self.assertNotIn("spring is here", run.stderr)

    def test_trace_as_json(self):
        run = self.send("--json", trace="all")
        lines = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
        self.assertTrue(any(line["trace"] == "received" and line["text"].startswith("220 ") for line in lines), run.stderr)
        self.assertEqual({line["egress"] for line in lines}, {"127.0.0.2"})

    def test_trace_of_others(self):
        run = self.send(trace="domain=other.example")
        self.check_delivered(run)
        self.assertNotIn("EHLO", run.stderr)

    def test_mistakes(self):
        cases = {
            "no IP of ours": ({"proxy": "127.0.0.9=socks5://192.0.2.1:1080"}, "--proxy"),
            "no URL": ({"proxy": "127.0.0.2=192.0.2.1:1080"}, "--proxy 127.0.0.2: proxy:"),
            "no relay": ({"relay": "x.example=ftp://a"}, "--relay x.example: relay:"),
            "no range": ({"allow-target": "127.0.0.1/8"}, "allowed targets"),
            "no filter": ({"trace": "colour=red"}, "--trace"),
        }
        for name, (changed, said) in cases.items():
            with self.subTest(name):
                run = self.send(**changed)
                self.assertEqual(run.status, 2, run.stderr)
                self.assertIn(said, run.stderr)


if __name__ == "__main__":
    support.main()
