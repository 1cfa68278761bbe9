"""``python -m mailsbuddy``: versions, for bug reports. The command for everything else is `mailsbuddy` itself."""

import argparse
import platform

import mailsbuddy


def main() -> None:
    argparse.ArgumentParser(prog="python -m mailsbuddy", description="Prints the version, and what it was built with and runs on.",
                            epilog="Example: python -m mailsbuddy").parse_args()
    for name, value in mailsbuddy.build_info().items():
        print(f"{'mailsbuddy' if name == 'version' else name}: {value}")
    print(f"runs on: Python {platform.python_version()}, {platform.platform()}")


main()
