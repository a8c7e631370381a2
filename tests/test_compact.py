"""Small segments become few: nothing that is asked changes by it."""

import json
import os
import shutil
import pathlib
import random
import signal
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
DAY0, DAY1, DAY2 = "2018-01-05", "2018-01-06", "2018-01-07T01:00:00Z"


def run(*argv, status=0, now=DAY0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       env=dict(os.environ, NOROSHI_NOW=now),
                       stdin=subprocess.DEVNULL)
    assert r.returncode == status, (argv, r.returncode, r.stdout[-2000:],
                                    r.stderr[-2000:])
    return r


def archive(home, *argv, **more):
    return run(NOROSHI, "archive", argv[0], "--home", home, *argv[1:], **more)


def segments(home):
    return sorted(p.name for p in home.glob("archive/*.seg"))


def answers(home, ioc, now=DAY2):
    """All that a hunt says but the sums of blocks, which are other blocks."""
    r = run(NOROSHI, "hunt", "--home", home, "-i", ioc, "--all", "--lines",
            "--format", "json", status=1, now=now)
    out = []
    for line in r.stdout.splitlines():
        row = json.loads(line)
        row.pop("block", None)
        out.append(row)
    assert len(out) > 100
    return sorted(out, key=lambda x: json.dumps(x, sort_keys=True))


def stat(home):
    """What the archive holds, without how it is stored."""
    r = archive(home, "stat", now=DAY2)
    return [x for x in r.stdout.splitlines()
            if x.split()[0] in ("lines", "text", "first", "last")]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    d = tmp_path_factory.mktemp("corpus")
    run(GEN, "indicators", "--n", 500, "--planted", 120, "--out",
        d / "ioc.tsv", "--plant-out", d / "plant.tsv", "--span",
        "2017-09-01..2017-12-31")
    run(GEN, "logs", "--out", d, "--bytes", "3M", "--indicators",
        d / "ioc.tsv", "--plant", d / "plant.tsv", "--span",
        "2017-09-01..2017-12-31")
    return d


def grown(corpus, home, rounds, seed):
    """Logs that grow round by round, cut anywhere, each round an add."""
    rnd = random.Random(seed)
    files = sorted((corpus / "logs").rglob("*.*"))
    data = {f: f.read_bytes() for f in files}
    cuts = {f: sorted(rnd.randrange(len(data[f]) + 1)
                      for _ in range(rounds - 1)) + [len(data[f])]
            for f in files}
    for i in range(rounds):
        for f in files:
            to = home / "logs" / f.name
            to.parent.mkdir(parents=True, exist_ok=True)
            at = cuts[f][i - 1] if i else 0
            with open(to, "ab") as out:
                out.write(data[f][at:cuts[f][i]])
        names = sorted((home / "logs").iterdir())
        more = ["--growing"] if rnd.random() < 0.5 and i + 1 < rounds else []
        archive(home, "add", *more, *names)


@pytest.fixture(scope="module")
def many(corpus, tmp_path_factory):
    home = tmp_path_factory.mktemp("many")
    grown(corpus, home, 24, 1)
    assert len(segments(home)) >= 24
    return home


def copy(many, to):
    subprocess.run(["cp", "-a", many, to], check=True)
    return to


def test_the_same_answers(corpus, many, tmp_path):
    home = copy(many, tmp_path / "h")
    ioc = corpus / "ioc.tsv"
    before, held = answers(home, ioc), stat(home)
    old = set(segments(home))
    r = archive(home, "compact", "--dry-run")
    assert "would merge" in r.stdout and set(segments(home)) == old
    r = archive(home, "compact", "--least", 2, now=DAY1)
    assert r.stdout.startswith("merged\t")
    assert set(segments(home)) > old  # replaced ones stay a day
    assert answers(home, ioc) == before and stat(home) == held
    archive(home, "verify")
    archive(home, "compact", "--least", 2, now=DAY2)
    assert len(set(segments(home)) & old) <= 1  # none to be merged with
    assert answers(home, ioc) == before and stat(home) == held
    archive(home, "verify")
    # blocks are full again, and stored in less
    assert len(segments(home)) < 6
    size = sum((home / "archive" / s).stat().st_size for s in segments(home))
    was = sum((many / "archive" / s).stat().st_size for s in old)
    assert size < was * 0.8
    # files are known again: nothing comes twice, what is new goes on
    names = sorted((home / "logs").iterdir())
    r = archive(home, "add", *names, now=DAY2)
    assert answers(home, ioc) == before
    name = next(n for n in names if n.name.startswith("squid"))
    with open(name, "a") as f:
        f.write("1514764800.000 1 10.0.0.1 TCP_MISS/200 1 GET "
                "http://new.example/ - H - t\n")
    archive(home, "add", name, now=DAY2)
    assert len(stat(home)) and stat(home) != held


def test_coverage_is_the_same(many, tmp_path):
    home = copy(many, tmp_path / "h")
    before = archive(home, "coverage", "--json", now=DAY2).stdout
    archive(home, "compact", "--least", 2)
    assert archive(home, "coverage", "--json", now=DAY2).stdout == before


def test_memory_bounds_a_merge(corpus, many, tmp_path):
    home = copy(many, tmp_path / "h")
    archive(home, "compact", "--least", 2, "--memory", 8000000)
    few = len(segments(home))
    assert answers(home, corpus / "ioc.tsv") == answers(many,
                                                        corpus / "ioc.tsv")
    r = archive(home, "compact", "--memory", 1, status=2)
    assert "memory" in r.stderr and len(segments(home)) == few


KILLS = int(os.environ.get("KILLS", "20"))


def test_killed_at_any_moment(corpus, many, tmp_path):
    """Old segments or the new one: exact, and nothing twice. A run that got
    through is no kill: it is begun again on a fresh copy."""
    rnd = random.Random(7)
    before = answers(many, corpus / "ioc.tsv")
    start = time.monotonic()
    archive(copy(many, tmp_path / "whole"), "compact", "--least", 2)
    whole = time.monotonic() - start
    home, killed, torn, runs = None, 0, 0, 0
    while killed < KILLS:
        if home is None:
            runs += 1
            assert runs < 50 + KILLS * 5
            home = copy(many, tmp_path / f"h{runs}")
        p = subprocess.Popen([NOROSHI, "archive", "compact", "--home", home,
                              "--least", "2"], stdout=subprocess.DEVNULL,
                             env=dict(os.environ,
                                      NOROSHI_NOW=rnd.choice([DAY1, DAY2])))
        time.sleep(rnd.random() * whole)
        p.send_signal(signal.SIGKILL)
        p.wait()
        killed += p.returncode == -signal.SIGKILL
        torn += any(home.glob("archive/*.tmp.*"))
        assert answers(home, corpus / "ioc.tsv") == before
        if p.returncode == 0:
            shutil.rmtree(home)
            home = None
    assert torn > 0  # some of them met it while it wrote
    home = home or copy(many, tmp_path / "last")
    for now in (DAY2, "2018-01-09"):
        archive(home, "compact", "--least", 2, now=now)
    assert answers(home, corpus / "ioc.tsv") == before
    assert not list(home.glob("archive/*.tmp.*"))
    archive(home, "verify")


def test_holds_and_retention(many, tmp_path):
    """What is held is not merged with what is not; a prune of what was
    merged does not bring back what it replaced."""
    home = copy(many, tmp_path / "h")
    archive(home, "hold", "add", "case", "2017-09-01", "2017-09-10")
    archive(home, "compact", "--least", 2, "--span", 400)
    archive(home, "prune", "--before", "2017-10-20", "--dry-run")
    archive(home, "hold", "rm", "case")
    r = archive(home, "prune", "--before", "2018-02-01", "--yes")
    assert "dropped" in r.stdout
    assert segments(home) == []
    assert stat(home)[0].split()[1] == "0"


def test_repair_of_merged_and_replaced(corpus, many, tmp_path):
    home = copy(many, tmp_path / "h")
    old = segments(home)
    archive(home, "compact", "--least", 2)
    # a replaced one that is damaged is nobody's loss
    p = home / "archive" / old[0]
    b = bytearray(p.read_bytes())
    b[len(b) // 2] ^= 1
    p.write_bytes(b)
    archive(home, "verify")
    new = sorted(set(segments(home)) - set(old))[-1]
    p = home / "archive" / new
    b = bytearray(p.read_bytes())
    b[60] ^= 1
    p.write_bytes(b)
    archive(home, "verify", status=3)
    lines = int(stat(home)[0].split()[1])
    archive(home, "repair", new, status=3)
    archive(home, "verify")
    # mended, it still stands in for what it replaced
    assert int(stat(home)[0].split()[1]) <= lines


def test_nothing_to_do(many, tmp_path):
    home = copy(many, tmp_path / "h")
    archive(home, "compact", "--least", 2)
    archive(home, "compact", "--least", 2)
    r = archive(home, "compact", "--least", 2)
    assert "merged 0 segments into 0" in r.stdout
    r = archive(home, "compact", "--least", 1, status=2)
    assert "2 to 64" in r.stderr
    archive(tmp_path / "none", "compact", status=2)


MB = 1000 * 1000
BESIDE = 32 * MB  # NR_ARCHIVE_MEMORY_BESIDE


def resident(*argv):
    """Octets that a run kept in memory at most. A child begins with what its
    parent had: a small one starts it."""
    code = ("import os, sys\n"
            "p = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[2:])\n"
            "_, status, used = os.wait4(p, 0)\n"
            "print(status, used.ru_maxrss * 1024, file=sys.stderr)\n")
    r = run("/usr/bin/python3", "-SIc", code, NOROSHI, *argv)
    status, used = r.stderr.splitlines()[-1].split()
    assert status == "0"
    return int(used)


@pytest.mark.skipif(b"__asan_init" in NOROSHI.read_bytes(),
                    reason="a sanitizer takes memory of its own")
def test_memory_is_bounded(tmp_path):
    """Logs of many times the memory are added and merged within it."""
    run(GEN, "logs", "--out", tmp_path, "--bytes", "80M", "--span",
        "2017-09-01..2017-12-31")
    home = tmp_path / "h"
    used = resident("noroshi", "archive", "add", "--home", home, "--memory",
                    8 * MB, "-r", tmp_path / "logs")
    assert used < 8 * MB + BESIDE * 1.25
    n = len(segments(home))
    assert n > 8
    used = resident("noroshi", "archive", "compact", "--home", home,
                    "--memory", 24 * MB, "--least", 2)
    assert len(segments(home)) > n and used < 24 * MB + BESIDE * 1.25


@pytest.mark.skipif(os.geteuid() != 0, reason="mount needs root")
def test_disk_full_loses_nothing(corpus, many, tmp_path):
    home = tmp_path / "h"
    home.mkdir()
    size = sum(f.stat().st_size for f in many.glob("archive/*")) // 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + 300}k",
                    "tmpfs", home], check=True)
    try:
        shutil.copytree(many / "archive", home / "archive")
        before = answers(home, corpus / "ioc.tsv")
        r = archive(home, "compact", "--least", 2, status=2)
        assert "No space left" in r.stderr
        assert answers(home, corpus / "ioc.tsv") == before
        archive(home, "verify")
        subprocess.run(["mount", "-o", "remount,size=100m", home], check=True)
        archive(home, "compact", "--least", 2)
        assert answers(home, corpus / "ioc.tsv") == before
    finally:
        subprocess.run(["umount", home], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mount needs root")
def test_read_only(corpus, many, tmp_path):
    """What may not be written is said; it can still be asked."""
    home = copy(many, tmp_path / "h")
    subprocess.run(["mount", "--bind", "-o", "ro", home, home], check=True)
    try:
        for argv in (["compact"], ["prune", "--keep-days", "1", "--yes"],
                     ["add", corpus / "ioc.tsv"]):
            r = archive(home, *argv, status=2)
            assert "Read-only file system" in r.stderr
        archive(home, "compact", "--dry-run")
        answers(home, corpus / "ioc.tsv")
        archive(home, "verify")
    finally:
        subprocess.run(["umount", home], check=True)
