import mailsbuddy as mb

with mb.Engine.open([mb.EgressIp("192.0.2.10", "mx1.brand.example")], spool_dir="spool",
                    keys=mb.KeyRing({"brand.example": ("s1", "brand.pem")})) as engine:
    spring = mb.Campaign("spring", mb.Template.load("spring.eml"), "News <news@brand.example>",
                         return_path_domain="bounce.brand.example")
    campaign = engine.start(spring, rows="subscribers.csv")  # Or a frame, or any iterable of mappings.
    for event in campaign.events():
        print(event)
    print(campaign.status())
