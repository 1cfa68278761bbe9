"""Reads the messages that mime_oracle writes with Python's email package: no defects, and everything as it was."""

import base64
import email
import email.policy
import json
import pathlib
import subprocess
import sys
import tempfile


def text(packed):
    return base64.b64decode(packed).decode("utf-8")


def squeezed(value):
    """Python folds and unfolds white space in its own way; what is compared is the rest."""
    return " ".join(value.split())


def defects(message):
    found = [(part.get_content_type(), defect) for part in message.walk() for defect in part.defects]
    for part in message.walk():
        for name, value in part.items():
            found += [(name, defect) for defect in getattr(value, "defects", ())]
    return found


def check(eml, wanted):
    message = email.message_from_bytes(eml, policy=email.policy.default)
    assert not defects(message), defects(message)
    assert message["From"].addresses[0].addr_spec == "news@brand.example"
    name = text(wanted["from"])
    # Python keeps the space between two encoded words of a phrase, against RFC 2047 6.2; so no spaces are compared.
    assert "".join(message["From"].addresses[0].display_name.split()) == "".join(name.split()), (message["From"], name)
    assert message["Date"].datetime.timestamp() == 1795463868
    for field, value in wanted["headers"]:
        value = text(value)
        assert squeezed(message[text(field)]) == squeezed(value), (message[text(field)], value)
    for subtype, key in (("plain", "text"), ("html", "html")):
        body = message.get_body((subtype,))
        assert (body is not None) == bool(wanted[key]), key
        if body is not None:
            assert body.get_content().replace("\r\n", "\n") == text(wanted[key]), (body.get_content(), text(wanted[key]))
    leaves = [part for part in message.walk() if part.get_content_disposition()]
    found = sorted((squeezed(p.get_filename()), p.get_content_type(), p.get_content(),
                    (p["Content-ID"] or "").strip("<>")) for p in leaves)
    listed = sorted((squeezed(text(n)), text(t), base64.b64decode(d), text(c)) for n, t, d, c in wanted["attachments"])
    assert found == listed, (found, listed)


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        files = sorted(pathlib.Path(folder).glob("*.eml"))
        failed = 0
        for file in files:
            try:
                check(file.read_bytes(), json.loads(file.with_suffix(".json").read_text()))
            except AssertionError as error:
                failed += 1
                print(f"{file.name}: {error}")
        print(f"{len(files)} messages read, {failed} of them not as written")
        return 0 if files and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
