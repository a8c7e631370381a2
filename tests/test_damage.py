"""Each class of octets of a segment flipped or cut: found, named, the rest
answers, what can be rebuilt is, and the exit status says what was lost."""

import calendar
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")
NAMES = ["info", "files", "blocks", "presence", "dir4", "dir6", "dirN",
         "entries", "rhythm"]


def run(*argv, status=0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       errors="replace", env=ENV, stdin=subprocess.DEVNULL)
    assert status is None or r.returncode == status, (
        argv, r.returncode, r.stdout[-2000:], r.stderr[-2000:])
    return r


def archive(home, *argv, status=0):
    return run(NOROSHI, "archive", argv[0], "--home", home, *argv[1:],
               status=status)


def hunt(home, *more):
    r = run(NOROSHI, "hunt", "--home", home, "-i", home / "ioc.tsv", *more,
            status=None)
    assert r.returncode in (0, 1, 3), (r.returncode, r.stderr)
    rows = r.stdout.splitlines()
    if "--lines" in more:
        rows = [x[5:] for x in rows if x.startswith("line\t")]
    return r.returncode, sorted(rows)


def proxy(year, n):
    """Local times without a zone, so that a repair has to find the zone."""
    t = calendar.timegm((year, 2, 1, 0, 0, 0))
    return "".join(
        f"{t + i * 600}.100 10 10.0.{i % 250}.5 TCP_MISS/200 99 GET "
        f"http://host{i}.y{year}.example/path?q={i * 7919 % 10007} - H - t\n"
        for i in range(n))


def syslog(n):
    return "".join(
        f"Mar {1 + i // 200:2d} {i % 24:02}:00:{i % 60:02} gw sshd[{i}]: "
        f"Failed password for root from 198.51.{i // 250}.{i % 250} port "
        f"{i * 31 % 60000} ssh2\n" for i in range(n))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two segments: 2016, and 2017 with two files and many blocks."""
    home = tmp_path_factory.mktemp("whole")
    (home / "access-2016.log").write_text(proxy(2016, 400))
    (home / "access-2017.log").write_text(proxy(2017, 4000))
    (home / "auth-2017-03-01.log").write_text(syslog(1500))
    archive(home, "add", "--tz", "+0900", home / "access-2016.log")
    archive(home, "add", "--tz", "+0900", home / "access-2017.log",
            home / "auth-2017-03-01.log")
    (home / "ioc.tsv").write_text(
        "domain\ty2016.example\ndomain\ty2017.example\n"
        "domain\thost7.y2016.example\ndomain\thost3999.y2017.example\n"
        "ipv4\t198.51.2.7\nipv4\t10.0.3.5\n")
    segs = sorted(home.glob("archive/*.seg"))
    assert len(segs) == 2
    return home


@pytest.fixture
def box(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path, tmp_path / "archive/0000000000000002.seg"


def layout(data):
    index_at, sums_at, table_at = struct.unpack_from("<QQQ", data,
                                                     len(data) - 48)
    parts = {"header": (0, 32), "block": (32, index_at),
             "sums": (sums_at, table_at), "table": (table_at, len(data) - 64),
             "trailer": (len(data) - 64, len(data))}
    for i in range(len(NAMES)):
        _, at, octets, _ = struct.unpack_from("<QQQQ", data,
                                              table_at + 32 * i)
        if octets:
            parts[NAMES[i]] = (at, at + octets)
    return parts


PARTS = ["header", "block", *[n for n in NAMES if "6" not in n], "sums",
         "table", "trailer"]


def damages(r):
    return [x.split("\t")[1:] for x in r.stdout.splitlines()
            if x.startswith("damage\t")]


def unnamed(rows):
    return sorted("\t".join(x.split("\t")[:2] + x.split("\t")[3:])
                  for x in rows)


def repaired_equals(home, before, lost=False, names=True):
    r = archive(home, "repair", "--all", status=3 if lost else 0)
    archive(home, "verify")
    code, after = hunt(home, "--lines")
    assert code == 1
    if lost:
        assert set(after) <= set(before[1])
    elif names:
        assert after == before[1], r.stdout
    else:  # they lie on the damaged page, nothing else proves them
        assert "are as found" in r.stdout
        assert unnamed(after) == unnamed(before[1])
    return r


@pytest.mark.parametrize("where", [0.0, 0.37, 0.999])
@pytest.mark.parametrize("part", PARTS)
def test_flip(whole, box, part, where):
    home, seg = box
    before, count = hunt(home, "--lines"), hunt(home)
    data = bytearray(seg.read_bytes())
    at, end = layout(data)[part]
    data[at + int((end - at) * where)] ^= 0x10
    seg.write_bytes(data)
    r = archive(home, "verify", status=3)
    assert {x[0] for x in damages(r)} == {seg.name}
    names = {x[1] for x in damages(r)}
    sections = {s for x in damages(r) for s in x[4].split(",")}
    assert part in names | sections, damages(r)
    assert "segments 2 damaged 1" in r.stdout
    # The other segment answers; never a line that is not there.
    code, lines = hunt(home, "--lines")
    assert set(lines) <= set(before[1])
    assert {x for x in before[1] if "y2016" in x} <= set(lines)
    code, rows = hunt(home)
    assert code == 3 or rows == count[1]
    r = repaired_equals(home, before, lost=part == "block",
                        names=part != "files")
    if part == "block":
        assert "lost: blocks 1 " in r.stdout
    assert (home / f"archive/{seg.name}.damaged").read_bytes() == bytes(data)


@pytest.mark.parametrize("cut", [5, 31, 32, 5000, "index", "table", "last"])
def test_cut(box, cut):
    home, seg = box
    before = hunt(home, "--lines")
    data = seg.read_bytes()
    at = {"index": layout(data)["info"][0] + 9, "table":
          layout(data)["table"][0] + 40, "last": len(data) - 1}.get(cut, cut)
    seg.write_bytes(data[:at])
    r = archive(home, "verify", status=3)
    assert [x[:2] for x in damages(r)][:1] == [[seg.name, "file"]]
    code, lines = hunt(home, "--lines")
    assert code == 3 and lines == [x for x in before[1] if "y2016" in x]
    if at <= 5000:
        r = archive(home, "repair", seg.name, status=2)
        assert "no block is left" in r.stderr
        assert seg.read_bytes() == data[:at]
        return
    r = archive(home, "repair", seg.name, status=3)
    assert "file names and line numbers are lost" in r.stdout
    archive(home, "verify")
    code, after = hunt(home)
    texts = {x.split("\t")[-1] for x in hunt(home, "--lines")[1]}
    assert texts == {x.split("\t")[-1] for x in before[1]}


def test_block_lost_is_said(box):
    home, seg = box
    data = bytearray(seg.read_bytes())
    data[40] ^= 1
    seg.write_bytes(data)
    (d,) = damages(archive(home, "verify", status=3))
    first, last = d[5].split("-")
    assert d[1] == "block" and first == "1" and int(last) > 100
    r = archive(home, "repair", seg.name, "--discard", status=3)
    assert f"lines {last} " in r.stdout
    assert not list(home.glob("archive/*.damaged"))
    # Numbers of the lines that are left are those of the file.
    _, rows = hunt(home, "--lines")
    got = [x.split("\t") for x in rows if "host3999" in x]
    assert got and {x[3] for x in got} == {"4000"}


def test_repair_leaves_the_whole_alone(box):
    home, seg = box
    data = seg.read_bytes()
    assert archive(home, "repair", seg.name).stdout == f"whole\t{seg.name}\n"
    assert seg.read_bytes() == data
    archive(home, "repair", "--all")
    archive(home, "repair", "nothing.seg", status=2)
    archive(home, "repair", status=2)


def test_names_are_known_after_repair(box):
    """The catalogue is rebuilt too: nothing is read twice."""
    home, seg = box
    data = bytearray(seg.read_bytes())
    at, end = layout(data)["entries"]
    data[end - 1] ^= 1
    seg.write_bytes(data)
    archive(home, "repair", "--all", "--discard")
    r = archive(home, "add", "--tz", "+0900", home / "access-2017.log")
    assert "lines 0 " in r.stdout
