import logging

from mailsbuddy import smtp
from mailsbuddy.logging import MailHandler


def send(message):
    with smtp.Client("mail.brand.example", 587) as client:
        return client.send(message)


logging.getLogger().addHandler(MailHandler(send, "app@brand.example", ["ops@brand.example"]))
logging.error("The disk is full")  # Mailed by a thread, with what is logged in the second after it.
logging.shutdown()                 # What is left goes out: Python does this by itself when it ends.
