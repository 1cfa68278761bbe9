"""A send engine as a library: campaigns and single messages, from many IP addresses, at the pace each provider accepts."""

from mailsbuddy import _core
from mailsbuddy._core import build_info
from mailsbuddy._core.bounce import Verdict
from mailsbuddy._core.engine import CampaignStatus, Decision, Event, Explanation, InboundReport, TlsReport, TraceRecord
from mailsbuddy._core.mail import Address, Outcome, Reply
from mailsbuddy._engine import CampaignHandle, Engine, ImportReport, OpenRecipient, StartedCampaign
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
from mailsbuddy._listen import Credentials, Identity, ListenCounts, ListenEndpoint, Listener, ListenLimits, ListenRate, Submission
from mailsbuddy._message import Attachment, MessageBuilder
from mailsbuddy._options import (
    Campaign,
    EgressIp,
    Message,
    PoolOptions,
    RecipientReport,
    Schedule,
    TlsOverride,
    TlsReporting,
)
from mailsbuddy._queue import AddressErased, EgressStatus, IntakePressure, QueueChange, QueuedRecipient, QueueFilter, QueueGroup, QueueSummary
from mailsbuddy._suppressions import Suppressed, SuppressionEntry
from mailsbuddy._template import Template
from mailsbuddy.hygiene import check_addresses

__version__: str = _core.__version__

__all__ = [
    "Address", "AddressErased", "AlreadyExists", "Attachment", "Campaign", "CampaignHandle", "CampaignStatus",
    "Closed", "Credentials", "Decision", "EgressIp", "EgressStatus", "Engine", "Error", "Event", "EventStream",
    "Explanation", "Identity", "ImportReport", "InboundReport", "IntakePressure", "Internal", "InvalidArgument",
    "IoError", "KeyRing", "ListenCounts", "ListenEndpoint", "ListenLimits", "ListenRate", "Listener", "Message",
    "MessageBuilder", "NotFound", "OpenRecipient", "Outcome", "PoolOptions", "QueueChange", "QueueFilter",
    "QueueGroup", "QueueSummary", "QueuedRecipient", "RecipientReport", "Reply", "ResourceExhausted", "Schedule",
    "StartedCampaign", "Submission", "Suppressed", "SuppressionEntry", "Template", "TlsOverride", "TlsReport",
    "TlsReporting", "TraceRecord", "Unavailable", "Unsupported", "Verdict", "__version__", "build_info", "check_addresses",
]
