"""aiosmtpd for servers.py: ADDRESS PORT DOMAIN MAILDIR CERTIFICATE KEY UNKNOWN SIZE_MAX [WORD...]. Serves until it is ended."""

import asyncio
import base64
import functools
import json
import pathlib
import ssl
import sys

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, domain, maildir, unknown):
        self.domain, self.new, self.unknown, self.count = domain, maildir / "new", unknown, 0
        self.new.mkdir(parents=True)

    async def handle_RCPT(self, server, session, envelope, address, options):
        local, _, domain = address.rpartition("@")
        if domain != self.domain or local.startswith(self.unknown):
            return "550 5.1.1 User unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            trace = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {recipient}\r\n".encode()
            made = self.new.parent / f"{self.count}"
            made.write_bytes(trace + envelope.original_content)
            made.rename(self.new / f"{self.count}")
            self.count += 1
        return "250 2.0.0 Ok"


class Lmtp(LMTP):
    async def smtp_LHLO(self, arg):
        print("LHLO", arg, flush=True)
        await super().smtp_LHLO(arg)


class TokenHandler(Handler):
    """AUTH XOAUTH2 of ann: `token-1`, `token-2` and so on, each good for so many log-ins; then it has expired, and the next one
    is good. With `renewed` that is in this file before the old one is refused."""

    def __init__(self, *arguments, logins, renewed):
        super().__init__(*arguments)
        self.logins = self.left = logins
        self.number, self.renewed = 1, renewed

    async def auth_XOAUTH2(self, server, words):
        given = base64.b64decode(words[1]).decode()
        token = given.removeprefix("user=ann\x01auth=Bearer ").removesuffix("\x01\x01")
        good = token == f"token-{self.number}" and self.left > 0
        if good:
            self.left -= 1
        else:
            if self.left == 0:
                self.number, self.left = self.number + 1, self.logins
                if self.renewed:
                    made = self.renewed.with_suffix(".made")
                    made.write_text(f"token-{self.number}\n")
                    made.rename(self.renewed)
            answer = await server.challenge_auth(json.dumps({"status": "401", "schemes": "bearer", "scope": "mail"}))
            assert answer == b"", answer
        print("taken" if good else "refused", token, flush=True)
        return AuthResult(success=good, handled=False, message=None if good else "535 5.7.8 The token has expired")


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"ann", b"s:e@t-secret")
    if good:
        print(mechanism, "ann", flush=True)
    return AuthResult(success=good, handled=False)


async def serve(address, port, domain, maildir, certificate, key, unknown, size_max, *words):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    implicit, lmtp = "implicit" in words, "lmtp" in words
    options = {} if implicit or lmtp else {"tls_context": context}
    handler = functools.partial(Handler, domain, pathlib.Path(maildir), unknown)
    for word in words:
        if word.startswith("tokens="):
            logins, _, renewed = word.removeprefix("tokens=").partition(",")
            handler = functools.partial(TokenHandler, *handler.args, logins=int(logins),
                                        renewed=pathlib.Path(renewed) if renewed else None)
            options |= {"auth_required": True, "auth_exclude_mechanism": {"PLAIN", "LOGIN"}}
        if word.startswith("auth="):
            others = {"PLAIN", "LOGIN"} - {word.removeprefix("auth=")}
            options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not implicit,
                        "auth_exclude_mechanism": others}
    make = functools.partial(Lmtp if lmtp else SMTP, handler(), hostname=f"mx.{domain}",
                             enable_SMTPUTF8=True, data_size_limit=int(size_max), **options)
    server = await asyncio.get_running_loop().create_server(make, address, int(port), ssl=context if implicit else None)
    async with server:
        await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
