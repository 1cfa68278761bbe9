"""The documentation: every example runs, against real receivers, and every page is built without a warning."""

import doctest
import importlib
import os
import pathlib
import subprocess
import sys

import pytest
from loopback_servers import children, receivers_of  # noqa: F401: fixtures

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "docs/python/examples").glob("*.py"))
SERVER = '"mail.brand.example", 587'  # What examples send to; the test puts a receiver in its place.


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, receivers_of, tmp_path):
    code = example.read_text()
    sends = SERVER in code
    if sends:
        receivers = receivers_of()
        code = code.replace(SERVER, f'"127.0.0.1", {receivers.port}')
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    assert not sends or receivers.mail(), "nothing arrived"


@pytest.mark.parametrize("module", ["_message", "_template", "bounce", "dkim", "dmarc", "hygiene", "spf", "warming"])
def test_what_docstrings_show_is_true(module):
    result = doctest.testmod(importlib.import_module(f"mailsbuddy.{module}"))
    assert result.attempted and not result.failed


def test_ten_lines_send():
    lines = [line for line in (ROOT / "docs/python/examples/send.py").read_text().splitlines() if line]
    assert len(lines) <= 10


def test_the_pages_are_built_without_a_warning(tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d",
                           str(tmp_path / "trees"), str(ROOT / "docs/python"), str(tmp_path / "pages")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pages/api.html").read_text()
    for name in ("mailsbuddy.dkim.Signer", "mailsbuddy.bounce.classify_many", "mailsbuddy.smtp.Client.send",
                 "mailsbuddy.warming.plan", "mailsbuddy.hygiene.check_addresses"):
        assert f'id="{name}"' in page, name
