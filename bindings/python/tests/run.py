"""Runs pytest of .venv on the package in the build tree: run.py FILE [PYTEST-ARGUMENT...]. CTest's 77: there is no .venv.

A build with sanitizers needs their libraries loaded before the interpreter, which has none."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def sanitizers():
    """The run-time libraries to load first, as the compiler names them."""
    names = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
    wanted = [names[word] for word in os.environ.get("MAILSBUDDY_SANITIZE", "").split(",") if word in names]
    return [subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
            for name in wanted]


def main():
    installed = os.environ.get("MAILSBUDDY_PYTHON_UNDER_TEST")  # Has a package of its own: see scripts/check_package.
    python = pathlib.Path(installed or ROOT / ".venv/bin/python")
    if not python.exists():
        print("skipped: no .venv; scripts/setup test makes it")
        return 77
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", MYPY_CACHE_DIR=os.devnull)
    if installed:
        environment.pop("PYTHONPATH", None)  # Another package must not stand before it.
    else:
        environment["PYTHONPATH"] = os.environ["MAILSBUDDY_PACKAGE"]
    if libraries := sanitizers():
        environment["LD_PRELOAD"] = ":".join(libraries)
        environment["PYTHONMALLOC"] = "malloc"  # Else the buffers that tests make lie in the interpreter's own arenas, which nobody watches.
        # The interpreter and its extension modules free little at their end: leaks are what the tests of memory are for.
        environment["ASAN_OPTIONS"] = "detect_leaks=0"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(HERE / "pytest.ini"),
               str(HERE / sys.argv[1]), *sys.argv[2:]]
    return subprocess.run(command, env=environment, cwd=HERE, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
