import mailsbuddy as mb

template = mb.Template.compile(subject="Hello {{ name }}", text="Dear {{ name }},\nspring is here.\n",
                               html="<p>Dear {{ name }},</p><p>spring is here.</p>")
print(template.field_names)
octets = template.render({"name": "Ann & Bob"}, leading_headers={"From": "news@brand.example", "To": "ann@example.net"})
assert b"Ann &amp; Bob" in octets  # Values are escaped by where they stand.
