import hmac
import smtplib
import ssl

import mailsbuddy as mb

PASSWORDS = {"shop": b"a long secret"}  # A program of yours keeps hashes, made to be slow.


def authenticate(credentials):
    known = hmac.compare_digest(PASSWORDS.get(credentials.user, b""), credentials.password.encode())
    if known and credentials.user in PASSWORDS:
        return mb.Identity(account="shop", senders=["brand.example"])
    return None


with mb.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")]) as engine:
    with mb.Listener.start(engine, "mail.brand.example", ["127.0.0.1:0"], authenticate=authenticate) as listener:
        host, port = listener.endpoints[0].rsplit(":", 1)
        with smtplib.SMTP(host, int(port)) as client:  # Any program that speaks SMTP.
            client.starttls(context=ssl._create_unverified_context())  # The listener made its certificate itself.
            client.login("shop", "a long secret")
            client.sendmail("news@brand.example", ["ann@example.net"], "From: news@brand.example\nSubject: Hello\n\nHello!\n")
        listener.drain()
        print(listener.counts())
    engine.drain()
