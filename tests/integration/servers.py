"""Mail servers as Debian packages them, each on one loopback address, all their files in a temporary folder."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import unittest

from support import loopback

POSTFIX = pathlib.Path("/usr/lib/postfix/sbin")
OPENSMTPD = pathlib.Path(__file__).resolve().parents[2] / "build/opensmtpd"


def make_certificate(folder, host):
    """A self-signed certificate, (certificate file, key file)."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


def greets(address, port):
    try:
        with socket.create_connection((address, port), 5) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False


class Postfix:
    """Takes all mail for one domain, with STARTTLS, into one maildir, `self.maildir`."""

    def __init__(self, children, folder, address, domain):
        if os.geteuid() != 0:
            raise unittest.SkipTest("Postfix's master needs root")
        if not (POSTFIX / "master").exists():
            raise unittest.SkipTest("Postfix is not installed")
        self.address, self.domain, self.folder = address, domain, folder / "postfix"
        self.port = loopback.free_port([address])
        self.log = self.folder / "postfix.log"
        self.maildir = self.folder / "mail/all"
        self.lay_out()
        (self.folder / "main.cf").write_text(self.main_cf())
        (self.folder / "master.cf").write_text(self.master_cf())
        process = children.start([POSTFIX / "master", "-c", self.folder, "-d"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        loopback.wait_until(lambda: greets(address, self.port), "Postfix", process, self.log)

    def lay_out(self):
        """The folders that `postfix start` would make; it is not used, for it wants the machine's own configuration."""
        owner = pwd.getpwnam("postfix")
        self.folder.mkdir(mode=0o755)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace", "maildrop", "public", "pid"):
            path = self.folder / "queue" / name
            path.mkdir(parents=True)
            if name != "pid":
                os.chown(path, owner.pw_uid, -1)
        for name in ("maildrop", "public"):
            shutil.chown(self.folder / "queue" / name, group="postdrop")
            (self.folder / "queue" / name).chmod(0o730 if name == "maildrop" else 0o710)
        (self.folder / "data").mkdir()
        os.chown(self.folder / "data", owner.pw_uid, -1)
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "nobody")

    def main_cf(self):
        certificate, key = make_certificate(self.folder, f"mx.{self.domain}")
        nobody = pwd.getpwnam("nobody")
        return f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
daemon_directory = {POSTFIX}
maillog_file = {self.log}
maillog_file_prefixes = {self.folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.{self.domain}
mydestination =
alias_maps =
local_recipient_maps =
smtputf8_enable = yes
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
virtual_mailbox_domains = {self.domain}
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {self.folder}/mail
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
"""

    def master_cf(self):
        services = [f"{self.address}:{self.port} inet n - n - - smtpd", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr",
                    "rewrite unix - - n - - trivial-rewrite", "postlog unix-dgram n - n - 1 postlogd"]
        for name in ("bounce", "defer", "trace"):
            services.append(f"{name} unix - - n - 0 bounce")
        for name in ("verify", "anvil", "scache"):
            services.append(f"{name} unix - - n - 1 {name}")
        for name in ("virtual", "error", "smtp", "proxymap"):
            services.append(f"{name} unix - n n - - {name}")
        services.append("retry unix - - n - - error")
        return "\n".join(services) + "\n"


class PostfixRelay(Postfix):
    """Takes mail for everybody and hands all of it to one submission server, with STARTTLS and AUTH."""

    def __init__(self, children, folder, address, to_port, user, password):
        self.to_port, self.user, self.password = to_port, user, password
        super().__init__(children, folder, address, "relay.example")

    def main_cf(self):
        if not pathlib.Path("/usr/lib/x86_64-linux-gnu/sasl2/libplain.so").exists():
            raise unittest.SkipTest("libsasl2-modules is not installed: Postfix cannot AUTH")
        (self.folder / "passwords").write_text(f"[127.0.0.1]:{self.to_port} {self.user}:{self.password}\n")
        return super().main_cf() + f"""\
relayhost = [127.0.0.1]:{self.to_port}
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{self.folder}/passwords
smtp_sasl_security_options = noanonymous
smtp_host_lookup = native
"""


class OpenSmtpd:
    """Takes all mail for one domain, without TLS, into one maildir. Its paths are compiled in, so it runs in a mount
    namespace of its own in which those places are folders of ours."""

    def __init__(self, children, folder, address, domain):
        if not (OPENSMTPD / "usr/sbin/smtpd").exists():
            raise unittest.SkipTest("no OpenSMTPD under build/: scripts/unpack_opensmtpd lays it there")
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("no permission for a mount namespace (unshare --mount)")
        self.folder = folder / "opensmtpd"
        self.folder.mkdir(mode=0o755)
        self.port = loopback.free_port([address])
        self.log = self.folder / "smtpd.log"
        self.maildir = self.folder / "mail/all"
        configuration = self.folder / "smtpd.conf"
        configuration.write_text(f"""\
table everyone {{ "@" = receiver }}
listen on {address} port {self.port} hostname mx.{domain}
action "keep" maildir "{self.maildir}" virtual <everyone>
match from any for domain "{domain}" action "keep"
""")
        mounts = self.lay_out()
        script = "".join(f"mount --bind {ours} {place} && " for place, ours in mounts.items())
        script += f"exec {OPENSMTPD}/usr/sbin/smtpd -d -f {configuration}"
        with open(self.log, "wb") as log:
            process = children.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                                     stdout=log, stderr=log)
        loopback.wait_until(lambda: greets(address, port=self.port), "OpenSMTPD", process, self.log)

    def lay_out(self):
        """{a place as compiled in: the folder or file of ours to stand there}"""
        for name in ("spool/smtpd", "run", "lib/opensmtpd/empty", "mail"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "spool/smtpd").chmod(0o711)
        users = {"opensmtpd": 64001, "opensmtpq": 64002, "receiver": 64003}  # The last one owns the mailbox.
        (self.folder / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + "".join(
            f"{name}:x:{number}:{number}::{self.folder}/mail:/usr/sbin/nologin\n" for name, number in users.items()))
        (self.folder / "group").write_text(pathlib.Path("/etc/group").read_text() + "".join(
            f"{name}:x:{number}:\n" for name, number in users.items()))
        os.chown(self.folder / "mail", users["receiver"], users["receiver"])
        ours = {"/etc/passwd": "passwd", "/etc/group": "group", "/var/spool": "spool", "/run": "run", "/var/lib": "lib"}
        return {place: self.folder / name for place, name in ours.items()} | {"/usr/libexec": OPENSMTPD / "usr/libexec"}
