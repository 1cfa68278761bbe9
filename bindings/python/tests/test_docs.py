"""The documentation: every example runs, against real receivers, and every page is built without a warning."""

import doctest
import importlib
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
from mailsbuddy import dkim
from loopback_servers import children, receivers_of  # noqa: F401: fixtures

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "docs/python/examples").glob("*.py"))
EGRESS = '[mb.EgressIp("192.0.2.10", "mx1.brand.example")]'  # Likewise, for engines.
SERVER = '"mail.brand.example", 587'  # What examples send to; the test puts a receiver in its place.


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, receivers_of, tmp_path):
    code = example.read_text()
    sends = (SERVER in code or EGRESS in code) and not any(word in code for word in ("start_at", "inbound_domains"))
    if SERVER in code or EGRESS in code:
        receivers = receivers_of()
        code = code.replace(SERVER, f'"127.0.0.1", {receivers.port}')
        code = code.replace(EGRESS, EGRESS.replace("192.0.2.10", "127.0.0.1") + f', relays={{"*": "smtp://127.0.0.1:{receivers.port}"}}')
    (tmp_path / "spring.eml").write_text("Subject: Hello {{ name }}\n\nDear {{ name }}\n")
    (tmp_path / "subscribers.csv").write_text("email,name\nann@example.net,Ann\nbob@example.net,Bob\n")
    (tmp_path / "brand.pem").write_bytes(dkim.PrivateKey.generate_ed25519().pem())
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    assert not sends or receivers.mail(), "nothing arrived"


@pytest.mark.parametrize("module", ["_message", "_template", "bounce", "dkim", "dmarc", "hygiene", "spf", "warming"])
def test_what_docstrings_show_is_true(module):
    result = doctest.testmod(importlib.import_module(f"mailsbuddy.{module}"))
    assert result.attempted and not result.failed


def test_ten_lines_send():
    for example in ("send", "campaign"):
        lines = [line for line in (ROOT / f"docs/python/examples/{example}.py").read_text().splitlines() if line]
        assert len(lines) <= 10
    code = (ROOT / "docs/python/examples/campaign.py").read_text()
    assert f"```python\n{code}```" in (ROOT / "README.md").read_text()
    assert textwrap.indent(code, "    ") in (ROOT / "bindings/python/README.md").read_text()


def test_the_pages_are_built_without_a_warning(tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d",
                           str(tmp_path / "trees"), str(ROOT / "docs/python"), str(tmp_path / "pages")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pages/api.html").read_text()
    for name in ("mailsbuddy.NotFound", "mailsbuddy._listen.Submission", "mailsbuddy.dkim.Signer", "mailsbuddy.bounce.classify_many", "mailsbuddy.smtp.Client.send",
                 "mailsbuddy.warming.plan", "mailsbuddy.hygiene.check_addresses"):
        assert f'id="{name}"' in page, name
