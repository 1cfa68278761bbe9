import mailsbuddy as mb
from mailsbuddy import smtp

message = mb.MessageBuilder("News <news@brand.example>", "Ann Lee <ann@example.net>",
                            subject="Spring is here", text="Dear Ann,\nspring is here.\n")

with smtp.Client("mail.brand.example", 587) as client:
    result = client.send(message)
for recipient, outcome in result.outcomes.items():
    print(recipient, outcome)
