"""Fixtures: the real receivers of the command, and a real name server, on loopback."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))
import loopback  # noqa: E402

RECORDS = [  # Of the zone "example".
    'brand TXT "v=spf1 mx include:spf.brand.example -all"',
    "brand MX 10 mx.brand.example.",
    "mx.brand A 127.0.0.1",
    "strict MX 10 mx.brand.example.",
    "named MX 10 mx.brand.example.",
    'spf.brand TXT "v=spf1 ip4:192.0.2.0/24 a:gone.brand.example ~all"',
    '_dmarc.brand TXT "v=DMARC1; p=reject; rua=mailto:dmarc@brand.example"',
    'loop TXT "v=spf1 include:loop.example -all"',
    "null MX 0 .",
    "host-only A 192.0.2.7",
    'text-only TXT "nothing else"',
    *(f'deep{n} TXT "v=spf1 include:deep{n + 1}.example -all"' for n in range(12)),
    'deep12 TXT "v=spf1 -all"',
]


@pytest.fixture
def children():
    started = loopback.Children()
    yield started
    started.stop()


@pytest.fixture
def receivers_of(children, tmp_path):
    """Starts receivers: receivers_of("starttls") gives their port. What they take is in the maildir of its `mail`."""
    program = os.environ.get("MAILSBUDDY") or pytest.skip("the command is not built")

    def start(settings="latency=0", *options):
        made = loopback.Sinks(children, program, tmp_path, {"127.0.0.1": "tested"}, {"tested": settings},
                              ["--maildir", str(tmp_path / "mail"), *options])
        made.start()
        made.mail = lambda: [each.read_bytes() for each in loopback.maildir_files(tmp_path / "mail")]
        return made

    return start


@pytest.fixture(scope="module")
def name_server(tmp_path_factory):
    """NSD with RECORDS: its address."""
    started = loopback.Children()
    yield loopback.NameServer(started, tmp_path_factory.mktemp("nsd"), RECORDS).endpoint
    started.stop()
