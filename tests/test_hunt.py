"""The archive answers what the generator planted and refmatch.py finds.

KILLS=N: how often `archive add` is killed at a random moment (default 5).
"""

import fcntl
import gzip
import ipaddress
import json
import lzma
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
REFMATCH = pathlib.Path(__file__).with_name("refmatch.py").absolute()
KILLS = int(os.environ.get("KILLS", "5"))
SPAN = "2016-01-01..2017-12-31"
MIX = ("ipv4=5,cidr=4,ipv6=4,domain=6,url=4,md5=2,sha1=2,sha256=2,email=2")
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")


def run(*argv, status=0, **more):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       errors="replace", env=ENV, **more)
    if status is not None:
        assert r.returncode == status, (argv, r.returncode, r.stdout[-500:],
                                        r.stderr[-500:])
    return r


def add(home, *files, status=0, more=()):
    return run(NOROSHI, "archive", "add", "--home", home, "--tz", "+0900",
               *more, *files, status=status)


def hunt(home, ioc, *more, status=None):
    r = run(NOROSHI, "hunt", "--home", home, "-i", ioc, *more, status=status)
    rows = [line.split("\t") for line in r.stdout.splitlines()]
    if "--lines" in more and "json" not in more:  # the answers stand before
        at = [r[0] for r in rows].index("line")
        assert {r[0] for r in rows[at:]} == {"line"}
        return [r[1:] for r in rows[at:]]
    return rows


def answers(home, ioc):
    """{(kind, indicator): (lines, first, last)}"""
    return {tuple(r[:2]): tuple(r[2:5]) for r in hunt(home, ioc)}


def table(path):
    with open(path, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    return [r for r in rows if not r[0].startswith("#")]


def make_corpus(folder, seed, size, split):
    # A file a day of ten sources: half a year is files enough.
    span = "2016-03-01..2016-08-31" if split == "day" else SPAN
    ioc, plant = folder / "ioc.tsv", folder / "plant.tsv"
    run(GEN, "indicators", "--n", 1500, "--planted", 250, "--seed", seed,
        "--mix", MIX, "--span", span, "--out", ioc, "--plant-out", plant)
    run(GEN, "logs", "--out", folder / "corp", "--bytes", size, "--org",
        "alpha", "--seed", seed, "--split", split, "--span", span,
        "--indicators", ioc, "--plant", plant)
    folder.expected = {tuple(r[:2]): tuple(r[2:5])
                       for r in table(folder / "corp/expected.tsv")}
    folder.logs = sorted(p for p in (folder / "corp/logs").rglob("*")
                         if p.is_file())
    folder.ioc = ioc
    return folder


class Folder(type(pathlib.Path())):
    """A path with notes."""


@pytest.fixture(scope="module", params=[(1, "month"), (2, "day"), (3, "month")],
                ids=["seed1", "seed2-days", "seed3"])
def corpus(request, tmp_path_factory):
    seed, split = request.param
    folder = Folder(tmp_path_factory.mktemp(f"corpus{seed}"))
    return make_corpus(folder, seed, "4M", split)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return make_corpus(Folder(tmp_path_factory.mktemp("one")), 7, "3M", "month")


@pytest.fixture(scope="module")
def one_home(one):
    add(one / "home", "-r", one / "corp/logs")
    return one / "home"


def refmatch(ioc, logs):
    """{(kind, indicator): lines} as the reference says."""
    r = run(sys.executable, REFMATCH, ioc, *logs)
    found = {}
    for line in r.stdout.splitlines():
        key = tuple(line.split("\t")[1:3])
        found[key] = found.get(key, 0) + 1
    return found


def test_equals_expected_and_reference(corpus, tmp_path):
    add(tmp_path, "-r", corpus / "corp/logs")
    got = answers(tmp_path, corpus.ioc)
    assert got == corpus.expected
    assert {k: int(v[0]) for k, v in got.items()} == refmatch(corpus.ioc,
                                                              corpus.logs)
    kinds = {k for k, _ in got}
    assert {"cidr", "ipv6", "url", "email", "sha256"} <= kinds
    run(NOROSHI, "archive", "verify", "--home", tmp_path)


def test_wide_ranges_equal_reference(corpus, tmp_path):
    """Ranges of which one line shows several members, IPv6 too."""
    add(tmp_path / "h", "-r", corpus / "corp/logs")
    nets = {"10.0.0.0/8", "0.0.0.0/0", "192.0.0.0/3"}
    for kind, value in corpus.expected:
        if kind == "ipv6":
            a = ipaddress.ip_address(value)
            nets |= {str(ipaddress.ip_network((a, n), strict=False))
                     for n in (16, 32, 48, 64, 127)}
    ioc = tmp_path / "nets.tsv"
    ioc.write_text("".join(f"cidr\t{n}\n" for n in sorted(nets)))
    rows = hunt(tmp_path / "h", ioc, status=1)
    assert {tuple(r[:2]): int(r[2]) for r in rows} == refmatch(ioc, corpus.logs)
    assert sum(":" in r[1] for r in rows) > 5
    lines = {}
    for r in hunt(tmp_path / "h", ioc, "--lines", status=1):
        lines.setdefault(r[1], []).append(int(r[6]))
    for r in rows:
        assert int(r[3]) == min(lines[r[1]]) and int(r[4]) == max(lines[r[1]])
        assert int(r[2]) == len(lines[r[1]])


def test_any_order_pieces_twice_compressed(corpus, tmp_path):
    home, parts = tmp_path / "home", tmp_path / "parts"
    rng = random.Random(4)
    logs = list(corpus.logs)
    rng.shuffle(logs)
    shutil.copytree(corpus / "corp/logs", parts)
    moved = [parts / p.relative_to(corpus / "corp/logs") for p in logs]
    # A third of each file first, then the rest of it, in another order.
    whole = {p: p.read_bytes() for p in moved}
    for p in moved:
        cut = whole[p].find(b"\n", len(whole[p]) // 3) + 1
        p.write_bytes(whole[p][:cut])
    add(home, *moved[: len(moved) // 2])
    add(home, *moved)
    rng.shuffle(moved)
    for p in moved:
        with open(p, "ab") as f:
            f.write(whole[p][p.stat().st_size:])
    add(home, *moved)
    assert answers(home, corpus.ioc) == corpus.expected
    # The same logs again: in place, as copies, compressed.
    assert " lines 0 " in add(home, "-r", parts).stdout
    assert " lines 0 " in add(home, "-r", corpus / "corp/logs").stdout
    packed = compressed(corpus, tmp_path / "packed")
    assert " lines 0 " in add(home, *packed).stdout
    assert answers(home, corpus.ioc) == corpus.expected
    add(tmp_path / "other", *packed)
    assert answers(tmp_path / "other", corpus.ioc) == corpus.expected


def compressed(corpus, to):
    to.mkdir()
    out = []
    for i, p in enumerate(corpus.logs):
        q = to / (p.name + (".gz", ".xz", ".zst")[i % 3])
        if i % 3 == 0:
            q.write_bytes(gzip.compress(p.read_bytes(), 1))
        elif i % 3 == 1:
            q.write_bytes(lzma.compress(p.read_bytes(), preset=0))
        else:
            subprocess.run(["zstd", "-q", "-1", "-o", q, p], check=True)
        os.utime(q, ns=(p.stat().st_mtime_ns, p.stat().st_mtime_ns))
        out.append(q)
    return out


def test_lines_are_the_lines_of_the_files(one, one_home):
    rows = hunt(one_home, one.ioc, "--lines", status=1)
    assert len(rows) == sum(int(v[0]) for v in one.expected.values())
    texts, last = {}, None
    for kind, value, name, line, at, _block, when, *text in rows:
        if name not in texts:
            data = pathlib.Path(name).read_bytes()
            texts[name] = data.split(b"\n")
            texts[name, "all"] = data
        want = texts[name][int(line) - 1].decode(errors="replace")
        assert "\t".join(text) == want
        assert texts[name, "all"][int(at):].startswith(texts[name][int(line) - 1])
        if when != "-":
            assert last is None or int(when) >= last
            last = int(when)
    said = [json.loads(x) for x in
            run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--lines",
                "--format", "json", status=1).stdout.splitlines()]
    lines = [x for x in said if "text" in x]
    assert lines == said[-len(lines):] and len(lines) == len(rows)
    assert [x["text"] for x in lines[:50]] == ["\t".join(r[7:])
                                               for r in rows[:50]]
    # The answers, first, are those without lines.
    assert said[:-len(lines)] == [
        json.loads(x) for x in
        run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--format",
            "json", status=1).stdout.splitlines()]


def test_lines_newest_and_limit(one, one_home):
    oldest = hunt(one_home, one.ioc, "--lines", status=1)
    newest = hunt(one_home, one.ioc, "--lines", "--newest", status=1)
    assert newest == oldest[::-1] and len(newest) > 20
    for rows, option in (oldest, []), (newest, ["--newest"]):
        seen, want = {}, []
        for r in rows:
            seen[r[0], r[1]] = seen.get((r[0], r[1]), 0) + 1
            if seen[r[0], r[1]] <= 2:
                want.append(r)
        assert len(want) < len(rows)
        assert hunt(one_home, one.ioc, "--lines", "--limit", "2", *option,
                    status=1) == want
    for option in "--newest", "--limit=2":
        r = run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, option,
                status=2)
        assert "is for --lines" in r.stderr


def sent_out(line, path, value):
    """(host, octets) as a line of the generator's conn.log says."""
    if "/conn" not in path:
        return None
    v = line.split("\t")
    a, b = v[2], v[4]
    if value in (a, b):
        return (b, v[10]) if a == value else (a, v[9])
    return None


def test_detail(one, one_home):
    """Hosts and octets out are what the lines say that --lines prints."""
    plain = hunt(one_home, one.ioc, status=1)
    rows = hunt(one_home, one.ioc, "--detail", status=1)
    typed = {"host", "hosts-more", "octets", "octets-total"}
    assert [r for r in rows if r[0] not in typed] == plain
    lines = hunt(one_home, one.ioc, "--lines", status=1)
    octets, hosts = {}, {}
    for kind, value, name, _n, _at, _block, when, *text in lines:
        text = "\t".join(text)
        if "/squid/" in name:
            key = kind, value, text.split()[2], "client"
        elif "/winevt/" in name:
            key = (kind, value, json.loads(text)["Hostname"].lower(),
                   "machine")
        elif "/sshd/" in name or "/mail/" in name:
            key = kind, value, text.split()[3], "machine"
        else:
            key = None
        if key:
            hosts.setdefault(key, []).append(int(when))
        out = sent_out(text, name, value) if kind.startswith("ip") else None
        if out and out[1] != "-":
            day = time.strftime("%Y-%m-%d", time.gmtime(int(when)))
            octets[value, day] = octets.get((value, day), 0) + int(out[1])
    assert len(octets) > 5 and len(hosts) > 20
    got = {(r[2], r[3]): int(r[5]) for r in rows
           if r[0] == "octets" and r[4] == "conn" and r[1].startswith("ip")}
    assert got == octets
    said = {tuple(r[1:5]): r[5:] for r in rows if r[0] == "host"}
    capped = {tuple(r[1:3]): int(r[3]) for r in rows if r[0] == "hosts-more"}
    for key, times in hosts.items():
        if key not in said:
            assert key[:2] in capped
            continue
        n, _denied, first, last = said[key]
        assert int(n) >= len(times), key
        assert int(first) <= min(times) and int(last) >= max(times)
        if key[3] == "machine":  # from these two kinds of log only
            assert int(n) == len(times)
    # Lines of each host add up to no more than those of the indicator.
    for r in plain:
        own = [int(v[0]) for k, v in said.items() if k[:2] == tuple(r[:2])]
        more = capped.get(tuple(r[:2]), 0)
        assert sum(own) + more <= int(r[2])
        assert len(own) <= 100 and (not more or len(own) == 100)
        assert own == sorted(own, reverse=True)
    both = run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--detail",
               "--lines", "--limit", "1", status=1).stdout.splitlines()
    at = next(i for i, x in enumerate(both) if x.startswith("line\t"))
    assert [x.split("\t") for x in both[:at]] == rows
    assert len(both) - at == len(plain)


def test_detail_json(one, one_home):
    rows = hunt(one_home, one.ioc, "--detail", "--time", "iso", status=1)
    said = [json.loads(x) for x in
            run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--detail",
                "--format", "json", "--time", "iso",
                status=1).stdout.splitlines()]
    got = []
    for x in said:
        who = [x["kind"], x["indicator"]]
        got += [["host", *who, h["host"], h["role"], str(h["lines"]),
                 str(h["denied"]), h["first"] or "-", h["last"] or "-"]
                for h in x["hosts"]]
        if x["hosts_more"]:
            got.append(["hosts-more", *who, str(x["hosts_more"])])
        got += [["octets", *who, o["day"] or "-", o["source"],
                 str(o["octets"]), str(o["lines"])] for o in x["bytes_out"]]
        if x["bytes_out_total"] is not None:
            got.append(["octets-total", *who, str(x["bytes_out_total"])])
        else:
            assert x["bytes_out"] == []
    assert len(got) > 50
    assert got == [r for r in rows if r[0] in ("host", "hosts-more", "octets",
                                               "octets-total")]
    r = run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--detail",
            "--format", "stix", status=2)
    assert "hosts of your own are not put into STIX" in r.stderr


def key_set(rows):
    return sorted(tuple(r) for r in rows)


@pytest.mark.parametrize("how", ["all", "half", "config"])
def test_urls_not_indexed(one, one_home, tmp_path, how):
    """The same answers from a smaller index, also where only some segments
    have URLs in theirs."""
    home = tmp_path / "h"
    logs = sorted(p for p in (one / "corp/logs").rglob("*") if p.is_file())
    half = len(logs) // 2 if how == "half" else 0
    more = ["--no-urls"]
    if how == "config":
        home.mkdir()
        (home / "config").write_text("index-urls = no\n")
        more = []
    if half:
        add(home, *logs[:half])
    add(home, *logs[half:], more=more)
    for option in ["--all"], ["--all", "--format", "json"], ["--detail"]:
        assert key_set(hunt(home, one.ioc, *option)) == key_set(
            hunt(one_home, one.ioc, *option)), option
    got, want = (hunt(h, one.ioc, "--lines") for h in (home, one_home))
    assert sorted(r[:5] + r[6:] for r in got) == sorted(r[:5] + r[6:]
                                                        for r in want)
    assert sum(r[0] == "url" for r in want) > 20
    stat = dict(line.split("\t")[:2] for line in
                run(NOROSHI, "archive", "stat", "--home",
                    home).stdout.splitlines())
    assert stat["segments without URLs in their index"] == "1"
    was = dict(line.split("\t")[:2] for line in
               run(NOROSHI, "archive", "stat", "--home",
                   one_home).stdout.splitlines())
    assert "segments without URLs in their index" not in was
    if not half:
        assert int(stat["observables"]) < int(was["observables"])
        assert int(stat["index"]) < int(was["index"])
    # It stays so when the segment is made anew of its blocks.
    seg = sorted((home / "archive").glob("*.seg"))[-1]
    data = bytearray(seg.read_bytes())
    data[-100] ^= 1  # in the table of sections
    seg.write_bytes(data)
    run(NOROSHI, "archive", "repair", "--home", home, "--all", status=None)
    stat = run(NOROSHI, "archive", "stat", "--home", home).stdout
    assert "segments without URLs in their index\t1" in stat
    assert answers(home, one.ioc) == one.expected


def test_url_with_a_secret(tmp_path):
    """User and password are in no form in the index, the host is asked for."""
    log, ioc = tmp_path / "a.log", tmp_path / "ioc.txt"
    url = "http://me:word@files.example:8080/x?y=1"
    log.write_text(f"2017-03-01T00:00:00Z app GET {url} ok\n"
                   "2017-03-01T00:00:01Z app GET http://files.example:8080/ ok\n"
                   "2017-03-02T00:00:01Z app GET http://files.example/ ok\n")
    ioc.write_text(f"{url}\nhttp://files.example:8080/\nfiles.example/\n"
                   "http://files.example:8080/other\nhttp://files.example\n")
    add(tmp_path / "plain", log)
    add(tmp_path / "h", log, more=["--no-urls"])
    got = hunt(tmp_path / "h", ioc, "--all")
    assert got == hunt(tmp_path / "plain", ioc, "--all")
    assert sorted(r[2] for r in got) == ["0", "0", "1", "1", "1"]


def test_many_urls_of_one_host(tmp_path):
    """Every block of the host is read once, not once for each URL."""
    log, ioc = tmp_path / "a.log", tmp_path / "ioc.txt"
    log.write_text("".join(
        f"2017-03-{1 + i // 1000:02}T00:00:00Z app GET "
        f"https://files.example/{i % 7000}/{'x' * 60} ok\n"
        for i in range(20000)))
    ioc.write_text("".join(f"https://files.example/{i * 3}/{'x' * 60}\n"
                           for i in range(5000)))
    add(tmp_path / "plain", log)
    add(tmp_path / "h", log, more=["--no-urls"])
    want = hunt(tmp_path / "plain", ioc, "--all", status=1)
    assert hunt(tmp_path / "h", ioc, "--all", status=1) == want
    assert sum(int(r[2]) for r in want) == len(
        [i for i in range(20000) if i % 7000 % 3 == 0])
    stats = run(NOROSHI, "archive", "stat", "--home", tmp_path / "h").stdout
    assert "observables\t2\n" in stats  # the host, and the origin


def test_no_urls_in_clickhouse_is_refused(one):
    r = run(NOROSHI, "archive", "add", "--archive", "clickhouse://127.0.0.1/x",
            "--no-urls", one.ioc, status=2)
    assert "--no-urls is for a directory" in r.stderr


def test_agree_hunt(tmp_path):
    """The long comparison, small: bench/agree-hunt."""
    script = pathlib.Path(__file__).parent.parent / "bench/agree-hunt"
    r = subprocess.run([script], capture_output=True, text=True,
                       env=dict(os.environ, SEEDS="21", SIZE="1M",
                                PLANTED="120", BATCHES="4", DIR=str(tmp_path),
                                BUILD=str(BUILD)))
    assert r.returncode == 0, r.stdout + r.stderr
    assert re.match(r"[1-9]\d\d answers, 0 differences",
                    r.stdout.splitlines()[-1])


def test_stats(one, one_home):
    r = run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--stats",
            status=1)
    assert re.search(r"^stats lists [0-9.]+ ms open [0-9.]+ ms "
                     r"answers [0-9.]+ ms$", r.stderr, re.M)


def test_formats_agree(one, one_home):
    rows = hunt(one_home, one.ioc, "--all", status=1)
    assert len(rows) == len(table(one.ioc))
    quiet = [r for r in rows if r[2] == "0"]
    assert quiet and all(r[3:5] == ["-", "-"] for r in quiet)
    assert {r[5] for r in quiet} <= {"not-seen", "cannot-say"}
    r = run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc, "--all",
            "--format", "json", status=1)
    docs = [json.loads(line) for line in r.stdout.splitlines()]
    assert [(d["kind"], d["indicator"], str(d["lines"]), d["answer"])
            for d in docs] == [tuple(r[:3]) + (r[5],) for r in rows]
    iso = hunt(one_home, one.ioc, "--time", "iso", status=1)
    assert all(r[3].endswith("Z") for r in iso)
    bundle = json.loads(run(NOROSHI, "hunt", "--home", one_home, "-i", one.ioc,
                            "--all", "--format", "stix", status=1).stdout)
    assert bundle["type"] == "bundle"
    ids = {o["id"] for o in bundle["objects"]}
    sightings = [o for o in bundle["objects"] if o["type"] == "sighting"]
    assert len(sightings) == len(rows)
    assert all(s["sighting_of_ref"] in ids for s in sightings)
    assert sorted(s["count"] for s in sightings) == sorted(
        int(r[2]) for r in rows)
    assert all("x_noroshi_coverage" in s for s in sightings)


def test_status_nothing_seen(one, one_home, tmp_path):
    ioc = tmp_path / "none.tsv"
    ioc.write_text("domain\tnever-there.example\n")
    assert hunt(one_home, ioc, status=0) == []


def test_killed_at_any_moment(tmp_path):
    corpus = make_corpus(Folder(tmp_path), 11, "20M", "month")
    argv = [str(NOROSHI), "archive", "add", "--memory", "8M", "--tz", "+0900",
            "-r", str(corpus / "corp/logs"), "--home"]
    rng = random.Random(KILLS)
    killed = runs = 0
    start = time.monotonic()
    add(tmp_path / "h0", "-r", corpus / "corp/logs", more=["--memory", "8M"])
    whole = time.monotonic() - start
    assert len(list((tmp_path / "h0/archive").glob("*.seg"))) > 2
    while killed < KILLS:
        home = tmp_path / f"h{1 + runs}"
        runs += 1
        done = False
        while not done and killed < KILLS:
            p = subprocess.Popen(argv + [str(home)], env=ENV,
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            time.sleep(rng.random() * whole)
            done = p.poll() is not None
            p.send_signal(signal.SIGKILL)
            p.wait()
            killed += not done
            if home.joinpath("archive").is_dir():
                run(NOROSHI, "archive", "verify", "--home", home)
        add(home, "-r", corpus / "corp/logs")
        assert answers(home, corpus.ioc) == corpus.expected
        assert not list(home.glob("archive/*.tmp.*"))
        run(NOROSHI, "archive", "verify", "--home", home)
        shutil.rmtree(home)


def test_damaged_segment_is_named_and_skipped(one, tmp_path):
    logs = one.logs
    add(tmp_path, *logs[: len(logs) // 2])
    add(tmp_path, *logs[len(logs) // 2:])
    seg = sorted(tmp_path.glob("archive/*.seg"))[0]
    data = bytearray(seg.read_bytes())
    data[len(data) - 200] ^= 1  # its tail: known when it is opened
    seg.write_bytes(data)
    r = run(NOROSHI, "hunt", "--home", tmp_path, "-i", one.ioc, status=3)
    assert seg.name in r.stderr
    assert 0 < len(r.stdout.splitlines()) <= len(one.expected)
    r = run(NOROSHI, "archive", "verify", "--home", tmp_path, status=3)
    assert seg.name in r.stderr
    r = run(NOROSHI, "archive", "stat", "--home", tmp_path, status=3)
    assert "damaged\t1" in r.stdout
    seg.write_bytes(data[:1000])
    r = run(NOROSHI, "hunt", "--home", tmp_path, "-i", one.ioc, status=3)
    assert seg.name in r.stderr


def test_threads_answer_alike(one, tmp_path):
    """Twenty segments, one of them damaged: any number of threads."""
    home = tmp_path / "home"
    for i in range(0, len(one.logs), max(1, len(one.logs) // 20)):
        add(home, *one.logs[i:i + max(1, len(one.logs) // 20)])
    segments = sorted((home / "archive").glob("*.seg"))
    assert len(segments) >= 20
    whole = {(j, *more): hunt(home, one.ioc, "-j", j, *more)
             for j in (1, 2, 3, 7, 64) for more in ((), ("--lines",))}
    for key, rows in whole.items():
        assert rows and rows == whole[(1, *key[1:])], key
    at = segments[7]
    octets = bytearray(at.read_bytes())
    octets[300:40000:7] = bytes(255 - o for o in octets[300:40000:7])
    at.write_bytes(octets)
    for more in ((), ("--lines",)):
        hurt = [run(NOROSHI, "hunt", "--home", home, "-i", one.ioc, "-j", j,
                    *more, status=3) for j in (1, 2, 3, 7, 64)]
        assert at.name in hurt[0].stderr
        assert {r.stdout for r in hurt} == {hurt[0].stdout}
    r = run(NOROSHI, "hunt", "--home", home, "-i", one.ioc, "-j", 65, status=2)
    assert "--threads 65: at most 64" in r.stderr


def test_one_writer(one, one_home):
    with open(one_home / "archive/lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        r = add(one_home, one.logs[0], status=2)
        assert "held by another" in r.stderr
        assert hunt(one_home, one.ioc, status=1)  # readers do not wait


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_disk_full_loses_nothing(one, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", home],
                   check=True)
    try:
        small = [p for p in one.logs if p.parent.name == "sshd"]
        add(home, *small)
        before = answers(home, one.ioc)
        assert before
        r = add(home, "-r", one / "corp/logs", status=2)
        assert "No space left" in r.stderr
        assert answers(home, one.ioc) == before
        run(NOROSHI, "archive", "verify", "--home", home)
        subprocess.run(["mount", "-o", "remount,size=100m", home], check=True)
        add(home, "-r", one / "corp/logs")
        assert answers(home, one.ioc) == one.expected
    finally:
        subprocess.run(["umount", home], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="setpriv needs root")
def test_unreadable_file_is_named(tmp_path):
    os.chmod(tmp_path, 0o755)
    home, secret, open_ = (tmp_path / n for n in ("home", "secret.log", "o.log"))
    secret.write_text("1480000000.1 a evil.example\n")
    secret.chmod(0o600)
    open_.write_text("1480000000.1 b evil.example\n")
    home.mkdir()
    os.chown(home, 65534, 65534)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            os.chmod(parent, 0o755)
    r = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            NOROSHI, "archive", "add", "--home", home, secret, open_, status=3)
    assert "secret.log" in r.stderr and "Permission denied" in r.stderr
    assert " lines 1 " in r.stdout


def test_bad_input_is_named(one, one_home, tmp_path):
    r = add(tmp_path / "h", tmp_path / "none.log", status=3)
    assert "none.log" in r.stderr and "does not exist" in r.stderr
    r = add(tmp_path / "h", tmp_path, status=3)
    assert "directory" in r.stderr
    junk = tmp_path / "junk"
    junk.write_bytes(random.Random(1).randbytes(300000))
    r = add(tmp_path / "h", junk, status=3)
    assert "junk" in r.stderr
    half = tmp_path / "half.log.gz"
    data = gzip.compress(one.logs[0].read_bytes())
    half.write_bytes(data[: len(data) // 2])
    r = add(tmp_path / "h", half, status=3)
    assert "half.log.gz" in r.stderr
    assert " lines 0 " not in r.stdout  # what could be read is there
    half.write_bytes(data)
    r = add(tmp_path / "h", half)
    whole = one.logs[0].read_bytes().count(b"\n")
    st = run(NOROSHI, "archive", "stat", "--home", tmp_path / "h").stdout
    # The line in which the file was cut is taken again, whole.
    assert f"lines\t{whole}\n" in st or f"lines\t{whole + 1}\n" in st
    for argv in (["hunt"], ["hunt", "-i", one.ioc, "--format", "xml"],
                 ["hunt", "-i", tmp_path / "none.tsv"],
                 ["hunt", "-i", one.ioc, "--archive", tmp_path / "nowhere"],
                 ["archive"], ["archive", "burn"], ["archive", "prune"],
                 ["archive", "add", "--memory", "1k", one.logs[0]],
                 ["hunt", "--what"]):
        r = run(NOROSHI, *argv[:1], "--home", one_home, *argv[1:], status=2)
        assert r.stderr and not r.stdout.startswith("ipv4")


def test_strange_text_is_matched(tmp_path):
    log = tmp_path / "odd.log"
    log.write_bytes(b"\xef\xbb\xbf" + b"1970 evil1.example\r\n" +
                    b"a\0b evil2.example \0\n" + b"\xff\xfe evil3.example\n" +
                    b"2099-12-31T23:59:59Z evil4.example\n" +
                    b"x " * (11 << 20) + b"evil5.example\n" + b"evil6.example")
    wide = tmp_path / "wide.log"
    wide.write_bytes("\ufeffgo evil7.example\r\n".encode("utf-16-le"))
    ioc = tmp_path / "ioc.tsv"
    ioc.write_text("".join(f"domain\tevil{i}.example\n" for i in range(1, 9)))
    add(tmp_path / "h", log, wide)
    got = {r[1]: r[2] for r in hunt(tmp_path / "h", ioc, status=1)}
    assert got == {f"evil{i}.example": "1" for i in range(1, 8)}
    run(NOROSHI, "archive", "verify", "--home", tmp_path / "h")


def test_prune_says_what_it_loses(one, tmp_path):
    old = [p for p in one.logs if "-2016-" in p.name]
    new = [p for p in one.logs if "-2017-" in p.name]
    add(tmp_path, *old)
    add(tmp_path, *new)
    n = len(list(tmp_path.glob("archive/*.seg")))
    argv = [NOROSHI, "archive", "prune", "--home", tmp_path, "--before",
            "2017-01-02"]
    r = run(*argv, "--dry-run")
    assert "would drop 1 segments" in r.stdout and "unanswerable" in r.stdout
    assert len(list(tmp_path.glob("archive/*.seg"))) == n
    r = run(*argv)
    assert "dropped 1 segments" in r.stdout
    assert len(list(tmp_path.glob("archive/*.seg"))) == n - 1
    add(tmp_path / "new", *new)
    assert answers(tmp_path, one.ioc) == answers(tmp_path / "new", one.ioc)
