"""What replies and returned messages mean, without an engine.

>>> verdict = classify("550 5.1.1 <ann@example.net>: User unknown")
>>> verdict.klass, verdict.permanence, verdict.reaction
('user_unknown', 'hard', 'suppress')
"""

from __future__ import annotations

import datetime
import os
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailsbuddy._core import bounce as _bounce
from mailsbuddy._core.mail import Reply
from mailsbuddy._errors import IoError
from mailsbuddy._message import MessageLike, to_wire

__all__ = ["Classifier", "Complaint", "Recipient", "Report", "Verdict", "Verdicts", "classify", "classify_many", "parse"]


@dataclass(frozen=True, repr=False)
class Verdict:
    """What one reply means. The words are those of docs/bounces.md."""

    klass: str  #: "user_unknown", "mailbox_full", "greylisted", ...
    permanence: str  #: "hard", "soft", "block", "admin", "none" or "undetermined".
    scope: str  #: Whom it is about: "recipient", "message", "sender_domain", "source_ip", "host" or "none".
    reaction: str  #: "suppress", "retry", "slow", ...
    rule: str  #: The id of the rule that decided.
    matched: str  #: The words that it was decided by; empty: by codes alone. May quote an address.
    reply: Reply  #: The reply, taken apart.
    stage: str | None  #: Where it was said: "rcpt_to", ...

    @property
    def powermta(self) -> str:
        """PowerMTA's category for it; empty: none."""
        return _bounce.names_elsewhere(self.klass)[0]

    @property
    def sparkpost(self) -> int:
        """SparkPost's and Momentum's class; 0: none."""
        return _bounce.names_elsewhere(self.klass)[1]

    @property
    def ses(self) -> tuple[str, str]:
        """Amazon SES's type and subtype."""
        _, _, kind, subtype = _bounce.names_elsewhere(self.klass)
        return kind, subtype

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Verdict {self.klass} {self.permanence}>"


@dataclass(frozen=True, repr=False)
class Verdicts:
    """Verdicts as columns of equal length, ready for a data frame: ``pandas.DataFrame(verdicts.columns())``."""

    klass: list[str]
    permanence: list[str]
    scope: list[str]
    reaction: list[str]
    rule: list[str]
    code: list[int]  #: The reply's code; 0: it has none.

    def columns(self) -> dict[str, list[Any]]:
        """The columns by name."""
        return {"klass": self.klass, "permanence": self.permanence, "scope": self.scope, "reaction": self.reaction,
                "rule": self.rule, "code": self.code}

    def __len__(self) -> int:
        return len(self.klass)

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Verdicts of {len(self)} replies>"


@dataclass(frozen=True, repr=False)
class Recipient:
    """One recipient that a report is about."""

    address: str  #: As the sender wrote it, where the report says so; empty: not known.
    final_recipient: str  #: Where it led to, if that is another.
    action: str  #: "failed", "delayed", "delivered", "relayed", "expanded" or "none" (RFC 3464 2.3.3).
    status: str | None  #: "5.1.1"
    diagnostic: Reply  #: What was said.
    remote_mta: str  #: By whom.
    verdict: Verdict
    suppress: bool  #: Nothing more should be sent to it.

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Recipient {self.action} {self.verdict.klass}>"


@dataclass(frozen=True, repr=False)
class Complaint:
    """What a feedback report says beside its recipients (RFC 5965)."""

    feedback_type: str  #: "abuse", "fraud", "not-spam", ...
    user_agent: str
    source_ip: str
    arrival: datetime.datetime | None
    original_mail_from: str
    feedback_id: str

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Complaint {self.feedback_type}>"


@dataclass(frozen=True, repr=False)
class Report:
    """What a message that came back says."""

    kind: str  #: "dsn", "delay", "success", "arf", "auto_reply", "unsubscribe" or "none": a person wrote it.
    recipients: list[Recipient]
    original_message_id: str  #: Without its angle brackets.
    complaint: Complaint | None
    sign: str  #: By what it was known.

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Report {self.kind} about {len(self.recipients)}>"


class Classifier:
    """Knows what replies mean: the shipped rules, and yours before them.

    :param rules: the text of a rule file (docs/bounces.md has the format); empty: the shipped ones alone.
    :param name: of the file, for errors.

    Threads: any number at once; batches run without the GIL.
    """

    def __init__(self, rules: str = "", *, name: str = "rules") -> None:
        self._native = _bounce.Classifier.make(rules, name) if rules else _bounce.Classifier.shipped()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Classifier:
        """With the rules of a file."""
        try:
            return cls(pathlib.Path(path).read_text(encoding="utf-8"), name=os.fspath(path))
        except OSError as error:
            raise IoError(f"{os.fspath(path)}: {error.strerror}") from error

    def classify(self, reply: str, *, stage: str = "", provider: str = "") -> Verdict:
        """What one reply means: ``"550 5.1.1 No such user"``, also without a code, or as a DSN or a log has it.

        :param stage: where it was said, ``"rcpt_to"``; empty: guessed from its words.
        :param provider: the mailbox provider, ``"google"``, or an MX host; empty: not known.
        """
        return Verdict(*self._native.classify(reply, stage, provider))

    def classify_many(self, replies: Iterable[str | bytes | None], *, stages: Iterable[str | None] | None = None,
                      providers: Iterable[str | None] | None = None) -> Verdicts:
        """The same for a column of replies; stages and providers, if given, are columns of the same length."""
        return Verdicts(*self._native.classify_many(replies, stages, providers))

    def parse(self, message: MessageLike, *, envelope_recipient: str = "") -> Report:
        """Reads a returned message: a bounce, a complaint, an automatic reply. Never fails: what nobody can read is "none"."""
        kind, recipients, message_id, complaint, sign = self._native.parse(to_wire(message), envelope_recipient)
        return Report(kind, [Recipient(*each[:6], Verdict(*each[6]), each[7]) for each in recipients], message_id,
                      None if complaint is None else Complaint(**complaint), sign)

    @property
    def rule_count(self) -> int:
        """Of all rules."""
        return self._native.rule_count

    def faults(self) -> list[str]:
        """Rules whose own sample another rule decides; empty: each does what it says."""
        return self._native.faults()

    def __repr__(self) -> str:
        return f"<mailsbuddy.bounce.Classifier of {self.rule_count} rules>"


_shipped: Classifier | None = None


def _default() -> Classifier:
    global _shipped
    if _shipped is None:
        _shipped = Classifier()
    return _shipped


def classify(reply: str, *, stage: str = "", provider: str = "") -> Verdict:
    """What one reply means, by the shipped rules. See :meth:`Classifier.classify`."""
    return _default().classify(reply, stage=stage, provider=provider)


def classify_many(replies: Iterable[str | bytes | None], *, stages: Iterable[str | None] | None = None,
                  providers: Iterable[str | None] | None = None) -> Verdicts:
    """A column of replies, by the shipped rules. See :meth:`Classifier.classify_many`."""
    return _default().classify_many(replies, stages=stages, providers=providers)


def parse(message: MessageLike, *, envelope_recipient: str = "") -> Report:
    """A returned message, by the shipped rules. See :meth:`Classifier.parse`."""
    return _default().parse(message, envelope_recipient=envelope_recipient)
