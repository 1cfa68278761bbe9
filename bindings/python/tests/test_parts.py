"""The parts that need no engine and no network: messages, templates, DKIM, bounces, plans."""

import datetime
import email
import email.message
import email.policy
import random

import mailsbuddy as mb
import pytest
from fuzz_records import JUDGES, SEEDS
from mailsbuddy import bounce, dkim, dmarc, hygiene, spf, warming
from mailsbuddy._message import envelope_of, to_wire

MESSAGE = b"From: News <news@brand.example>\r\nTo: ann@example.net\r\nSubject: Hello\r\n\r\nHello.\r\n"
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.timezone.utc)


# Messages

def built(**parts):
    octets = mb.MessageBuilder("News <news@brand.example>", ["Ann Lee <ann@example.net>"], **parts).build()
    return email.message_from_bytes(octets, policy=email.policy.default)


def test_a_built_message_is_read_back_by_the_standard_library(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"a,b\n1,2\n")
    builder = mb.MessageBuilder("News <news@brand.example>", "ann@example.net", subject="Grüße an alle " * 10, text="Schön\n",
                                html="<p>Schön</p>", headers={"List-Id": "<news.brand.example>"}).attach(tmp_path / "list.csv")
    read = email.message_from_bytes(builder.build(), policy=email.policy.default)
    assert not read.defects and read["Subject"] == ("Grüße an alle " * 10).strip() and read["List-Id"] == "<news.brand.example>"
    assert read.get_body(("plain",)).get_content().strip() == "Schön"
    assert read.get_body(("html",)).get_content().strip() == "<p>Schön</p>"
    [attached] = read.iter_attachments()
    assert attached.get_filename() == "list.csv" and attached.get_content_type() == "text/csv"
    assert attached.get_content().encode() == b"a,b\n1,2\n" or attached.get_content() == b"a,b\n1,2\n"


def test_message_ids_differ_and_given_ones_stay():
    assert built(text="x")["Message-ID"] != built(text="x")["Message-ID"]
    assert built(text="x", headers={"Message-ID": "<1@brand.example>"}).get_all("Message-ID") == ["<1@brand.example>"]


def test_no_header_is_injected():
    with pytest.raises(mb.InvalidArgument, match="Subject"):
        built(subject="Hello\r\nBcc: eve@example.net", text="x")
    with pytest.raises(mb.InvalidArgument, match="sender"):
        mb.MessageBuilder("news@brand.example\r\nBcc: eve@example.net", "ann@example.net").build()


def test_envelopes_come_from_the_fields_and_bcc_stays_at_home():
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Cc"] = "News <news@brand.example>", "ann@example.net", "bob@example.net"
    message["Bcc"] = "eve@example.net"
    message.set_content("Hello\n.\nWorld\n")
    for form in (message, message.as_bytes(), message.as_string(), email.message_from_bytes(message.as_bytes())):
        envelope = envelope_of(form)
        assert (envelope.sender, envelope.recipients) == (
            "news@brand.example", ["ann@example.net", "bob@example.net", "eve@example.net"])
        assert b"eve" not in envelope.data and b"\r\n.\r\n" in envelope.data and b"\n" not in envelope.data.replace(b"\r\n", b"")
    assert message["Bcc"] == "eve@example.net"
    builder = mb.MessageBuilder("news@brand.example", "ann@example.net", bcc=["eve@example.net"], text="x")
    assert envelope_of(builder).recipients == ["ann@example.net", "eve@example.net"] and b"eve" not in envelope_of(builder).data


def test_given_envelopes_win_over_the_fields():
    envelope = envelope_of(MESSAGE, sender="", recipients=mb.Address("bob@example.net"))
    assert (envelope.sender, envelope.recipients, envelope.data) == ("", ["bob@example.net"], MESSAGE)


@pytest.mark.parametrize(("message", "options", "what"), [
    (b"Subject: x\n\nHello\n", {}, "sender"),
    (b"From: a@brand.example\n\nHello\n", {}, "recipients"),
    (MESSAGE, {"recipients": ["not an address"]}, "recipients"),
    (12, {}, "message"),
])
def test_what_is_no_message_or_envelope_says_so(message, options, what):
    with pytest.raises(mb.InvalidArgument, match=what):
        envelope_of(message, **options)


def test_templates_render_with_escaping():
    template = mb.Template.compile(subject="Hello {{ name }}", text="Dear {{ name }}\n", html="<p>{{ name }}</p>",
                                   headers={"X-Batch": "{{ n }}"})
    read = email.message_from_bytes(template.render({"name": "<Ann>", "n": 7}, leading_headers={"To": "ann@example.net"}),
                                    policy=email.policy.default)
    assert read["Subject"] == "Hello <Ann>" and read["X-Batch"] == "7" and read["To"] == "ann@example.net"
    assert "&lt;Ann&gt;" in read.get_body(("html",)).get_content()
    with pytest.raises(mb.InvalidArgument, match="html:1:"):
        mb.Template.compile(html="{% if %}")
    parsed = mb.Template.parse_eml(email.message_from_bytes(b"Subject: Hi {{ who }}\n\nx\n"))
    assert parsed.field_names == ["who"]


# DKIM

@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_what_is_signed_verifies_and_what_is_changed_does_not(algorithm):
    key = dkim.keygen(algorithm)
    signer = dkim.Signer("brand.example", "s1", key, identity="@brand.example", expires_after=86400)
    signed = signer.sign(MESSAGE, now=NOW)
    assert signed.endswith(MESSAGE) and signed.startswith(b"DKIM-Signature:")
    verifier = dkim.Verifier({dkim.record_name("s1", "brand.example"): str(key.record)})
    result = verifier.verify(signed, now=NOW)
    [signature] = result.signatures
    assert (result.status, signature.domain, signature.selector, signature.key_bits) == ("pass", "brand.example", "s1", key.bits)
    assert "dkim=pass" in result.authentication_results("mx.example.net")
    [changed] = verifier.verify(signed.replace(b"Hello.", b"Hullo."), now=NOW).signatures
    assert (changed.status, changed.reason) == ("fail", "body-hash-mismatch") and changed.description
    [late] = verifier.verify(signed, now=NOW + datetime.timedelta(days=2)).signatures
    assert late.reason == "expired"


def test_verifying_without_a_key():
    signed = dkim.Signer("brand.example", "s1", dkim.keygen("ed25519")).sign(MESSAGE)
    assert [each.reason for each in dkim.Verifier({}).verify(signed).signatures] == ["no-key"]
    assert dkim.Verifier(lambda name: None).verify(MESSAGE).status == "none"
    with pytest.raises(ZeroDivisionError):
        dkim.Verifier(lambda name: 1 / 0).verify(signed)


def test_messages_of_the_standard_library_are_signed_as_they_are_sent():
    message = email.message.EmailMessage()
    message["From"], message["Subject"] = "news@brand.example", "Grüße"
    message.set_content("Schön\n")
    key = dkim.keygen("ed25519")
    signed = dkim.Signer("brand.example", "s1", key.pem()).sign(message)
    assert dkim.Verifier(lambda name: str(key.record)).verify(signed).status == "pass"


def test_keys_and_records(tmp_path):
    key = dkim.keygen("rsa", 2048)
    (tmp_path / "brand.pem").write_bytes(key.pem())
    again = dkim.load_key(tmp_path / "brand.pem")
    again.check_record(str(key.record))
    record = dkim.KeyRecord.parse(str(key.record))
    assert (record.key_type, record.bits, record.revoked, record.testing) == ("rsa", 2048, False, False)
    assert all(len(part) <= 257 for part in record.zone_file().split(" "))
    with pytest.raises(mb.InvalidArgument):
        again.check_record(str(dkim.keygen("rsa").record))
    with pytest.raises(mb.InvalidArgument, match="p="):
        dkim.KeyRecord.parse("v=DKIM1; k=rsa")
    with pytest.raises(mb.IoError, match="none.pem"):
        dkim.load_key(tmp_path / "none.pem")
    with pytest.raises(mb.InvalidArgument, match="algorithm"):
        dkim.keygen("dsa")
    with pytest.raises(mb.InvalidArgument, match="From"):
        dkim.Signer("brand.example", "s1", key, headers=["To"], oversigned=[])


# Bounces

REPLIES = ["550 5.1.1 No such user", "452 4.2.2 Mailbox full", "421 4.7.0 [TSS04] Messages temporarily deferred due to "
           "unexpected volume or user complaints", "250 2.0.0 Ok", "", "words without a code", None, b"554 5.7.1 Spam \xff"]


def test_a_batch_says_what_single_replies_say():
    batch = bounce.classify_many(REPLIES)
    assert len(batch) == len(REPLIES)
    for at, reply in enumerate(REPLIES[:6]):
        single = bounce.classify(reply)
        assert (batch.klass[at], batch.permanence[at], batch.scope[at], batch.reaction[at], batch.rule[at], batch.code[at]) == (
            single.klass, single.permanence, single.scope, single.reaction, single.rule, single.reply.code)
    assert batch.klass[:2] == ["user_unknown", "mailbox_full"] and batch.code == [550, 452, 421, 250, 0, 0, 0, 554]
    assert {len(column) for column in batch.columns().values()} == {len(REPLIES)}


def test_stages_and_providers_are_columns_too():
    import pandas

    frame = pandas.DataFrame({"reply": REPLIES[:4], "stage": ["rcpt_to", None, "greeting", "final_dot"],
                              "mx": ["gmail-smtp-in.l.google.com", "google", None, ""]})
    batch = bounce.classify_many(frame["reply"], stages=frame["stage"], providers=frame["mx"])
    assert len(pandas.DataFrame(batch.columns())) == 4
    with pytest.raises(mb.InvalidArgument, match="stages: 1 values for 2 replies"):
        bounce.classify_many(["250 ok", "250 ok"], stages=["rcpt_to"])
    with pytest.raises(mb.InvalidArgument, match="stage: there is none called"):
        bounce.classify_many(["250 ok"], stages=["dinner"])
    with pytest.raises(mb.InvalidArgument, match="replies: row 1"):
        bounce.classify_many(["250 ok", 12])


def test_other_senders_names():
    verdict = bounce.classify("550 5.1.1 No such user")
    assert (verdict.powermta, verdict.sparkpost, verdict.ses[0]) == ("bad-mailbox", 10, "Permanent")


def test_rules_of_ones_own(tmp_path):
    with pytest.raises(mb.InvalidArgument, match="mine.tsv:1"):
        bounce.Classifier("nonsense", name="mine.tsv")
    with pytest.raises(mb.IoError, match="none.tsv"):
        bounce.Classifier.load(tmp_path / "none.tsv")


DSN = b"""From: MAILER-DAEMON@mx.example.net\nTo: b@brand.example\nSubject: Undelivered\nMIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nIt failed.\n--x
Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; ann@example.net
Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--x
Content-Type: text/rfc822-headers\n\nMessage-ID: <1@brand.example>\n\n--x--\n"""
ARF = b"""From: fbl@provider.example\nSubject: complaint\nMIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n\nA complaint.\n--x
Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\nUser-Agent: Test/1
Original-Rcpt-To: ann@example.net\nSource-IP: 192.0.2.1\n\n--x\nContent-Type: message/rfc822\n
From: news@brand.example\nTo: ann@example.net\nMessage-ID: <2@brand.example>\n\nHello\n--x--\n"""


def test_a_bounce_and_a_complaint_are_read():
    report = bounce.parse(DSN)
    [recipient] = report.recipients
    assert (report.kind, recipient.address, recipient.action, recipient.status) == ("dsn", "ann@example.net", "failed", "5.1.1")
    assert recipient.verdict.klass == "user_unknown" and recipient.suppress and recipient.diagnostic.code == 550
    assert report.original_message_id == "1@brand.example"
    report = bounce.parse(email.message_from_bytes(ARF))
    assert report.kind == "arf" and report.complaint.feedback_type == "abuse" and report.complaint.source_ip == "192.0.2.1"
    assert report.recipients[0].address == "ann@example.net" and report.recipients[0].suppress
    assert bounce.parse(b"From: ann@example.net\n\nThanks for the letter!\n").kind == "none"


# Plans

def test_a_plan_counts_every_message():
    plan = warming.plan({"google": 40_000, "microsoft": 20_000}, ips=2, curve="200,500,1k", start=NOW)
    assert sum(row.messages for row in plan.rows) == 60_000 and plan.finish > plan.start
    first = [row for row in plan.rows if row.day == 0 and row.provider == "google"]
    assert [row.cap for row in first] == [200, 200] and all("curve" in row.bound for row in first)
    assert {name: sum(days) for name, days in plan.by_day().items()} == {"google": 40_000, "microsoft": 20_000}
    assert len(plan.columns()["ip"]) == len(plan.rows)
    warm = warming.plan({"google": 40_000}, start=NOW, limits="google ip messages_per_day=10k")
    assert warm.days == 4
    east = warming.plan({"google": 400}, curve="200", start=NOW, zone="Pacific/Auckland")
    assert east.start != warm.start


@pytest.mark.parametrize(("options", "error", "what"), [
    ({"audience": {}}, mb.InvalidArgument, None),
    ({"audience": {"google": 1}, "ips": 0}, mb.InvalidArgument, "ips"),
    ({"audience": {"google": 1}, "curve": "steep"}, mb.NotFound, "steep"),
    ({"audience": {"google": 1}, "start": datetime.datetime(2026, 1, 1)}, mb.InvalidArgument, "start"),
    ({"audience": {"google": 1}, "limits": "google ip nonsense=1"}, mb.InvalidArgument, "limits:1"),
    ({"audience": {"google": 1}, "zone": "../etc/passwd"}, mb.InvalidArgument, "zone"),
    ({"audience": {"google": 1}, "zone": "Moon/Crater"}, mb.NotFound, "zone"),
])
def test_a_plan_that_cannot_be_made_says_why(options, error, what):
    with pytest.raises(error, match=what):
        warming.plan(**options)


def test_curves():
    assert "sparkpost" in [preset.name for preset in warming.presets()]
    curve = warming.Curve.parse("100,200,300 x2")
    assert curve.daily == [200, 400, 600] and curve.at(99) == 600 and curve.times(0.5).at(0) == 100


def test_a_simulated_warm_up_keeps_its_caps_and_steps_back_when_it_is_deferred():
    calm = warming.simulate("google", per_day=5_000, days=12, curve="growth")
    assert calm.sent > 0 and all(hour.cap is None or hour.sent <= hour.cap for hour in calm.hours)
    assert calm.by_day()[-1] > calm.by_day()[0]
    rough = warming.simulate("google", per_day=5_000, days=12, curve="growth",
                             receiver=lambda time, sent: {"deferred": sent // 2})
    assert rough.sent < calm.sent and {"step_back", "suspend"} & {each.kind for each in rough.decisions}
    with pytest.raises(mb.InvalidArgument, match="receiver"):
        warming.simulate("google", per_day=5_000, days=1, receiver=lambda time, sent: {"deferred": sent + 1})
    with pytest.raises(mb.InvalidArgument, match="dinner"):
        warming.simulate("google", per_day=5_000, days=1, receiver=lambda time, sent: {"dinner": sent})


# Records

@pytest.mark.parametrize(("text", "names"), [
    ("v=spf1 mx a:mail.brand.example/24 ip6:2001:db8::/32 include:_spf.example.net ~all", []),
    ("v=spf1 exists:%{ir}.sbl.example.net -all", []),
    ("spf1 -all", ["version"]),
    ("v=spf1 ip4:192.0.2.300 -all", ["ip4"]),
    ("v=spf1 ip6:192.0.2.1 -all", ["ip6"]),
    ("v=spf1 include: -all", ["syntax"]),
    ("v=spf1 inklude:example.net -all", ["unknown_mechanism"]),
    ("v=spf1 a/99 -all", ["cidr"]),
    ("v=spf1 include:%{z}.example.net -all", ["domain"]),
    ("v=spf1 ptr +all", ["pass_all", "ptr"]),
    ("v=spf1 ip4:192.0.2.0/255.255.255.0 -all", ["ip4"]),
    ("v=spf1 ip4:192.0.2.0/024 -all", ["ip4"]),
    ("v=spf1 ip6:fe80::1%eth0 -all", ["ip6"]),
    ("v=spf1 mx/\u0663 -all", ["syntax"]),
    ("v=spf1 -all mx\n", ["syntax"]),
    ("v=spf1 all=x -all", ["ignored_modifier"]),
    ("v=spf1 include=a.example -all", ["ignored_modifier"]),
    ("v=spf1 -redirect=a.example", ["syntax"]),
    ("v=spf1 -all foo=bar", []),
    ("v=spf1 -all foo=%{z}", ["domain"]),
    ("v=spf1 exists:%{c}.example.net -all", ["domain"]),
    ("v=spf1 exists:%{d0}.example.net -all", ["domain"]),
    ("v=spf1 a:" + "x." * 125 + "example -all", ["domain"]),
    ("v=spf1 -all mx", ["after_all"]),
    ("v=spf1 redirect=a.example redirect=b.example", ["repeated"]),
    ("v=spf1 " + " ".join(f"include:i{n}.example.net" for n in range(11)) + " -all", ["too_many_lookups"]),
])
def test_spf_problems_have_names(text, names):
    assert [each.name for each in spf.check(text)] == names


def test_spf_records_are_built_and_parsed():
    text = spf.build(["mx", "ip4:192.0.2.0/24"], all="fail")
    record = spf.parse(text)
    assert record.all == "fail" and [term.name for term in record.terms] == ["mx", "ip4", "all"]
    with pytest.raises(mb.InvalidArgument, match="ip4"):
        spf.build(["ip4:nonsense"])


@pytest.mark.parametrize(("text", "names"), [
    ("v=DMARC1; p=none", []),
    ("v=DMARC1; p=reject; sp=none; adkim=s; pct=50; rua=mailto:a@brand.example,mailto:b@brand.example!10m;", []),
    ("p=none; v=DMARC1", ["version"]),
    ("v=DMARC1", ["policy"]),
    ("v=DMARC1; p=perhaps", ["policy"]),
    ("v=DMARC1; p=none; pct=101", ["percent"]),
    ("v=DMARC1; p=none; pct=\u00b2", ["percent"]),
    ("v=DMARC1; p=none; pct=\u0663", ["percent"]),
    ("v=DMARC1; p=none; ri=4294967295", []),
    ("v=DMARC1; p=none; ri=4294967296", ["interval"]),
    ("v=DMARC1; p=none; ri=\u00b2", ["interval"]),
    ("v=DMARC1; p=\u2003none", ["policy"]),
    ("v=DMARC1; p=none; rua=mailto:\u00e4@brand.example", ["report_uri"]),
    ("v=DMARC1; p=none; rua=dmarc@brand.example", ["report_uri"]),
    ("v=DMARC1; p=none; p=reject", ["repeated"]),
    ("v=DMARC1; p=none; oops", ["syntax"]),
])
def test_dmarc_problems_have_names(text, names):
    assert [each.name for each in dmarc.check(text)] == names
    if not names:
        assert dmarc.parse(dmarc.parse(text).text()) == dmarc.parse(text)


@pytest.mark.parametrize("kind", JUDGES)
def test_damaged_records_are_judged_and_never_raise(kind):
    """Every cut, and thousands of changes by a fixed seed, of the fuzzer's seeds: a list of problems, or a record that reads back."""
    chance = random.Random(1)
    seeds = [path.read_bytes().decode() for path in sorted((SEEDS / kind).iterdir())]
    assert len(seeds) > 5
    for text in seeds:
        for cut in range(len(text) + 1):
            JUDGES[kind](text[:cut])
        for _ in range(500):
            letters = list(text)
            for _ in range(chance.randint(1, 6)):
                letters[chance.randrange(len(letters))] = chance.choice("\0 \t\n/:;=%{}+-~?,.!aZ0\u00b2\u00e9\u0663\u2003\U0001f600")
            JUDGES[kind]("".join(letters))


@pytest.mark.parametrize("module", [spf, dmarc])
def test_a_record_that_is_too_long_is_not_read(module):
    assert [each.name for each in module.check("v=" + "a" * 3000)] == ["too_long"]


# Hygiene

@pytest.mark.parametrize(("text", "problems", "suggestion"), [
    ("ann@example.net", [], None),
    ("ann..lee@example.net", ["syntax"], None),
    ("ann@co.uk", ["public_suffix"], None),
    ("Info@brand.co.uk", ["role"], None),
    ("sales+spring@brand.example", ["role"], None),
    ("ann@mail.trash.example", ["disposable"], None),
    ("ann@gmial.com", ["typo"], "ann@gmail.com"),
    ("ann@hotnail.com", ["typo"], "ann@hotmail.com"),
    ("ann@brand.con", ["typo"], "ann@brand.com"),
    ("ann@ymail.com", [], None),
    ("ann@mail.com", [], None),
    ("ann@gmx.net", [], None),
])
def test_addresses_without_dns(text, problems, suggestion):
    [checked] = hygiene.check_addresses([text], resolver=None, disposable=["trash.example"])
    assert checked.problems == problems and (suggestion is None or str(checked.suggestion) == suggestion)
    assert checked.status == ("ok" if not problems else "invalid" if problems[0] in hygiene.INVALID else "risky")


def test_duplicates_and_the_shipped_list():
    checked = hygiene.check_addresses(["ann@example.net", mb.Address("ann@EXAMPLE.net"), "bob@mailinator.com"], resolver=None)
    assert [each.problems for each in checked] == [[], ["duplicate"], ["disposable"]]


def test_without_the_list_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "disposable_email_domains", None)
    with pytest.raises(mb.Unsupported) as raised:
        hygiene.check_addresses([], resolver=None)
    assert "pip install mailsbuddy[hygiene]" in str(raised.value) and "mailsbuddy[hygiene]" in raised.value.remedy


def test_registrable_domains():
    assert hygiene.registrable_domain("a.b.brand.co.uk") == "brand.co.uk"
    assert hygiene.registrable_domain("co.uk") == "" and hygiene.registrable_domain("no domain") == ""


# What shows itself

def test_repr_shows_neither_addresses_nor_keys():
    key = dkim.keygen("rsa")
    secret = key.pem().splitlines()[1].decode()
    report = bounce.parse(DSN)
    shown = [mb.Address("ann@example.net"), mb.MessageBuilder("ann@example.net", "ann@example.net"), envelope_of(MESSAGE), key,
             key.record, dkim.Signer("brand.example", "s1", key), dkim.KeyRing({"brand.example": ("s1", key.pem()), "other.example": ("s1", key)}),
             dkim.Verifier({}), dkim.Verifier({}).verify(dkim.Signer("brand.example", "s1", key).sign(MESSAGE)), report,
             report.recipients[0], report.recipients[0].verdict, bounce.parse(ARF).complaint, bounce.Classifier(),
             bounce.classify("550 5.1.1 ann@example.net unknown"), bounce.classify_many(["550 ann@example.net"]),
             mb.Attachment("ann@example.net.txt", b"x"), mb.Template.parse_eml("Subject: ann@example.net\n\nx\n"),
             *hygiene.check_addresses(["ann@example.net", "ann@gmial.com"], resolver=None, disposable=False),
             *dkim.Verifier({}).verify(dkim.Signer("brand.example", "s1", key).sign(MESSAGE)).signatures]
    for each in shown:
        assert "ann" not in repr(each) and "@" not in repr(each) and secret not in repr(each), type(each)


def test_wire_form():
    assert to_wire("a: b\n\nc\rd\r\n") == b"a: b\r\n\r\nc\r\nd\r\n"
