"""What a new user does first, on an installed package without anything beside it. scripts/check_package runs it."""

import importlib.metadata
import pathlib
import sys

import mailsbuddy as mb
import mailsbuddy.bounce
import mailsbuddy.dkim
import mailsbuddy.warming

assert importlib.metadata.version("mailsbuddy") == mb.__version__ == mb.build_info()["version"]
assert mb.build_info()["build_type"] == "Release" and mb.build_info()["sanitizers"] == ""
folder = pathlib.Path(mb.__file__).parent
assert folder.is_relative_to(sys.prefix) and (folder / "py.typed").exists() and list((folder / "_core").glob("*.pyi"))
assert mailsbuddy.bounce.classify("550 5.1.1 No such user").klass == "user_unknown"
signer = mailsbuddy.dkim.Signer("brand.example", "s1", mailsbuddy.dkim.PrivateKey.generate_ed25519())
assert b"DKIM-Signature" in signer.sign(b"From: a@brand.example\r\nSubject: x\r\n\r\nx\r\n")
with mb.Engine.open([mb.EgressIp("127.0.0.1", "mx1.brand.example")]) as engine:
    assert engine.open_rows == 0 and not engine.pressure().refuses
try:
    mb.Address("no address")
except mb.InvalidArgument as error:
    assert error.remedy
print("installed and used:", folder)
