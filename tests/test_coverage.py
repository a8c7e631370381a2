"""What an archive can answer for: gaps, sources that stopped, clocks, proxies
that keep less than is asked for, and the sentence on a whole hunt."""
import calendar
import datetime
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
CLUSTER = ROOT / "tools/clickhouse-cluster"
PORT = 18423
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05", LC_ALL="C.UTF-8", COLUMNS="80")


def run(*argv, status=0, **env):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       errors="replace", env=dict(ENV, **env), check=False)
    assert status is None or r.returncode == status, (argv, r.returncode,
                                                      r.stdout, r.stderr)
    return r


def add(archive, *files):
    run(NOROSHI, "archive", "add", "--archive", archive, "--tz", "+0900",
        *files)


def coverage(archive, *more, status=0, **env):
    return run(NOROSHI, "archive", "coverage", "--archive", archive, *more,
               status=status, **env)


def in_json(archive, *more):
    return json.loads(coverage(archive, "--json", *more).stdout)


def stream(found, source, kind=None):
    return next(s for s in found["streams"] if s["source"] == source and
                (not kind or kind in s["kinds"]))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two years of a small office; named lost four days, squid stopped."""
    where = tmp_path_factory.mktemp("corpus")
    run(GEN, "logs", "--out", where / "corp", "--bytes", "12M", "--org",
        "alpha", "--split", "month", "--span", "2016-01-01..2017-12-31",
        "--sources", "named,squid,mail,sshd")
    named = where / "corp/logs/named/named-2016-09.log"
    lost = tuple(f"{d}-Sep-2016" for d in range(12, 16))
    lines = named.read_text(errors="surrogateescape").splitlines(True)
    kept = [x for x in lines if not x.startswith(lost)]
    assert 0 < len(kept) < len(lines)
    named.write_text("".join(kept), errors="surrogateescape")
    for month in range(9, 13):
        (where / f"corp/logs/squid/squid-2017-{month:02}.log").unlink()
    return where


@pytest.fixture(scope="module")
def archive(corpus):
    add(corpus / "archive", "-r", corpus / "corp/logs")
    return corpus / "archive"


def test_what_was_taken_out_is_found(archive):
    found = in_json(archive)
    named, squid = stream(found, "named"), stream(found, "squid")
    assert [(g["from"][:10], g["to"][:10]) for g in named["gaps"]] == [
        ("2016-09-11", "2016-09-15")]  # days are those of +0900
    assert named["flags"] == []
    assert squid["flags"][0] == "stopped" and len(squid["gaps"]) == 1
    assert squid["last"] == squid["gaps"][0]["from"] == "2017-08-31T15:00:00Z"
    for source in ("mail", "sshd"):
        assert stream(found, source)["gaps"] == []
        assert stream(found, source)["coverage"] > 0.99
    states = {d[2] for d in named["days"]}
    assert states <= {"lines", "quiet", "gap", "none"} and "gap" in states
    dns = next(k for k in found["kinds"] if k["kind"] == "dns")
    assert [d[:2] for d in dns["days"] if d[2] == "gap"] == [
        ["2016-09-12", "2016-09-15"]]  # its office hours are gone too


def test_words_and_picture(archive):
    text = coverage(archive).stdout
    rows = text.splitlines()
    assert "named: missing from 2016-09-11 " in text
    assert "squid: stopped: no lines since 2017-08-31 15:00" in text
    assert any(r.startswith("proxy ") and r.endswith("%") and "×" in r
               for r in rows)
    assert any(r.startswith("auth ") and r.rstrip().endswith(" 100%")
               for r in rows)
    assert all(len(r) <= 80 for r in rows if "%" in r)
    plain = coverage(archive, "--ascii").stdout
    assert plain.isascii()
    assert coverage(archive, LC_ALL="C").stdout == plain
    month = coverage(archive, "--kind", "dns", "--from", "2016-09-01", "--to",
                     "2016-09-30", "--ascii").stdout.splitlines()
    assert month[1].split()[1].startswith("###########xxxx###")
    assert "proxy" not in "\n".join(month[:-2])
    assert "no kind of log" in coverage(archive, "--kind", "x",
                                        status=2).stderr
    assert "behind" in coverage(archive, "--from", "2017-01-01", "--to",
                                "2016-01-01", status=2).stderr


def test_the_order_of_adding_is_no_matter(archive, corpus, tmp_path):
    logs = sorted((corpus / "corp/logs").rglob("*.log"))
    for log in logs[1::2] + logs[::2]:
        add(tmp_path / "other", log)
    assert in_json(tmp_path / "other") == in_json(archive)
    run(NOROSHI, "archive", "compact", "--archive", tmp_path / "other")
    left = run(NOROSHI, "archive", "ls", "--archive", tmp_path / "other").stdout
    assert len(left.splitlines()) < len(logs)
    assert in_json(tmp_path / "other") == in_json(archive)


def test_an_answer_says_what_it_lacks(archive, tmp_path):
    ioc = tmp_path / "ioc.csv"
    ioc.write_text("192.0.2.9\nevil.example\nhttps://evil.example/a/b\n"
                   "nobody@evil.example\n")
    r = run(NOROSHI, "hunt", "--archive", archive, "-i", ioc, "--all",
            "--summary", "--format", "json")
    got = {a["indicator"]: a for a in map(json.loads, r.stdout.splitlines())}
    assert got["192.0.2.9"]["notes"] == ["stopped"]
    assert got["evil.example"]["notes"] == ["gap"] or \
        got["evil.example"]["notes"] == []  # proxy logs are there meanwhile
    assert got["evil.example"]["answer"] == "not-seen"
    url = got["https://evil.example/a/b"]
    assert url["answer"] == "cannot-say" and "query-stripped" in url["notes"]
    assert got["nobody@evil.example"]["notes"] == []
    ja, en = r.stderr.splitlines()[-2:]
    assert "痕跡はありませんでした" in ja and "侵害なし" not in r.stderr
    assert "2017-09-01 以降のプロキシ" in ja and "no trace was found" in en


def syslog_days(first, days):
    day = datetime.date.fromisoformat(first)
    for _ in range(days):
        for hour in range(0, 24, 2):
            yield calendar.timegm(day.timetuple()) + hour * 3600
        day += datetime.timedelta(1)


def dns(t):
    when = datetime.datetime.fromtimestamp(t, datetime.timezone.utc)
    return when.strftime("%d-%b-%Y %H:%M:%S.000 queries: info: client "
                         "10.0.0.9#1 (www.bar.example): query: www.bar.example"
                         " IN A + (10.0.0.53)\n")


def proxy(t, url="http://www.bar.example/x?y=1"):
    return f"{t}.123     85 10.0.0.{t // 60 % 9} TCP_MISS/200 4512 GET {url} " \
           "- HIER_DIRECT/192.0.2.7 text/html\n"


def test_worked_example(tmp_path):
    """45 of 103 days and 50 of 97: the handbook's own figures and words."""
    log = tmp_path / "named.log"
    log.write_text("".join(map(dns, syslog_days("2016-12-01", 80))))
    web = tmp_path / "proxy.log"
    web.write_text("".join(map(proxy, syslog_days("2017-06-01", 80))))
    run(NOROSHI, "archive", "add", "--archive", tmp_path / "arc", log, web)
    ioc = tmp_path / "ioc.json"
    ioc.write_text(json.dumps({"type": "bundle", "id":
        "bundle--00000000-0000-4000-8000-000000000001", "objects": [
        {"type": "indicator", "spec_version": "2.1", "id":
         f"indicator--00000000-0000-4000-8000-00000000000{i}",
         "created": "2017-08-01T00:00:00Z", "modified": "2017-08-01T00:00:00Z",
         "valid_from": "2017-08-01T00:00:00Z", "pattern_type": "stix",
         "pattern": f"[domain-name:value = 'x{i}.example']",
         "x_noroshi_first_seen": first + "T00:00:00Z",
         "x_noroshi_last_seen": last + "T00:00:00Z"}
        for i, first, last in ((1, "2016-11-03", "2016-12-15"),
                               (2, "2017-05-15", "2017-06-20"))]}))
    r = run(NOROSHI, "hunt", "--archive", tmp_path / "arc", "-i", ioc, "--all",
            "--summary", "--format", "json")
    got = [json.loads(x) for x in r.stdout.splitlines()]
    assert [a["window"] for a in got] == [["2016-10-04", "2017-01-14"],
                                          ["2017-04-15", "2017-07-20"]]
    assert [a["coverage"] for a in got] == [45 / 103, 50 / 97]
    assert round(sum(a["coverage"] for a in got) / 2, 3) == 0.476
    assert r.stderr.splitlines()[-2] == \
        "2016-10-04〜2017-07-20 のうち 48% の期間のログを検査し、痕跡は" \
        "ありませんでした。2016-11-30 以前の DNS、2017-05-31 以前の" \
        "プロキシは残っていません"


def test_clock_and_stripped_queries(tmp_path):
    t = 1493600000
    log = tmp_path / "access.log"
    log.write_text(
        "".join(proxy(t + 60 * i, "http://a.example/x") for i in range(600)) +
        "".join(proxy(t + 60 * i - 3600, "http://a.example/x")
                for i in range(600, 900)))
    add(tmp_path / "arc", log)
    found = stream(in_json(tmp_path / "arc"), "squid")
    assert found["flags"] == ["no-query"]
    assert found["uncertain"] == [{"from": "2017-05-01T09:53:20Z",
                                   "to": "2017-05-01T10:52:20Z"}]
    ioc = tmp_path / "ioc.txt"
    ioc.write_text("http://evil.example/a?b\nhttp://evil.example/a\n"
                   "http://a.example/x\n")
    rows = [r.split("\t") for r in
            run(NOROSHI, "hunt", "--archive", tmp_path / "arc", "-i", ioc,
                "--all", status=1).stdout.splitlines()]
    assert [(r[1], r[5], r[10].split(",")[0]) for r in rows] == [
        ("http://evil.example/a?b", "cannot-say", "query-stripped"),
        ("http://evil.example/a", "cannot-say", "clock"),
        ("http://a.example/x", "seen", "clock")]
    assert "clock went back" in coverage(tmp_path / "arc").stdout


def test_the_same_from_clickhouse(archive, corpus, tmp_path):
    subprocess.run([CLUSTER, "start", tmp_path / "ch", str(PORT)], check=True)
    try:
        far = f"clickhouse://127.0.0.1:{PORT}/cover"
        add(far, "-r", corpus / "corp/logs")
        assert in_json(far) == in_json(archive)
        assert coverage(far).stdout == coverage(archive).stdout
        ioc = tmp_path / "ioc.txt"
        ioc.write_text("evil.example\nhttps://evil.example/a/b\n192.0.2.9\n")
        ask = ("-i", ioc, "--all", "--summary", "--format", "json")
        here = run(NOROSHI, "hunt", "--archive", archive, *ask)
        there = run(NOROSHI, "hunt", "--archive", far, *ask)
        assert (there.stdout, there.stderr) == (here.stdout, here.stderr)
    finally:
        subprocess.run([CLUSTER, "stop", tmp_path / "ch"], check=True)
