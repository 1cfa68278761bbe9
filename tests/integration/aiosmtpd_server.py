"""aiosmtpd for servers.py: ADDRESS PORT DOMAIN MAILDIR CERTIFICATE KEY UNKNOWN SIZE_MAX. Serves until it is ended."""

import asyncio
import functools
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP


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


async def serve(address, port, domain, maildir, certificate, key, unknown, size_max):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    make = functools.partial(SMTP, Handler(domain, pathlib.Path(maildir), unknown), hostname=f"mx.{domain}", tls_context=context,
                             enable_SMTPUTF8=True, data_size_limit=int(size_max))
    server = await asyncio.get_running_loop().create_server(make, address, int(port))
    async with server:
        await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
