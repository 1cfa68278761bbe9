import datetime

import mailsbuddy as mb

tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
office_hours = mb.Schedule(start_at=tomorrow, windows="mon-fri 09:00-17:30", zone="Europe/Berlin", zone_field="zone")
rows = [{"email": f"reader{number}@example.net", "zone": "America/New_York"} for number in range(100)]

with mb.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")]) as engine:
    engine.import_suppressions([mb.SuppressionEntry("brand", "reader7@example.net", "complaint")])
    spring = mb.Campaign("spring", mb.Template.compile(subject="Hello", text="Hello\n"), "news@brand.example",
                         return_path_domain="bounce.brand.example", account="brand", schedule=office_hours)
    campaign = engine.start(spring, rows)
    campaign.pause()
    for each in engine.list("job=spring,state=queued"):  # Or a QueueFilter.
        assert each.account == "brand"
    print(engine.fail(mb.QueueFilter(address="reader8@example.net"), "asked us by telephone"))
    print(engine.erase_address("reader9@example.net"))
    campaign.resume()
    print(campaign.status(), engine.pressure(), engine.egress())
