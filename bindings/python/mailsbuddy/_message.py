"""Messages: building them, and whatever people have for one as octets with an envelope."""

from __future__ import annotations

import copy
import email.generator
import email.message
import email.policy
import email.utils
import io
import mimetypes
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Union

from mailsbuddy._core import mail as _mail
from mailsbuddy._core.mail import Address
from mailsbuddy._errors import InvalidArgument, IoError

#: What is taken for a message: octets or text of a whole one, a parsed or built one of the standard library, or a builder.
MessageLike = Union[bytes, str, email.message.Message, "MessageBuilder"]
#: What is taken for an address.
AddressLike = Union[str, Address]

_BARE = re.compile(rb"\r\n|\r|\n")


def to_wire(message: MessageLike) -> bytes:
    """The message as octets whose lines end in CRLF, without Bcc."""
    if isinstance(message, MessageBuilder):
        return message.build()
    if isinstance(message, email.message.Message):
        return _flatten(message)
    if isinstance(message, str):
        message = message.encode()
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise InvalidArgument(f"message: bytes, str, an email.message or a MessageBuilder is needed, not {type(message).__name__}")
    return _BARE.sub(b"\r\n", bytes(message))


def _flatten(message: email.message.Message) -> bytes:
    octets = io.BytesIO()
    policy = message.policy.clone(linesep="\r\n")
    if isinstance(policy, email.policy.EmailPolicy) and _needs_utf8(message):
        policy = policy.clone(utf8=True)
    without_bcc = message
    if "Bcc" in message:
        without_bcc = copy.copy(message)
        without_bcc._headers = [pair for pair in message._headers if pair[0].lower() != "bcc"]  # type: ignore[attr-defined]
    email.generator.BytesGenerator(octets, mangle_from_=False, policy=policy).flatten(without_bcc)
    return _BARE.sub(b"\r\n", octets.getvalue())


def _needs_utf8(message: email.message.Message) -> bool:
    """An address whose local part is not ASCII has no other form (RFC 6532)."""
    return any(not mailbox.rpartition("@")[0].isascii() for name in _ADDRESS_FIELDS for mailbox in _addresses(message, name))


_ADDRESS_FIELDS = ("From", "To", "Cc", "Bcc", "Sender", "Reply-To")


def _addresses(message: email.message.Message, *names: str) -> list[str]:
    values = [str(value) for name in names for value in message.get_all(name, [])]
    return [address for _, address in email.utils.getaddresses(values) if address]


@dataclass(frozen=True, repr=False)
class Envelope:
    """A message as it goes on the wire, and who it is from and for."""

    sender: str  #: MAIL FROM; empty: the null path.
    recipients: list[str]  #: RCPT TO.
    data: bytes  #: The whole message; lines end in CRLF.

    def __repr__(self) -> str:
        return f"<mailsbuddy.Envelope for {len(self.recipients)}>"


def _text_of(address: AddressLike, what: str) -> str:
    if isinstance(address, Address):
        return str(address)
    try:
        return str(_mail.parse_named(address)[1])
    except InvalidArgument as error:
        raise InvalidArgument(f"{what}: {error.detail}") from None


def envelope_of(message: MessageLike, sender: AddressLike | None = None,
                recipients: Iterable[AddressLike] | AddressLike | None = None) -> Envelope:
    """The message with its envelope: what is not given is taken from its fields, as ``smtplib`` does.

    The sender is that of Sender, else the one of From; the recipients are those of To, Cc and Bcc. Bcc itself is not sent.
    """
    data = to_wire(message)
    parsed: email.message.Message | None = None
    if sender is None or recipients is None:
        parsed = _envelope_fields(message, data)
    if sender is None and parsed is not None:
        found = _addresses(parsed, "Sender") or _addresses(parsed, "From")
        if not found:
            raise InvalidArgument("sender: none is given, and the message has no From")
        sender = found[0]
    if recipients is None and parsed is not None:
        recipients = list(dict.fromkeys(_addresses(parsed, "To", "Cc", "Bcc")))
    elif isinstance(recipients, (str, Address)):
        recipients = [recipients]
    who = [_text_of(each, "recipients") for each in recipients or ()]
    if not who:
        raise InvalidArgument("recipients: none are given, and the message has none in To, Cc or Bcc")
    mail_from = "" if sender == "" or sender is None else _text_of(sender, "sender")
    return Envelope(mail_from, who, data if parsed is None or isinstance(message, email.message.Message) else _without_bcc(data))


def _envelope_fields(message: MessageLike, data: bytes) -> email.message.Message:
    if isinstance(message, email.message.Message):
        return message
    parsed = email.message_from_bytes(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.SMTPUTF8)
    if isinstance(message, MessageBuilder) and message.bcc:
        parsed["Bcc"] = ", ".join(str(each) for each in message.bcc)
    return parsed


_BCC = re.compile(rb"(?:\A|(?<=\r\n))bcc[ \t]*:(?:[^\r]|\r(?!\n)|\r\n[ \t])*\r\n", re.IGNORECASE)


def _without_bcc(data: bytes) -> bytes:
    header, gap, body = data.partition(b"\r\n\r\n")
    return _BCC.sub(b"", header + b"\r\n").removesuffix(b"\r\n") + gap + body


@dataclass(frozen=True, repr=False)
class Attachment:
    """A file that goes with a message. With a `content_id` it is an inline image: ``cid:content_id`` in the HTML."""

    filename: str
    data: bytes
    content_type: str = "application/octet-stream"
    content_id: str = ""

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, content_id: str = "") -> Attachment:
        """From a file; its type is guessed from its name."""
        try:
            data = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise IoError(f"{os.fspath(path)}: {error.strerror}") from error
        guessed, encoding = mimetypes.guess_type(os.fspath(path))
        kind = guessed if guessed and not encoding else "application/octet-stream"
        return cls(pathlib.Path(path).name, data, kind, content_id)

    def __repr__(self) -> str:
        return f"<mailsbuddy.Attachment {self.content_type}, {len(self.data)} octets>"


@dataclass(repr=False)
class MessageBuilder:
    """One message, written from its parts: header fields are encoded and folded, bodies get the encoding they need.

    >>> message = MessageBuilder("News <news@brand.example>", "ann@example.net", subject="Grüße", text="Hello.\\n")
    >>> b"Subject: =?" in message.build()
    True
    """

    sender: AddressLike  #: From: an address, also with a name.
    to: AddressLike | Iterable[AddressLike]
    subject: str = ""
    text: str = ""
    html: str = ""
    cc: Iterable[AddressLike] = ()
    bcc: Iterable[AddressLike] = ()  #: In the envelope alone.
    reply_to: AddressLike | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  #: More of them, such as List-Unsubscribe.
    attachments: Iterable[Attachment] = ()

    def __post_init__(self) -> None:
        self.to = [self.to] if isinstance(self.to, (str, Address)) else list(self.to)
        self.cc, self.bcc, self.attachments = list(self.cc), list(self.bcc), list(self.attachments)

    def attach(self, path: str | os.PathLike[str], *, content_id: str = "") -> MessageBuilder:
        """Adds a file. Gives the builder back, for the next."""
        self.attachments = [*self.attachments, Attachment.load(path, content_id=content_id)]
        return self

    def build(self) -> bytes:
        """The message as octets; Date and Message-ID are new each time, unless among the headers."""
        fields = [("From", _header_value(self.sender, "sender"))]
        for name, values in (("To", self.to), ("Cc", self.cc), ("Reply-To", [self.reply_to] if self.reply_to else [])):
            listed = [_header_value(each, name.lower()) for each in values]  # type: ignore[union-attr]
            if listed:
                fields.append((name, ", ".join(listed)))
        given = {name.lower() for name in self.headers}
        if self.subject:
            fields.append(("Subject", self.subject))
        if "date" not in given:
            fields.append(("Date", _mail.format_date()))
        if "message-id" not in given:
            fields.append(("Message-ID", f"<{_mail.new_id()}@{_domain_of(self.sender)}>"))
        fields += self.headers.items()
        parts = [(each.filename, each.content_type, each.data, each.content_id) for each in self.attachments]
        return _mail.build_message(fields, self.text, self.html, parts)

    def __repr__(self) -> str:
        return f"<mailsbuddy.MessageBuilder with {len(list(self.attachments))} attachments>"


def _header_value(address: AddressLike, what: str) -> str:
    if isinstance(address, Address):
        return str(address)
    try:
        return _mail.parse_named(address)[2]
    except InvalidArgument as error:
        raise InvalidArgument(f"{what}: {error.detail}") from None


def _domain_of(address: AddressLike) -> str:
    return (address if isinstance(address, Address) else _mail.parse_named(address)[1]).domain
