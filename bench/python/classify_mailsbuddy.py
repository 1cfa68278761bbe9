"""classify_mailsbuddy.py batch|single REPLIES SECONDS: texts to verdicts, by classify_many() of 10,000 at a time, or one by one."""

import sys

import mailsbuddy.bounce as bounce

import mail

BATCH = 10_000


def main():
    how, file, seconds = sys.argv[1:]
    with open(file, encoding="utf-8") as lines:
        texts = lines.read().splitlines()
    column = (texts * (BATCH // len(texts) + 1))[:BATCH]
    expected = [bounce.classify(text).klass for text in column]
    assert bounce.classify_many(column).klass == expected
    done = 0
    with mail.Clock() as clock:
        end = mail.time.monotonic() + float(seconds)
        while mail.time.monotonic() < end:
            if how == "batch":
                done += len(bounce.classify_many(column))
            else:
                done += len([bounce.classify(text) for text in column])
    clock.print(replies=done)


main()
