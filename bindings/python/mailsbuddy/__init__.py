"""A send engine as a library: campaigns and single messages, from many IP addresses, at the pace each provider accepts."""

from mailsbuddy import _core
from mailsbuddy._core import build_info
from mailsbuddy._core.bounce import Verdict
from mailsbuddy._core.engine import CampaignStatus, Decision, Event, Explanation, InboundReport, TraceRecord
from mailsbuddy._core.mail import Address, Outcome, Reply
from mailsbuddy._engine import CampaignHandle, Engine, ImportReport, OpenRecipient, Suppressed
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
from mailsbuddy._events import EventStream
from mailsbuddy._keys import KeyRing
from mailsbuddy._message import Attachment, MessageBuilder
from mailsbuddy._options import Campaign, EgressIp, Message, PoolOptions
from mailsbuddy._template import Template
from mailsbuddy.hygiene import check_addresses

__version__: str = _core.__version__

__all__ = [
    "Address", "AlreadyExists", "Attachment", "Campaign", "CampaignHandle", "CampaignStatus", "Closed", "Decision",
    "EgressIp", "Engine", "Error", "Event", "EventStream", "Explanation", "ImportReport", "InboundReport", "Internal",
    "InvalidArgument", "IoError", "KeyRing", "Message", "MessageBuilder", "NotFound", "OpenRecipient", "Outcome",
    "PoolOptions", "Reply", "ResourceExhausted", "Suppressed", "Template", "TraceRecord", "Unavailable",
    "Unsupported", "Verdict", "__version__", "build_info", "check_addresses",
]
