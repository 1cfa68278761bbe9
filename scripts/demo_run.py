"""The demo behind scripts/demo: a DNS server, receivers and one campaign, all on loopback, all child processes."""

import argparse
import csv
import email
import email.policy
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import dkim

import loopback

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


def records(key):
    """Of the zone `example`: the sender with its DKIM key, and an MX record for each receiver."""
    lines = ["brand MX 10 mx.brand", "mx.brand A 127.0.0.2", key.record]
    for domain, (_, addresses, _) in RECEIVERS.items():
        name = domain.removesuffix(".example")
        for number, address in enumerate(addresses, 1):
            lines += [f"{name} MX {10 * number} mx{number}.{name}", f"mx{number}.{name} A {address}"]
    return lines


def start_sinks(children, program, folder):
    alive = {domain: behaviour for domain, (_, _, behaviour) in RECEIVERS.items() if behaviour}
    listeners = {address: domain for domain in alive for address in RECEIVERS[domain][1]}
    port = loopback.free_port([address for _, listed, _ in RECEIVERS.values() for address in listed])
    keep = ["--maildir", str(folder / "mail"), "--sample", "0.01"]
    return loopback.Sinks(children, program, folder, listeners, alive, keep, port).start()


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


def check_sample(folder, name_server):
    """Every sampled message verifies with dkimpy and parses with Python's email package without a defect."""
    files = loopback.maildir_files(folder / "mail")
    for file in files:
        raw = file.read_bytes()
        if not dkim.verify(raw, dnsfunc=name_server.txt):
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
    key = loopback.Key(program, folder, SENDER, SELECTOR)
    name_server = loopback.NameServer(children, folder, records(key))
    sinks = start_sinks(children, program, folder)
    suppressed = write_recipients(folder, arguments.recipients)
    (folder / "spring.eml").write_text(TEMPLATE, encoding="utf-8")
    say(f"DNS server on {name_server.endpoint}, receivers on port {sinks.port}, {arguments.recipients} recipients ({suppressed} of them suppressed)")

    send = [program, "send", "--template", str(folder / "spring.eml"), "--recipients", str(folder / "recipients.csv"),
            "--from", "Brand <news@brand.example>", "--dkim", key.option, "--dns", name_server.endpoint,
            "--port", str(sinks.port), "--events", str(folder / "events.jsonl"), "--suppress", str(folder / "suppressed.txt"),
            "--unsubscribe", "https://brand.example/u/{{ mb_token }}", "--rate", "0", "--first-retry", "5s", "--max-age", "40s"]
    send += [word for ip, name in EGRESS.items() for word in ("--egress", f"{ip}={name}")]
    started = time.monotonic()
    sent = subprocess.run(send)
    seconds = time.monotonic() - started
    if sent.returncode != 0:
        sys.exit(f"demo: mailsbuddy send ended with {sent.returncode}")
    counts = sinks.stop()

    finals = {"delivered": 0, "bounced": 0, "expired": 0, "suppressed": 0}
    recipients = set()
    for line in open(folder / "events.jsonl", encoding="utf-8"):
        event = json.loads(line)
        if event["kind"] in ("deferred", "decision"):
            continue
        if event["recipient"] in recipients:
            sys.exit(f"demo: {event['recipient']} was settled twice")
        recipients.add(event["recipient"])
        finals[event["kind"]] = finals.get(event["kind"], 0) + 1
    accepted = counts["total"]["accepted"]
    checked = check_sample(folder, name_server)

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
    children = loopback.Children()
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-demo-") as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run(arguments, folder, children)
        except RuntimeError as error:
            sys.exit(f"demo: {error}")
        finally:
            children.stop()


if __name__ == "__main__":
    main()
