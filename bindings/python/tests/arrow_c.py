"""Arrow C streams by hand, for what no library makes: arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html."""

import ctypes

_address, _size = ctypes.c_void_p, ctypes.c_int64


class Schema(ctypes.Structure):
    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p), ("flags", _size), ("n_children", _size),
                ("children", _address), ("dictionary", _address), ("release", _address), ("private", _address)]


class Array(ctypes.Structure):
    _fields_ = [("length", _size), ("null_count", _size), ("offset", _size), ("n_buffers", _size), ("n_children", _size),
                ("buffers", _address), ("children", _address), ("dictionary", _address), ("release", _address), ("private", _address)]


_Fill, _Release, _Words = ctypes.CFUNCTYPE(ctypes.c_int, _address, _address), ctypes.CFUNCTYPE(None, _address), ctypes.CFUNCTYPE(_address, _address)
_PLACE = Schema.release.offset, Array.release.offset, 3 * ctypes.sizeof(_address)  # Of release; that of a stream is the last.


def _pointers(kept, things):
    """The address of a list of their addresses, or 0."""
    kept.append((_address * len(things))(*(each and ctypes.addressof(each) for each in things)))
    kept.extend(things)
    return ctypes.addressof(kept[-1 - len(things)]) if things else 0


class Stream:
    """What has __arrow_c_stream__(). ``released`` counts schemas, arrays and streams that were given back.

    ``arrays``: made by array(), or the number of an error; ``words``: what get_last_error() gives."""

    def __init__(self, schema, arrays, words=b"no more"):
        self.schema, self.arrays, self.words, self.released, self.given = schema, list(arrays), ctypes.create_string_buffer(words), [0, 0, 0], 0
        self.kept = tuple(self.arrays)  # What was given is read until it is given back.
        self.callbacks = [_Fill(self.get_schema), _Fill(self.get_next), _Words(lambda _: ctypes.addressof(self.words)),
                          *(_Release(lambda at, kind=kind: self.release(at, kind)) for kind in range(3))]
        self.structure = (_address * 5)(*(ctypes.cast(self.callbacks[i], _address) for i in (0, 1, 2, 5)), None)

    def release(self, at, kind):
        self.released[kind] += 1
        ctypes.memset(at + _PLACE[kind], 0, ctypes.sizeof(_address))

    def _give(self, structure, at, kind):
        structure.release = ctypes.cast(self.callbacks[3 + kind], _address)
        ctypes.memmove(at, ctypes.addressof(structure), ctypes.sizeof(structure))
        return 0

    def get_schema(self, _, made):
        return self.schema if isinstance(self.schema, int) else self._give(self.schema, made, 0)

    def get_next(self, _, made):
        if not self.arrays:
            ctypes.memset(made, 0, ctypes.sizeof(Array))
            return 0
        following = self.arrays.pop(0)
        if isinstance(following, int):
            return following
        self.given += 1
        return self._give(following, made, 1)

    def __arrow_c_stream__(self, requested_schema=None):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [_address, ctypes.c_char_p, _address]
        return new(ctypes.addressof(self.structure), b"arrow_array_stream", None)


def schema(format, name=b"", children=(), dictionary=None, **changed):
    made = Schema(format=format, name=name, n_children=len(children))
    made.kept = [dictionary]
    made.children = _pointers(made.kept, list(children))
    made.dictionary = dictionary and ctypes.addressof(dictionary)
    for field, value in changed.items():
        setattr(made, field, value)
    return made


def array(length, /, buffers=(), children=(), dictionary=None, **changed):
    """``buffers``: octets, or None for those that are not there."""
    made = Array(length=length, n_buffers=len(buffers), n_children=len(children))
    made.kept = [dictionary]
    made.buffers = _pointers(made.kept, [each if each is None else ctypes.create_string_buffer(each, max(1, len(each))) for each in buffers])
    made.children = _pointers(made.kept, list(children))
    made.dictionary = dictionary and ctypes.addressof(dictionary)
    for field, value in changed.items():
        setattr(made, field, value)
    return made


def text(values, offsets=None, **changed):
    """A column of text, with its offsets or others."""
    if offsets is None:
        offsets = [sum(map(len, values[:i])) for i in range(len(values) + 1)]
    return array(len(values), [None, b"".join(each.to_bytes(4, "little", signed=True) for each in offsets), b"".join(values)], **changed)
