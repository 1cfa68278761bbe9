#!/usr/bin/env python3
"""Plants one include at a time in a copy of the sources and asks scripts/check_layers what it thinks of it."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["include", "core", "smtp", "dkim", "bounce", "warming", "spool", "engine", "bindings", "services", "examples",
           "bench"]

# File to plant, its include, words of the refusal (None: it must stand).
CASES = [
    # Doors downward, and private headers of core.
    ("bounce/planted.cc", '"mailsbuddy/mail.h"', None),
    ("bounce/planted.cc", '"core/base/planted.h"', None),
    ("smtp/planted.cc", '"mailsbuddy/net.h"', None),
    ("smtp/planted.cc", '"smtp/proto/planted.h"', None),
    ("smtp/proto/planted.cc", '"mailsbuddy/smtp.h"', None),
    ("engine/planted.cc", '"mailsbuddy/warming.h"', None),
    ("engine/planted.cc", '<fmt/format.h>', None),
    ("core/net/planted.cc", '<uv.h>', None),
    ("services/cli/planted.cc", '"mailsbuddy/engine.h"', None),
    ("services/cli/planted.cc", '"services/cli/planted.h"', None),
    ("services/cli/planted.cc", '"planted.h"', None),
    ("include/mailsbuddy/smtp.h", '"mailsbuddy/net.h"', None),
    ("bench/micro/planted.cc", '"engine/planted.h"', None),
    # Upward.
    ("core/base/planted.cc", '"mailsbuddy/mail.h"', "core/base must not use core/mail"),
    ("core/mail/planted.cc", '"mailsbuddy/engine.h"', "core/mail must not use engine"),
    ("smtp/planted.h", '"mailsbuddy/engine.h"', "smtp must not use engine"),
    ("smtp/planted.cc", '<mailsbuddy/engine.h>', "smtp must not use engine"),
    # Sideways.
    ("dkim/planted.cc", '"mailsbuddy/bounce.h"', "dkim must not use bounce"),
    ("warming/planted.cc", '"mailsbuddy/spool.h"', "warming must not use spool"),
    ("core/mail/planted.cc", '"core/net/planted.h"', "core/mail must not use core/net"),
    ("core/mail/planted.cc", '"../net/planted.h"', "core/mail must not use core/net"),
    ("smtp/proto/planted.cc", '"mailsbuddy/net.h"', "smtp/proto must not use core/net"),
    ("smtp/proto/planted.cc", '"core/net/planted.h"', "smtp/proto must not use core/net"),
    ("smtp/proto/planted.cc", '"smtp/planted.h"', "smtp/proto must not use smtp"),
    # Past the door.
    ("engine/planted.cc", '"smtp/planted.h"', "private to smtp"),
    ("engine/planted.cc", '"smtp/proto/planted.h"', "private to smtp/proto"),
    ("engine/planted.cc", '"spool/planted.h"', "private to spool"),
    ("services/cli/planted.cc", '"core/base/planted.h"', "private to core/base"),
    ("bench/planted.cc", '"engine/planted.h"', "private to engine"),
    ("examples/planted.cc", '"services/cli/planted.h"', "in no room"),
    # Outside libraries.
    ("engine/planted.cc", '<uv.h>', "only core/net and smtp use <uv.h>"),
    ("smtp/proto/planted.cc", '<uv.h>', "only core/net and smtp use <uv.h>"),
    ("smtp/planted.cc", '<ares.h>', "only core/net use <ares.h>"),
    ("smtp/planted.cc", '"fmt/format.h"', "not a file of this project"),
    # Doors.
    ("include/mailsbuddy/base.h", '"mailsbuddy/mail.h"', "core/base must not use core/mail"),
    ("include/mailsbuddy/spool.h", '"mailsbuddy/net.h"', "spool must not use core/net"),
    ("include/mailsbuddy/net.h", '<uv.h>', "standard library and doors alone"),
    ("include/mailsbuddy/net.h", '<openssl/ssl.h>', "standard library and doors alone"),
    ("include/mailsbuddy/mail.h", '<fmt/format.h>', "standard library and doors alone"),
    ("include/mailsbuddy/engine.h", '"core/base/planted.h"', "standard library and doors alone"),
    ("include/mailsbuddy/attic.h", '<string>', "no room has a door named attic.h"),
    # However it is written.
    ("dkim/planted.cc", '"mailsbuddy/bounce.h"  // only this once', "dkim must not use bounce"),
]


def check(copy):
    run = subprocess.run([sys.executable, ROOT / "scripts/check_layers", "--root", copy], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def plant(copy, path, text):
    file = copy / path
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text() if file.exists() else None
    file.write_text((before or "") + text)
    return file, before


def main():
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch)
        for folder in FOLDERS:
            if (ROOT / folder).is_dir():
                shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("build", "results"))
        for folder in ["core/base", "core/net", "smtp", "smtp/proto", "spool", "engine", "services/cli"]:
            plant(copy, f"{folder}/planted.h", "#pragma once\n")
        status, output = check(copy)
        if status != 0:
            sys.exit(f"the sources themselves are refused:\n{output}")
        for path, include, refusal in CASES:
            file, before = plant(copy, path, f"\n  #  include {include}\n")
            status, output = check(copy)
            right = status == 0 if refusal is None else status == 1 and f"{path}:" in output and refusal in output
            if not right:
                failures.append(f"{path} with #include {include}: wanted {refusal or 'no complaint'}, got:\n{output}")
            if before is None:
                file.unlink()
            else:
                file.write_text(before)
        status, output = check(copy / "tests")
        if status == 0:
            failures.append("an empty tree passes")
    print("\n".join(failures) if failures else f"{len(CASES) + 1} cases, all as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
