"""What noroshi watch does with hits: every output as the other side meets it."""

import collections
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
LINES = 1000
EVERY = 3 * LINES  # hits


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    d = tmp_path_factory.mktemp("alert")
    (d / "list.tsv").write_text(
        "domain\tevil[.]com\nipv4\t192.0.2.7\ncidr\t198.51.100.0/24\n")
    (d / "a.log").write_text("".join(
        f"2017-01-02T03:{i // 60:02}:{i % 60:02}Z GET www{i % 20}.evil.com "
        f"from 192.0.2.7 and 198.51.100.{i % 256}\n" for i in range(LINES)))
    # iptables says what it dropped
    (d / "fw.log").write_text("".join(
        f"Jan  2 03:04:{i:02} gw kernel: [1.0] DROP IN=eth0 OUT= "
        f"SRC=192.0.2.7 DST=10.0.0.1 PROTO=TCP SPT=1 DPT=2\n"
        for i in range(10)))
    return d


def argv(home, *more):
    return [str(NOROSHI), "watch", "--warninglists", "none", "-i",
            str(home / "list.tsv"), *map(str, more)]


def watch(home, *more, **kw):
    kw.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(argv(home, *more), stderr=subprocess.PIPE,
                          timeout=60, **kw)


@pytest.fixture(scope="module")
def plain(home):
    out = watch(home, home / "a.log")
    assert (out.returncode, out.stderr) == (1, b"")
    rows = [r.split(b"\t") for r in out.stdout.splitlines()]
    assert len(rows) == EVERY
    assert all(len(r) == 9 for r in rows)
    assert len({r[8] for r in rows}) == EVERY
    assert all(re.fullmatch(b"[0-9a-f]{32}", r[8]) for r in rows)
    return rows


def test_json_tells_the_same(home, plain):
    out = watch(home, "--output", "json", home / "a.log")
    rows = [json.loads(r) for r in out.stdout.splitlines()]
    assert [(r["line"], r["kind"], r["hit"]) for r in rows] == \
        [(int(r[0]), r[1].decode(), r[8].decode()) for r in plain]
    assert rows[0]["valid"] is True and rows[0]["valid_from"] is None
    assert out.stdout == watch(home, "--json", home / "a.log").stdout


@pytest.mark.parametrize("rate", ["1/1h", "7/1h", "999/1h", "1000/1h"])
def test_rollups_are_exact(home, plain, rate):
    n = int(rate.split("/")[0])
    out = watch(home, "--rate", rate, home / "a.log")
    assert (out.returncode, out.stderr) == (1, b"")
    rows = [r.split(b"\t") for r in out.stdout.splitlines()]
    assert all(len(r) == 12 for r in rows)
    want = collections.Counter((r[1], r[2]) for r in plain)
    got = collections.Counter()
    for r in rows:
        got[r[1], r[2]] += int(r[9])
    assert got == want
    hits = [r for r in rows if r[9] == b"1"]
    rolled = [r for r in rows if r[9] != b"1"]
    assert [r[:9] for r in hits if int(r[0]) <= n] == \
        [r for r in plain if int(r[0]) <= n]
    assert len(rolled) == (3 if n < LINES - 1 else 0)
    for r in rolled:  # the last one that was held, and the first one
        assert r[:9] in plain and int(r[0]) == LINES
        assert (int(r[9]), int(r[10])) == (LINES - n, n + 1)
        assert int(r[11]) == 1483326000 + n
    same = [json.loads(x) for x in watch(
        home, "--rate", rate, "--json", home / "a.log").stdout.splitlines()]
    assert [(x["line"], x.get("count", 1), x.get("first_line", x["line"]))
            for x in same] == [(int(r[0]), int(r[9]), int(r[10])) for r in rows]
    assert [x for x in same if "rollup" in x] == \
        [x for x in same if x.get("count", 1) > 1]


def test_dispositions(home):
    log = home / "fw.log"
    out = watch(home, log)
    assert out.returncode == 0  # denied is a note, not a hit
    assert len(out.stdout.splitlines()) == 10
    assert watch(home, "--only", "allowed,unknown", log).stdout == b""
    both = watch(home, "--only", "denied", log, home / "a.log")
    assert both.returncode == 0
    assert both.stdout == out.stdout
    assert watch(home, "--only", "all", log, home / "a.log").returncode == 1
    bad = watch(home, "--only", "maybe", log)
    assert bad.returncode == 2 and b"maybe" in bad.stderr


@pytest.mark.parametrize("options", [
    ["--rate", "10"], ["--output", "xml"], ["--json", "--stix"],
    ["--output", "syslog:udp://example.com:514"], ["--output", "command:"],
    ["--output", "syslog:tcp://127.0.0.1"], ["--time", "now"],
    ["--output", "syslog:unix:"], ["--output-file", "/nonexistent/x"]])
def test_wrong_options_are_named(home, options):
    out = watch(home, *options, home / "a.log")
    assert out.returncode == 2 and out.stdout == b""
    assert len(out.stderr.splitlines()) >= 1


def bundles(text):
    return [json.loads(line) for line in text.splitlines()]


def test_stix(home):
    one, again = (bundles(watch(home, "--stix", home / "a.log",
                                home / "fw.log").stdout) for _ in range(2))
    assert len(one) == 1
    by_type = collections.defaultdict(list)
    for o in one[0]["objects"]:
        by_type[o["type"]].append(o)
    ids = [o["id"] for o in one[0]["objects"]]
    assert len(set(ids)) == len(ids)
    assert ids == [o["id"] for o in again[0]["objects"]]
    assert len(by_type["indicator"]) == len(by_type["sighting"]) == 3
    data = {o["id"]: o for o in by_type["observed-data"]}
    for s in by_type["sighting"]:
        assert s["sighting_of_ref"] in ids
        seen = data[s["observed_data_refs"][0]]
        assert set(seen["object_refs"]) <= set(ids)
        assert seen["number_observed"] == s["count"] >= LINES
        assert s["first_seen"] == "2017-01-02T03:00:00.000Z"
    assert sum(s["x_noroshi_denied"] for s in by_type["sighting"]) == 10
    # nothing of the organisation's own: no path, no machine, no peer
    for word in (b"a.log", b"10.0.0.1", b"gw"):
        assert word not in json.dumps(one).encode()


# --- syslog ---

MESSAGE = re.compile(
    rb"<(\d+)>1 (\S+) (\S+) noroshi (\d+) (HIT|ROLLUP) "
    rb"(\[noroshi@32473(?: [A-Za-z]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*\]) "
    rb"\xef\xbb\xbf(.*)", re.S)
PARAM = re.compile(rb' ([A-Za-z]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def read_message(text):
    m = MESSAGE.fullmatch(text)
    assert m, text
    p = {k.decode(): re.sub(rb"\\(.)", rb"\1", v).decode()
         for k, v in PARAM.findall(m[6])}
    return int(m[1]), m[5], p, m[7].decode()


def frames(data):
    """Octet counting (RFC 6587 3.4.1); what is left at the end."""
    out = []
    while True:
        m = re.match(rb"([1-9]\d*) ", data)
        if not m or len(data) < m.end() + int(m[1]):
            return out, data
        out.append(data[m.end():m.end() + int(m[1])])
        data = data[m.end() + int(m[1]):]


class Collector(threading.Thread):
    """A stream collector; drops every connection after CUT octets."""

    def __init__(self, sock, cut=None, wait=0):
        super().__init__(daemon=True)
        self.sock, self.cut, self.wait = sock, cut, wait
        self.parts, self.connections = [], 0
        self.start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            data = b""
            while self.cut is None or len(data) < self.cut:
                time.sleep(self.wait)
                more = c.recv(4096)
                if not more:
                    break
                data += more
            c.close()
            self.parts.append(data)


def stream_socket(kind, path):
    if kind == "tcp":
        s = socket.create_server(("127.0.0.1", 0))
        return s, "tcp://127.0.0.1:%d" % s.getsockname()[1]
    if kind == "tcp6":
        s = socket.create_server(("::1", 0), family=socket.AF_INET6)
        return s, "tcp://[::1]:%d" % s.getsockname()[1]
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen()
    return s, f"unix-stream:{path}"


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
def test_syslog_streams(home, plain, tmp_path, kind):
    try:
        sock, address = stream_socket(kind, tmp_path / "s")
    except OSError as e:
        pytest.skip(str(e))
    c = Collector(sock)
    out = watch(home, "--output", "syslog:" + address, home / "a.log")
    assert (out.returncode, out.stdout, out.stderr) == (1, b"", b"")
    time.sleep(0.1)
    sock.close()
    got, rest = frames(b"".join(c.parts))
    assert rest == b"" and len(got) == EVERY
    read = [read_message(m) for m in got]
    assert [(p["line"], p["kind"], p["indicator"], p["hit"])
            for _, _, p, _ in read] == \
        [tuple(r[i].decode() for i in (0, 1, 2, 8)) for r in plain]
    assert read[0][0] == 4 * 8 + 4 and read[0][1] == b"HIT"
    assert read[0][2]["time"] == "2017-01-02T03:00:00Z"


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_syslog_datagrams(home, tmp_path, kind):
    if kind == "udp":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        address = "udp://localhost:%d" % s.getsockname()[1]
    else:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(str(tmp_path / "s"))
        address = f"unix:{tmp_path / 's'}"
    s.settimeout(5)
    out = watch(home, "--output", "syslog:" + address, "--rate", "1/1h",
                "--json", home / "a.log")
    assert (out.returncode, out.stderr) == (1, b"")
    assert len(out.stdout.splitlines()) == 6  # both outputs got them
    read = [read_message(s.recv(65536)) for _ in range(6)]
    assert [r[1] for r in read] == [b"HIT"] * 3 + [b"ROLLUP"] * 3
    assert {r[2]["count"] for r in read[3:]} == {str(LINES - 1)}
    assert "seen 999 times more" in read[3][3]


def test_syslog_escapes(home, tmp_path):
    """What stands in names cannot leave its value nor its frame."""
    names = ['a"b', "a]b", "a\\b", 'x" hit="1"] <34>1 - - - - -', "a\nb\tc",
             "\u00e9\u20ac", b"\xff\xfe".decode("utf-8", "surrogateescape"),
             '"]\\' * 60, "\u20ac" * 80]
    for n in names:
        (tmp_path / n).write_text("x 192.0.2.7 y\n")
    sock, address = stream_socket("tcp", None)
    c = Collector(sock)
    out = watch(home, "--output", "syslog:" + address,
                *[str(tmp_path / n) for n in names])
    assert out.returncode == 1, out.stderr
    time.sleep(0.1)
    sock.close()
    got, rest = frames(b"".join(c.parts))
    assert rest == b"" and len(got) == len(names)
    for n, m in zip(names, got):
        _, _, p, text = read_message(m)
        want = os.fsencode(str(tmp_path / n)).decode("utf-8", "replace")
        want = re.sub("[\x00-\x1f\x7f]", "?", want)
        assert p["file"] == want
        assert p["line"] == str(names.index(n) + 1)


def test_syslog_reconnects(home):
    """A collector that closes in the middle: nothing is missing, and what
    comes twice has the same id."""
    sock, address = stream_socket("tcp", None)
    c = Collector(sock, cut=200000)
    out = watch(home, "--output", "syslog:" + address, "--stats",
                home / "a.log")
    time.sleep(0.1)
    sock.close()
    assert out.returncode == 1, out.stderr
    assert c.connections > 1
    assert b"it is tried again" in out.stderr and b"it is back" in out.stderr
    stats = dict(f.split("=") for f in
                 out.stderr.decode().splitlines()[-1].split())
    assert stats["dropped"] == "0" and stats["waiting"] == "0"
    assert int(stats["restarts"]) == c.connections - 1
    seen, torn = set(), 0
    for part in c.parts:
        got, rest = frames(part)
        torn += len(rest) > 0
        seen |= {read_message(m)[2]["hit"] for m in got}
    # what the collector's kernel had taken and nobody read is beyond knowing
    assert len(seen) + torn + c.connections * 1000 >= EVERY


# --- a command ---

def test_command_gets_json_lines(home, tmp_path):
    to = tmp_path / "got"
    out = watch(home, "--output", f"command:cat >{to}", "--output", "tsv",
                home / "a.log")
    assert (out.returncode, out.stderr) == (1, b"")
    assert to.read_bytes() == watch(home, "--json", home / "a.log").stdout
    assert len(out.stdout.splitlines()) == EVERY


def test_command_that_dies(home, tmp_path):
    """Each child takes 700 lines by single reads and dies; none is lost."""
    to = tmp_path / "got"
    child = tmp_path / "child.sh"
    child.write_text("#!/bin/bash\nfor ((i = 0; i < 700; i++)); do\n"
                     "IFS= read -r line || exit 0\n"
                     f"printf '%s\\n' \"$line\"; done >>{to}\nexit 9\n")
    child.chmod(0o755)
    out = watch(home, "--output", f"command:{child}", home / "a.log")
    assert out.returncode == 1, out.stderr
    assert out.stdout == b""
    assert b"it went away" in out.stderr
    assert to.read_bytes() == watch(home, "--json", home / "a.log").stdout


def test_what_never_comes_is_counted(home):
    """The end waits a while for a dead collector and a dead command (both at
    once here), then says what it could not hand over: exit status 3."""
    s = socket.create_server(("127.0.0.1", 0))
    address = "tcp://127.0.0.1:%d" % s.getsockname()[1]
    s.close()
    runs = [subprocess.Popen(argv(home, "--output", what, "--output", "tsv",
                                  "--rate", "1/1h", home / "a.log"),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for what in ("syslog:" + address, "command:/nonexistent/program")]
    for p, why in zip(runs, (b"Connection refused", b"it went away")):
        out, err = p.communicate(timeout=60)
        assert p.returncode == 3
        assert len(out.splitlines()) == 6  # the other output is served
        assert why in err and b"6 messages dropped" in err


def test_nothing_of_a_log_is_a_word(home, tmp_path):
    marker = tmp_path / "owned"
    log = tmp_path / "$(touch owned);`touch owned`"
    log.write_text(f"x 192.0.2.7 $(touch {marker}) ; touch {marker}\n")
    out = watch(home, "--output", "command:cat >/dev/null", log, cwd=tmp_path)
    assert out.returncode == 1, out.stderr
    assert not marker.exists() and not (tmp_path / "owned").exists()


# --- files, pipes, terminals ---

def test_output_file(home, plain, tmp_path):
    to = tmp_path / "rows"
    to.write_bytes(b"mine, without its end")
    for _ in range(2):
        out = watch(home, "--output-file", to, home / "a.log")
        assert (out.returncode, out.stdout, out.stderr) == (1, b"", b"")
    rows = to.read_bytes().splitlines()
    assert rows[0] == b"mine, without its end"
    assert len(rows) == 1 + 2 * EVERY
    assert [r.split(b"\t") for r in rows[1:EVERY + 1]] == plain


def test_full_disk_is_named(home, tmp_path):
    out = watch(home, "--output-file", "/dev/full", home / "a.log")
    assert out.returncode == 2
    assert b"/dev/full" in out.stderr and b"No space left" in out.stderr
    with open("/dev/full", "wb") as full:
        out = watch(home, home / "a.log", stdout=full)
    assert out.returncode == 2
    assert b"standard output" in out.stderr and b"No space left" in out.stderr


def test_full_disk_keeps_whole_rows(home, plain, tmp_path):
    where = tmp_path / "small"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none",
                       where], capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    try:
        out = watch(home, "--output-file", where / "rows", home / "a.log")
        assert out.returncode == 2
        assert b"small/rows" in out.stderr and b"No space left" in out.stderr
        text = (where / "rows").read_bytes()
        assert text.endswith(b"\n")
        rows = [r.split(b"\t") for r in text.splitlines()]
        assert len(rows) > 100 and rows == plain[:len(rows)]
    finally:
        subprocess.run(["umount", where], check=True)


def test_reader_that_goes_away(home):
    p = subprocess.Popen(argv(home, *[home / "a.log"] * 40),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline()
    p.stdout.close()
    assert p.stderr.read() == b""
    assert p.wait(timeout=30) == 1


def test_closed_standard_output(home):
    out = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" >&-',
                          *argv(home, home / "a.log")],
                         stderr=subprocess.PIPE)
    assert out.returncode == 2 and b"standard output" in out.stderr


def test_stats(home):
    out = watch(home, "--stats", "--rate", "5/1h", home / "a.log")
    stats = dict(f.split("=") for f in out.stderr.decode().split())
    assert stats["hits"] == stats["passed"] == str(EVERY)
    assert (stats["rows"], stats["rollups"]) == ("15", "3")
    assert int(stats["held"]) == EVERY - 15
    out = watch(home, "--stats", "--json", home / "a.log")
    assert json.loads(out.stderr)["rows"] == EVERY


def test_follow_rolls_up_in_time(home, tmp_path):
    """With -f a roll-up comes when its time is over, not at the end."""
    log, to = tmp_path / "f.log", tmp_path / "rows"
    log.write_text("")
    p = subprocess.Popen(argv(home, "-f", "--rate", "2/1s", "--output-file",
                              to, log), stderr=subprocess.PIPE)
    try:
        with log.open("a") as f:
            f.write("x 192.0.2.7 y\n" * 10)
        end = time.monotonic() + 20
        while not (to.exists() and len(to.read_bytes().splitlines()) == 3):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        p.send_signal(signal.SIGTERM)
    assert p.wait(timeout=20) == 1
    rows = [r.split(b"\t") for r in to.read_bytes().splitlines()]
    assert [(r[0], r[9]) for r in rows] == [(b"1", b"1"), (b"2", b"1"),
                                            (b"10", b"8")]


def test_progress_bar_leaves_nothing(home, tmp_path):
    """Drawn on the terminal of standard error, within its width, and gone at
    the end; never where standard error is a file."""
    main, side = pty.openpty()
    with open(tmp_path / "out", "wb") as to:
        p = subprocess.Popen(argv(home, *[home / "a.log"] * 200), stdout=to,
                             stderr=side)
        os.close(side)
        text = b""
        while select.select([main], [], [], 30)[0]:
            try:
                more = os.read(main, 4096)
            except OSError:
                break
            if not more:
                break
            text += more
    os.close(main)
    assert p.wait() == 1
    assert b" hits" in text and b"\x1b[K" in text
    assert text.endswith(b"\r\x1b[K")
    for drawn in text.split(b"\r"):
        assert len(drawn.replace(b"\x1b[K", b"")) < 80
