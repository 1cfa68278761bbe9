"""The engine through Python: the real one, against real receivers on loopback."""

import collections
import ctypes
import datetime
import email.message
import json
import random

import arrow_c
import fuzz_arrow
import mailsbuddy as mb
import pandas
import polars
import pyarrow
import pytest
from conftest import LETTER, campaign, mail_in, rows


def test_a_campaign_arrives(sinks, engines, tmp_path):
    sink = sinks(options=["--maildir", str(tmp_path / "mail")])
    engine = engines(sink)
    handle = engine.start(campaign(), rows(20))
    assert (handle.report.accepted, handle.report.refused, handle.report.domains) == (20, 0, 1)
    events = list(handle.events())
    assert {event.kind for event in events} == {"delivered"}
    assert {event.recipient for event in events} == {row["email"] for row in rows(20)}
    assert all(event.is_final and event.campaign == "spring" and event.attempt == 1 for event in events)
    status = handle.status()
    assert status.settled and status.total == status.counts["delivered"] == 20
    texts = mail_in(tmp_path / "mail")
    assert any("Subject: Hello Reader 7" in text and "Dear Reader 7 of Rome" in text for text in texts)
    assert sink.stop()["accepted"] == 20


def test_an_event_says_what_happened(engine):
    (event,) = engine.start(campaign(), rows(1)).events()
    assert event.outcome.delivered and event.outcome.stage == "final_dot" and event.outcome.reply.code == 250
    assert event.verdict.klass == "delivered" and event.egress == "127.0.0.1"
    age = datetime.datetime.now(datetime.timezone.utc) - event.time
    assert abs(age) < datetime.timedelta(hours=1)
    assert json.loads(json.dumps(event.to_dict()))["recipient"] == "user0@readers.example"
    assert "user0" in str(event) and "user0" not in repr(event)


FRAME = {"name": ["Ann", None, "Bob"], "email": ["ann@a.example", "cy@a.example", "bob@b.example"], "score": [1, 2, 3],
         "paid": [True, False, True], "city": ["Rome", "Oslo", "Łódź"]}
RECORDS = [dict(zip(FRAME, values)) for values in zip(*FRAME.values())]


def csv_file(folder):
    path = folder / "rows.csv"
    path.write_text("name,email,score,paid,city\n" +
                    "".join(",".join("" if value is None else str(value) for value in row.values()) + "\n" for row in RECORDS),
                    encoding="utf-8")
    return path


SOURCES = {
    "mappings": lambda folder: RECORDS, "generator": lambda folder: (row for row in RECORDS), "csv": csv_file,
    "pandas": lambda folder: pandas.DataFrame(FRAME), "polars": lambda folder: polars.DataFrame(FRAME),
    "categories": lambda folder: polars.DataFrame(FRAME).with_columns(polars.col("city").cast(polars.Categorical)),
    "arrow": lambda folder: pyarrow.table(FRAME),
    "large strings": lambda folder: pyarrow.table({name: pyarrow.array(values, pyarrow.large_string()) if name != "score" else values
                                                   for name, values in FRAME.items() if name != "paid"}),
    "record batches": lambda folder: pyarrow.table(FRAME).to_reader(max_chunksize=2),
    "a slice": lambda folder: pyarrow.concat_tables([pyarrow.table(FRAME), pyarrow.table(FRAME)]).combine_chunks().slice(3),
}


@pytest.mark.parametrize("source", SOURCES)
def test_rows_come_from_what_people_have(source, sinks, engines, tmp_path):
    sink = sinks(options=["--maildir", str(tmp_path / "mail")])
    handle = engines(sink).start(campaign(), SOURCES[source](tmp_path))
    assert handle.report.accepted == 3, handle.report.bad_rows
    assert {event.kind for event in handle.events()} == {"delivered"}
    mails = "".join(mail_in(tmp_path / "mail"))
    for words in ("Dear Ann of Rome", "Dear  of Oslo", "Hello Bob", "of Łódź"):
        assert words in mails, mails


EMPTY = {
    "mappings": lambda folder: [], "generator": lambda folder: iter(()), "pandas": lambda folder: pandas.DataFrame(FRAME)[:0],
    "polars": lambda folder: polars.DataFrame(FRAME)[:0], "arrow": lambda folder: pyarrow.table(FRAME)[:0],
    "csv": lambda folder: (folder / "rows.csv").write_text("email,name,city\n") and folder / "rows.csv",
}


@pytest.mark.parametrize("source", EMPTY)
def test_a_campaign_may_have_no_rows(source, engine, tmp_path):
    handle = engine.start(campaign(), EMPTY[source](tmp_path))
    assert (handle.report.accepted, handle.report.refused, list(handle.events())) == (0, 0, [])
    assert handle.status().settled and engine.drain()


@pytest.mark.parametrize("count", [1024, 5 * 1024])
def test_rows_that_fill_their_batches(count, engine):
    """1024 a batch: behind them comes an empty one."""
    assert engine.start(campaign(), rows(count)).report.accepted == count
    engine.cancel("spring")


def test_pandas_without_pyarrow(engine, monkeypatch):
    def no_pyarrow(self, requested_schema=None):
        raise ImportError("Missing optional dependency 'pyarrow'")

    monkeypatch.setattr(pandas.DataFrame, "__arrow_c_stream__", no_pyarrow)
    handle = engine.start(campaign(), pandas.DataFrame(FRAME))
    assert handle.report.accepted == 3 and len(list(handle.events())) == 3


def test_arrow_values_read_as_people_write_them(sinks, engines, tmp_path):
    sink = sinks(options=["--maildir", str(tmp_path / "mail")])
    table = pyarrow.table({
        "email": pyarrow.array(["ann@a.example"], pyarrow.string_view()), "day": [datetime.date(2024, 2, 29)], "half": [0.5],
        "when": [datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)], "yes": [True], "n": pyarrow.array([-7], pyarrow.int16()),
        "big": pyarrow.array([2**64 - 1], pyarrow.uint64()), "long": pyarrow.array(["a text of more than twelve octets"], pyarrow.string_view())})
    content = mb.Template.parse_eml("Subject: x\n\n{{day}}|{{half}}|{{when}}|{{yes}}|{{n}}|{{big}}|{{long}}\n")
    what = campaign()
    what.content = content
    list(engines(sink).start(what, table).events())
    (mail,) = mail_in(tmp_path / "mail")
    assert "2024-02-29|0.5|2024-02-29T12:30:00Z|true|-7|18446744073709551615|a text of more than twelve octets" in mail


def test_bad_rows_are_named_and_the_good_ones_stand(engine):
    given = [{"email": "ann@a.example", "name": "Ann"}, {"email": "no address", "name": "x"}, {"email": "ANN@a.example", "name": "y"},
             {"name": "nobody"}, {"email": "bob@a.example", "name": "Bob", "extra": 1}, {"email": "cy@a.example"}, 7,
             {"email": "dee@a.example", "name": "\ud800"}]
    report = engine.start(campaign(), given).report
    assert (report.accepted, report.refused) == (2, 6)
    reasons = {bad.number: bad.reason for bad in report.bad_rows}
    assert sorted(reasons) == [2, 3, 4, 5, 7, 8]
    assert "before" in reasons[3] and "email" in reasons[4] and "first row" in reasons[5] and "int" in reasons[7] and "UTF-8" in reasons[8]
    assert "no address" not in repr(report.bad_rows) and report.bad_rows[0].address == "no address"


def test_a_moment_that_has_no_year_is_a_bad_row(engine):
    """2**62 seconds, and the days that an int32 can count."""
    table = pyarrow.table({"email": ["ann@a.example", "bob@a.example", "cy@a.example", "dee@a.example"], "name": ["x"] * 4, "city": ["y"] * 4,
                           "when": pyarrow.array([0, 2**62, 253_402_300_799, -62_167_219_200], pyarrow.timestamp("s")),
                           "day": pyarrow.array([0, 0, 2**31 - 1, 0], pyarrow.int32()).cast(pyarrow.date32())})
    report = engine.start(campaign(), table).report
    assert report.accepted == 2
    assert [(bad.number, bad.reason.split(":")[0]) for bad in report.bad_rows] == [(2, "column 'when'"), (3, "column 'day'")]


def test_a_dictionary_index_beyond_it_is_an_error(engine):
    """Else octets from anywhere would be mailed."""
    for index in (3, -1):
        names = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0, index], pyarrow.int8()), pyarrow.array(["Ann", "Bob", "Cy"]), safe=False)
        table = pyarrow.table({"email": ["ann@a.example", "bob@a.example"], "name": names, "city": ["x", "y"]})
        with pytest.raises(mb.InvalidArgument, match=f"row 2, column 'name': index {index} of a dictionary of 3 values"):
            engine.start(campaign(), table)
    assert engine.open_rows == 0


WHO = [b"ann@a.example", b"bob@a.example"]
NAMED = arrow_c.schema(b"u", b"email"), arrow_c.schema(b"u", b"name"), arrow_c.schema(b"u", b"city")
TABLE = arrow_c.schema(b"+s", children=NAMED)


def batch(name=None, city=None, length=2, **changed):
    children = [arrow_c.text(WHO), arrow_c.text([b"Ann", b"Bob"]) if name is None else name, arrow_c.text([b"x", b"y"]) if city is None else city]
    return arrow_c.array(length, [None], children, **changed)


def table_of(format, **changed):
    return arrow_c.schema(b"+s", children=[NAMED[0], arrow_c.schema(format, b"name", **changed), NAMED[2]])


def view(size, buffer, offset):
    return b"".join(each.to_bytes(4, "little", signed=True) for each in (size, 0, buffer, offset))


VIEWED = b"a text of sixteen or more"
INDEXED = table_of(b"c", dictionary=arrow_c.schema(b"u"))
FAR = 2**63 - 1
HOSTILE = {
    "no table": (arrow_c.schema(b"u"), [], "no table"),
    "no format": (arrow_c.schema(None), [], "no table"),
    "no children": (arrow_c.schema(b"+s", n_children=2), [], "lacks its columns"),
    "a null child": (arrow_c.schema(b"+s", children=[NAMED[0], None]), [], "lacks its columns"),
    "no columns": (arrow_c.schema(b"+s"), [], "column"),
    "a negative number of columns": (arrow_c.schema(b"+s", n_children=-1), [], "column"),
    "an unknown type": (table_of(b"+l"), [], "Arrow type"),
    "a type of no letters": (table_of(b""), [], "Arrow type"),
    "an unknown unit": (table_of(b"tsz:"), [], "Arrow type"),
    "a dictionary of no type": (table_of(b"c", dictionary=arrow_c.schema(None)), [], "Arrow type"),
    "a dictionary's dictionary": (table_of(b"c", dictionary=arrow_c.schema(b"c", dictionary=arrow_c.schema(b"u"))), [], "Arrow type"),
    "an index of text": (table_of(b"u", dictionary=arrow_c.schema(b"u")), [], "Arrow type"),
    "letters that are none": (table_of(b"+\xff"), [], "Arrow type"),
    "an error of get_schema": (5, [], "failed: no more"),
    "an error of get_next": (TABLE, [batch(), 5], "failed: no more"),
    "fewer columns": (TABLE, [arrow_c.array(2, [None], [arrow_c.text(WHO)])], "other columns"),
    "no columns of a batch": (TABLE, [arrow_c.array(2, [None], n_children=3)], "other columns"),
    "a column that is not there": (TABLE, [arrow_c.array(2, [None], [arrow_c.text(WHO), None, arrow_c.text(WHO)])], "lacks column 'name'"),
    "a negative length": (TABLE, [batch(length=-1)], "nowhere"),
    "a negative offset": (TABLE, [batch(offset=-1)], "nowhere"),
    "a length beyond all": (TABLE, [batch(length=FAR)], "nowhere"),
    "an offset beyond all": (TABLE, [batch(offset=FAR)], "nowhere"),
    "a column's offset beyond all": (TABLE, [batch(arrow_c.text([b"Ann", b"Bob"], offset=FAR))], "nowhere in column 'name'"),
    "a column's negative offset": (TABLE, [batch(arrow_c.text([b"Ann", b"Bob"], offset=-1))], "nowhere in column 'name'"),
    "a column that is too short": (TABLE, [batch(arrow_c.text([b"Ann"]))], "short of rows in column 'name'"),
    "a batch that begins too late": (TABLE, [batch(offset=1)], "short of rows"),
    "no buffers": (TABLE, [batch(arrow_c.array(2))], "lacks buffers of column 'name'"),
    "a list of buffers that is not there": (TABLE, [batch(arrow_c.array(2, n_buffers=3))], "lacks buffers of column 'name'"),
    "no offsets": (TABLE, [batch(arrow_c.array(2, [None, None, b"AnnBob"]))], "row 1, column 'name': buffer 1"),
    "no text": (TABLE, [batch(arrow_c.array(2, [None, b"\0\0\0\0\3\0\0\0\6\0\0\0", None]))], "row 1, column 'name': buffer 2"),
    "offsets that go back": (TABLE, [batch(arrow_c.text([b"Ann", b"Bob"], [0, 3, 1]))], "row 2, column 'name': its offsets"),
    "offsets before the text": (TABLE, [batch(arrow_c.text([b"Ann", b"Bob"], [-3, 0, 3]))], "row 1, column 'name': its offsets"),
    "nulls that are not there": (TABLE, [batch(arrow_c.text([b"Ann", b"Bob"], null_count=1))], "lacks the nulls of column 'name'"),
    "rows' nulls that are not there": (TABLE, [batch(null_count=1)], "lacks its nulls"),
    "no dictionary": (INDEXED, [batch(arrow_c.array(2, [None, b"\0\1"]))], "lacks the dictionary"),
    "a dictionary without buffers": (INDEXED, [batch(arrow_c.array(2, [None, b"\0\1"], dictionary=arrow_c.array(2)))], "lacks buffers"),
    "a dictionary of no length": (INDEXED, [batch(arrow_c.array(2, [None, b"\0\1"], dictionary=arrow_c.text(WHO, length=-1)))], "nowhere"),
    "an index beyond a dictionary": (INDEXED, [batch(arrow_c.array(2, [None, b"\0\2"], dictionary=arrow_c.text(WHO)))], "row 2.*index 2 of"),
    **{f"a view {what}": (table_of(b"vu"), [batch(arrow_c.array(2, [None, view(3, 0, 0) + one, VIEWED, len(VIEWED).to_bytes(8, "little")]))],
                          "row 2, column 'name': a view")
       for what, one in {"of the lengths": view(13, 1, 0), "of no buffer": view(13, -1, 0), "of a negative size": view(-1, 0, 0),
                         "before its buffer": view(13, 0, -1), "beyond its buffer": view(13, 0, len(VIEWED) - 12),
                         "longer than its buffer": view(len(VIEWED) + 1, 0, 0)}.items()},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_arrow_stream_that_contradicts_itself_is_refused(what, engine):
    schema, arrays, words = HOSTILE[what]
    stream = arrow_c.Stream(schema, arrays)
    with pytest.raises(mb.Error, match=words) as raised:
        engine.start(campaign(), stream)
    assert isinstance(raised.value, mb.IoError if "error of" in what else mb.InvalidArgument)
    assert stream.released == [0 if schema == 5 else 1, stream.given, 1]  # Each once.
    with pytest.raises(mb.InvalidArgument, match="was read before"):
        engine.start(campaign(), stream)
    assert engine.open_rows == 0


def test_streams_of_any_octets_are_imported_or_refused():
    """Those that the fuzzer makes of a fixed seed. Under the address sanitizer their buffers are as long as they say."""
    chance = random.Random(1)
    with fuzz_arrow.open_engine() as engine:
        fuzz_arrow.judge(b"", engine)
        for number in range(500):
            octets = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
            fuzz_arrow.judge(octets if number % 2 else bytes(each if chance.randrange(4) == 0 else 0 for each in octets), engine)


def test_words_of_a_stream_that_are_no_text(engine):
    with pytest.raises(mb.IoError, match="failed: \ufffd"):
        engine.start(campaign(), arrow_c.Stream(TABLE, [5], b"\xff"))


def test_rows_that_are_null_have_no_values(engine):
    """Their columns may hold anything: they are not mailed."""
    rows_there = arrow_c.array(3, [b"\5"], [arrow_c.text([b"x@a.example", *WHO, b"cy@a.example"], offset=1, length=3),
                                           *(arrow_c.text([b"Ann", b"Bob", b"Cy"]) for _ in range(2))], null_count=1)
    stream = arrow_c.Stream(TABLE, [rows_there])
    report = engine.start(campaign(), stream).report
    assert (report.accepted, [bad.number for bad in report.bad_rows]) == (2, [2])
    assert stream.released == [1, 1, 1]


def test_a_capsule_without_a_name_is_no_stream(engine):
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    class Nameless:
        def __arrow_c_stream__(self, requested_schema=None):
            return new(ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, "Py_OptimizeFlag")), None, None)

    with pytest.raises(mb.InvalidArgument, match="no Arrow stream"):
        engine.start(campaign(), Nameless())


def test_a_column_without_a_name(engine):
    """The C interface lets a name be NULL, which no library makes: the stream's schema is changed on its way."""
    address, pointer = ctypes.c_void_p, ctypes.POINTER
    schema = type("Schema", (ctypes.Structure,), {})
    schema._fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p), ("flags", ctypes.c_int64),
                       ("n_children", ctypes.c_int64), ("children", pointer(pointer(schema))), ("dictionary", address), ("release", address),
                       ("private", address)]
    get_schema = ctypes.CFUNCTYPE(ctypes.c_int, address, pointer(schema))
    stream = (address * 5)()  # get_schema, get_next, get_last_error, release, private_data.
    table = pyarrow.table({"email": ["ann@a.example"], "name": ["Ann"], "city": ["Rome"]})
    table.to_reader()._export_to_c(ctypes.addressof(stream))
    theirs = get_schema(stream[0])

    @get_schema
    def without_a_name(given, made):
        code = theirs(given, made)
        made.contents.children[2].contents.name = None
        return code

    stream[0] = ctypes.cast(without_a_name, address)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    class Changed:
        def __arrow_c_stream__(self, requested_schema=None):
            return new(ctypes.addressof(stream), b"arrow_array_stream", None)

    handle = engine.start(campaign(), Changed())
    assert handle.report.accepted == 1, [bad.reason for bad in handle.report.bad_rows]
    assert [event.kind for event in handle.events()] == ["delivered"]


def test_a_row_whose_length_raises_ends_the_import(engine):
    class Odd(collections.UserDict):
        def __len__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.start(campaign(), [rows(1)[0], Odd(rows(2)[1])])
    assert engine.open_rows == 0


def test_a_bad_csv_line_is_a_bad_row(engine, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('name,E-Mail,city\nAnn,ann@a.example,Rome\nBob,bob@a.example\n"Cy"x,cy@a.example,Oslo\nDee,dee@a.example,Bern\n')
    report = engine.start(campaign(), path).report
    assert report.accepted == 2 and [bad.number for bad in report.bad_rows] == [3, 4]


@pytest.mark.parametrize(("given", "error", "words"), [
    ([{"mail_address": "a@b.example"}], mb.InvalidArgument, "address_column"), (7, mb.InvalidArgument, "iterable of mappings"),
    ([3], mb.InvalidArgument, "mapping"), ("none.csv", mb.IoError, "none.csv"),
    (pyarrow.table({"email": ["a@b.example"], "tags": [["x"]]}), mb.InvalidArgument, "tags"),
    (pyarrow.table({"who": ["a@b.example"]}), mb.InvalidArgument, "who"),
], ids=["no column", "no rows", "no mapping", "no file", "type", "arrow column"])
def test_rows_that_are_none(given, error, words, engine):
    with pytest.raises(error, match=words):
        engine.start(campaign(), given)
    with pytest.raises(mb.NotFound):
        engine.status("spring")


def test_what_the_rows_raise_goes_through_and_nothing_stays(engine):
    def broken():
        yield from rows(3000)
        raise LookupError("the database went away")

    with pytest.raises(LookupError, match="went away"):
        engine.start(campaign(), broken())
    with pytest.raises(mb.NotFound):
        engine.status("spring")
    assert engine.start(campaign(), rows(2)).report.accepted == 2


def test_single_messages(sinks, engines, tmp_path):
    sink = sinks(options=["--maildir", str(tmp_path / "mail")])
    engine = engines(sink)
    with engine.events() as stream:
        first = engine.submit(mb.Message("news@brand.example", ["ann@a.example"], "Subject: one\nFrom: x@brand.example\n\nHi\n", campaign="w"))
        letter = email.message.EmailMessage()
        letter["From"], letter["To"], letter["Bcc"] = "Ann <ann@brand.example>", "Bob <bob@a.example>", "cy@a.example"
        letter["Subject"] = "two"
        letter.set_content("Grüße\n")
        second = engine.submit(letter)
        assert engine.drain()
        taken = []
        for event in stream:
            taken.append(event)
            if len(taken) == 3:
                break
    assert sorted((event.job, event.recipient) for event in taken) == sorted(
        [(first, "ann@a.example"), (second, "bob@a.example"), (second, "cy@a.example")])
    mails = mail_in(tmp_path / "mail")
    assert len(mails) == 2 and not any("Bcc" in mail for mail in mails)
    with pytest.raises(mb.InvalidArgument, match="recipients"):
        engine.submit(mb.Message("news@brand.example", [], "x"))
    with pytest.raises(mb.InvalidArgument, match="recipients: none"):
        engine.submit(email.message.EmailMessage(), sender="a@b.example")
    with pytest.raises(mb.InvalidArgument, match="has its own"):
        engine.submit(mb.Message("news@brand.example", ["ann@a.example"], LETTER), sender="a@b.example")
    built = mb.MessageBuilder("News <news@brand.example>", "dan@a.example", subject="three", text="Hi\n", bcc=["eve@a.example"])
    engine.submit(built)
    assert engine.drain()
    mails = mail_in(tmp_path / "mail")
    assert len(mails) == 3 and not any("Bcc" in mail for mail in mails)


def test_greylisted_then_delivered(sinks, engines):
    sink = sinks('latency=0s,defer=100%,sticky,defer-reply="451 4.7.1 Greylisted, come back later"')
    events = list(engines(sink).start(campaign(), rows(3)).events())
    assert [event.kind for event in events].count("deferred") == 3 and [event.kind for event in events].count("delivered") == 3
    deferred = next(event for event in events if event.kind == "deferred")
    assert deferred.verdict.klass == "greylisted" and deferred.outcome.stage == "rcpt_to"
    assert deferred.outcome.reply.enhanced == "4.7.1" and deferred.due > deferred.time
    assert max(event.attempt for event in events if event.kind == "delivered") == 2


def test_bounces_suppress(sinks, engines):
    engine = engines(sinks('latency=0s,reject=100%,reject-reply="550 5.1.1 No such user"'))
    (event,) = engine.start(campaign(), rows(1)).events()
    assert event.kind == "bounced" and event.verdict.klass == "user_unknown" and event.verdict.permanence == "hard"
    suppressed = engine.suppressed("brand", "user0@readers.example")
    assert suppressed.reason == "hard_bounce" and suppressed.since
    (again,) = engine.start(campaign("second"), rows(1)).events()
    assert again.kind == "suppressed"


def test_suppression_by_hand(engine):
    assert engine.suppressed("brand", "user1@readers.example") is None
    engine.suppress("brand", mb.Address("user1@readers.example"), "unsubscribe")
    kinds = {event.recipient: event.kind for event in engine.start(campaign(), rows(3)).events()}
    assert kinds["user1@readers.example"] == "suppressed" and list(kinds.values()).count("delivered") == 2
    with pytest.raises(mb.InvalidArgument, match="hard_bounce"):
        engine.suppress("brand", "a@b.example", "mood")


def slowed(engines, sink, **more):
    """An engine that sends one message, and then none for an hour, until its limits are changed."""
    return engines(sink, limits="* ip messages_per_second=0.0003 burst=1", **more)


def test_pause_resume_and_limits(engines, sink):
    engine = slowed(engines, sink)
    handle = engine.start(campaign(), rows(50))
    handle.pause()
    assert handle.status().paused and engine.open_rows >= 49
    assert "50 rows" in str(handle.status()) and "paused" in str(handle.status()) and "a second" not in str(handle.status())
    engine.change("* ip messages_per_second=0")
    handle.resume()
    assert not handle.status().paused
    assert {event.kind for event in handle.events()} == {"delivered"}
    assert sink.stop()["accepted"] == 50


def test_cancel(engines, sink):
    engine = slowed(engines, sink)
    handle = engine.start(campaign(), rows(50))
    assert len(handle.open_recipients(10)) == 10
    handle.cancel()
    kinds = [event.kind for event in handle.events()]
    assert len(kinds) == 50 and kinds.count("cancelled") >= 49
    assert handle.status().cancelled and handle.status().settled
    handle.forget()
    with pytest.raises(mb.NotFound):
        handle.status()


def test_a_status_reads_as_a_sentence(engines, sink):
    engine = engines(sink, egress=[mb.EgressIp("127.0.0.1", "mx1.brand.example", curve="sendgrid")])
    handle = engine.start(campaign(), rows(2000))
    next(iter(handle.events()))
    status = handle.status()
    assert str(status).startswith("2000 rows, ") and f"; {status.settled_per_second:.3g} a second; " in str(status)
    assert str(status).endswith(f"; done at {status.finish:%Y-%m-%d %H:%M} UTC; limited by {status.finish_bound}")
    assert "curve sendgrid" in str(status) and "curve" not in repr(status)


def test_a_durable_spool_goes_on(engines, sink, tmp_path):
    spool = tmp_path / "spool"
    first = slowed(engines, sink, spool_dir=spool)
    first.start(campaign(), rows(40))
    with pytest.raises(mb.Unavailable, match="spool_dir"):
        engines(sink, spool_dir=spool)
    first.close()
    with pytest.raises(mb.Closed):
        first.status("spring")
    got = []
    second = engines(sink, spool_dir=spool, on_events=got.extend)
    handle = second.campaign("spring")
    assert second.drain()
    assert handle.status().counts["delivered"] == 40 and list(handle.events()) == []
    assert {event.job for event in got} == {"spring"}
    assert sink.stop()["accepted"] >= 40


def test_drain_says_when_it_is_not_done(engines, sink):
    engine = slowed(engines, sink)
    engine.start(campaign(), rows(5))
    assert engine.drain(0) is False and engine.drain(datetime.timedelta(milliseconds=1)) is False


def test_pace_can_be_explained_and_commanded(engine):
    (event,) = engine.start(campaign(), rows(1)).events()
    (pace,) = engine.paces()
    assert pace.ip == "127.0.0.1" and pace.provider == event.provider and pace.state == "warm" and pace.cap is None
    engine.command("127.0.0.1", pace.provider, "pin", 100)
    assert engine.explain("127.0.0.1", pace.provider).state == "pinned"
    assert "100" in str(engine.explain("127.0.0.1", pace.provider))
    with pytest.raises(mb.NotFound):
        engine.explain("192.0.2.9", pace.provider)
    with pytest.raises(mb.InvalidArgument, match="skip_day"):
        engine.command("127.0.0.1", pace.provider, "faster")


def test_a_trace_shows_the_dialogue(engine):
    trace = engine.trace(domain="readers.example")
    list(engine.start(campaign(), rows(1)).events())
    lines = []
    while not any(line.text.startswith("RCPT TO") for line in lines):
        lines += trace.take(10)
    assert any(line.kind == "received" and line.text.startswith("220 ") for line in lines)
    assert all(line.egress == "127.0.0.1" for line in lines)


def test_what_comes_back_is_taken(sinks, engines, tmp_path):
    sink = sinks(options=["--maildir", str(tmp_path / "mail")])
    engine = engines(sink)
    list(engine.start(campaign(), rows(1)).events())
    (mail,) = mail_in(tmp_path / "mail")
    return_path = mail.split("Return-Path: <", 1)[1].split(">", 1)[0]
    bounce = (f"From: MAILER-DAEMON@readers.example\nTo: {return_path}\nSubject: failure\nMIME-Version: 1.0\n"
              "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nSorry\n"
              "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.readers.example\n\n"
              "Final-Recipient: rfc822; user0@readers.example\nAction: failed\nStatus: 5.1.1\n"
              "Diagnostic-Code: smtp; 550 5.1.1 No such user\n\n--b--\n")
    local, domain = return_path.split("@")
    forged = f"{local[:-1]}{'b' if local[-1] == 'a' else 'a'}@{domain}"
    assert [engine.carries_token(each) for each in (return_path, forged, "user0@readers.example")] == [True, False, False]
    report = engine.inbound(bounce, recipient=return_path)
    assert (report.event, report.attribution, report.campaign) == ("late_bounce", "row", "spring")
    assert report.suppressed == ["user0@readers.example"] and engine.status("spring").late_bounces == 1
    assert engine.inbound(bounce.encode(), recipient=return_path).repeated


async def coroutine_function(events):
    raise AssertionError


@pytest.mark.parametrize(("options", "words"), [
    ({"egress": []}, "egress"), ({"tls": "perhaps"}, "tls.*opportunistic"), ({"max_age": -1}, "max_age"),
    ({"limits": "nonsense"}, "limits:1"), ({"dns": ["not an address"]}, "dns"), ({"port": 70000}, "port"),
    ({"egress": [mb.EgressIp("127.0.0.1", "a.example", curve="nonsense")]}, "curve"), ({"timeouts": {"lunch": 1}}, "timeouts.*greeting"),
    ({"egress": "127.0.0.1"}, "egress: a list of EgressIp"), ({"egress": mb.EgressIp("127.0.0.1", "a.example")}, "egress: a list of EgressIp"),
    ({"egress": ["127.0.0.1"]}, "egress: EgressIp is needed, not str"), ({"relays": "smtp://x"}, "relays: Mapping"),
    ({"tls_overrides": {"a.example": 5}}, "tls_overrides: TlsOverride"), ({"pools": {"default": {}}}, "pools: PoolOptions"),
    ({"egress": 5}, "egress: a list of EgressIp is needed, not int"), ({"zone": 5}, "zone: a name is needed, as str, not int"),
    ({"dns": "127.0.0.1"}, "dns: a list is needed, not str"), ({"own_addresses": 5}, "own_addresses: a list is needed, not int"),
    ({"on_events": 5}, "on_events: a function is needed, not int"), ({"on_events": coroutine_function}, "on_events: a coroutine function"),
    ({"relays": {"*": "gopher://x"}}, "relays"), ({"verp_key": b"short"}, "verp_key"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_options_that_are_wrong_are_named(options, words, sink):
    from conftest import options_for
    with pytest.raises(mb.Error, match=words) as raised:
        mb.Engine.open(**options_for(sink, **options))
    assert raised.value.code != "internal"


def test_what_is_no_campaign_or_callback_is_named(engine):
    with pytest.raises(mb.InvalidArgument, match="campaign: Campaign is needed, not str"):
        engine.start("spring", rows(1))
    with pytest.raises(mb.InvalidArgument, match="content: a Template is needed.*not str"):
        engine.start(mb.Campaign("x", "Hello", "news@brand.example", return_path_domain="b.example"), rows(1))
    with pytest.raises(mb.InvalidArgument, match="one of them is needed"):
        engine.subscribe()
    with pytest.raises(mb.InvalidArgument, match="brand.example: a pair is needed"):
        mb.KeyRing({"brand.example": "brand.pem"})
    engine.close()
    with pytest.raises(mb.Closed), engine:
        raise AssertionError("a closed engine was entered")


def test_a_wrong_campaign_is_refused(engine):
    with pytest.raises(mb.InvalidArgument, match="sender"):
        engine.start(mb.Campaign("x", mb.Template.parse_eml("Subject: x\n\nx\n"), sender="nobody", return_path_domain="b.example"), rows(1))
    with pytest.raises(mb.InvalidArgument, match="https"):
        engine.start(campaign(list_id="a.b.example", unsubscribe_url="http://b.example/"), rows(1))
    engine.start(campaign(), rows(1))
    with pytest.raises(mb.AlreadyExists):
        engine.start(campaign(), rows(1))


def test_repr_names_nobody(engine):
    message = mb.Message("ann@a.example", ["bob@b.example"], "Subject: secret\n\nx")
    for each in (message, campaign(), engine, engine.start(campaign(), rows(1)), engine.status("spring"),
                 mb.EgressIp("192.0.2.1", "mx.example", proxy="socks5://user:password@192.0.2.7:1080")):
        assert not any(word in repr(each) for word in ("ann@", "bob@", "news@", "secret", "password")), repr(each)
