import asyncio

import mailsbuddy as mb
import mailsbuddy.aio

hello = mb.Template.compile(subject="Hello {{ name }}", text="Hello\n")
spring = mb.Campaign("spring", hello, "news@brand.example", return_path_domain="bounce.brand.example")
rows = [{"email": "ann@example.net", "name": "Ann"}]


async def main():
    async with await mailsbuddy.aio.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")]) as engine:
        campaign = await engine.start(spring, rows)
        async for event in campaign.events():
            print(event.kind, event.provider, event.outcome.reply.code)
        await engine.drain()


asyncio.run(main())
