"""One Postfix instance in a folder of its own: unpacked programs, its own users by a private /etc, TLS, AUTH, a log.

Its processes live in a mount and a process namespace of their own, so that they see users `postfix` and `postdrop`
which this machine has not, and all of them end with the first one. Needs root. Listens on loopback; every route ends
in the sink it is given, but that of the self-test, which leads to the portal's door.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from campaigns.bench import processes
from campaigns.bench.tools import Tools
from sendserver.testing.postfix.errors import PairError

PACKAGES = ("libsasl2-modules", "libsasl2-modules-db", "sasl2-bin")  # besides those of the benchmark
LOOP = "loop.sendserver.example"
UID, MAIL_GID, DROP_GID = 64301, 64301, 64302  # of postfix and postdrop inside the namespace
QUEUE = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
USER, PASSWORD = "portal", "not-a-secret-of-anybody"
LISTEN_PATIENCE = 20.0

_MASTER = """\
127.0.0.1:{port} inet n - n - 50 smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - 20 smtp
relay     unix  - - n - 20 smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
_MAIN = """\
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
queue_directory = {home}/queue
data_directory = {home}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
meta_directory = {home}/conf
shlib_directory = {root}/usr/lib/postfix
multi_instance_name = {tag}
syslog_name = {tag}
maillog_file = {log}
maillog_file_prefixes = {home}
import_environment = MAIL_CONFIG LANG=C LD_LIBRARY_PATH={libraries} SASL_PATH={sasl}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {name}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:nobody lives here
relayhost = [127.0.0.1]:{sink}
transport_maps = inline:{{ {{ {loop} = smtp:[127.0.0.1]:{door} }} }}
smtp_tls_security_level = none
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = {level}
smtpd_tls_wrappermode = {wrapped}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {home}/conf/sasl
smtpd_sasl_local_domain = relay.example
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_client_restrictions =
"""
_SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {path}\nmech_list: PLAIN LOGIN\n"


@dataclass
class Postfix:
    """An instance that can be started, cut off, and started again; its queue and its log live on."""

    tools: Tools
    home: Path
    name: str
    port: int
    sink: int
    door: int  # of the portal, where the self-test comes home
    certificate: Path  # PEM with its key
    implicit: bool
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Return its mail log."""
        return self.home / "maillog"

    def prepare(self) -> None:
        """Write configuration, queue folders and the one password."""
        for folder in ("conf/sasl", "queue/pid", "queue/public", "queue/maildrop", "data", "etc"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        for name in QUEUE:
            (self.home / "queue" / name).mkdir(mode=0o700)
            os.chown(self.home / "queue" / name, UID, MAIL_GID)
        self._own()
        (self.home / "conf/main.cf").write_text(_MAIN.format(**self._values()))
        (self.home / "conf/master.cf").write_text(_MASTER.format(port=self.port))
        self._users()
        self._password()

    def _own(self) -> None:
        for name, mode, group in (("public", 0o710, DROP_GID), ("maildrop", 0o730, DROP_GID)):
            os.chown(self.home / "queue" / name, UID, group)
            (self.home / "queue" / name).chmod(mode)
        os.chown(self.home / "data", UID, MAIL_GID)
        (self.home / "data").chmod(0o700)

    def _values(self) -> dict[str, object]:
        return {
            "home": self.home,
            "root": self.tools.root,
            "tag": f"postfix-{self.home.name}",
            "log": self.log,
            "libraries": self._environment()["LD_LIBRARY_PATH"],
            "sasl": self._environment()["SASL_PATH"],
            "name": self.name,
            "sink": self.sink,
            "loop": LOOP,
            "door": self.door,
            "level": "encrypt",
            "wrapped": "yes" if self.implicit else "no",
            "certificate": self.certificate,
        }

    def _users(self) -> None:
        etc = self.home / "etc"
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        (etc / "passwd").write_text(f"{passwd}postfix:x:{UID}:{MAIL_GID}::/nonexistent:/usr/sbin/nologin\n")
        (etc / "group").write_text(f"{group}postfix:x:{MAIL_GID}:\npostdrop:x:{DROP_GID}:\n")

    def _password(self) -> None:
        """Write the user into a sasldb of this instance's own, which its smtpd may read."""
        path = self.home / "conf/sasl/sasldb2"
        (self.home / "conf/sasl/smtpd.conf").write_text(_SASL.format(path=path))
        program = self.tools.root / "usr/sbin/saslpasswd2"
        answer = subprocess.run(
            [str(program), "-p", "-c", "-f", str(path), "-u", "relay.example", USER],
            input=PASSWORD.encode(),
            env=self._environment(),
            capture_output=True,
            check=False,
        )
        if answer.returncode != 0 or not path.exists():
            raise PairError(f"saslpasswd2 did not write the password: {answer.stderr.decode(errors='replace')[-300:]}")
        os.chown(path, UID, MAIL_GID)
        path.chmod(0o600)

    def _environment(self) -> dict[str, str]:
        plugins = next((self.tools.root / "usr/lib").glob("*-linux-gnu*/sasl2"))
        return {**self.tools.environment(), "SASL_PATH": str(plugins), "MAIL_CONFIG": str(self.home / "conf")}

    # --- life
    def start(self) -> None:
        """Start it and wait until it greets; raises PairError with the end of its log."""
        etc = self.home / "etc"
        script = (
            f"mount --bind {etc}/passwd /etc/passwd && mount --bind {etc}/group /etc/group"
            f" && exec {self.tools.root}/usr/lib/postfix/sbin/master -c {self.home}/conf -d"
        )
        # A process namespace: whatever happens to its first process happens to all of them.
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "sh", "-ec", script]
        with (self.home / "console").open("ab") as out:
            self.process = processes.spawn(
                argv, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        started = self.process
        processes.wait_until(
            lambda: started.poll() is not None or processes.answers(self.port),
            seconds=LISTEN_PATIENCE,
            what=f"{self.name} did not listen",
            every=0.05,
        )
        if started.poll() is not None:
            raise PairError(f"{self.name} ended at once: {self.words()}")

    def cut_off(self, *, unanswered: float) -> None:
        """Kill -9 all of it with messages half way, whose dots have waited `unanswered` seconds for an answer."""
        busy = [pid for pid, program in self.members() if program == "cleanup"]
        for pid in busy:
            _signal(pid, signal.SIGSTOP)
        time.sleep(unanswered)
        for pid in busy:  # some of these messages are queued now, and their senders never told
            _signal(pid, signal.SIGCONT)
        time.sleep(0.004)
        self.stop()

    def stop(self) -> None:
        """Kill it, all of it."""
        if self.process is not None:
            for pid, _ in list(self.members()):
                if pid != self.process.pid:  # that one buries them
                    _signal(pid, signal.SIGKILL)
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                processes.end(self.process, 5.0)
            self.process = None

    def members(self) -> Iterator[tuple[int, str]]:
        """Yield its processes by id and name: those with its configuration in their environment."""
        mark = f"MAIL_CONFIG={self.home}/conf".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (path / "environ").read_bytes().split(b"\0"):
                    yield int(path.name), (path / "comm").read_text().strip()
            except OSError:
                continue

    def words(self) -> str:
        """Return the end of what it said."""
        said = [path.read_text(errors="replace")[-1500:] for path in (self.home / "console", self.log) if path.exists()]
        return "\n".join(said)

    @property
    def url(self) -> str:
        """Return the relay's URL without number: TLS and sign-in as a real relay asks for them."""
        scheme, tls = ("smtps", "implicit") if self.implicit else ("smtp", "starttls")
        authority = self.certificate.parent / "ca.pem"
        return (
            f"{scheme}://{USER}%40relay.example:{PASSWORD}@127.0.0.1:{self.port}"
            f"?name={self.name}&tls={tls}&ca={authority}&log={self.log}"
        )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def refuse_unfit() -> None:
    """Raise PairError where this cannot work."""
    if os.geteuid() != 0:
        raise PairError("make postfix-pair needs root: Postfix changes users, and its users live in a namespace.")
    if sys.platform != "linux" or shutil.which("unshare") is None:
        raise PairError("make postfix-pair needs Linux with unshare (util-linux).")
