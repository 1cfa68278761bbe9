"""A send engine as a library: campaigns and single messages, from many IP addresses, at the pace each provider accepts."""

from mailsbuddy import _core
from mailsbuddy._core import build_info
from mailsbuddy._core.bounce import Verdict
from mailsbuddy._core.mail import Address, Outcome, Reply
from mailsbuddy._errors import (
    AlreadyExists,
    Closed,
    Error,
    Internal,
    InvalidArgument,
    IoError,
    NotFound,
    ResourceExhausted,
    Unavailable,
    Unsupported,
)
from mailsbuddy._keys import KeyRing
from mailsbuddy._message import Attachment, MessageBuilder
from mailsbuddy._template import Template
from mailsbuddy.hygiene import check_addresses

__version__: str = _core.__version__

__all__ = [
    "Address", "AlreadyExists", "Attachment", "Closed", "Error", "Internal", "InvalidArgument", "IoError", "KeyRing",
    "MessageBuilder", "NotFound", "Outcome", "Reply", "ResourceExhausted", "Template", "Unavailable", "Unsupported", "Verdict",
    "__version__", "build_info", "check_addresses",
]
