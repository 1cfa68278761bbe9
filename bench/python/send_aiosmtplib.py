"""send_aiosmtplib.py PORT MESSAGES CONNECTIONS: a pool of aiosmtplib clients, as its documentation has it for many messages."""

import asyncio
import sys

import aiosmtplib

import mail


async def client(port, numbers):
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="bench.sender.example", start_tls=False) as server:
        for number in numbers:
            await server.send_message(mail.email_message(number))


async def send(port, count, connections):
    numbers = iter(range(count))  # Whoever is free takes the next.
    await asyncio.gather(*(client(port, numbers) for _ in range(connections)))


def main():
    port, count, connections = map(int, sys.argv[1:])
    with mail.Clock() as clock:
        asyncio.run(send(port, count, connections))
    clock.print()


main()
