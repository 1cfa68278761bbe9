import mailbox
import smtplib

import mailsbuddy as mb

letters = mailbox.Maildir("letters")


def inbound_address(address):  # Of the return paths of campaigns the engine knows itself.
    return address.local.lower() in ("support", "sales")


def keep(letter):
    letters.add(letter.data)  # What this raises, a full disk say, makes the sender's server try again.
    return True  # It is kept now: the sender's server forgets it.


with mb.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")]) as engine:
    endpoint = mb.ListenEndpoint("127.0.0.1:0", inbound=True)  # Port 25 of an address that the domain's MX leads to.
    with mb.Listener.start(engine, "mail.brand.example", [endpoint], auth_required=False, inbound_domains=["brand.example"],
                           inbound_address=inbound_address, keep=keep, inbound_threads=1) as listener:
        host, port = listener.endpoints[0].rsplit(":", 1)
        with smtplib.SMTP(host, int(port)) as client:  # A server that brings mail.
            client.sendmail("ann@example.net", ["support@brand.example"], "From: ann@example.net\nSubject: Help\n\nPlease!\n")
    for letter in letters:
        print(letter["Subject"])
