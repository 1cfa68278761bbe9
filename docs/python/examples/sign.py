from mailsbuddy import dkim

key = dkim.keygen("rsa")  # Keep key.pem() in a safe place,
print(dkim.record_name("s1", "brand.example"), "TXT", key.record.zone_file())  # and publish this.

signer = dkim.Signer("brand.example", "s1", key)
signed = signer.sign(b"From: news@brand.example\r\nSubject: Hello\r\n\r\nHello.\r\n")

verifier = dkim.Verifier({"s1._domainkey.brand.example": str(key.record)})  # dkim.Verifier() asks DNS.
result = verifier.verify(signed)
print(result.authentication_results("mx.example.net"))
assert result.status == "pass"
