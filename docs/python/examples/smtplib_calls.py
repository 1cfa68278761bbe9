from mailsbuddy import smtplib  # Instead of: import smtplib

with smtplib.SMTP("mail.brand.example", 587) as server:
    server.sendmail("news@brand.example", ["ann@example.net"], "Subject: Hello\n\nHello Ann.\n")
