"""send_smtplib.py PORT MESSAGES made|raw: smtplib in a loop over one connection. made: an EmailMessage each, by send_message();
raw: octets that were there before the clock ran, by sendmail()."""

import smtplib
import sys
from email.policy import SMTP

import mail


def main():
    port, count, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ready = [(mail.row(i)["email"], mail.email_message(i).as_bytes(policy=SMTP)) for i in range(count)] if how == "raw" else []
    with mail.Clock() as clock, smtplib.SMTP("127.0.0.1", port, "bench.sender.example") as server:
        if ready:
            for recipient, octets in ready:
                server.sendmail(mail.SENDER, recipient, octets)
        else:
            for number in range(count):
                server.send_message(mail.email_message(number))
    clock.print()


main()
