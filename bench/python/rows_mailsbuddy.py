"""rows_mailsbuddy.py FOLDER ROWS: rows from a generator into the engine, durable when start() returns."""

import datetime
import sys

import mailsbuddy as mb

import mail


def main():
    folder, count = sys.argv[1:]
    campaign = mb.Campaign("spring", content=mb.Template.compile(subject="x", text="Dear {{ name }} of {{ city }}: {{ points }}"),
                           sender=f"News <{mail.SENDER}>", return_path_domain="bounce.sender.example")
    with mb.Engine.open(egress=[mb.EgressIp("127.0.0.1", "bench.sender.example")], relays={"*": "smtp://127.0.0.1:1"},
                        limits="* ip messages_per_second=1", spool_dir=f"{folder}/spool") as engine:
        with mail.Clock() as clock:
            report = engine.start(campaign, mail.rows(int(count))).report
        assert report.accepted == int(count), report
    clock.print()


main()
