"""Rows from whatever people have them in, for the two sources of the native half: Arrow streams, and Python's iterators."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

from mailsbuddy._errors import InvalidArgument, IoError


class ArrowStream(Protocol):
    """Arrow tables, record batch readers, Polars and pandas frames: what speaks the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]] | ArrowStream
NumberedRow = tuple[int, Sequence[Any] | str]  # Its number, and its values or what is wrong with it.


def csv_rows(path: str | os.PathLike[str]) -> tuple[list[str], Iterator[NumberedRow]]:
    """The columns of a CSV file (RFC 4180, UTF-8) with a header row, and its records by the line they end on."""
    name = os.fspath(path)
    try:
        file = open(path, newline="", encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise IoError(f"{name}: {error.strerror}") from error
    reader = csv.reader(file, strict=True)
    try:
        columns = next(reader, [])
    except csv.Error as error:
        file.close()
        raise InvalidArgument(f"{name}:1: not CSV: {error}") from error
    if not columns or len(set(columns)) != len(columns):
        file.close()
        raise InvalidArgument(f"{name}:1: a header row is needed, with each column once")

    def records() -> Iterator[NumberedRow]:
        with file:
            while True:
                try:
                    record = next(reader, None)
                except csv.Error as error:
                    yield reader.line_num, f"not CSV: {error}"
                    continue
                if record is None:
                    return
                if record:  # Not an empty line.
                    yield reader.line_num, record

    return columns, records()


def frame_rows(frame: Any) -> tuple[list[str], Iterator[NumberedRow]]:
    """A pandas frame where there is no pyarrow to speak Arrow for it."""
    values = frame.astype(object).where(frame.notna(), None)
    return [str(name) for name in frame.columns], enumerate(values.itertuples(index=False, name=None), 1)


def arrow_stream(rows: object) -> object | None:
    """Its Arrow stream; None: it has none."""
    if not hasattr(rows, "__arrow_c_stream__"):
        return None
    try:
        return cast(ArrowStream, rows).__arrow_c_stream__()
    except ImportError:  # pandas without pyarrow.
        return None


def mapping_rows(rows: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(rows, (bytes, Mapping)) or not isinstance(rows, Iterable):
        raise InvalidArgument(f"rows: a path, a frame, an Arrow table or an iterable of mappings is needed, not {type(rows).__name__}")
    return iter(rows)
