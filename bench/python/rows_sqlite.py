"""rows_sqlite.py FOLDER ROWS: the same rows into the table that a program of one's own would keep them in, durable likewise."""

import sqlite3
import sys

import mail


def main():
    folder, count = sys.argv[1:]
    database = sqlite3.connect(f"{folder}/rows.db")
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                           "CREATE TABLE rows (email TEXT PRIMARY KEY, name TEXT, city TEXT, points TEXT, state INTEGER DEFAULT 0)")
    with mail.Clock() as clock, database:
        database.executemany("INSERT INTO rows (email, name, city, points) VALUES (:email, :name, :city, :points)",
                             mail.rows(int(count)))
    assert database.execute("SELECT count(*) FROM rows").fetchone() == (int(count),)
    clock.print()


main()
