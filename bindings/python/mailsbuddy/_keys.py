"""Which DKIM key signs for which domain."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

from mailsbuddy._core.dkim import KeyRing as _KeyRing, PrivateKey
from mailsbuddy._errors import InvalidArgument, IoError


class KeyRing(_KeyRing):
    """Keys by the domain of From: ``KeyRing({"brand.example": ("s1", "brand.pem")})``.

    A key is the path of a PEM file, the bytes of one, or a :class:`~mailsbuddy._core.dkim.PrivateKey`. It signs for From in its domain and below it.
    """

    def __init__(self, keys: Mapping[str, tuple[str, str | os.PathLike[str] | bytes | PrivateKey]] | None = None) -> None:
        super().__init__()
        for domain, pair in (keys or {}).items():
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise InvalidArgument(f'the key of {domain}: a pair is needed, (selector, key), as ("s1", "brand.pem")')
            selector, key = pair
            if isinstance(key, bytes):
                pem = key
            elif isinstance(key, PrivateKey):
                pem = key.pem()
            elif isinstance(key, (str, os.PathLike)):
                try:
                    pem = pathlib.Path(key).read_bytes()
                except OSError as error:
                    raise IoError(f"the key of {domain}: {key}: {error.strerror}") from error
            else:
                raise InvalidArgument(f"the key of {domain}: the path of a PEM file, its bytes or a PrivateKey are needed")
            self.add_pem(domain, selector, pem)

    def __repr__(self) -> str:
        return "<mailsbuddy.KeyRing>"
