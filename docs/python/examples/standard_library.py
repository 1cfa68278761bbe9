import email.message

from mailsbuddy import smtp

message = email.message.EmailMessage()
message["From"], message["To"] = "news@brand.example", "ann@example.net"
message["Bcc"] = "archive@brand.example"
message["Subject"] = "Grüße"
message.set_content("Guten Tag!\n")

with smtp.Client("mail.brand.example", 587) as client:
    assert client.send(message).delivered  # To both; nobody sees the Bcc.
