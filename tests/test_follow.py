"""noroshi watch -f --state over rotation and kills: each line exactly once."""

import gzip
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
KILLS = int(os.environ.get("KILLS", "16"))  # rounds of one test


def start(d, **kw):
    return subprocess.Popen([
        NOROSHI, "watch", "--warninglists", "none", "-i", d / "list", "-f",
        "--state", d / "state", "--output-file", d / "out", d / "app.log"],
        **kw)


def wait_ready(p):
    """Until SIGTERM waits to be asked for: before, it just kills."""
    deadline = time.monotonic() + 60
    while True:
        words = dict(line.split(":", 1) for line in pathlib.Path(
            f"/proc/{p.pid}/status").read_text().splitlines())
        if int(words["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline and p.poll() is None
        time.sleep(0.01)


def shift(d):
    for k in range(KILLS, 0, -1):
        for end in ("", ".gz"):
            old = d / f"app.log.{k}{end}"
            if old.exists():
                old.rename(d / f"app.log.{k + 1}{end}")


@pytest.mark.parametrize("seed", [1, 2])
def test_rotation_and_kills(seed, tmp_path):
    r = random.Random(seed)
    log, first = tmp_path / "app.log", tmp_path / "app.log.1"
    (tmp_path / "list").write_text("domain\tevil.com\n")
    log.write_bytes(b"")
    n = 0

    def write(count):
        nonlocal n
        with log.open("ab") as f:
            for _ in range(count):
                n += 1
                f.write(b"line %d n%d.evil.com\n" % (n, n))

    p = start(tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "state").exists():  # before, nothing is known
            assert time.monotonic() < deadline and p.poll() is None
            time.sleep(0.02)
        for _ in range(KILLS):
            write(r.randint(1, 2000))
            what = r.choice(["rename", "copy", "kill", "behind", "packed"])
            time.sleep(r.random() * 0.1)
            if what in ("kill", "behind", "packed"):
                p.kill()
                p.wait()
            if what == "behind":
                write(500)
            if what in ("rename", "packed", "copy"):
                shift(tmp_path)
            if what in ("rename", "packed"):
                log.rename(first)
                log.write_bytes(b"")
            if what == "copy":
                first.write_bytes(log.read_bytes())
                os.truncate(log, 0)
            if what == "packed":
                (tmp_path / "app.log.1.gz").write_bytes(
                    gzip.compress(first.read_bytes()))
                first.unlink()
                write(200)
            if p.poll() is not None:
                p = start(tmp_path)
        last = b"%d\t" % n
        deadline = time.monotonic() + 60
        while not any(row.startswith(last) for row in
                      (tmp_path / "out").read_bytes().splitlines()):
            assert time.monotonic() < deadline and p.poll() is None
            time.sleep(0.05)
        wait_ready(p)  # the last row may be that of the one before it
        p.terminate()
        assert p.wait(60) == 1
    finally:
        p.kill()
    rows = [row.split(b"\t") for row in
            (tmp_path / "out").read_bytes().splitlines()]
    assert [row[3] for row in rows] == \
        [b"n%d.evil.com" % i for i in range(1, n + 1)]
    assert [int(row[0]) for row in rows] == list(range(1, n + 1))
    assert len({row[8] for row in rows}) == n


@pytest.mark.parametrize("killed", [False, True])
def test_packing_under_way(killed, tmp_path):
    """log.1.gz grows beside log.1: nothing of it is read, nor told of."""
    log, first = tmp_path / "app.log", tmp_path / "app.log.1"
    (tmp_path / "list").write_text("domain\tevil.com\n")
    lines = [b"line %d %x n%d.evil.com\n" % (i, i * i * 7919, i)
             for i in range(20000)]
    log.write_bytes(b"".join(lines[:-2]))
    err = (tmp_path / "err").open("wb")
    p = start(tmp_path, stderr=err)

    def seen(name):
        deadline = time.monotonic() + 60
        out = tmp_path / "out"
        while not (out.exists() and name in out.read_bytes()):
            assert time.monotonic() < deadline and p.poll() is None
            time.sleep(0.02)

    try:
        seen(b"\tn19997.evil.com\t")
        if killed:
            p.kill()
            p.wait()
        log.rename(first)
        packed = gzip.compress(first.read_bytes())
        first_packed = tmp_path / "app.log.1.gz"
        first_packed.write_bytes(packed[:len(packed) // 2])
        log.write_bytes(lines[-2])
        if killed:
            p = start(tmp_path, stderr=err)
        seen(b"\tn19998.evil.com\t")
        with first_packed.open("ab") as f:
            f.write(packed[len(packed) // 2:])
        first.unlink()
        with log.open("ab") as f:
            f.write(lines[-1])
        seen(b"\tn19999.evil.com\t")
        p.terminate()
        assert p.wait(60) == 1
    finally:
        p.kill()
        err.close()
    rows = (tmp_path / "out").read_bytes().splitlines()
    assert [row.split(b"\t")[3] for row in rows] == \
        [b"n%d.evil.com" % i for i in range(20000)]
    assert (tmp_path / "err").read_bytes() == b""


def test_the_same_banner_again(tmp_path):
    """Cut short in place, every log begins with the same 5000 octets."""
    log = tmp_path / "app.log"
    banner = b"all of our logs begin with this\n" * 160
    (tmp_path / "list").write_text("domain\tevil.com\n")
    log.write_bytes(b"")
    p = start(tmp_path)
    try:
        for turn in range(4):
            with log.open("ab") as f:
                f.write(banner + b"x\n" * (20000 >> turn)
                        + b"n%d.evil.com\n" % turn)
            deadline = time.monotonic() + 60
            out = tmp_path / "out"
            while not (out.exists() and b"n%d.ev" % turn in out.read_bytes()):
                assert time.monotonic() < deadline and p.poll() is None
                time.sleep(0.02)
            os.truncate(log, 0)
        p.terminate()
        assert p.wait(60) == 1
    finally:
        p.kill()
    rows = (tmp_path / "out").read_bytes().splitlines()
    assert len(rows) == 4
