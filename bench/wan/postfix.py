"""Postfix's smtp delivery agent with all its mail in the queue before it begins, and everything on that makes it fast."""

from loopback import smtp_source
from submission.postfix import Postfix
from support.harness import check, run, wait_for

NAME = "postfix smtp"
RECIPIENT = "bench@receiver.example"

# One connection that is kept for as long as there is mail, PIPELINING (its default), and a queue manager that gives the
# next message at once.
MAIN_CF = """\
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{to_port}
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_connection_cache_destinations = 127.0.0.1
smtp_connection_reuse_time_limit = 3600s
initial_destination_concurrency = 1
default_destination_concurrency_limit = 1
transport_retry_time = 1s
"""


class Sender(Postfix):
    def __init__(self, folder, to_port):
        self.to_port = to_port
        super().__init__(folder)

    def more_main_cf(self):
        return MAIN_CF.format(to_port=self.to_port)

    def load(self, messages, body_bytes):
        """Into the queue, while nothing takes them out."""
        run(smtp_source.command(self.port, messages, 1, body_bytes, RECIPIENT))
        check(f"{NAME}: messages in its queue", self.queued("incoming"), messages)
        self.stop()

    def send(self):
        """Delivers all. Returns when they have left the queue."""
        services = ["qmgr unix n - n 300 1 qmgr", "smtp unix - - n - 1 smtp", "scache unix - - n - 1 scache",
                    "tlsmgr unix - - n 1000? 1 tlsmgr", "error unix - - n - - error", "retry unix - - n - - error"]
        services += [f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")]
        self.start([*self.services(), *services])
        wait_for(lambda: self.queued("incoming", "active", "deferred", "maildrop") == 0, self.process, seconds=300)
        self.stop()
