from mailsbuddy import dmarc, spf

print(spf.build(["mx", "include:_spf.provider.example"], all="fail"))
for problem in spf.check("v=spf1 ip4:192.0.2.300 ptr +all"):
    print(problem.name, "-", problem.detail)

print(dmarc.Record(policy="quarantine", reports=["mailto:dmarc@brand.example"]).text())
for problem in dmarc.check("v=DMARC1; p=maybe; rua=dmarc@brand.example"):
    print(problem.name, "-", problem.detail)
