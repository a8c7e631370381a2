"""The same cases through the embedded archive and through ClickHouse, on one
server and over two shards: the same answers, which are the expected ones."""
import http.server
import os
import pathlib
import shutil
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parent.parent
BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
CLUSTER = ROOT / "tools/clickhouse-cluster"
PORT = 18123
SPAN = "2016-01-01..2017-12-31"
MIX = "ipv4=5,cidr=4,ipv6=4,domain=6,url=4,md5=2,sha1=2,sha256=2,email=2"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")
ADDRESS = {
    "one": f"clickhouse://127.0.0.1:{PORT}/one",
    "two": f"clickhouse://127.0.0.1:{PORT},127.0.0.1:{PORT + 2}/two"
           "?cluster=noroshi",
}


def run(*argv, status=(0,)):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       errors="replace", env=ENV, check=False)
    assert r.returncode in status, (argv, r.returncode, r.stderr[-800:])
    return r.stdout


def add(archive, *files):
    return run(NOROSHI, "archive", "add", "--archive", archive, "--tz",
               "+0900", *files)


def hunt(archive, ioc, *more):
    return run(NOROSHI, "hunt", "--archive", archive, "-i", ioc, *more,
               status=(0, 1)).splitlines()


def sql(query, shard=0):
    url = f"http://127.0.0.1:{PORT + 2 * shard}/"
    with urllib.request.urlopen(url, query.encode()) as r:
        return r.read().decode().strip()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    where = tmp_path_factory.mktemp("clickhouse")
    subprocess.run([CLUSTER, "start", where, str(PORT)], check=True)
    yield where
    subprocess.run([CLUSTER, "stop", where], check=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    where = tmp_path_factory.mktemp("corpus")
    run(GEN, "indicators", "--n", 1500, "--planted", 250, "--seed", 11,
        "--mix", MIX, "--span", SPAN, "--out", where / "ioc.tsv",
        "--plant-out", where / "plant.tsv")
    run(GEN, "logs", "--out", where / "corp", "--bytes", "3M", "--org",
        "alpha", "--seed", 11, "--split", "month", "--span", SPAN,
        "--indicators", where / "ioc.tsv", "--plant", where / "plant.tsv")
    return where


def logs_of(corpus):
    return sorted(p for p in (corpus / "corp/logs").rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def embedded(corpus):
    where = corpus / "embedded"
    said = add(where, *logs_of(corpus)).split()
    return where, said[4:10]


def without_block(rows):
    """The block is how either of them stores lines."""
    rows = [r.split("\t", 7) for r in rows]
    return sorted(r[:6] + r[7:] if r[0] == "line" else r for r in rows)


@pytest.mark.parametrize("shards", ["one", "two"])
def test_same_answers(servers, corpus, embedded, shards):
    where = ADDRESS[shards]
    logs = logs_of(corpus)
    ioc = corpus / "ioc.tsv"
    embedded, said = embedded
    # As many lines, octets and observations.
    assert add(where, *logs).split()[4:10] == said
    first = hunt(where, ioc, "--all")
    assert first == hunt(embedded, ioc, "--all")
    assert hunt(where, ioc, "--format", "json") == hunt(embedded, ioc,
                                                        "--format", "json")
    got = hunt(where, ioc, "--lines")
    assert without_block(got) == without_block(hunt(embedded, ioc, "--lines"))
    got = hunt(where, ioc, "--detail")
    assert got == hunt(embedded, ioc, "--detail")
    assert {"host", "octets"} <= {r.split("\t")[0] for r in got}
    few = ["--lines", "--newest", "--limit", "3"]
    assert without_block(hunt(where, ioc, *few)) == without_block(
        hunt(embedded, ioc, *few))
    with open(corpus / "corp/expected.tsv", encoding="utf-8") as f:
        expected = [r.split("\t")[:5] for r in f.read().splitlines()
                    if not r.startswith("#")]
    assert len(expected) >= 50
    assert sorted(r.split("\t")[:5] for r in hunt(where, ioc)) == \
        sorted(expected)
    stat = run(NOROSHI, "archive", "stat", "--archive", where)
    own = run(NOROSHI, "archive", "stat", "--archive", embedded)
    for row in stat.splitlines():
        if not row.startswith("octets"):
            assert row in own.splitlines()

    # Again, and a copy: nothing is new.
    before = sql(f"SELECT count() FROM {shards}.noroshi_seen")
    copy = corpus / f"copy-{shards}.log"
    shutil.copy(logs[0], copy)
    assert add(where, *logs, copy).startswith(f"files 0 known {len(logs) + 1}")
    assert sql(f"SELECT count() FROM {shards}.noroshi_seen") == before
    assert hunt(where, ioc, "--all") == first
    if shards == "two":
        parts = [int(sql("SELECT count() FROM two.noroshi_seen_local", s))
                 for s in (0, 1)]
        assert min(parts) > sum(parts) / 3 and sum(parts) == int(before)


@pytest.fixture(scope="module")
def tls(servers, tmp_path_factory):
    """A door with a certificate before the first server."""
    d = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-days", "2", "-subj", "/CN=clickhouse", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", d / "key.pem",
                    "-out", d / "cert.pem"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(d / "cert.pem", d / "key.pem")
    keys = []

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):  # noqa: N802, the library's name
            keys.append((self.headers.get("X-ClickHouse-User"),
                         self.headers.get("X-ClickHouse-Key")))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            q = urllib.request.Request(
                f"http://127.0.0.1:{PORT}{self.path}", body,
                {"Content-Type": self.headers.get(
                    "Content-Type", "application/octet-stream")})
            try:
                with urllib.request.urlopen(q) as r:
                    code, out = r.status, r.read()
            except urllib.error.HTTPError as e:
                code, out = e.code, e.read()
            self.send_response(code)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *argv):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.dir, server.keys = d, keys
    yield server
    server.shutdown()


def test_tls_and_password_file(tls, corpus, embedded):
    address = f"clickhouses://noroshi@127.0.0.1:{tls.server_port}/tls"
    (tls.dir / "password").write_text("secret word\n")
    whole = (f"{address}?ca={tls.dir}/cert.pem"
             f"&password-file={tls.dir}/password")
    add(whole, *logs_of(corpus))
    assert set(tls.keys) == {("noroshi", "secret word")}
    assert (without_block(hunt(whole, corpus / "ioc.tsv")) ==
            without_block(hunt(embedded[0], corpus / "ioc.tsv")))
    for bad, why in ((address, "not trusted"),
                     (f"{address}?ca={tls.dir}/none.pem", "clickhouse: "),
                     (f"{address}?password-file={tls.dir}/none", "none"),
                     (f"{address}?cluster=", "not an address"),
                     (f"{address}?colour=red", "not an address"),
                     (whole.replace("noroshi@", "noroshi:x@"),
                      "two passwords"),
                     (whole.replace("clickhouses", "clickhouse"),
                      "not an address")):
        r = subprocess.run([NOROSHI, "archive", "stat", "--archive", bad],
                           capture_output=True, text=True, check=False)
        assert r.returncode == 2 and why in r.stderr, (bad, r.stderr)
        assert "secret" not in r.stderr and "noroshi:x" not in r.stderr


def test_rows_twice_do_no_harm(servers, tmp_path):
    """An insert whose answer was lost is made again."""
    log, ioc = tmp_path / "a.log", tmp_path / "ioc.txt"
    log.write_text("2017-03-01T00:00:00Z fw ACCEPT SRC=10.0.0.1 "
                   "DST=192.0.2.77\n")
    ioc.write_text("192.0.2.77\n192.0.2.0/24\n")
    where = f"clickhouse://127.0.0.1:{PORT}/again"
    add(where, log)
    rows = hunt(where, ioc), hunt(where, ioc, "--lines")
    assert [r.split("\t")[2] for r in rows[0]] == ["1", "1"]
    sql("TRUNCATE TABLE again.noroshi_files")
    add(where, log)
    assert sql("SELECT count() > uniqExact(line) FROM again.noroshi_lines") \
        == "1"
    assert (hunt(where, ioc), hunt(where, ioc, "--lines")) == rows


def test_a_file_that_grows(servers, tmp_path):
    log, ioc = tmp_path / "g.log", tmp_path / "ioc.txt"
    line = "2017-03-01T00:00:0{}Z fw ACCEPT DST=192.0.2.7{}"
    ioc.write_text("192.0.2.71\n192.0.2.72\n192.0.2.73\n")
    where = f"clickhouse://127.0.0.1:{PORT}/grows"
    log.write_text(line.format(1, 1) + "\n" + line.format(2, 2))
    add(where, log)
    with log.open("a") as f:
        f.write("\n" + line.format(3, 3) + "\n")
    add(where, log)
    assert [r.split("\t")[1:3] for r in hunt(where, ioc)] == [
        ["192.0.2.71", "1"], ["192.0.2.72", "1"], ["192.0.2.73", "1"]]


def test_a_name_used_again(servers, tmp_path):
    log, ioc = tmp_path / "r.log", tmp_path / "ioc.txt"
    ioc.write_text("192.0.2.71\n")
    where = f"clickhouse://127.0.0.1:{PORT}/rotates"
    for day in (1, 2):
        log.write_text(f"2017-03-0{day}T00:00:00Z fw ACCEPT DST=192.0.2.71\n")
        add(where, log)
    assert hunt(where, ioc)[0].split("\t")[2] == "2"
    assert len([r for r in hunt(where, ioc, "--lines")
                if r.startswith("line\t")]) == 2


def test_what_cannot_be_is_said(servers, tmp_path):
    ioc = tmp_path / "ioc.txt"
    ioc.write_text("192.0.2.77\n")
    for bad, why in (("clickhouse://127.0.0.1", "not an address"),
                     ("clickhouse://h/a-b", "not an address"),
                     ("clickhouse://127.0.0.1:1/x", "no answer"),
                     (f"clickhouse://127.0.0.1:{PORT}/none", "refuses")):
        r = subprocess.run([NOROSHI, "hunt", "--archive", bad, "-i", ioc],
                           capture_output=True, text=True, check=False)
        assert r.returncode == 2 and why in r.stderr, (bad, r.stderr)
