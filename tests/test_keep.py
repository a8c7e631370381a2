"""Retention and holds: what goes is said first, what is held stays."""

import calendar
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")


def run(*argv, status=0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       env=ENV, stdin=subprocess.DEVNULL)
    assert r.returncode == status, (argv, r.returncode, r.stdout, r.stderr)
    return r


def archive(home, *argv, status=0):
    return run(NOROSHI, "archive", argv[0], "--home", home, *argv[1:],
               status=status)


def proxy(month):
    t = calendar.timegm((2017, month, 1, 12, 0, 0))
    return "".join(
        f"{t + day * 86400}.100 10 10.0.0.5 TCP_MISS/200 99 GET "
        f"http://host{month}.example/ - H - t\n" for day in range(28))


def sshd(month):
    name = calendar.month_abbr[month]
    return "".join(
        f"{name} {day:2d} 12:00:00 gw sshd[7]: Failed password for root from "
        f"192.0.2.{month} port 22 ssh2\n" for day in range(1, 29))


@pytest.fixture
def home(tmp_path):
    """Three months of proxy logs and three of sshd, six segments."""
    for month in (1, 2, 3):
        (tmp_path / f"access-2017-{month:02}.log").write_text(proxy(month))
        (tmp_path / f"auth-2017-{month:02}.log").write_text(sshd(month))
    for f in sorted(tmp_path.glob("*.log")):
        archive(tmp_path, "add", f)
    assert len(segments(tmp_path)) == 6
    return tmp_path


def segments(home):
    return sorted(p.name for p in home.glob("archive/*.seg"))


def rows(r, word):
    return [x.split("\t")[1:] for x in r.stdout.splitlines()
            if x.split("\t")[0] == word]


def test_age(home):
    r = archive(home, "prune", "--before", "2017-02-01", "--dry-run")
    assert len(rows(r, "drop")) == 2 and "would drop 2 segments" in r.stdout
    lost = {(x[0], x[1], x[2]) for x in rows(r, "unanswerable")}
    assert ("proxy", "2017-01-01", "2017-01-28") in lost
    assert ("auth", "2017-01-01", "2017-01-28") in lost
    assert len(segments(home)) == 6
    again = archive(home, "prune", "--before", "2017-02-01")
    assert rows(again, "drop") == rows(r, "drop")
    assert len(segments(home)) == 4
    archive(home, "verify")
    r = archive(home, "prune", "--before", "2017-02-01")
    assert "dropped 0 segments" in r.stdout


def test_kind(home):
    """A kind's own time; the kinds that have none stay."""
    r = archive(home, "prune", "--keep-kind", "auth=1", "--dry-run")
    assert len(rows(r, "drop")) == 3
    assert {x[4] for x in rows(r, "drop")} == {"auth"}
    assert {x[0] for x in rows(r, "unanswerable")} == {"auth"}
    r = archive(home, "prune", "--keep-days", "1", "--keep-kind", "auth=3000",
                "-n")
    assert not [x for x in rows(r, "drop") if "auth" in x[4]]
    assert len(rows(r, "drop")) == 3


def test_size(home):
    sizes = {p.name: p.stat().st_size for p in home.glob("archive/*.seg")}
    limit = sum(sizes.values()) - 1
    r = archive(home, "prune", "--keep-size", limit)
    (gone,) = rows(r, "drop")
    assert gone[1] == "2017-01-01" and gone[5] == "size"
    assert sum(sizes[n] for n in segments(home)) <= limit


def test_hold(home):
    archive(home, "hold", "add", "apt", "2017-01-28", "2017-02-01",
            "--reason", "case 7")
    r = archive(home, "hold", "ls")
    assert r.stdout.split("\t")[:3] == ["apt", "2017-01-28", "2017-02-01"]
    assert r.stdout.endswith("\tcase 7\n")
    assert "taken" in archive(home, "hold", "add", "apt", "2017-01-01",
                              "2017-01-01", status=2).stderr
    r = archive(home, "prune", "--keep-days", "1")
    assert len(rows(r, "drop")) == 2  # March
    assert {x[5] for x in rows(r, "held") if len(x) > 1} == {"apt"}
    assert len(segments(home)) == 4
    r = archive(home, "prune", "--keep-size", "1")
    assert "dropped 0 segments" in r.stdout and rows(r, "over")
    archive(home, "hold", "rm", "apt")
    archive(home, "hold", "rm", "apt", status=2)
    r = archive(home, "prune", "--keep-days", "1")
    assert "dropped 4 segments" in r.stdout and segments(home) == []


def test_damaged_holds_keep_all(home):
    archive(home, "hold", "add", "a", "2016-01-01", "2016-01-02")
    path = home / "archive/holds"
    good = path.read_bytes()
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1
        path.write_bytes(bad)
        if at % 7 == 0:
            r = archive(home, "prune", "--keep-days", "1", status=2)
            assert "holds" in r.stderr
    path.write_bytes(good[:-5])
    archive(home, "hold", "add", "b", "2016-01-01", "2016-01-02", status=2)
    archive(home, "prune", "--keep-days", "1", status=2)
    assert len(segments(home)) == 6


def test_windows(home):
    ioc = home / "ioc.csv"
    ioc.write_text("type,value,first_seen,last_seen\n"
                   "domain,host1.example,2017-01-01,2017-01-28\n"
                   "domain,host3.example,2017-06-01,2017-06-28\n")
    r = archive(home, "prune", "--before", "2017-03-01", "-i", ioc, "-n")
    (w,) = rows(r, "window")
    assert w[1] == "host1.example" and float(w[4]) > 0.3
    assert float(w[5]) == 0 and w[6] == "cannot-say"
    assert rows(r, "windows") == [["1 of 2 lose days, 1 become cannot-say"]]


@pytest.mark.parametrize("argv", [
    ["prune"], ["prune", "--keep-kind", "dns"], ["prune", "--keep-kind", "x=1"],
    ["prune", "--keep-kind", "dns=0"],
    ["prune", "--before", "2017-01-01", "--keep-days", "3"],
    ["hold"], ["hold", "add", "x"], ["hold", "add", "x", "soon", "2017-01-01"],
    ["hold", "add", "x y", "2017-01-01", "2017-01-02"],
    ["hold", "add", "x", "2017-01-02", "2017-01-01"], ["hold", "rm", "x"]])
def test_refused(home, argv):
    assert archive(home, *argv, status=2).stderr
    assert len(segments(home)) == 6


def test_terminal_needs_yes(home):
    argv = [str(NOROSHI), "archive", "prune", "--home", str(home),
            "--keep-days", "1"]
    master, slave = os.openpty()
    try:
        r = subprocess.run(argv, stdin=slave, capture_output=True, text=True,
                           env=ENV)
        assert r.returncode == 2 and "--yes" in r.stderr
        assert len(rows(r, "drop")) == 6 and len(segments(home)) == 6
        r = subprocess.run(argv + ["--yes"], stdin=slave, env=ENV,
                           capture_output=True, text=True)
        assert r.returncode == 0 and segments(home) == []
    finally:
        os.close(master)
        os.close(slave)


def test_configured(home):
    """prune without options does what the home says; --archive knows none."""
    (home / "config").write_text("keep.auth = 1\n")
    r = archive(home, "prune", "-n")
    assert {x[4] for x in rows(r, "drop")} == {"auth"}
    (home / "config").write_text("keep = 1\nkeep.auth = 3000\n")
    r = archive(home, "prune", "-n")
    assert len(rows(r, "drop")) == 3
    assert not [x for x in rows(r, "drop") if "auth" in x[4]]
    run(NOROSHI, "archive", "prune", "--archive", home / "archive", status=2)
    (home / "config").write_text("keep-size = 1\n")
    assert "dropped 0 segments" in archive(home, "prune").stdout
    for bad in ("keep = 0", "keep.dnss = 3", "keep-size = much", "keep. = 3"):
        (home / "config").write_text(bad + "\n")
        assert "keep" in archive(home, "prune", status=2).stderr
    assert len(segments(home)) == 6


def lines_of(home):
    r = archive(home, "stat")
    return next(int(x.split()[1]) for x in r.stdout.splitlines()
                if x.split()[0] == "lines")


def test_dropped_logs_do_not_come_back(home):
    """Logs that are still there are known after a prune; one that grew goes
    on where it ended, a copy is known by its content."""
    logs = sorted(home.glob("*.log"))
    before = lines_of(home)
    archive(home, "prune", "--before", "2017-03-01")
    left = lines_of(home)
    assert left < before
    archive(home, "add", *logs)
    assert lines_of(home) == left
    copy = home / "copy.log"
    copy.write_text(proxy(1))
    archive(home, "add", copy)
    assert lines_of(home) == left
    with open(home / "access-2017-01.log", "a") as f:
        f.write("1515100000.100 10 10.0.0.5 TCP_MISS/200 99 GET "
                "http://new.example/ - H - t\n")
    archive(home, "add", *logs)
    assert lines_of(home) == left + 1
    # again, and of all: the list of what was dropped grows with it
    archive(home, "prune", "--before", "2018-02-01")
    assert lines_of(home) == 0
    archive(home, "add", *logs, copy)
    assert lines_of(home) == 0
    archive(home, "verify")


def test_damaged_list_of_dropped(home):
    archive(home, "prune", "--before", "2017-02-01")
    path = home / "archive/dropped"
    octets = bytearray(path.read_bytes())
    octets[40] ^= 1
    path.write_bytes(octets)
    r = archive(home, "add", *sorted(home.glob("*.log")), status=3)
    assert "dropped is damaged" in r.stderr
    r = archive(home, "prune", "--before", "2017-03-01", status=2)
    assert "dropped is damaged" in r.stderr
