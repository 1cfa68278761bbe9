import asyncio

import mailsbuddy as mb
import mailsbuddy.aio


async def main():
    async with await mailsbuddy.aio.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")]) as engine:
        campaign = await engine.start(mb.Campaign("spring", mb.Template.compile(subject="Hello {{ name }}", text="Hello\n"), "news@brand.example",
                                                  return_path_domain="bounce.brand.example"), [{"email": "ann@example.net", "name": "Ann"}])
        async for event in campaign.events():
            print(event.kind, event.provider, event.outcome.reply.code)
        await engine.drain()


asyncio.run(main())
