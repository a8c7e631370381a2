"""noroshi watch --syslog and --journal: real senders over loopback."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from agent_home import BUILD, NOROSHI, wait_for

MANY = 10000
TLS = {"cert": None}
REMOTE = "/lib/systemd/systemd-journal-remote"


class Watch:
    """A watch that receives; its list knows every numbered name."""

    def __init__(self, tmp_path, *argv, env=None, prefix=()):
        self.list = tmp_path / "list.tsv"
        if not self.list.exists():
            self.list.write_text("domain\tevil.example\nip\t192.0.2.66\n")
        self.out = open(tmp_path / "rows", "ab")
        self.err = tmp_path / "err"
        self.path = tmp_path / "rows"
        with open(self.err, "wb") as err:
            self.proc = subprocess.Popen(
                [*prefix, NOROSHI, "watch", "--warninglists", "none", "-i",
                 self.list, *map(str, argv)], stdout=self.out, stderr=err,
                stdin=subprocess.DEVNULL)

    def said(self):
        return self.err.read_text()

    def address(self, scheme):
        """The port that it got, as the watch says it."""
        def look():
            m = re.search(rf"listening on {scheme}://\S*:(\d+)", self.said())
            assert self.proc.poll() is None, self.said()
            return m and int(m[1])
        return "127.0.0.1", wait_for(f"{scheme} listens", look)

    def listening(self, what):
        wait_for(what, lambda: what in self.said())

    def rows(self):
        return [line.split("\t") for line in
                self.path.read_text().splitlines()]

    def await_rows(self, n):
        wait_for(f"{n} rows", lambda: len(self.rows()) >= n)

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        status = self.proc.wait(60)
        self.out.close()
        return status

    def receiver(self):
        """The process that receives: a child of the watch."""
        def look():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat") as f:
                        name, rest = f.read().rsplit(")", 1)
                except OSError:
                    continue
                if name.endswith("(noroshi-recv") and \
                        int(rest.split()[1]) == self.proc.pid:
                    return int(pid)
            return None
        return wait_for("receiver", look)


@pytest.fixture
def start(tmp_path):
    made = []

    def make(*argv, **more):
        made.append(Watch(tmp_path, *argv, **more))
        return made[-1]
    yield make
    for w in made:
        if w.proc.poll() is None:
            w.proc.kill()
            w.proc.wait()


def names(rows, name=""):
    return [r[3] for r in rows if r[3].startswith(name)]


def message(name, i):
    return (f"<134>1 2026-11-23T10:00:00.{i % 1000:03}Z h app - - - "
            f"GET {name}{i:05}.evil.example").encode()


def counted(m):
    return b"%d %s" % (len(m), m)


def send_mixed(connection, name):
    """MANY messages in all framings, in pieces that end anywhere."""
    octets = b"".join(
        counted(message(name, i)) if i % 3 == 0 else
        message(name, i) + (b"\n" if i % 3 == 1 else b"\0")
        for i in range(MANY))
    step = 4097
    for at in range(0, len(octets), step):
        connection.sendall(octets[at:at + step])
    connection.close()


def in_parallel(*calls):
    threads = [threading.Thread(target=f, args=a) for f, *a in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def all_of(name):
    return [f"{name}{i:05}.evil.example" for i in range(MANY)]


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A CA and one certificate for both sides."""
    d = tmp_path_factory.mktemp("tls")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
             "check": True, "cwd": d}
    (d / "ca.tmpl").write_text(
        "cn=ca\nca\ncert_signing_key\nexpiration_days=100\n")
    (d / "s.tmpl").write_text(
        "cn=localhost\ndns_name=localhost\nip_address=127.0.0.1\n"
        "tls_www_server\ntls_www_client\nsigning_key\nexpiration_days=100\n")
    for key in ("ca", "s"):
        subprocess.run(["certtool", "--generate-privkey", "--key-type=ecdsa",
                        "--outfile", f"{key}.key"], **quiet)
    subprocess.run(["certtool", "--generate-self-signed", "--load-privkey",
                    "ca.key", "--template", "ca.tmpl", "--outfile", "ca.pem"],
                   **quiet)
    subprocess.run(["certtool", "--generate-certificate", "--load-privkey",
                    "s.key", "--load-ca-certificate", "ca.pem",
                    "--load-ca-privkey", "ca.key", "--template", "s.tmpl",
                    "--outfile", "s.pem"], **quiet)
    return d


def tls_connect(at, tls, certificate=True):
    context = ssl.create_default_context(cafile=tls / "ca.pem")
    if certificate:
        context.load_cert_chain(tls / "s.pem", tls / "s.key")
    return context.wrap_socket(socket.create_connection(at),
                               server_hostname="localhost")


def test_tcp_loses_nothing_and_keeps_the_order(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    at = w.address("tcp")
    in_parallel(*((send_mixed, socket.create_connection(at), n)
                  for n in "abc"))
    w.await_rows(3 * MANY)
    assert w.stop() == 1
    rows = w.rows()
    assert len(rows) == 3 * MANY
    for n in "abc":
        assert names(rows, n) == all_of(n)
    assert {r[6] for r in rows} == {"syslog"}
    assert {r[7] for r in rows} == {"syslog:tcp:127.0.0.1"}


def test_what_was_sent_before_the_end_is_read(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    send_mixed(socket.create_connection(w.address("tcp")), "z")
    assert w.stop() == 1
    assert names(w.rows()) == all_of("z")


def test_tls(start, tls):
    w = start("--syslog", "tls://127.0.0.1:0", "--tls-cert", tls / "s.pem",
              "--tls-key", tls / "s.key", "--tls-ca", tls / "ca.pem")
    at = w.address("tls")
    in_parallel((send_mixed, tls_connect(at, tls), "a"),
                (send_mixed, tls_connect(at, tls), "b"))
    w.await_rows(2 * MANY)
    with pytest.raises(OSError):  # shows no certificate
        with tls_connect(at, tls, certificate=False) as s:
            s.sendall(b"<1>no.evil.example\n")
            s.recv(1)
            raise ConnectionError("closed in silence")
    with socket.create_connection(at) as s:  # no TLS at all
        s.sendall(b"<1>plain.evil.example\n")
        assert s.recv(100)[:1] in (b"", b"\x15")  # an alert at most
    assert w.stop() == 1
    rows = w.rows()
    assert len(rows) == 2 * MANY
    for n in "ab":
        assert names(rows, n) == all_of(n)
    assert rows[0][7] == "syslog:tls:127.0.0.1"


def test_tls_without_client_certificates(start, tls):
    w = start("--syslog", "tls://127.0.0.1:0", "--tls-cert", tls / "s.pem",
              "--tls-key", tls / "s.key")
    with tls_connect(w.address("tls"), tls, certificate=False) as s:
        s.sendall(b"<1>x.evil.example\n")
        w.await_rows(1)
    assert w.stop() == 1


def test_unix(start, tmp_path):
    dgram, stream = tmp_path / "log", tmp_path / "stream"
    w = start("--syslog", f"unix://{dgram}", "--syslog",
              f"unix-stream://{stream}")
    w.listening(f"unix-stream://{stream}")
    d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    d.connect(str(dgram))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(stream))

    def send_datagrams():  # a full queue blocks: nothing is lost here either
        for i in range(MANY):
            d.send(message("d", i))
        d.close()
    in_parallel((send_datagrams,), (send_mixed, s, "s"))
    w.await_rows(2 * MANY)
    assert w.stop() == 1
    rows = w.rows()
    assert len(rows) == 2 * MANY
    assert names(rows, "d") == all_of("d")
    assert names(rows, "s") == all_of("s")
    assert {r[7] for r in rows} == {f"syslog:unix:{dgram}",
                                    f"syslog:unix:{stream}"}
    assert not dgram.exists() and not stream.exists()


def test_udp(start):
    w = start("--syslog", "udp://127.0.0.1:0", "--syslog", "udp://[::1]:0")
    at = w.address("udp")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(0, MANY, 100):  # as fast as it is read: UDP may lose
        for j in range(i, i + 100):
            s.sendto(message("u", j), at)
        w.await_rows(i + 100)
    s.sendto(b"<34>a.evil.example\n192.0.2.66\0c.example", at)
    w.await_rows(MANY + 2)
    assert w.stop() == 1
    rows = w.rows()
    assert names(rows, "u") == all_of("u")
    assert {r[7] for r in rows} == {"syslog:udp:127.0.0.1"}
    assert len({r[0] for r in rows[-2:]}) == 1  # one message, one line
    assert names(rows[-2:]) == ["a.evil.example", "192.0.2.66"]


def test_lines_are_dated_and_their_roles_known(start):
    w = start("--time", "iso", "--syslog", "tcp://127.0.0.1:0")
    with socket.create_connection(w.address("tcp")) as s:
        s.sendall(
            b"<34>1 2003-10-11T22:14:15.003Z h app - ID47 [x@1 a=\"]\"] "
            b"a.evil.example\n"
            b"<134>1 2017-06-04T10:00:00Z p squid 9 - - 1496570400.123 12 "
            b"192.0.2.5 TCP_DENIED/403 512 GET http://b.evil.example/ - "
            b"HIER_NONE/- text/html\n"
            b"<86>1 2017-06-05T10:00:00+09:00 h sshd 7 - - Accepted password "
            b"for bob from 192.0.2.66 port 22 ssh2\n")
    w.await_rows(3)
    assert w.stop() == 1
    assert [(r[3], r[4], r[5], r[6]) for r in w.rows()] == [
        ("a.evil.example", "unknown", "2003-10-11T22:14:15Z", "syslog"),
        ("b.evil.example", "denied", "2017-06-04T10:00:00Z", "squid"),
        ("192.0.2.66", "allowed", "2017-06-05T01:00:00Z", "sshd")]


def test_a_message_that_is_too_long_is_cut(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    with socket.create_connection(w.address("tcp")) as s:
        s.sendall(b"<1>in.evil.example " + b"x" * 70000 +
                  b" out.evil.example\n<1>next.evil.example\n")
    w.await_rows(2)
    assert w.stop() == 1
    assert names(w.rows()) == ["in.evil.example", "next.evil.example"]


def test_a_sender_may_be_slow(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    with socket.create_connection(w.address("tcp")) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for c in b"23 <1>slow.evil.example.\n<1>n.evil.example\n":
            s.sendall(bytes([c]))
            time.sleep(0.002)
    w.await_rows(2)
    assert w.stop() == 1
    assert names(w.rows()) == ["slow.evil.example", "n.evil.example"]


def test_the_death_of_the_receiver_is_noticed(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    with socket.create_connection(w.address("tcp")) as s:
        s.sendall(b"<1>x.evil.example\n")
        w.await_rows(1)
        os.kill(w.receiver(), signal.SIGKILL)
        assert w.proc.wait(60) == 3
    assert "killed by signal 9" in w.said()
    assert "receiving process has died" in w.said()


def test_the_receiver_is_confined_and_the_watch_has_no_socket(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    w.address("tcp")
    pid = w.receiver()
    with open(f"/proc/{pid}/status") as f:
        status = f.read()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status

    def links(of):
        return [os.readlink(f"/proc/{of}/fd/{fd}")
                for fd in os.listdir(f"/proc/{of}/fd")]
    assert not [x for x in links(w.proc.pid) if x.startswith("socket:")]
    assert [x for x in links(pid) if x.startswith("socket:")]
    assert not [x for x in links(pid) if x.startswith("/") and
                not x.startswith("/dev/null") and x != str(w.err)]
    assert w.stop() == 0


def test_it_does_not_outlive_the_watch(start):
    w = start("--syslog", "tcp://127.0.0.1:0")
    w.address("tcp")
    pid = w.receiver()
    w.proc.kill()
    w.proc.wait()
    wait_for("end", lambda: not os.path.exists(f"/proc/{pid}") or
             ") Z" in open(f"/proc/{pid}/stat").read())


@pytest.mark.parametrize("argv, words", [
    (["--syslog", "localhost"], "wanted"),
    (["--syslog", "tls://127.0.0.1:0"], "certificate"),
    (["--syslog", "udp://203.0.113.1:9"], "203.0.113.1"),
    (["--syslog", "tls://127.0.0.1:0", "--tls-cert", "/nonexistent",
      "--tls-key", "/nonexistent"], "/nonexistent"),
    (["--tls-cert", "x"], "--syslog"),
    (["--syslog", "udp://127.0.0.1:0", "--sandbox", "none"],
     "no way to receive unconfined"),
])
def test_refusals(start, argv, words):
    w = start(*argv)
    assert w.proc.wait(60) == 2
    assert words in w.said()


# --- the journal ---

def write_journal(path, first, n):
    """Entries in the export format; every seventh has a binary message."""
    out = []
    for i in range(first, first + n):
        text = b"GET %s" % message("j", i)[-19:]
        if i % 7 == 3:
            text = b"two\nlines " + text
        head = ("__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n"
                "_BOOT_ID=%s\n_MACHINE_ID=%s\n_HOSTNAME=h1\n"
                "SYSLOG_IDENTIFIER=app\n_PID=%d\nPRIORITY=6\n" %
                (1700000000000000 + i * 1000000, 1000000 + i * 1000000,
                 "01" * 16, "23" * 16, i)).encode()
        body = (b"MESSAGE\n" + len(text).to_bytes(8, "little") + text
                if b"\n" in text else b"MESSAGE=" + text)
        out.append(head + body + b"\n\n")
    subprocess.run([REMOTE, "-o", path, "-"], input=b"".join(out),
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


@pytest.fixture
def journal(tmp_path):
    d = tmp_path / "journal"
    d.mkdir()
    write_journal(d / "one.journal", 0, 1000)
    return d


def test_journal(start, journal):
    w = start("--journal-dir", journal, "--time", "iso")
    assert w.proc.wait(60) == 1
    rows = w.rows()
    assert names(rows) == all_of("j")[:1000]
    assert {r[7] for r in rows} == {"journal"}
    assert rows[0][5] == "2023-11-14T22:13:20Z"
    assert len({r[0] for r in rows}) == 1000


def test_journal_goes_on_where_it_was(start, journal, tmp_path):
    state = tmp_path / "state"
    w = start("--journal-dir", journal, "--state", state)
    assert w.proc.wait(60) == 1
    write_journal(journal / "two.journal", 1000, 500)
    w = start("--journal-dir", journal, "--state", state)
    assert w.proc.wait(60) == 1
    rows = w.rows()
    assert names(rows) == all_of("j")[:1500]
    assert len({r[8] for r in rows}) == 1500
    w = start("--journal-dir", journal, "--state", state)
    assert w.proc.wait(60) == 0


def test_journal_is_followed(start, journal):
    w = start("-f", "--journal-dir", journal)
    w.await_rows(1000)
    write_journal(journal / "two.journal", 1000, 500)
    w.await_rows(1500)
    assert w.stop() == 1
    assert sorted(names(w.rows())) == all_of("j")[:1500]


def test_journal_that_is_not_there(start, tmp_path):
    w = start("--journal-dir", tmp_path / "none")
    assert w.proc.wait(60) == 3
    assert "journalctl failed" in w.said()
