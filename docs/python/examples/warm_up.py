from mailsbuddy import warming
from matplotlib import pyplot

plan = warming.plan({"google": 400_000, "microsoft": 250_000}, ips=4, curve="sparkpost", zone="Europe/Berlin")
print(plan.days, "days, limited by", plan.bound)
plan.plot()
pyplot.savefig("plan.png")


def grumpy(time, sent):
    """A provider that defers a twentieth of what comes in the first three days."""
    return {"deferred": sent // 20} if time.day <= 3 else {}


simulation = warming.simulate("google", per_day=20_000, days=14, curve="growth", receiver=grumpy)
print(simulation.by_day())
for decision in simulation.decisions[:5]:
    print(decision.text)
