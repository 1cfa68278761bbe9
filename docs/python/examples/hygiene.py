import mailsbuddy as mb

addresses = ["ann@example.net", "info@brand.co.uk", "bob@gmial.com", "eve..lee@example.net", "x@mailinator.com"]
for checked in mb.check_addresses(addresses, resolver=None):  # With mailsbuddy.dns.Resolver() DNS is asked, too.
    print(checked.status, checked.problems, checked.suggestion or "")
