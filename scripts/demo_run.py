"""The demo behind scripts/demo: a DNS server, receivers and one campaign, all on loopback, all child processes."""

import argparse
import contextlib
import csv
import email
import email.policy
import json
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import dkim
import dns.resolver

SENDER = "brand.example"
SELECTOR = "s1"
EGRESS = {"127.0.0.2": "mx1.brand.example", "127.0.0.3": "mx2.brand.example", "127.0.0.4": "mx3.brand.example"}

# Domain: (share of the recipients in per cent, the receivers' addresses, how they behave).
# A dead receiver listens nowhere: its recipients expire. The names are made up; the behaviours are those of large providers.
RECEIVERS = {
    "gmarl.example": (45, ["127.0.0.11", "127.0.0.12"], "latency=2ms,reject=1%,starttls=on"),
    "outlouk.example": (25, ["127.0.0.13"], "latency=5ms,reject=2%,data-reject=0.5%,connections=20"),
    "yoohaa.example": (18, ["127.0.0.14"], "defer=2%,reject=1%,messages-per-connection=20"),
    "eyecloud.example": (10, ["127.0.0.15"], "latency=10ms,reject=1%,chunking=on"),
    "bakery.example": (1.9, ["127.0.0.16"], "defer=100%"),
    "closed.example": (0.1, ["127.0.0.17"], None),
}

TEMPLATE = """\
Subject: {{ first_name | default: "Friend" }}, spring has arrived
Reply-To: Brand <hello@brand.example>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="part"

--part
Content-Type: text/plain; charset=utf-8

Hello {{ first_name | default: "friend" }},

{% if city != "" %}the blossom is out in {{ city }}.{% else %}the blossom is out.{% endif %}
Your member number is {{ member }}.

--part
Content-Type: text/html; charset=utf-8

<p>Hello <b>{{ first_name | default: "friend" }}</b>,</p>
<p>{% if city != "" %}the blossom is out in {{ city }}.{% else %}the blossom is out.{% endif %}</p>
<p><a href="https://brand.example/spring?member={{ member }}">See what is new</a> &middot; M&uuml;nchen &middot; K&ouml;ln</p>

--part--
"""


def say(text):
    print(text, flush=True)


def free_port(addresses):
    """A TCP port that is free on all the addresses."""
    for _ in range(100):
        port = random.randrange(20000, 50000)
        with contextlib.ExitStack() as stack:
            try:
                for address in addresses:
                    sock = stack.enter_context(socket.socket())
                    sock.bind((address, port))
                return port
            except OSError:
                continue
    sys.exit("demo: no free port on " + ", ".join(addresses))


class Children:
    """Starts servers and ends each by its process id."""

    def __init__(self):
        self.processes = []

    def start(self, command, **options):
        process = subprocess.Popen(command, **options)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def zone_text(dkim_record):
    lines = ["$ORIGIN example.", "$TTL 300", "@ SOA ns.example. admin.example. 1 3600 900 86400 60", "@ NS ns", "ns A 127.0.0.1"]
    lines += ["brand MX 10 mx.brand", "mx.brand A 127.0.0.2", dkim_record]
    for domain, (_, addresses, _) in RECEIVERS.items():
        name = domain.removesuffix(".example")
        for number, address in enumerate(addresses, 1):
            lines += [f"{name} MX {10 * number} mx{number}.{name}", f"mx{number}.{name} A {address}"]
    return "\n".join(lines) + "\n"


def start_dns(children, folder, dkim_record):
    port = free_port(["127.0.0.1"])
    (folder / "example.zone").write_text(zone_text(dkim_record))
    (folder / "nsd.conf").write_text(
        f"""server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
"""
    )
    with open(folder / "nsd.log", "wb") as log:
        children.start([shutil.which("nsd") or "/usr/sbin/nsd", "-d", "-c", str(folder / "nsd.conf")], stdout=log, stderr=log)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], port, 2
    for _ in range(100):
        try:
            resolver.resolve(SENDER + ".", "MX")
            return port, resolver
        except Exception:
            time.sleep(0.1)
    sys.exit("demo: NSD did not come up:\n" + (folder / "nsd.log").read_text())


def start_sinks(children, program, folder):
    addresses = [a for _, listed, behaviour in RECEIVERS.values() if behaviour for a in listed]
    port = free_port(addresses + [a for _, listed, behaviour in RECEIVERS.values() if not behaviour for a in listed])
    command = [program, "sink", "--json", "--maildir", str(folder / "mail"), "--sample", "1%", "--port-file", str(folder / "ports")]
    for domain, (_, listed, behaviour) in RECEIVERS.items():
        if behaviour:
            command += ["--profile", f"{domain}:{behaviour}"]
            command += [word for address in listed for word in ("--listen", f"{address}:{port}={domain}")]
    out = open(folder / "sink.json", "wb")
    process = children.start(command, stdout=out, stderr=subprocess.DEVNULL)
    for _ in range(100):
        if (folder / "ports").exists():
            return port, process
        if process.poll() is not None:
            sys.exit("demo: the receivers did not start: " + " ".join(command))
        time.sleep(0.1)
    sys.exit("demo: the receivers did not come up")


def write_recipients(folder, count):
    """A CSV file with one domain per line in proportion, and a list of those who said no."""
    draw = random.Random(7)
    names = ["Ann", "Björn", "Chloé", "Dmitri", "", "Eve & Co", "Fatima", "<b>Gus</b>"]
    cities = ["Köln", "Porto", "", "Austin"]
    domains, total = [], 0
    for domain, (share, _, _) in RECEIVERS.items():
        total += share
        domains += [domain] * (round(count * total / 100) - len(domains))
    draw.shuffle(domains)
    with open(folder / "recipients.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["first_name", "email", "city", "member"])
        for number, domain in enumerate(domains):
            writer.writerow([draw.choice(names), f"user{number}@{domain}", draw.choice(cities), 100000 + number])
    suppressed = [f"user{n}@{d}" for n, d in enumerate(domains) if n % 400 == 3]
    (folder / "suppressed.txt").write_text("\n".join(suppressed) + "\n")
    return len(suppressed)


def check_sample(folder, resolver):
    """Every sampled message verifies with dkimpy and parses with Python's email package without a defect."""

    def look_up(name, timeout=5):
        try:
            return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)
        except dns.resolver.NXDOMAIN:
            return None

    files = sorted((folder / "mail" / "new").iterdir())
    for file in files:
        raw = file.read_bytes()
        if not dkim.verify(raw, dnsfunc=look_up):
            sys.exit(f"demo: {file}: the DKIM signature does not verify")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        defects = [d for part in message.walk() for d in part.defects]
        if defects:
            sys.exit(f"demo: {file}: {defects}")
        for header in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "Message-ID", "Date"):
            if not message[header]:
                sys.exit(f"demo: {file}: no {header}")
    if not files:
        sys.exit("demo: no received mail to check")
    return len(files)


def run(arguments, folder, children):
    program = str(pathlib.Path(arguments.program).resolve())
    key = folder / f"{SENDER}.pem"
    key.write_bytes(subprocess.run([program, "dkim", "keygen"], check=True, capture_output=True).stdout)
    record = subprocess.run([program, "dkim", "record", SELECTOR, SENDER], stdin=open(key), check=True, capture_output=True, text=True)
    dns_port, resolver = start_dns(children, folder, record.stdout.strip())
    smtp_port, sink = start_sinks(children, program, folder)
    suppressed = write_recipients(folder, arguments.recipients)
    (folder / "spring.eml").write_text(TEMPLATE, encoding="utf-8")
    say(f"DNS server on 127.0.0.1:{dns_port}, receivers on port {smtp_port}, {arguments.recipients} recipients ({suppressed} of them suppressed)")

    send = [program, "send", "--template", str(folder / "spring.eml"), "--recipients", str(folder / "recipients.csv"),
            "--from", "Brand <news@brand.example>", "--dkim", f"{SENDER}:{SELECTOR}:{key}", "--dns", f"127.0.0.1:{dns_port}",
            "--port", str(smtp_port), "--events", str(folder / "events.jsonl"), "--suppress", str(folder / "suppressed.txt"),
            "--unsubscribe", "https://brand.example/u/{{ mb_token }}", "--rate", "0", "--first-retry", "5s", "--max-age", "40s"]
    send += [word for ip, name in EGRESS.items() for word in ("--egress", f"{ip}={name}")]
    started = time.monotonic()
    sent = subprocess.run(send)
    seconds = time.monotonic() - started
    if sent.returncode != 0:
        sys.exit(f"demo: mailsbuddy send ended with {sent.returncode}")
    sink.send_signal(signal.SIGINT)
    sink.wait(20)

    finals = {"delivered": 0, "bounced": 0, "expired": 0, "suppressed": 0}
    recipients = set()
    for line in open(folder / "events.jsonl", encoding="utf-8"):
        event = json.loads(line)
        if event["kind"] == "deferred":
            continue
        if event["recipient"] in recipients:
            sys.exit(f"demo: {event['recipient']} was settled twice")
        recipients.add(event["recipient"])
        finals[event["kind"]] = finals.get(event["kind"], 0) + 1
    accepted = sum(profile["accepted"] for profile in json.loads((folder / "sink.json").read_text())["profiles"])
    checked = check_sample(folder, resolver)

    say("")
    for kind, number in finals.items():
        say(f"{kind:>12} {number:>8}")
    say(f"{'total':>12} {sum(finals.values()):>8}   of {arguments.recipients} recipients, in {seconds:.1f} s")
    say(f"The receivers took {accepted} messages; {checked} of them, sampled, verify with dkimpy against the key in DNS and parse cleanly.")
    if accepted != finals["delivered"]:
        sys.exit(f"demo: {finals['delivered']} are reported delivered, the receivers took {accepted}")
    if sum(finals[k] for k in ("delivered", "bounced", "expired", "suppressed")) != arguments.recipients:
        sys.exit("demo: the numbers do not add up")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the mailsbuddy command")
    parser.add_argument("--recipients", type=int, default=20000)
    parser.add_argument("--keep", type=pathlib.Path, help="leave everything there")
    arguments = parser.parse_args()
    children = Children()
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-demo-") as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run(arguments, folder, children)
        finally:
            children.stop()


if __name__ == "__main__":
    main()
