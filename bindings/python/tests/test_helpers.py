"""What stands beside other people's software: Django, matplotlib, rich."""

import contextlib
import email.policy
import io
import os
import warnings

import django
import mailsbuddy as mb
import matplotlib
import pytest
import rich.console
from conftest import campaign, rows
from django.conf import settings
from loopback_servers import children, receivers_of  # noqa: F401: fixtures
from mailsbuddy import _plot, progress, warming

matplotlib.use("agg")
settings.configure(DEFAULT_FROM_EMAIL="news@brand.example", USE_I18N=False)
django.setup()
from django.core import mail  # noqa: E402
from django.test import override_settings  # noqa: E402


# Django

BACKEND = "mailsbuddy.django.EmailBackend"
HAS_MAILERS = django.VERSION >= (6, 1)
SETTINGS = {"host": "EMAIL_HOST", "port": "EMAIL_PORT", "username": "EMAIL_HOST_USER", "password": "EMAIL_HOST_PASSWORD",
            "use_tls": "EMAIL_USE_TLS", "use_ssl": "EMAIL_USE_SSL"}


class Settings:
    """EMAIL_BACKEND and its like, as Django has had them; from 6.1 on deprecated."""

    @contextlib.contextmanager
    def mailer(self, **options):
        with warnings.catch_warnings():
            if HAS_MAILERS:
                warnings.simplefilter("ignore", PendingDeprecationWarning)
            named = {SETTINGS.get(name, "MAILSBUDDY_ENGINE"): value for name, value in options.items()}
            with override_settings(EMAIL_BACKEND=BACKEND, **named):
                yield

    def connection(self):
        return mail.get_connection()

    def send_silently(self, *message):
        return mail.send_mail(*message, fail_silently=True)


class Mailers:
    """MAILERS."""

    @contextlib.contextmanager
    def mailer(self, **options):
        with override_settings(MAILERS={"default": {"BACKEND": BACKEND, "OPTIONS": options},
                                        "silent": {"BACKEND": BACKEND, "OPTIONS": {**options, "fail_silently": True}}}):
            yield

    def connection(self):
        return mail.mailers.default

    def send_silently(self, *message):
        return mail.send_mail(*message, using="silent")


@pytest.fixture(params=[Settings, Mailers])
def way(request):
    """How Django is told what to send by."""
    if request.param is Mailers and not HAS_MAILERS:
        pytest.skip(f"Django {django.get_version()} has no MAILERS")
    return request.param()


def test_django_sends(way, receivers_of):
    receivers = receivers_of()
    with way.mailer(host="127.0.0.1", port=receivers.port):
        assert mail.send_mail("Grüße", "Schön\n", None, ["Ann <ann@example.net>"], html_message="<p>Schön</p>") == 1
        message = mail.EmailMessage("Hello", "Hello\n", to=["ann@example.net"], bcc=["eve@example.net"])
        message.attach("list.csv", "a,b\n", "text/csv")
        with way.connection() as connection:
            assert connection.send_messages([message, mail.EmailMessage("Nobody", "x"), message]) == 2
    mails = receivers.mail()
    assert len(mails) >= 3 and not any(b"Bcc" in each for each in mails)
    assert any(b"text/html" in each for each in mails) and any(b"list.csv" in each for each in mails)


def test_django_hears_of_refusals(way, receivers_of):
    receivers = receivers_of('reject=100%,reject-reply="550 5.1.1 No such user here"')
    with way.mailer(host="127.0.0.1", port=receivers.port):
        with pytest.raises(mb.Unavailable, match="1 of 1 recipients were refused"):
            mail.send_mail("Hello", "x", None, ["ann@example.net"])
        assert way.send_silently("Hello", "x", None, ["ann@example.net"]) == 0


def test_django_sends_no_password_in_clear(way, receivers_of):
    receivers = receivers_of()
    with way.mailer(host="127.0.0.1", port=receivers.port, username="u", password="p"):
        with pytest.raises(mb.Unavailable, match="start_tls|tls_unavailable"):
            mail.send_mail("Hello", "x", None, ["ann@example.net"])
        assert way.send_silently("Hello", "x", None, ["ann@example.net"]) == 0


def test_django_is_told_of_options_that_contradict(way):
    with way.mailer(host="127.0.0.1", use_tls=True, use_ssl=True), pytest.raises(mb.InvalidArgument, match="one of them"):
        way.connection()


@pytest.mark.skipif(not HAS_MAILERS, reason="of MAILERS")
def test_django_mailers_are_what_their_options_say(receivers_of):
    receivers = receivers_of()
    of_host = {"BACKEND": BACKEND, "OPTIONS": {"host": "127.0.0.1", "port": receivers.port}}
    with override_settings(MAILSBUDDY_ENGINE=f"{__name__}.no_engine", MAILERS={
            "default": {"BACKEND": BACKEND}, "host": of_host, "wrong": {"BACKEND": BACKEND, "OPTIONS": {"host": "x", "tsl": True}}}):
        with pytest.raises(RuntimeError, match="asked for an engine"):
            mail.mailers["default"]
        assert mail.send_mail("Hello", "x", None, ["ann@example.net"], using="host") == 1
        with pytest.raises(mail.InvalidMailer, match="tsl"):
            mail.mailers["wrong"]
    with override_settings(MAILERS={"default": {"BACKEND": BACKEND}}), pytest.raises(mb.InvalidArgument, match="default: .* host or an engine"):
        mail.mailers["default"]
    assert len(receivers.mail()) == 1


def no_engine():
    raise RuntimeError("asked for an engine")


opened: list[mb.Engine] = []


def an_engine():
    return opened[-1]


def test_django_submits_to_an_engine(way, sinks, engines, tmp_path):
    opened.append(engines(sinks(options=["--maildir", str(tmp_path / "mail")]), spool_dir=tmp_path / "spool"))
    with way.mailer(engine=f"{__name__}.an_engine"), opened[-1].events() as stream:
        message = mail.EmailMultiAlternatives("Grüße", "Schön\n", "News <news@brand.example>", ["Ann <ann@example.net>"], bcc=["eve@example.net"])
        message.attach_alternative("<p>Schön</p>", "text/html")
        assert way.connection().send_messages([message, mail.EmailMessage("Nobody", "x")]) == 1  # Submitted, not yet delivered.
        events = iter(stream)
        assert {next(events).recipient for _ in range(2)} == {"ann@example.net", "eve@example.net"}
    (file,) = (tmp_path / "mail/new").iterdir()  # Of one transaction.
    arrived = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert arrived.get_all("Delivered-To") == ["ann@example.net", "eve@example.net"] and arrived["Bcc"] is None
    assert arrived["Subject"] == "Grüße" and arrived["To"] == "Ann <ann@example.net>"
    # Since Django 6 a line without an end gets one.
    assert [part.get_content().removesuffix("\r\n") for part in arrived.iter_parts()] == ["Schön", "<p>Schön</p>"]
    opened[-1].close()
    with way.mailer(engine=f"{__name__}.an_engine"):
        with pytest.raises(mb.Closed):
            mail.send_mail("Hello", "x", None, ["ann@example.net"])
        assert way.send_silently("Hello", "x", None, ["ann@example.net"]) == 0


# Pictures

def test_a_plan_is_drawn_to_its_numbers(tmp_path):
    plan = warming.plan({"google": 40_000, "microsoft": 20_000}, ips=2, curve="sparkpost")
    ax = plan.plot()
    assert sum(bar.get_height() for bar in ax.patches) == 60_000
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["google", "microsoft"]
    assert "60,000 messages" in ax.get_title(loc="left") and ax.get_xlabel() == "day"
    save(ax, tmp_path, "plan")
    assert plan.plot(ax) is ax


def test_states_are_drawn_to_their_numbers(tmp_path):
    ax = _plot.states({"queued": 120, "delivered": 19_663, "bounced": 267, "cancelled": 0}, "spring-24", None)
    assert [bar.get_width() for bar in ax.patches] == [120, 19_663, 267]
    assert [text.get_text() for text in ax.texts] == ["120", "19,663", "267"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["queued", "delivered", "bounced"]
    save(ax, tmp_path, "states")


def test_a_campaign_is_drawn_to_its_numbers(receivers_of, tmp_path):
    receivers = receivers_of()
    with mb.Engine.open([mb.EgressIp("127.0.0.1", "mx1.brand.example")], relays={"*": f"smtp://127.0.0.1:{receivers.port}"},
                        tls="none", workers=1) as engine:
        campaign = engine.start(
            mb.Campaign("spring", content=mb.Template.compile(subject="Hello", text="Hello {{ name }}\n"),
                        sender="News <news@brand.example>", return_path_domain="bounce.brand.example"),
            rows=[{"email": f"r{n}@example.net", "name": str(n)} for n in range(7)])
        assert engine.drain(60)
        ax = campaign.plot()
    assert [bar.get_width() for bar in ax.patches] == [7] and "spring: 7 recipients" in ax.get_title(loc="left")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["delivered"]
    save(ax, tmp_path, "campaign")


def save(ax, folder, name):
    """A real picture of some size; kept where MAILSBUDDY_PICTURES says, to be looked at."""
    path = os.path.join(os.environ.get("MAILSBUDDY_PICTURES") or folder, f"{name}.png")
    ax.figure.savefig(path, dpi=100)
    with open(path, "rb") as picture:
        octets = picture.read()
    assert octets.startswith(b"\x89PNG") and len(octets) > 5_000
    matplotlib.pyplot.close("all")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(mb.Unsupported) as raised:
        warming.plan({"google": 1}).plot()
    assert "pip install mailsbuddy[plot]" in str(raised.value) and "mailsbuddy[plot]" in raised.value.remedy


# Progress

def test_the_bar_shows_what_is_settled():
    from rich.console import Console

    out = io.StringIO()
    steps = iter([{"queued": 90, "delivered": 10}, {"queued": 0, "delivered": 97, "bounced": 3}])
    over = iter([False, True])
    with progress.Bar("[spring]", total=100, console=Console(file=out, width=120, force_terminal=True)) as bar:
        bar.follow(lambda: next(steps), lambda seconds: next(over))
    text = out.getvalue()
    assert "[spring]" in text and "100/100" in text and "97 delivered, 3 bounced" in text


def test_a_campaign_is_watched_until_it_is_settled(engine):
    out = io.StringIO()
    handle = engine.start(campaign(), rows(20))
    status = progress.watch(handle, interval=0.01, console=rich.console.Console(file=out, width=120))
    assert status.settled and status.counts["delivered"] == 20 and "20/20" in out.getvalue() and "20 delivered" in out.getvalue()


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_a_campaign_is_not_watched_without_a_pause(interval, engine):
    handle = engine.start(campaign(), rows(1))
    with pytest.raises(mb.InvalidArgument, match="interval: seconds above 0"):
        progress.watch(handle, interval=interval)


def test_without_rich_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    with pytest.raises(mb.Unsupported) as raised:
        progress.Bar("spring", total=1)
    assert "pip install mailsbuddy[progress]" in str(raised.value) and "mailsbuddy[progress]" in raised.value.remedy
