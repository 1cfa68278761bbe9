"""What all contenders send: rows from a generator, and of each row a plain-text letter of about 10 KB. Standard library only."""

import json
import sys
import time
from email.message import EmailMessage

BODY_BYTES = 10_240
LINE = "Spring is here, and what grew over the winter is yours to pick, {}.\n"  # 7bit whoever encodes it: short lines, ASCII.
SUBJECT = "{}, spring is here"
SENDER = "news@sender.example"
LIST_ID = "<spring.sender.example>"


def row(number):
    return {"email": f"r{number}@receiver.example", "name": f"Reader{number % 1000:03}", "city": "Rome", "points": str(number)}


def rows(count):
    for number in range(count):
        yield row(number)


def text_with(name, city, points):
    """The body with something in the fields' places: what a row has, or a template's own marks."""
    head = f"Dear {name} of {city},\nyou have {points} points.\n\n"
    lines = LINE.format(name) * 3 + LINE.format("reader") * ((BODY_BYTES - 400) // len(LINE.format("reader")))
    return head + lines


def text(fields):
    return text_with(fields["name"], fields["city"], fields["points"])


def email_message(number):
    """As a program that uses smtplib makes it."""
    fields = row(number)
    message = EmailMessage()
    message["From"] = f"News <{SENDER}>"
    message["To"] = fields["email"]
    message["Subject"] = SUBJECT.format(fields["name"])
    message["Date"] = "Thu, 21 Mar 2024 08:00:00 +0000"
    message["Message-ID"] = f"<bench.{number}@sender.example>"
    message["List-Id"] = LIST_ID
    message.set_content(text(fields))
    return message


class Clock:
    """From the first row to the last answer, without the interpreter's start and its imports."""

    def __enter__(self):
        self.wall, self.cpu = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.monotonic() - self.wall, time.process_time() - self.cpu

    def print(self, **more):
        json.dump({"wall_seconds": self.wall, "cpu_seconds": self.cpu, **more}, sys.stdout)
        print()
