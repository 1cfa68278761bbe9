"""email.message.EmailMessage where a message is wanted."""

from __future__ import annotations

import copy
import email.message
import email.policy
import email.utils
from collections.abc import Sequence

from mailsbuddy._errors import InvalidArgument
from mailsbuddy._options import Message


def message_of(message: Message | email.message.Message, sender: str | None = None,
               recipients: Sequence[str] | None = None) -> Message:
    """A Message as it is; of an EmailMessage its envelope from Sender or From, and To, Cc and Bcc, which is taken out."""
    if isinstance(message, Message):
        return message
    if not isinstance(message, email.message.Message):
        raise InvalidArgument(f"message: a Message or an email.message.EmailMessage is needed, not {type(message).__name__}")

    letter = message

    def addresses(*names: str) -> list[str]:
        fields = [str(value) for name in names for value in letter.get_all(name, [])]
        return [address for _, address in email.utils.getaddresses(fields) if address]

    if sender is None:
        authors = addresses("Sender") or addresses("From")
        if not authors:
            raise InvalidArgument("message: it has neither Sender nor From, and no sender was given")
        sender = authors[0]
    if recipients is None:
        recipients = addresses("To", "Cc", "Bcc")
    if not recipients:
        raise InvalidArgument("message: it has no recipients in To, Cc or Bcc, and none were given")
    if letter["Bcc"] is not None:
        letter = copy.copy(letter)
        del letter["Bcc"]
    policy = email.policy.SMTPUTF8 if any(not each.isascii() for each in (sender, *recipients)) else email.policy.SMTP
    return Message(sender, list(recipients), letter.as_bytes(policy=policy))
