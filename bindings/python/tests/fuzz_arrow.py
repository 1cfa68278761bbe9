"""fuzz_arrow.py [LIBFUZZER-ARGUMENT...]: Arrow streams handed to a campaign, under Atheris. scripts/fuzz runs it, as target python_arrow.

Octets choose a stream: zeros a good one, others one that contradicts itself where a reader can see it; buffers are as long as the arrays that
are not contradicted need them. What comes of it is compared with what was chosen. test_engine.py runs octets of a fixed seed."""

import datetime
import itertools
import pathlib
import struct
import sys

import arrow_c
import mailsbuddy as mb

FAR = 2**62
ROWS_MAX, START_MAX = 5, 3
TEXTS = {b"u": "<i", b"U": "<q"}
NUMBERS = {b"c": 1, b"C": 1, b"s": 2, b"S": 2, b"i": 4, b"I": 4, b"l": 8, b"L": 8, b"f": 4, b"g": 8, b"tdD": 4, b"tss:": 8, b"tsm:UTC": 8,
           b"tsu:+02:00": 8, b"tsn:": 8, b"b": 1}
DICTIONARIES = [(index, text) for index in (b"c", b"C", b"s", b"I", b"l") for text in (b"u", b"U", b"vu")]
KINDS = [*TEXTS, b"vu", b"n", *NUMBERS, *DICTIONARIES]
UNKNOWN = [b"w:4", b"+l", b"", b"ts", b"tsz:", b"\xff", None]
TEMPLATE = mb.Template.compile(subject="Hello", text="Hello\n")
LATE = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=300)  # Nothing is sent.
numbers = itertools.count()


class Choices:
    def __init__(self, octets):
        self.octets = iter(octets)
        self.good = True  # Nothing was contradicted.

    def of(self, count):
        """Below `count`; 0 when there are no more."""
        return next(self.octets, 0) % count

    def spoils(self):
        """Whether something is to be contradicted: rarely."""
        spoiled = self.of(16) == 15
        self.good = self.good and not spoiled
        return spoiled

    def some(self, count):
        return bytes(self.of(256) for _ in range(count))

    def one(self, things):
        return things[self.of(len(things))]


def schema_of(kind, name):
    if isinstance(kind, tuple):
        return arrow_c.schema(kind[0], name, dictionary=arrow_c.schema(kind[1]))
    return arrow_c.schema(kind, name)


def text_of(choices, kind, values):
    offsets = [sum(map(len, values[:i])) for i in range(len(values) + 1)]
    if choices.spoils():
        offsets[choices.of(len(offsets))] = choices.of(offsets[-1] + 2) - 1  # Perhaps they go back, but never beyond the text.
    return [b"".join(struct.pack(TEXTS[kind], each) for each in offsets), b"".join(values)]


def views_of(choices, values):
    text, views, place = b"".join(values), [], 0
    for each in values:
        parts = len(each), 0, place
        if choices.spoils():
            parts = choices.of(80) - 8, choices.of(4) - 1, choices.of(len(text) + 8) - 4
        views.append(struct.pack("<i12s", parts[0], each) if 0 <= parts[0] <= 12 else struct.pack("<i4xii", *parts))
        place += len(each)
    return [b"".join(views), text, struct.pack("<q", len(text))]


def column(choices, kind, values, start):
    """An array of `values` from `start` on: of other kinds than text, of any values."""
    padded = [b"?"] * start + values
    if kind == b"n":
        return arrow_c.array(len(values), offset=start)
    if isinstance(kind, tuple):
        distinct = list(dict.fromkeys(padded)) or [b"?"]
        indices = [choices.of(20) if choices.spoils() else distinct.index(each) for each in padded]
        buffers = [b"".join(each.to_bytes(NUMBERS[kind[0]], "little") for each in indices)]
        return arrow_c.array(len(values), [None, *buffers], dictionary=column(choices, kind[1], distinct, 0), offset=start)
    if kind in TEXTS:
        buffers = text_of(choices, kind, padded)
    elif kind == b"vu":
        buffers = views_of(choices, padded)
    else:
        buffers = [choices.some(len(padded) * NUMBERS[kind])]
    return arrow_c.array(len(values), [None, *buffers], offset=start)


def word(choices):
    return choices.some(choices.of(16)) if choices.spoils() else b"text"[choices.of(5):] * choices.of(9)


def contradict(choices, made):
    """One of an array's words is another, such that its buffers are not too short for it."""
    what = choices.of(7)
    if what == 0:
        made.offset = choices.one([-1, FAR, -FAR])
    elif what == 1:
        made.length = choices.one([-1, FAR, 0])
    elif what == 2:
        made.n_buffers = choices.one([0, 1, -1]) if made.n_buffers else made.n_buffers
    elif what == 3:
        made.buffers = None
    elif what == 4:
        made.null_count = 1
    elif what == 5:
        made.n_children = choices.one([0, -1, FAR])
    else:
        made.dictionary = None


def batch(choices, kinds, first):
    """An array of a row for each address, and the addresses of those that are no null."""
    rows, start = ROWS_MAX - choices.of(ROWS_MAX + 1), choices.of(START_MAX + 1)
    addresses = [b"reader%d@%s.example" % (first + i, b"x" * (1 + choices.of(9))) for i in range(start + rows)]
    columns = []
    for number, kind in enumerate(kinds):
        values = [word(choices) for _ in addresses] if number else addresses
        columns.append(column(choices, kind, values, choices.of(START_MAX + 1)))
        if choices.spoils():
            contradict(choices, columns[-1])
    validity = choices.some(1) if choices.of(8) == 7 else b"\xff"
    made = arrow_c.array(rows, [validity], columns, offset=start, null_count=-1)
    if choices.spoils():
        contradict(choices, made)
    return made, {each for i, each in enumerate(addresses) if i >= start and validity[0] >> i & 1}


def judge(octets, engine):
    choices = Choices(octets)
    kinds = [choices.one([b"u", b"U", b"vu", *DICTIONARIES]), *(choices.one(KINDS) for _ in range(choices.of(4)))]
    children = [schema_of(kind, b"field%d" % number if number else b"email") for number, kind in enumerate(kinds)]
    for child in children:
        if choices.spoils():
            child.format = choices.one(UNKNOWN)
    schema = 5 if choices.spoils() else arrow_c.schema(b"+s", children=children)
    batches, wanted = [], set()
    for number in range(1 + choices.of(3)):
        made, addresses = batch(choices, kinds, number * 100)
        batches.append(5 if choices.spoils() else made)
        wanted |= addresses
    stream = arrow_c.Stream(schema, batches)
    name = f"fuzz-{next(numbers)}"
    campaign = mb.Campaign(name, content=TEMPLATE, sender="news@brand.example", return_path_domain="bounce.brand.example",
                           schedule=mb.Schedule(start_at=LATE))
    try:
        report = engine.start(campaign, stream).report
    except (mb.InvalidArgument, mb.IoError) as refusal:
        assert refusal.detail.startswith("rows: ") and not choices.good, refusal
        assert name not in engine.campaigns()
    else:
        found = {each.address.encode() for each in engine.list(mb.QueueFilter(job=name))}
        assert report.accepted == len(found)
        if choices.good:  # A moment may be none that people write: then its row is refused.
            assert found <= wanted if any(kind[:1] == b"t" for kind in kinds) else found == wanted, (found, wanted)
        engine.erase_campaign(name)
    assert stream.released == [0 if schema == 5 else 1, stream.given, 1], stream.released


def open_engine():
    return mb.Engine.open([mb.EgressIp("127.0.0.1", "mx1.brand.example")], workers=1, cpu_threads=1)


def main():
    import atheris

    engine = open_engine()
    for name in ("text_of", "views_of", "column", "contradict", "batch", "judge"):  # Which streams there are is what the fuzzer looks for.
        globals()[name] = atheris.instrument_func(globals()[name])
    atheris.Setup(sys.argv, lambda octets: judge(octets, engine))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    main()
