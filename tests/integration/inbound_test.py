"""What comes back: real bounces of a real Postfix, and reports made of the mail that was received."""

import json
import shutil

import servers
import support

RETURN_PATH = "bounce.brand.example"


class ForwardingPostfix(servers.Postfix):
    """Takes mail for all of its domain, forwards some of it to addresses that it then refuses, and returns that."""

    def main_cf(self):
        return super().main_cf() + f"""\
virtual_mailbox_domains = {self.domain}, {RETURN_PATH}
virtual_mailbox_maps = inline:{{ {{ @{self.domain} = all/ }}, {{ @{RETURN_PATH} = bounces/ }} }}
virtual_alias_maps = inline:{{ {{ gone@{self.domain} = gone@dead.example }}, {{ blocked@{self.domain} = blocked@blocking.example }} }}
transport_maps = inline:{{ {{ dead.example = error:5.1.1 No such user here }},
    {{ blocking.example = error:5.7.1 Service unavailable; client host blocked using a block list }} }}
"""


class InboundTest(support.TestCase):
    def start_send(self, *recipients, **changed):
        self.world.write("template.eml", support.TEMPLATE)
        self.world.write_rows("rows.csv", ["email", "name"], [[recipient, "Ann"] for recipient in recipients])
        return self.world.start_send("--json", inbound_maildir=self.inbox, inbound_linger="60s", return_path=RETURN_PATH,
                                     unsubscribe_mailto=f"unsubscribe+{{{{ mb_token }}}}@{RETURN_PATH}", **changed)

    def finish(self, process, events):
        """The run, interrupted once it has logged so many events."""
        self.world.wait_for_events(process, events)
        support.interrupt(process)
        run = self.world.finish(process)
        self.assertEqual(run.status, 0, run.stderr)
        return run

    def files(self, part):
        folder = self.inbox / part
        return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


class Postfix(InboundTest):
    RECEIVERS = {"postfix.example": "127.0.0.23"}

    def test_a_bounce_after_delivery_is_an_event_and_suppresses_unless_it_is_a_block(self):
        server = ForwardingPostfix(self.world.children, self.world.folder, "127.0.0.23", "postfix.example")
        self.inbox = server.folder / "mail/bounces"
        for part in ("", "tmp", "new", "cur"):
            (self.inbox / part).mkdir()
            shutil.chown(self.inbox / part, "nobody")
        process = self.start_send("ann@postfix.example", "gone@postfix.example", "blocked@postfix.example", port=server.port)
        run = self.finish(process, 5)

        self.assertEqual(len(run.recipients("delivered")), 3)
        late = {event["recipient"]: event for event in run.events if event["kind"] == "late_bounce"}
        self.assertEqual(set(late), {"gone@postfix.example", "blocked@postfix.example"})
        gone, blocked = late["gone@postfix.example"], late["blocked@postfix.example"]
        self.assertEqual((gone["class"], gone["permanence"], gone["reaction"], gone["enhanced"]),
                         ("user_unknown", "hard", "suppress", "5.1.1"))
        self.assertEqual((blocked["permanence"], blocked["enhanced"]), ("block", "5.7.1"))
        summary = json.loads(run.stdout)
        self.assertEqual(summary["came_back"], {"late_bounce": 2, "complaint": 0, "unsubscribed": 0, "auto_reply": 0})
        self.assertEqual(summary["recipients"]["delivered"], 3)
        self.assertIn("2 messages came back", run.stderr)
        self.assertIn("1 addresses are suppressed", run.stderr)
        self.assertEqual(self.files("new"), [])
        self.assertEqual([name[-4:] for name in self.files("cur")], [":2,S", ":2,S"])


class Reports(InboundTest):
    RECEIVERS = {"sink.example": "127.0.0.24"}

    def deliver(self, name, text):
        """As a mail server does it: whole, by a move."""
        (self.inbox / "tmp" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        (self.inbox / "tmp" / name).rename(self.inbox / "new" / name)

    def complaint(self, received, kind="abuse"):
        return (f"From: feedback@sink.example\r\nTo: fbl@{RETURN_PATH}\r\nSubject: FW: Hello\r\nMIME-Version: 1.0\r\n"
                "Content-Type: multipart/report; report-type=feedback-report; boundary=\"=b\"\r\n\r\n"
                "--=b\r\nContent-Type: text/plain\r\n\r\nAn abuse report.\r\n"
                f"--=b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: Test/1\r\n"
                "Version: 1\r\n\r\n--=b\r\nContent-Type: message/rfc822\r\n\r\n").encode() + received.raw + b"\r\n--=b--\r\n"

    def bounce(self, return_path, recipient):
        return (f"From: MAILER-DAEMON@sink.example\r\nTo: {return_path}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
                "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=b\"\r\n\r\n"
                "--=b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
                "--=b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.sink.example\r\n\r\n"
                f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--=b--\r\n")

    def test_each_kind_of_report(self):
        sinks = self.world.sinks({"127.0.0.24": "all"}, {"all": ""})
        self.inbox = self.world.folder / "inbox"
        for part in ("", "tmp", "new"):
            (self.inbox / part).mkdir()
        names = ["abused", "content", "leaving", "away", "victim"]
        process = self.start_send(*(f"{name}@sink.example" for name in names), port=sinks.port)
        self.world.wait_for_events(process, len(names))
        mail = {received.recipient.split("@")[0]: received for received in self.world.mail()}
        paths = {name: received.return_path.strip("<>") for name, received in mail.items()}
        token = paths["leaving"].split("@")[0]
        forged = paths["victim"].replace("@", "a@", 1)

        self.deliver("1.abuse", self.complaint(mail["abused"]))
        self.deliver("2.again", self.complaint(mail["abused"]))
        self.deliver("3.not-spam", self.complaint(mail["content"], "not-spam"))
        self.deliver("4.unsubscribe", f"From: leaving@sink.example\r\nTo: unsubscribe+{token}@{RETURN_PATH}\r\nSubject: unsubscribe\r\n\r\n")
        self.deliver("5.away", f"From: away@sink.example\r\nTo: {paths['away']}\r\nSubject: Out of office\r\n"
                               "Auto-Submitted: auto-replied\r\n\r\nI am away.\r\n")
        self.deliver("6.forged", self.bounce(forged, "victim@sink.example"))
        self.deliver("7.person", f"From: Ann <ann@sink.example>\r\nTo: {paths['content']}\r\nSubject: Re: Hello\r\n\r\nWhich colours are there?\r\n")
        (self.inbox / "new/8.folder").mkdir()
        run = self.finish(process, len(names) + 4)

        came = {(event["kind"], event["recipient"], event["campaign"]) for event in run.events if event["kind"] != "delivered"}
        self.assertEqual(came, {("complaint", "abused@sink.example", "template"), ("unsubscribed", "leaving@sink.example", "template"),
                                ("auto_reply", "away@sink.example", "template"), ("late_bounce", "victim@sink.example", "")})
        self.assertEqual(json.loads(run.stdout)["came_back"], {"late_bounce": 0, "complaint": 1, "unsubscribed": 1, "auto_reply": 1})
        self.assertIn("7 messages came back", run.stderr)
        self.assertIn("2 addresses are suppressed", run.stderr)
        self.assertIn("8.folder: not a file", run.stderr)
        self.assertEqual(self.files("new"), [])
        self.assertEqual(self.files("bad"), ["8.folder"])
        self.assertEqual([name for name in self.files("cur") if not name.endswith(":2,S")], ["7.person:2,"])

    def test_no_such_folder_is_said_before_anything_is_sent(self):
        self.inbox = self.world.folder / "nowhere"
        run = self.world.finish(self.start_send("ann@sink.example"))
        self.assertEqual(run.status, 2)
        self.assertIn("--inbound-maildir", run.stderr)
        self.assertEqual(run.events, [])


if __name__ == "__main__":
    support.main()
