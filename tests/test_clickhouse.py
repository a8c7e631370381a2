"""The same cases through the embedded archive and through ClickHouse, on one
server and over two shards: the same answers, which are the expected ones."""
import os
import pathlib
import shutil
import subprocess
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
