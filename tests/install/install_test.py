#!/usr/bin/env python3
"""install_test.py static|shared|deb SOURCE BUILD - uses mailsbuddy as a stranger would, from an installed copy.

static: installs BUILD and compiles consumer/ against it, with find_package and with pkg-config; compiles each door alone.
shared: the same with a library built by BUILD_SHARED_LIBS.
deb:    makes the Debian package of BUILD and reads what is in it.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

CONSUMER = pathlib.Path(__file__).resolve().parent / "consumer"
WANTED_OUTPUT = "ann@xn--bcher-kva.example\n"


def run(*command, env=None, text=None):
    """The command's output; a failure ends the test and shows it."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, input=text,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def version_of(build):
    return next(line.split("=")[1] for line in (build / "CMakeCache.txt").read_text().splitlines()
                if line.startswith("CMAKE_PROJECT_VERSION:"))


def check(condition, message):
    if not condition:
        sys.exit(message)


def check_consumer(prefix, scratch, version, static):
    """Builds and runs the consumer against the copy in `prefix`, by CMake and by pkg-config."""
    wanted = f"{version} {WANTED_OUTPUT}"
    by_cmake = scratch / "by-cmake"
    run("cmake", "-S", CONSUMER, "-B", by_cmake, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", by_cmake)
    output = run(by_cmake / "consumer")
    check(output == wanted, f"consumer by find_package printed {output!r}, not {wanted!r}")

    libdir = next(prefix.rglob("mailsbuddy.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "mailsbuddy", env={"PKG_CONFIG_PATH": str(libdir)}).split()
    by_hand = scratch / "by-pkg-config"
    run("g++", "-std=c++20", CONSUMER / "main.cc", "-o", by_hand, *flags)
    output = run(by_hand, env={} if static else {"LD_LIBRARY_PATH": str(libdir.parent)})
    check(output == wanted, f"consumer by pkg-config printed {output!r}, not {wanted!r}")


def check_installed(source, prefix, version):
    """Only the doors are installed, each compiles alone, and the command runs where it lies."""
    doors = sorted(p.name for p in (source / "include/mailsbuddy").iterdir())
    installed = sorted(p.relative_to(prefix / "include").as_posix() for p in (prefix / "include").rglob("*.h"))
    check(installed == [f"mailsbuddy/{door}" for door in doors], f"installed headers: {installed}")
    for door in doors:
        run("g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
            "-I", prefix / "include", "-x", "c++", "-", text=f"#include <mailsbuddy/{door}>\n")
    output = run(prefix / "bin/mailsbuddy", "--version")
    check(version in output, f"mailsbuddy --version printed {output!r}")


def test_static(source, build, scratch):
    prefix = scratch / "prefix"
    run("cmake", "--install", build, "--prefix", prefix)
    check_installed(source, prefix, version_of(build))
    check_consumer(prefix, scratch, version_of(build), static=True)


def test_shared(source, build, scratch):
    shared, prefix = build.with_name(build.name + "-shared"), scratch / "prefix"
    # The flags of preset dev, and as deep a folder, so that ccache has every object already.
    run("cmake", "-S", source, "-B", shared, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DMAILSBUDDY_WERROR=ON",
        "-DMAILSBUDDY_TESTS=OFF", "-DBUILD_SHARED_LIBS=ON")
    run("cmake", "--build", shared)
    run("cmake", "--install", shared, "--prefix", prefix)
    check(list(prefix.rglob("libmailsbuddy.so")), "no libmailsbuddy.so is installed")
    run(prefix / "bin/mailsbuddy", "--version")
    check_consumer(prefix, scratch, version_of(build), static=False)


def test_deb(_, build, scratch):
    run("cpack", "-G", "DEB", "--config", build / "CPackConfig.cmake", "-B", scratch)
    (deb,) = scratch.glob("*.deb")
    contents = run("dpkg-deb", "--contents", deb)
    for path in ["./usr/bin/mailsbuddy", "./usr/include/mailsbuddy/engine.h", "/libmailsbuddy.a", "/mailsbuddy.pc",
                 "/mailsbuddyConfig.cmake", "/bash-completion/completions/mailsbuddy", "/LICENSE"]:
        check(f"{path}\n" in contents, f"{deb.name} has no {path}:\n{contents}")
    depends = run("dpkg-deb", "--field", deb, "Depends")
    for library in ["libc6", "libstdc++6", "libuv1", "libc-ares2", "libssl3", "libfmt9"]:
        check(library in depends, f"{deb.name} does not depend on {library}: {depends}")


def main():
    test, source, build = globals()[f"test_{sys.argv[1]}"], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        test(source, build, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
