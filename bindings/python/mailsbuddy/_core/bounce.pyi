import datetime
from collections.abc import Iterable
from typing import TypedDict

from mailsbuddy._core.mail import Reply

class Verdict:
    @property
    def klass(self) -> str: ...
    @property
    def permanence(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def reaction(self) -> str: ...

class _Complaint(TypedDict):
    feedback_type: str
    user_agent: str
    source_ip: str
    arrival: datetime.datetime | None
    original_mail_from: str
    feedback_id: str

_Judged = tuple[str, str, str, str, str, str, Reply, str | None]
_Recipient = tuple[str, str, str, str | None, Reply, str, _Judged, bool]

class Classifier:
    @staticmethod
    def shipped() -> Classifier: ...
    @staticmethod
    def make(rules: str, name: str) -> Classifier: ...
    def classify(self, reply: str, stage: str, provider: str) -> _Judged: ...
    def classify_many(
        self, replies: Iterable[str | bytes | None], stages: Iterable[str | None] | None, providers: Iterable[str | None] | None
    ) -> tuple[list[str], list[str], list[str], list[str], list[str], list[int]]: ...
    def parse(
        self, message: bytes, envelope_recipient: str
    ) -> tuple[str, list[_Recipient], str, _Complaint | None, str]: ...
    @property
    def rule_count(self) -> int: ...
    def faults(self) -> list[str]: ...

def names_elsewhere(klass: str) -> tuple[str, int, str, str]: ...
