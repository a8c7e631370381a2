"""Merged dictionaries of many segments: hunts are faster, nothing else."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
MIX = "ipv4=5,cidr=4,ipv6=4,domain=6,url=4,md5=2,sha1=2,sha256=2,email=2"
SPAN = "2017-09-01..2017-12-31"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")
KILLS = int(os.environ.get("KILLS", "10"))


def run(*argv, status=0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       env=ENV, stdin=subprocess.DEVNULL)
    assert r.returncode == status, (argv, r.returncode, r.stdout[-2000:],
                                    r.stderr[-2000:])
    return r


def archive(home, *argv, status=0):
    return run(NOROSHI, "archive", argv[0], "--home", home, *argv[1:],
               status=status)


def compact(home, *more):
    """Runs only: segments this small would become one."""
    return archive(home, "compact", "--least", 64, *more)


def hunt(home, ioc, *more, status=1):
    return run(NOROSHI, "hunt", "--home", home, "-i", ioc, "--all", *more,
               status=status)


def runs(home):
    return sorted(p.name for p in home.glob("archive/*.run"))


def segments(home):
    return sorted(p.name for p in home.glob("archive/*.seg"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    d = tmp_path_factory.mktemp("corpus")
    run(GEN, "indicators", "--n", 2000, "--planted", 200, "--mix", MIX, "--out",
        d / "ioc.tsv", "--plant-out", d / "plant.tsv", "--span", SPAN)
    run(GEN, "logs", "--out", d, "--bytes", "3M", "--indicators",
        d / "ioc.tsv", "--plant", d / "plant.tsv", "--span", SPAN)
    return d


def add(home, files):
    for i in range(0, len(files), 2):
        archive(home, "add", *files[i:i + 2])


@pytest.fixture(scope="module")
def bare(corpus, tmp_path_factory):
    """An archive of twenty segments and more, without runs."""
    home = tmp_path_factory.mktemp("bare")
    files = sorted((corpus / "logs").rglob("*.*"))
    add(home, files[:-2])
    assert len(segments(home)) >= 18 and not runs(home)
    return home


@pytest.fixture
def box(bare, tmp_path):
    to = tmp_path / "home"
    subprocess.run(["cp", "-a", bare, to], check=True)
    return to


def test_the_same_answers(corpus, bare, box):
    ioc = corpus / "ioc.tsv"
    r = compact(box)
    assert f"indexed {len(segments(box))} segments in 1 runs" in r.stdout
    assert len(runs(box)) == 1
    for more in ((), ("--lines",), ("-j", 3), ("--format", "json"),
                 ("--detail", "-j", 1)):
        want, got = hunt(bare, ioc, *more), hunt(box, ioc, *more)
        assert got.stdout == want.stdout and got.stderr == want.stderr
    # What comes later is asked for itself.
    rest = sorted((corpus / "logs").rglob("*.*"))[-2:]
    other = box.parent / "other"
    subprocess.run(["cp", "-a", bare, other], check=True)
    for home in (box, other):
        archive(home, "add", *rest)
    assert runs(box) and not runs(other)
    want, got = hunt(other, ioc), hunt(box, ioc)
    assert got.stdout == want.stdout != hunt(bare, ioc).stdout
    assert "nothing" not in compact(box).stdout  # too few for another run
    assert len(runs(box)) == 1
    stat = archive(box, "stat").stdout.splitlines()
    assert "runs\t1" in stat


def test_merged_segments_leave_their_run(corpus, bare, box):
    compact(box)
    first = runs(box)
    r = archive(box, "compact", "--least", 2)  # now they become few
    assert " 0 segments into 0" not in r.stdout
    want, got = hunt(bare, corpus / "ioc.tsv"), hunt(box, corpus / "ioc.tsv")
    assert got.stdout == want.stdout
    assert runs(box) != first  # few of its segments are asked any more
    archive(box, "verify")


def test_what_is_dropped_is_in_no_run(corpus, bare, box):
    compact(box)
    assert runs(box)
    archive(box, "prune", "--before", "2017-11-01", "--yes")
    assert not runs(box)
    assert 0 < len(segments(box)) < len(segments(bare))
    want = hunt(box, corpus / "ioc.tsv").stdout
    compact(box)
    assert hunt(box, corpus / "ioc.tsv").stdout == want


@pytest.mark.parametrize("at", [10, 28, 40, 700, -700, -100, -60, -20, -1])
def test_damage_costs_no_answer(corpus, bare, box, at):
    compact(box)
    name = box / "archive" / runs(box)[0]
    octets = bytearray(name.read_bytes())
    octets[at] ^= 16
    name.write_bytes(octets)
    want, got = hunt(bare, corpus / "ioc.tsv"), hunt(box, corpus / "ioc.tsv")
    assert got.stdout == want.stdout
    r = archive(box, "verify", status=3)
    assert name.name in r.stdout + r.stderr
    assert "runs 1 damaged 1" in r.stdout
    archive(box, "repair", "--all")
    assert not runs(box)
    archive(box, "verify")
    compact(box)
    assert runs(box)
    assert hunt(box, corpus / "ioc.tsv").stdout == want.stdout


def test_cut_and_foreign(corpus, bare, box):
    compact(box)
    name = box / "archive" / runs(box)[0]
    whole = name.read_bytes()
    want = hunt(bare, corpus / "ioc.tsv").stdout
    for octets in (b"", whole[:31], whole[:-1], whole + b"x", whole[:5000],
                   (box / "archive" / segments(box)[0]).read_bytes()):
        name.write_bytes(octets)
        r = hunt(box, corpus / "ioc.tsv")
        assert r.stdout == want
        assert name.name in r.stderr
    # which writes, and so clears it away
    r = archive(box, "compact", "--least", 64, status=3)
    assert name.name in r.stderr
    assert len(runs(box)) == 1
    archive(box, "verify")


def test_killed_while_it_is_written(corpus, bare, tmp_path):
    rnd = random.Random(3)
    want = hunt(bare, corpus / "ioc.tsv").stdout
    home, killed, turns = None, 0, 0
    start = time.monotonic()
    home = tmp_path / "whole"
    subprocess.run(["cp", "-a", bare, home], check=True)
    compact(home)
    whole = time.monotonic() - start
    home = None
    while killed < KILLS:
        turns += 1
        assert turns < 100 + 20 * KILLS
        if home is None:
            home = tmp_path / f"h{turns}"
            subprocess.run(["cp", "-a", bare, home], check=True)
        p = subprocess.Popen([NOROSHI, "archive", "compact", "--home", home,
                              "--least", "64"], stdout=subprocess.DEVNULL,
                             env=ENV)
        time.sleep(rnd.random() * whole)
        p.send_signal(signal.SIGKILL)
        p.wait()
        killed += p.returncode == -signal.SIGKILL
        assert hunt(home, corpus / "ioc.tsv").stdout == want
        if p.returncode == 0 or runs(home):
            archive(home, "verify")
            shutil.rmtree(home)
            home = None


def test_levels(corpus, tmp_path):
    """Eight runs of a level become one; no segment is in two for long."""
    home = tmp_path / "home"
    log = "\n".join(f"2018-01-01T00:{i // 60:02d}:{i % 60:02d}Z h sshd[1]: "
                    "Failed password for root from 192.0.2.{} port 22 ssh2"
                    for i in range(20))
    made = []
    for i in range(40):
        f = tmp_path / f"l{i}.log"
        f.write_text(log.replace("{}", str(i + 1)) + "\n")
        archive(home, "add", f)
        if i % 2:
            compact(home)
            made.append(len(runs(home)))
    assert made[6] == 0 and made[7] == 1  # sixteen are worth one
    assert max(made) <= 8
    archive(home, "verify")
    ioc = tmp_path / "ioc.tsv"
    ioc.write_text("".join(f"ip\t192.0.2.{i + 1}\n" for i in range(41)))
    rows = [r.split("\t") for r in hunt(home, ioc).stdout.splitlines()]
    assert [r[2] for r in rows] == ["20"] * 40 + ["0"]
