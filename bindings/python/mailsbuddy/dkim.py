"""DKIM on its own (RFC 6376, 8301, 8463): keys, records, signing, verifying.

>>> key = PrivateKey.generate_ed25519()
>>> signed = Signer("brand.example", "s1", key).sign(b"From: news@brand.example\\r\\n\\r\\nHello.\\r\\n")
>>> Verifier({"s1._domainkey.brand.example": str(key.record)}).verify(signed).status
'pass'
"""

from __future__ import annotations

import datetime
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Union

from mailsbuddy import dns
from mailsbuddy._core import dkim as _dkim
from mailsbuddy._core.dkim import KeyRecord, PrivateKey, SignatureResult, Verification
from mailsbuddy._errors import InvalidArgument, IoError
from mailsbuddy._keys import KeyRing
from mailsbuddy._message import MessageLike, to_wire

__all__ = ["KeyRecord", "KeyRing", "PrivateKey", "SignatureResult", "Signer", "Verification", "Verifier", "keygen",
           "load_key", "record_name"]


def keygen(algorithm: str = "rsa", bits: int = 2048) -> PrivateKey:
    """A new key: ``"rsa"`` of so many bits, or ``"ed25519"``."""
    if algorithm == "ed25519":
        return PrivateKey.generate_ed25519()
    if algorithm != "rsa":
        raise InvalidArgument(f'algorithm: "{algorithm}" is neither rsa nor ed25519')
    return PrivateKey.generate_rsa(bits)


def load_key(path: str | os.PathLike[str], *, allow_short_rsa: bool = False) -> PrivateKey:
    """A key from a PEM or DER file."""
    try:
        octets = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise IoError(f"{os.fspath(path)}: {error.strerror}") from error
    return PrivateKey.parse(octets, allow_short_rsa=allow_short_rsa)


def record_name(selector: str, domain: str) -> str:
    """Where the key record is published: ``s1._domainkey.brand.example``."""
    return f"{selector}._domainkey.{domain}"


class Signer:
    """Signs messages for one domain and selector. Threads: any number at once; the work runs without the GIL.

    :param key: a PrivateKey, the path of a PEM file, or the octets of one.
    :param headers: signed where they are there; the default is what receivers show or act on.
    :param oversigned: of these, signed once more than they occur, so that none can be added.
    :param expires_after: x=, in seconds or as a timedelta.
    :param identity: i=, ``"news@brand.example"`` or ``"@brand.example"``.
    """

    def __init__(self, domain: str, selector: str, key: PrivateKey | str | os.PathLike[str] | bytes, *,
                 headers: Iterable[str] | None = None, oversigned: Iterable[str] | None = None,
                 header_form: str = "relaxed", body_form: str = "relaxed",
                 expires_after: float | datetime.timedelta | None = None, identity: str = "",
                 timestamp: bool = True) -> None:
        if isinstance(key, bytes):
            key = PrivateKey.parse(key)
        elif not isinstance(key, PrivateKey):
            key = load_key(key)
        self._native = _dkim.Signer(domain, selector, key, headers=None if headers is None else list(headers),
                                    oversigned=None if oversigned is None else list(oversigned), header_form=header_form,
                                    body_form=body_form, expires_after=expires_after, identity=identity, timestamp=timestamp)

    def sign(self, message: MessageLike, *, now: datetime.datetime | None = None) -> bytes:
        """The whole message with its signature in front. Lines end in CRLF, as on the wire."""
        wire = to_wire(message)
        return self._native.sign(wire, now) + wire

    def signature(self, message: MessageLike, *, now: datetime.datetime | None = None) -> bytes:
        """The field ``DKIM-Signature: ...`` alone, folded, with its line end."""
        return self._native.sign(to_wire(message), now)

    @property
    def domain(self) -> str:
        """d="""
        return self._native.domain

    @property
    def selector(self) -> str:
        """s="""
        return self._native.selector

    @property
    def warnings(self) -> list[str]:
        """What in the options is lawful and unwise."""
        return self._native.warnings

    def __repr__(self) -> str:
        return f"<mailsbuddy.dkim.Signer {self.selector}._domainkey.{self.domain}>"


#: Where key records come from: texts by name, a function that gives them (None: there are none), or DNS.
KeySource = Union[Mapping[str, str], Callable[[str], Union[str, Iterable[str], None]], dns.Resolver]


class Verifier:
    """Verifies signatures.

    :param keys: a mapping of names to records, a function of a name, a :class:`mailsbuddy.dns.Resolver`, or None for the
        system's DNS. What a function raises ends the verification.
    """

    def __init__(self, keys: KeySource | None = None, *, allow_sha1: bool = False, rsa_bits_min: int = 1024,
                 signatures_max: int = 10) -> None:
        self._keys = dns.Resolver() if keys is None else keys
        self._options = (allow_sha1, rsa_bits_min, signatures_max)

    def verify(self, message: MessageLike, *, now: datetime.datetime | None = None) -> Verification:
        """Judges all signatures. Never raises for what is wrong with the message: that is in the result."""
        wire = to_wire(message)
        allow_sha1, rsa_bits_min, signatures_max = self._options
        answers = self._answers(_dkim.keys_needed(wire, signatures_max))
        return _dkim.verify(wire, answers, now, allow_sha1, rsa_bits_min, signatures_max)

    def _answers(self, names: list[str]) -> dict[str, tuple[str, list[str]]]:
        if isinstance(self._keys, dns.Resolver):
            found = self._keys.query([("txt", name) for name in names])
            return {name: (answer.status, answer.records) for name, answer in zip(names, found)}
        look_up = self._keys.get if isinstance(self._keys, Mapping) else self._keys
        answers: dict[str, tuple[str, list[str]]] = {}
        for name in names:
            records = look_up(name)
            listed = [records] if isinstance(records, str) else list(records or ())
            answers[name] = ("ok" if listed else "nxdomain", listed)
        return answers

    def __repr__(self) -> str:
        return "<mailsbuddy.dkim.Verifier>"
