"""The queue, suppressions, schedules and what else operators say, through Python; and that nothing of engine.h is missing."""

import dataclasses
import datetime
import email
import inspect
import itertools
import json
import pathlib
import re
import socket
import threading
import types

import mailsbuddy as mb
import mailsbuddy._core.engine as native
import pytest
from conftest import END_SECONDS, LETTER, campaign, options_for, rows
from loopback_servers import name_server  # noqa: F401: a fixture

HEADERS = pathlib.Path(__file__).resolve().parents[3] / "include/mailsbuddy"
HEADER = "".join((HEADERS / name).read_text() for name in ("engine.h", "smtp.h", "base.h"))  # Some names are aliases there.
UTC = datetime.timezone.utc


def slowed(engines, sink, **more):
    """An engine that sends one message, and then none for an hour, until its limits are changed."""
    return engines(sink, limits="* ip messages_per_second=0.0003 burst=1", **more)


# ----------------------------------------------------------------------------------------------------------------------
# Nothing is missing


def members(name, kind="struct"):
    """The names of a structure's fields, or of a class' public methods, in engine.h."""
    body = re.search(rf"^{kind} {name}(?: [^\n]*)?\{{\n(.*?)^(?: private:|\}};)", HEADER, re.MULTILINE | re.DOTALL)[1]
    lines = [line.split("//")[0].strip() for line in body.splitlines() if not line.lstrip().startswith("//")]
    statements = " ".join(lines).split(";")
    if kind == "class":
        found = [re.match(r".*?\b(\w+)\(", each) for each in statements]
    else:  # What a declaration ends with, its initialiser aside; functions end otherwise.
        fields = (re.sub(r"[={].*", "", each).strip() for each in statements if not re.search(r"\bstatic\b|\) (const )?noexcept", each))
        found = [re.search(r"[ >](\w+)$", each) for each in fields]
    return {match[1] for match in found if match}


def test_every_method_of_the_engine_is_there():
    methods = members("Engine", "class") - {"Engine"}
    assert {"open", "submit", "start", "list", "trace", "unreported", "erase_address"} <= methods, "engine.h is read wrongly"
    # What Python has under no name of its own: fail() and the like begin so, and others have the interpreter meanwhile.
    elsewhere = {"find_providers"}
    assert {name for name in methods if not hasattr(mb.Engine, name)} == elsewhere


OPTIONS_ELSEWHERE = {
    "runtime": "Python's engines have real threads, sockets and time", "runtime_options": "workers, cpu_threads, dns, tls_ca, seed",
    "settings": "limits", "tls_policies": "dane, mta_sts, tls_overrides", "suppression": "soft_bounces",
    "spool": "spool_dir and the options beside it", "sinks": "on_events, on_decisions", "find_zone": "the system's zones, or tzdata's"}


def test_every_option_is_there():
    options = members("EngineOptions")
    assert {"egress", "keys", "due_rows_max", "log", "tls_reporting"} <= options, "engine.h is read wrongly"
    assert OPTIONS_ELSEWHERE.keys() == options - set(inspect.signature(mb.Engine.open).parameters)


LISTENER_ELSEWHERE = {
    "tls_certificate_pem": "tls_certificate", "tls_key_pem": "tls_key", "fix_ups": "add_received, add_date, add_message_id",
    "inbound": "Engine.inbound() has it", "find_inbound_address": "inbound_address is one", "executor": "the engine's",
    "clock": "the system's"}


def test_every_option_of_the_listener_is_there():
    methods = members("Listener", "class") - {"Listener"}
    assert {"start", "drain", "trace"} <= methods and all(hasattr(mb.Listener, name) for name in methods)
    options = members("ListenOptions") | members("SubmissionOptions")
    assert {"endpoints", "host", "limits", "authenticate"} <= options, "smtp.h is read wrongly"
    assert LISTENER_ELSEWHERE.keys() == options - set(inspect.signature(mb.Listener.start).parameters)


# What Python has in another place, or not at all.
FIELDS_ELSEWHERE = {"Campaign": {"from": "sender"}, "Credentials": {"authzid": "others than the user's are refused"}, "ListenEndpoint": {"endpoint": "address"}, "InboundReport": {"report": "kind; all of it: bounce.parse()"},
                    "TlsReportingOptions": {"reporter": "organization, contact, domain", "from": "sender"},
                    "PoolOptions": {"overflow": "overflow, overflow_pool, hold_max, then"}}


@pytest.mark.parametrize("structure", ["EgressIp", "PoolOptions", "Campaign", "Message", "Schedule", "RecipientReport", "QueueFilter",
                                       "QueuedRecipient", "QueueChange", "QueueGroup", "QueueSummary", "EgressStatus", "IntakePressure", "OpenRecipient", "BadRow",
                                       "ImportReport", "Event", "CampaignStatus", "Suppressed", "InboundReport", "TraceRecord",
                                       "TlsReportingOptions", "ListenEndpoint", "ListenRate", "ListenLimits", "ListenCounts", "Identity",
                                       "Credentials"])
def test_every_field_is_there(structure):
    ours = native.BadRow if structure == "BadRow" else getattr(mb, structure.replace("TlsReportingOptions", "TlsReporting"))
    theirs = members(structure)
    assert theirs, "engine.h is read wrongly"
    names = {field.name for field in dataclasses.fields(ours)} if dataclasses.is_dataclass(ours) else set(dir(ours))
    assert theirs - names == {name for name in FIELDS_ELSEWHERE.get(structure, {}) if name not in names}


# ----------------------------------------------------------------------------------------------------------------------
# The queue


def test_the_queue_is_listed_page_by_page(engines, sink):
    engine = slowed(engines, sink)
    handle = engine.start(campaign(), rows(2500))
    handle.pause()
    assert engine.campaigns() == ["spring"] and engine.open_rows >= 2499
    found = list(engine.list(mb.QueueFilter(job="spring", states=["queued", "deferred", "claimed", "delivered"])))
    assert {each.address for each in found} == {row["email"] for row in rows(2500)}
    assert {each.account for each in found} == {"brand"} and len({each.row for each in found}) == 2500
    assert [each.address for each in engine.list("address=USER7@readers.example")] == ["user7@readers.example"]
    assert list(engine.list(mb.QueueFilter(domain="others.example"))) == list(engine.list("age=1h")) == []
    assert "user" not in repr(found[0])
    with pytest.raises(mb.NotFound):
        list(engine.list("job=autumn"))


@pytest.mark.parametrize("filter, words", [("state=odd", "odd"), ("mood=good", "mood"), (mb.QueueFilter(states=["odd"]), "\"odd\" is none of"),  # type: ignore[list-item]
                                           (mb.QueueFilter(states="queued"), "list of str"),  # type: ignore[arg-type]
                                           (mb.QueueFilter(age_min=-1), "age_min"),
                                           (mb.QueueFilter(provider_wait=-1), "provider_wait"), (7, "filter")])
def test_a_wrong_filter_is_named(filter, words, engine):
    with pytest.raises(mb.InvalidArgument, match=words):
        list(engine.list(filter))
    with pytest.raises(mb.InvalidArgument, match=words):
        engine.release(filter)


def test_a_summary_agrees_with_the_listing(engines, sink):
    engine = slowed(engines, sink)
    engine.start(campaign(), [*rows(9), *rows(3, "others.example")]).pause()
    summary = engine.summary("state=any", by="domain")
    assert [(each.name, each.rows) for each in summary.groups] == [("readers.example", 9), ("others.example", 3)]
    assert summary.other_groups == summary.unknown == sum(summary.others.values()) == 0
    first = engine.summary(mb.QueueFilter(job="spring", states=["queued", "claimed", "delivered"]), "domain", 1)
    assert len(first.groups) == 1 and first.other_groups == 1 and sum(first.others.values()) == 3
    (spring,) = engine.summary().groups
    assert spring.name == "spring" and spring.counts["queued"] == len(list(engine.list("state=queued")))
    with pytest.raises(mb.InvalidArgument, match="by"):
        engine.summary(by="colour")
    with pytest.raises(mb.NotFound):
        engine.summary("job=autumn")


def test_fail_and_release(sinks, engines):
    sink = sinks('latency=0s,defer=100%,sticky,defer-reply="451 4.7.1 Greylisted, come back later"')
    engine = engines(sink, first_retry=3600)
    handle = engine.start(campaign(), [*rows(3), *rows(2, "others.example")])
    stream = handle.events()
    events = iter(stream)
    assert [next(events).kind for _ in range(5)] == ["deferred"] * 5
    deferred = list(engine.list("state=deferred"))
    assert len(deferred) == 5 and all(each.due > datetime.datetime.now(UTC) for each in deferred)
    assert engine.fail("domain=others.example", "they asked us to stop") == mb.QueueChange(rows=2, under_way=0, unknown=0, unreadable=0)
    assert engine.release(mb.QueueFilter(states=["deferred"])).rows == 3
    kinds = sorted(event.kind for event in events)
    assert kinds == ["delivered"] * 3 + ["failed"] * 2


def test_hold_and_release(engines, sink):
    engine = slowed(engines, sink)
    handle = engine.start(campaign(), [*rows(20), *rows(5, "others.example")])
    held = engine.hold("domain=readers.example", "a wrong link")
    assert held.rows + held.under_way <= 20 and held.rows == len(list(engine.list("state=held"))) > 10
    assert engine.hold(mb.QueueFilter(states=["held"]), "again").rows == 0
    told = (event for event in handle.events() if event.kind == "held")
    assert [next(told).outcome.detail for _ in range(held.rows)] == ["a wrong link"] * held.rows
    assert engine.release("state=held").rows == held.rows
    assert list(engine.list("state=held")) == []


def test_move_and_drain(sink):
    options = options_for(sink, egress=[mb.EgressIp("127.0.0.1", "mx1.brand.example", pool="a"),
                                        mb.EgressIp("127.0.0.2", "mx2.brand.example", pool="b")])
    with mb.Engine.open(**options) as engine:
        engine.drain_egress("127.0.0.1")
        assert [(each.address, each.pool, each.draining) for each in engine.egress()] == [("127.0.0.1", "a", True), ("127.0.0.2", "b", False)]
        handle = engine.start(campaign(pool="a"), rows(3))
        assert engine.move("job=spring", "b") == 1
        assert {event.egress for event in handle.events()} == {"127.0.0.2"}
        engine.drain_egress("127.0.0.1", False)
        assert not any(each.draining for each in engine.egress())
        with pytest.raises(mb.NotFound):
            engine.drain_egress("192.0.2.1")
        with pytest.raises(mb.InvalidArgument, match="pool"):
            engine.move("", "none")


def test_a_spool_is_looked_at_while_nothing_is_sent(engines, sink, tmp_path):
    first = slowed(engines, sink, spool_dir=tmp_path / "spool")
    first.start(campaign(), rows(10)).pause()
    first.close()
    with mb.Engine.open([], spool_dir=tmp_path / "spool", deliver=False) as engine:
        assert len(list(engine.list("job=spring,state=queued"))) >= 9
        with pytest.raises(mb.Error):
            engine.submit(LETTER, recipients=["ann@readers.example"])
        engine.erase_campaign("spring")
        assert engine.campaigns() == []
        with pytest.raises(mb.NotFound):
            engine.erase_campaign("spring")


def test_an_address_is_erased(engines, sink, tmp_path):
    engine = slowed(engines, sink, spool_dir=tmp_path / "spool")
    engine.start(campaign(), rows(5)).pause()
    engine.suppress("brand", "user4@readers.example")
    erased = engine.erase_address("user4@readers.example")
    assert (erased.rows, erased.cancelled, erased.suppressions) == (1, 1, 0)
    assert list(engine.list("address=user4@readers.example")) == [] and engine.suppressed("brand", "user4@readers.example")
    assert engine.erase_address("user4@readers.example", suppressions=True).suppressions == 1
    assert engine.suppressed("brand", "user4@readers.example") is None


def test_pressure_and_what_is_not_reported(engines, sink):
    engine = engines(sink, outbox_events_max=2)
    assert engine.pressure() == mb.IntakePressure(refuses=False, detail="")
    stream = engine.events()  # Holds up what comes once its queue is full; nobody takes.
    assert engine.unreported == 0
    stream.close()


@pytest.mark.skipif(mb.build_info()["sanitizers"] != "", reason="a sanitizer's allocator counts nothing")
def test_what_memory_does_not_allow_is_refused(sink):
    with mb.Engine.open(**options_for(sink, memory_max_bytes=1)) as small:
        assert small.pressure().refuses and "memory" in small.pressure().detail
        with pytest.raises(mb.ResourceExhausted, match="memory"):
            small.submit(LETTER, recipients=["ann@readers.example"])


SECRET = "ann@secret.example"


@pytest.mark.parametrize("call, words", [
    (lambda engine: engine.suppress(5, SECRET), "account: .*not int"), (lambda engine: engine.suppress("brand", SECRET, 5), "reason: .*not int"),
    (lambda engine: engine.unsuppress(5, SECRET), "account: .*not int"), (lambda engine: engine.suppressed(5, SECRET), "account: .*not int"),
    (lambda engine: engine.inbound(LETTER, recipient=SECRET, account=5), "account: .*not int"),
    (lambda engine: engine.inbound(SECRET + LETTER, recipient=5), "recipient: .*not int"),
    (lambda engine: list(engine.list(mb.QueueFilter(states=5, address=SECRET))),  # type: ignore[arg-type]
     "states: a list of str is needed, not int"),
    (lambda engine: engine.submit(mb.Message("news@brand.example", SECRET, LETTER)), "recipients: a list is needed, not str"),
    (lambda engine: engine.submit(mb.Message("news@brand.example", [SECRET], LETTER, reports=5)),  # type: ignore[arg-type]
     "reports: Iterable is needed, not int")])
def test_a_wrong_type_is_named_and_no_address(call, words, engine):
    with pytest.raises(mb.InvalidArgument, match=words) as raised:
        call(engine)
    assert "secret" not in str(raised.value)


# ----------------------------------------------------------------------------------------------------------------------
# Suppressions


def test_suppressions_go_in_and_out(engines, sink, tmp_path):
    since = datetime.datetime(2024, 3, 21, 8, tzinfo=UTC)
    given = [mb.SuppressionEntry("brand", f"user{i}@readers.example", "complaint", since) for i in range(2500)]
    engine = engines(sink, spool_dir=tmp_path / "spool", durability="process_crash")
    assert engine.import_suppressions(iter([*given, mb.SuppressionEntry("*", mb.Address("ann@readers.example"))])) == 2501
    assert engine.suppressed("brand", "user7@readers.example") == mb.Suppressed("complaint", since)
    assert engine.suppressed("other", "ann@readers.example").reason == "manual"
    out = list(engine.export_suppressions())
    assert {(each.account, each.address, each.reason, each.since) for each in out if each.account == "brand"} == \
        {(each.account, each.address, each.reason, each.since) for each in given} and len(out) == 2501
    assert "user" not in repr(out)
    for entry in engine.export_suppressions():  # The engine may be called meanwhile.
        assert engine.unsuppress(entry.account, entry.address)
    assert list(engine.export_suppressions()) == [] and engine.unsuppress("brand", "user7@readers.example") is False


def test_a_wrong_suppression_is_named_and_those_before_it_stay(engine):
    good = mb.SuppressionEntry("brand", "ann@readers.example")

    def broken():
        yield good
        raise ZeroDivisionError("x")

    for entries, error, words in [([good, mb.SuppressionEntry("brand", "no address")], mb.InvalidArgument, "suppression 2"),
                                  ([good, mb.SuppressionEntry("brand", "b@c.example", "mood")], mb.InvalidArgument, "mood"),
                                  ([good, mb.SuppressionEntry("brand", "b@c.example", 5)], mb.InvalidArgument, "reason: .*not int"),
                                  ([good, "bob@c.example"], mb.InvalidArgument, "entry 2.*SuppressionEntry"),
                                  ([good, mb.SuppressionEntry("b", "b@c.example", since=datetime.datetime(2024, 1, 1))], mb.InvalidArgument, "aware"),
                                  (broken(), ZeroDivisionError, "x")]:
        with pytest.raises(error, match=words):
            engine.import_suppressions(entries)
        assert engine.unsuppress("brand", "ann@readers.example") is True


def test_close_ends_an_endless_list_of_suppressions(engines, sink, tmp_path):
    began, raised = threading.Event(), []

    def endless():
        for number in itertools.count():
            yield mb.SuppressionEntry("brand", f"user{number}@readers.example")
            began.set()

    def load(engine):
        with pytest.raises(mb.Closed, match="being closed"):
            engine.import_suppressions(endless())
        raised.append(True)

    engine = engines(sink, spool_dir=tmp_path / "spool")
    thread = threading.Thread(target=load, args=(engine,), daemon=True)
    thread.start()
    assert began.wait(END_SECONDS)
    engine.close()
    thread.join(END_SECONDS)
    assert raised and engines(sink, spool_dir=tmp_path / "spool").suppressed("brand", "user0@readers.example")  # Those before it stay.


def test_hashed_suppressions(engines, sink, tmp_path):
    engine = engines(sink, spool_dir=tmp_path / "spool", suppression_key=b"0123456789abcdef")
    engine.suppress("brand", "ann@readers.example")
    (entry,) = engine.export_suppressions()
    assert entry.address.startswith("hmac-sha256:") and engine.suppressed("brand", "ann@readers.example")
    assert engine.import_suppressions([entry]) == 1


# ----------------------------------------------------------------------------------------------------------------------
# Schedules, retries, TLS, DSN


def test_a_schedule_holds_mail_back(engines, sink):
    now = datetime.datetime.now(UTC)
    engine = engines(sink)
    later = engine.start(campaign(schedule=mb.Schedule(start_at=now + datetime.timedelta(hours=1))), rows(3))
    with pytest.raises(mb.InvalidArgument, match="not_after is past"):
        engine.start(campaign("gone", schedule=mb.Schedule(not_after=now - datetime.timedelta(seconds=1))), rows(2))
    assert len(list(engine.start(campaign("now", schedule=mb.Schedule(not_after=now + datetime.timedelta(hours=1))), rows(3)).events())) == 3
    assert later.status().counts["queued"] == 3 and not later.status().settled


def test_windows_and_zones(engines, sink):
    engine = engines(sink)
    closed = (datetime.datetime.now(UTC) + datetime.timedelta(days=3)).strftime("%a").lower()
    given = [{**row, "where": where} for row, where in zip(rows(5), ["Europe/Berlin", "+02:00", "", "Mars/Olympus", "../../etc/passwd"])]
    held = engine.start(campaign(schedule=mb.Schedule(windows=f"{closed} 09:00-10:00", zone="America/New_York", zone_field="where")), given)
    assert held.report.accepted == 3
    reasons = {bad.number: bad.reason for bad in held.report.bad_rows}
    assert sorted(reasons) == [4, 5] and "Mars/Olympus" in reasons[4]
    always = engine.start(campaign("always", schedule=mb.Schedule(windows="mon-sun 00:00-24:00", zone="Asia/Tokyo")), rows(3))
    assert [event.kind for event in always.events()] == ["delivered"] * 3
    assert held.status().counts["delivered"] == 0


@pytest.mark.parametrize("schedule, error, words", [
    (mb.Schedule(windows="someday"), mb.InvalidArgument, "windows.*someday"), (mb.Schedule(zone="Mars/Olympus"), mb.NotFound, "Mars/Olympus"),
    (mb.Schedule(start_at=datetime.datetime(2024, 1, 1)), mb.InvalidArgument, "start_at.*aware"), (mb.Schedule(zone_field="none"), mb.InvalidArgument, "none")])
def test_a_wrong_schedule_is_named(schedule, error, words, engine):
    with pytest.raises(error, match=words):
        engine.start(campaign(schedule=schedule), rows(1))


def test_attempts_max_ends_a_recipient(sinks, engines):
    engine = engines(sinks('latency=0s,defer=100%,sticky=off,defer-reply="452 4.2.2 Mailbox full"'), attempts_max=5)
    stream = engine.events()
    engine.start(campaign(attempts_max=2), rows(1))
    engine.submit(mb.Message("news@brand.example", ["ann@readers.example"], LETTER, attempts_max=1, campaign="single"))
    got = {"spring": [], "single": []}
    for event in stream:
        got[event.campaign].append((event.kind, event.attempt))
        if all(each and each[-1][0] != "deferred" for each in got.values()):
            break
    assert got == {"spring": [("deferred", 1), ("expired", 2)], "single": [("expired", 1)]}


def through_dns(engines, sink, name_server, **more):
    """An engine that finds its receiver by the MX records of the name server."""
    return engines(sink, relays={}, dns=[name_server], port=sink.port, allowed_targets=["127.0.0.0/8"], refuse_loops=False,
                   dane=False, mta_sts=False, **more)


def test_tls_overrides_and_reports(sinks, engines, name_server):
    engine = through_dns(engines, sinks("latency=0s"), name_server, tls="opportunistic", tls_reports=True,
                         tls_overrides={"strict.example": "required", "named.example": mb.TlsOverride("verified", ["mx.other.example"])})
    domains = ("brand.example", "strict.example", "named.example")
    stream = iter(engine.start(campaign(), [rows(1, domain)[0] for domain in domains]).events())
    outcomes = {event.recipient.partition("@")[2]: event.kind for event in (next(stream) for _ in domains)}
    assert outcomes == {"brand.example": "delivered", "strict.example": "deferred", "named.example": "deferred"}
    reports = {report.domain: report for report in engine.take_tls_reports()}
    assert reports["strict.example"].failed >= 1 and reports["strict.example"].begin < reports["strict.example"].end
    who = {"organization": "Brand Inc.", "contact": "tls@brand.example", "domain": "brand.example"}
    body = json.loads(reports["strict.example"].to_json(**who))
    assert body["organization-name"] == "Brand Inc." and body["policies"][0]["summary"]["total-failure-session-count"] >= 1
    mail = email.message_from_bytes(reports["strict.example"].to_mail(**who, sender="tls@brand.example", recipient="ann@readers.example"))
    assert mail["TLS-Report-Domain"] == "strict.example" and mail["TLS-Report-Submitter"] == "brand.example"
    assert engine.take_tls_reports() == []


@pytest.mark.parametrize("options, words", [
    ({"tls_overrides": {"a.example": "maybe"}}, "tls_overrides.*maybe"), ({"attempts_max": "many"}, "attempts_max"), ({"suppression_key": b"short"}, "suppression"),
    ({"tls_reporting": mb.TlsReporting("Brand", "c@brand.example", "brand.example", sender="nobody")}, "tls_reporting: sender")])
def test_wrong_options_are_named(options, words, sink, tmp_path):
    with pytest.raises(mb.InvalidArgument, match=words):
        mb.Engine.open(**options_for(sink, **{"spool_dir": tmp_path / "spool", **options}))


@pytest.mark.parametrize("options, words", [
    ({"spool_dir": ""}, "spool_dir: empty"), ({"durability": "power_loss"}, "durability: of no use without a spool_dir"),
    ({"suppression_key": b"0123456789abcdef", "spool_reserve_bytes": 1}, "spool_reserve_bytes, suppression_key: of no use")])
def test_no_engine_keeps_its_mail_in_memory_unasked(options, words, sink):
    with pytest.raises(mb.InvalidArgument, match=words):
        mb.Engine.open(**options_for(sink, **options))


def test_what_is_asked_of_the_recipients_server_is_said(engines):
    """By a server that offers DSN and takes one message."""
    replies = ["220 mx.example", "250-mx.example\r\n250 DSN", "250 ok", "250 ok", "250 ok", "354 go", "250 ok", "221 bye"]
    heard = []

    def serve():
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as lines:
            for reply in replies:
                peer.sendall(f"{reply}\r\n".encode())
                line = lines.readline().decode()
                while heard[-1:] == ["DATA\r\n"] and line != ".\r\n":
                    line = lines.readline().decode()
                heard.append(line)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        engine = engines(types.SimpleNamespace(port=server.getsockname()[1]))
        engine.submit(mb.Message("news@brand.example", ["ann@readers.example", "bob@readers.example"], LETTER, envid="E1", ret="headers",
                                 reports=[mb.RecipientReport(["failure", "delay"], "rfc822;ann@old.example"), mb.RecipientReport(["never"])]))
        assert engine.drain(END_SECONDS)
        engine.close()
        thread.join()
    mail, ann, bob = [line for line in heard if line.startswith(("MAIL", "RCPT"))]
    assert "RET=HDRS" in mail and "ENVID=E1" in mail
    assert "NOTIFY=FAILURE,DELAY" in ann and "ORCPT=rfc822;ann@old.example" in ann and "NOTIFY=NEVER" in bob


def test_a_wrong_report_is_named(engine):
    with pytest.raises(mb.InvalidArgument, match='notify.*"sometimes" is none of'):
        engine.submit(mb.Message("news@brand.example", ["ann@readers.example"], LETTER, reports=[mb.RecipientReport(["sometimes"])]))


# ----------------------------------------------------------------------------------------------------------------------
# Warming


def test_every_command_on_the_pace_of_an_ip(sink):
    ip = mb.EgressIp("127.0.0.1", "mx1.brand.example", curve=[50, 100, 200, 400])
    with mb.Engine.open(**options_for(sink, egress=[ip])) as engine:
        list(engine.start(campaign(), rows(1)).events())
        (pace,) = engine.paces()

        def state():
            return engine.explain(pace.ip, pace.provider)

        assert (state().state, state().cap, state().day, state().used) == ("warming", 50, 0, 1)
        assert state().rate_percent == 100 and any(name == "sent today" for name, *_ in state().to_advance)
        assert all(setting and where for setting, _, where in state().settings)
        engine.command(pace.ip, pace.provider, "skip_day")
        assert (state().day, state().cap) == (1, 100)
        engine.command(pace.ip, pace.provider.upper(), "pause")
        assert state().state == "paused"
        engine.command(pace.ip, pace.provider, "resume")
        engine.command(pace.ip, pace.provider, "pin", 7)
        assert (state().state, state().cap) == ("pinned", 7)
        engine.command(pace.ip, pace.provider, "unpin")
        engine.command(pace.ip, pace.provider, "repeat_day")
        assert state().cap == 100
        engine.change("* ip messages_per_second=5")
        assert state().rate == 5
        with pytest.raises(mb.NotFound, match="brand.example is not paused at"):
            engine.resume_domain("Brand.Example", pace.provider)
