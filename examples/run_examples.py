"""Runs every example against a DNS server and a sink on loopback: run_examples.py MAILSBUDDY FOLDER_OF_THE_EXAMPLES."""

import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import loopback  # After the path is set.

ADDRESS = "127.0.0.31"


def main():
    program, examples = sys.argv[1], pathlib.Path(sys.argv[2])
    children = loopback.Children()
    with tempfile.TemporaryDirectory(prefix="mailsbuddy-examples-") as temporary:
        folder = pathlib.Path(temporary)
        try:
            dns = loopback.NameServer(children, folder, ["readers MX 10 mx.readers", f"mx.readers A {ADDRESS}"])
            sink = loopback.Sinks(children, program, folder, {ADDRESS: "readers"}, {"readers": "latency=0s"}).start()

            def run(name, last):
                command = [str(examples / f"example_{name}"), dns.endpoint, str(sink.port), last]
                return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

            said = run("message", "ann@readers.example")
            assert "ann@readers.example: delivered" in said, said
            said = run("campaign", "readers.example")
            assert said == "1000 of 1000 delivered\n", said
            accepted = sum(profile["accepted"] for profile in sink.stop()["profiles"])
            assert accepted == 1001, accepted
        finally:
            children.stop()


if __name__ == "__main__":
    main()
