"""Mail servers as Debian packages them, each on one loopback address, all their files in a temporary folder."""

import base64
import os
import pathlib
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import unittest

from support import loopback

POSTFIX = pathlib.Path("/usr/lib/postfix/sbin")
DOVECOT = pathlib.Path("/usr/sbin/dovecot")
UNPACKED = pathlib.Path(__file__).resolve().parents[2] / "build"  # By scripts/unpack_servers.
OPENSMTPD = UNPACKED / "opensmtpd"
EXIM = UNPACKED / "exim/usr/sbin/exim4"
UNKNOWN = "unknown"  # Where a server here knows its users at all, it knows none whose name begins so.
SIZE_MAX = 300_000   # Of a message, where a server here has a limit.


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


def greets_in_tls(address, port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), 5) as plain, context.wrap_socket(plain) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False


class Postfix:
    """Takes all mail for one domain, with STARTTLS, into one maildir, `self.maildir`."""

    RELAY_RESTRICTIONS = "reject_unauth_destination"

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
        (self.folder / "unknown").write_text(f"/^{UNKNOWN}/ 550 5.1.1 User unknown\n")
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
message_size_limit = {SIZE_MAX}
smtpd_recipient_restrictions = check_recipient_access regexp:{self.folder}/unknown
smtpd_relay_restrictions = {self.RELAY_RESTRICTIONS}
smtpd_peername_lookup = no
in_flow_delay = 0
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

    RELAY_RESTRICTIONS = "permit_mynetworks, reject"

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
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{self.folder}/passwords
smtp_sasl_security_options = noanonymous
smtp_host_lookup = native
"""


class Dovecot:
    """A mailbox server: LMTP for ann, bob and full, whose quota is one kilobyte; and who judges log-ins for Postfix, of ann."""

    def __init__(self, children, folder, address, domain, mechanisms="plain login"):
        if os.geteuid() != 0:
            raise unittest.SkipTest("Dovecot's master needs root")
        if not DOVECOT.exists():
            raise unittest.SkipTest("Dovecot is not installed")
        self.folder, self.domain = folder / "dovecot", domain
        self.folder.mkdir(mode=0o755)
        self.port = loopback.free_port([address])
        self.log, self.auth = self.folder / "log", self.folder / "base/postfix-auth"
        nobody = pwd.getpwnam("nobody")
        password = "{PLAIN.b64}" + base64.b64encode(b"s:e@t-secret").decode()
        (self.folder / "users").write_text("".join(
            f"{name}:{password}:{nobody.pw_uid}:{nobody.pw_gid}::{self.folder}/mail/{name}::userdb_quota_rule=*:storage={quota}\n"
            for name, quota in (("ann", "1G"), ("bob", "1G"), ("full", "1k"))))
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "nobody")
        (self.folder / "dovecot.conf").write_text(f"""\
base_dir = {self.folder}/base
state_dir = {self.folder}/state
instance_name = test
log_path = {self.log}
auth_verbose = yes
protocols = lmtp
listen = {address}
hostname = mx.{domain}
postmaster_address = postmaster@{domain}
ssl = no
auth_mechanisms = {mechanisms}
auth_username_format = %n
disable_plaintext_auth = no
mail_location = maildir:{self.folder}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
mail_plugins = quota
plugin {{
  quota = count:All
  quota_vsizes = yes
  quota_grace = 0
}}
passdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
userdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = {address}
    port = {self.port}
  }}
}}
service auth {{
  unix_listener {self.auth.name} {{
    mode = 0666
  }}
}}
""")
        errors = self.folder / "errors"
        with open(errors, "wb") as out:
            process = children.start([DOVECOT, "-F", "-c", self.folder / "dovecot.conf"], stdout=out, stderr=out)
        loopback.wait_until(lambda: greets(address, self.port), "Dovecot", process, errors)

    def mail(self, name):
        return self.folder / "mail" / name


class PostfixSubmission(Postfix):
    """Takes mail of those who log in alone, as Dovecot says, under TLS: by STARTTLS, and on another port from the first octet."""

    RELAY_RESTRICTIONS = "permit_sasl_authenticated, reject"

    def __init__(self, children, folder, address, domain, mechanisms):
        self.dovecot = Dovecot(children, folder, address, domain, mechanisms)
        self.tls_port = loopback.free_port([address])
        super().__init__(children, folder, address, domain)
        self.certificate = self.folder / "cert.pem"

    def main_cf(self):
        return super().main_cf() + f"""\
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.dovecot.auth}
smtpd_tls_auth_only = yes
"""

    def master_cf(self):
        return super().master_cf() + (f"{self.address}:{self.tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes "
                                      "-o smtpd_tls_security_level=encrypt\n")


def start_with_mounts(children, mounts, command, log):
    """Starts a program whose paths are compiled in, in a mount namespace of its own in which those places are ours.
    mounts: {a place: the folder or file of ours to stand there}"""
    script = "".join(f"mount --bind {ours} {place} && " for place, ours in mounts.items())
    script += "exec " + " ".join(map(str, command))
    with open(log, "wb") as out:
        return children.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=out, stderr=out)


def need_mounts():
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        raise unittest.SkipTest("no permission for a mount namespace (unshare --mount)")


def add_users(folder, users):
    """Copies of /etc/passwd and /etc/group with further users, {name: number}. {the original: the copy}"""
    (folder / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + "".join(
        f"{name}:x:{number}:{number}::{folder}/mail:/usr/sbin/nologin\n" for name, number in users.items()))
    (folder / "group").write_text(pathlib.Path("/etc/group").read_text() + "".join(
        f"{name}:x:{number}:\n" for name, number in users.items()))
    return {"/etc/passwd": folder / "passwd", "/etc/group": folder / "group"}


class OpenSmtpd:
    """Takes all mail for one domain, without TLS, into one maildir. Its paths are compiled in."""

    def __init__(self, children, folder, address, domain):
        if not (OPENSMTPD / "usr/sbin/smtpd").exists():
            raise unittest.SkipTest("no OpenSMTPD under build/: scripts/unpack_servers lays it there")
        need_mounts()
        self.folder = folder / "opensmtpd"
        self.folder.mkdir(mode=0o755)
        self.port = loopback.free_port([address])
        self.log = self.folder / "smtpd.log"
        self.maildir = self.folder / "mail/all"
        self.address = address
        configuration = self.folder / "smtpd.conf"
        configuration.write_text(self.configuration(domain))
        process = start_with_mounts(children, self.lay_out(), [OPENSMTPD / "usr/sbin/smtpd", "-d", "-f", configuration], self.log)
        loopback.wait_until(lambda: greets(address, port=self.port), "OpenSMTPD", process, self.log)

    def configuration(self, domain):
        return f"""\
table everyone {{ "@" = receiver }}
smtp max-message-size {SIZE_MAX}
listen on {self.address} port {self.port} hostname mx.{domain}
action "keep" maildir "{self.maildir}" virtual <everyone>
match from any for domain "{domain}" action "keep"
"""

    def lay_out(self):
        """{a place as compiled in: the folder or file of ours to stand there}"""
        for name in ("spool/smtpd", "run", "lib/opensmtpd/empty", "mail"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "spool/smtpd").chmod(0o711)
        users = {"opensmtpd": 64001, "opensmtpq": 64002, "receiver": 64003}  # The last one owns the mailbox.
        accounts = add_users(self.folder, users)
        os.chown(self.folder / "mail", users["receiver"], users["receiver"])
        ours = {"/var/spool": "spool", "/run": "run", "/var/lib": "lib"}
        return accounts | {place: self.folder / name for place, name in ours.items()} | {"/usr/libexec": OPENSMTPD / "usr/libexec"}


class OpenSmtpdRelay(OpenSmtpd):
    """Takes mail for everybody and hands all of it to one submission server, with STARTTLS and AUTH."""

    def __init__(self, children, folder, address, to_port, user, password):
        self.to_port, self.user, self.password = to_port, user, password
        super().__init__(children, folder, address, "relay.example")

    def configuration(self, domain):
        return f"""\
table secrets {{ "submitter" = "{self.user}:{self.password}" }}
listen on {self.address} port {self.port} hostname mx.{domain}
action "relay" relay host smtp+tls://submitter@127.0.0.1:{self.to_port} auth <secrets> tls no-verify
match from any for any action "relay"
"""


class Exim:
    """Takes all mail for one domain, with STARTTLS, CHUNKING and SMTPUTF8, into one maildir. It checks that nobody speaks out
    of turn (smtp_enforce_sync), and its user and its configuration's place are compiled in."""

    def __init__(self, children, folder, address, domain):
        if not EXIM.exists():
            raise unittest.SkipTest("no Exim under build/: scripts/unpack_servers lays it there")
        need_mounts()
        self.address, self.folder = address, folder / "exim"
        self.port = loopback.free_port([address])
        self.log = self.folder / "log/main"
        self.maildir = self.folder / "mail/all"
        mounts = self.lay_out()
        (self.folder / "lib/exim4/config.autogenerated").write_text(self.configuration(domain))
        errors = self.folder / "errors.log"
        process = start_with_mounts(children, mounts, [EXIM, "-bdf"], errors)
        loopback.wait_until(lambda: greets(address, self.port), "Exim", process, errors)

    def lay_out(self):
        self.folder.mkdir(mode=0o755)
        users = {"Debian-exim": 64005, "receiver": 64006}
        for name, owner in (("spool", "Debian-exim"), ("log", "Debian-exim"), ("lib/exim4", None), ("mail", "receiver")):
            (self.folder / name).mkdir(parents=True)
            if owner:
                os.chown(self.folder / name, users[owner], users[owner])
        return add_users(self.folder, users) | {"/var/lib": self.folder / "lib"}

    def configuration(self, domain):
        certificate, key = make_certificate(self.folder, f"mx.{domain}")
        self.certificate = certificate
        os.chown(key, 64005, -1)
        return f"""\
exim_path = {EXIM}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%s
pid_file_path = {self.folder}/spool/exim.pid
local_interfaces = {self.address}.{self.port}
primary_hostname = mx.{domain}
keep_environment =
host_lookup =
rfc1413_hosts =
message_size_limit = {SIZE_MAX}
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_nonmail = 10000
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
log_selector = +smtp_protocol_error +smtp_syntax_error +tls_cipher +received_recipients
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
begin acl
rcpt:
  deny    message = 5.1.1 User unknown
          local_parts = ^{UNKNOWN}
  accept  domains = {domain}
  deny    message = 5.7.1 Relaying denied
begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {self.maildir}
  maildir_format
  create_directory
  user = receiver
  group = receiver
  message_prefix = "Return-Path: <$return_path>\\nDelivered-To: $local_part@$domain\\n"
  message_suffix =
begin retry
* * F,1h,1m
"""


class EximRelay(Exim):
    """Takes mail of those who log in alone, under TLS: by STARTTLS, and on another port from the first octet."""

    AUTHENTICATORS = {
        "PLAIN": """\
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{ann}}{eq{$auth3}{s:e@t-secret}}}}
  server_set_id = $auth2
""",
        "LOGIN": """\
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{ann}}{eq{$auth2}{s:e@t-secret}}}}
  server_set_id = $auth1
""",
    }

    def __init__(self, children, folder, address, domain, mechanisms):
        self.mechanisms = mechanisms
        self.tls_port = loopback.free_port([address])
        super().__init__(children, folder, address, domain)

    def configuration(self, domain):
        both = f"{self.address}.{self.port} : {self.address}.{self.tls_port}"
        return super().configuration(domain).replace(
            f"local_interfaces = {self.address}.{self.port}\n",
            f"local_interfaces = {both}\ntls_on_connect_ports = {self.tls_port}\n"
            "auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}\n").replace(
            f"  accept  domains = {domain}\n", "  accept  authenticated = *\n") + "begin authenticators\n" + "".join(
            self.AUTHENTICATORS[each] for each in self.mechanisms)


class Aiosmtpd:
    """Python's SMTP server with STARTTLS and SMTPUTF8, and without PIPELINING; into one maildir, as on the wire. Words:
    auth=MECHANISM, a log-in as ann is asked for; tokens=COUNT[,FILE], by XOAUTH2 with a token that is good for so many
    log-ins, the next of which is written to FILE; implicit, TLS from the first octet; lmtp, that instead, in clear."""

    def __init__(self, children, folder, address, domain, *words):
        try:
            import aiosmtpd  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("python3-aiosmtpd is not installed") from None
        self.address, self.folder = address, folder / "aiosmtpd"
        self.folder.mkdir()
        self.port = loopback.free_port([address])
        self.log, self.maildir = self.folder / "log", self.folder / "mail"
        certificate, key = make_certificate(self.folder, f"mx.{domain}")
        self.certificate = certificate
        with open(self.log, "wb") as log:
            process = children.start(
                [sys.executable, "-B", pathlib.Path(__file__).with_name("aiosmtpd_server.py"), address, str(self.port), domain,
                 self.maildir, certificate, key, UNKNOWN, str(SIZE_MAX), *words], stdout=log, stderr=log)
        answers = greets_in_tls if "implicit" in words else greets
        loopback.wait_until(lambda: answers(address, self.port), "aiosmtpd", process, self.log)
