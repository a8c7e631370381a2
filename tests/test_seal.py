"""A sealed archive: the same answers, and nothing to read without its key."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

import refseal

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
MIX = "ipv4=5,cidr=4,ipv6=4,domain=6,url=4,md5=2,sha1=2,sha256=2,email=2"
SPAN = "2017-09-01..2017-12-31"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")
HEADER, PAGE, TAG = 64, 8192, 16


def run(*argv, status=0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       errors="replace", env=ENV, stdin=subprocess.DEVNULL)
    assert r.returncode == status, (argv, r.returncode, r.stdout[-2000:],
                                    r.stderr[-2000:])
    return r


def archive(home, *argv, status=0):
    return run(NOROSHI, "archive", argv[0], "--home", home, *argv[1:],
               status=status)


def hunt(home, ioc, *more, status=1):
    return run(NOROSHI, "hunt", "--home", home, "-i", ioc, "--all", *more,
               status=status)


def answers(r):
    """Without the sums of blocks."""
    return re.sub(r"\t[0-9a-f]{16}\t", "\t-\t", r.stdout)


def files(home, suffix=".seg"):
    return sorted((home / "archive").glob("*" + suffix))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    d = tmp_path_factory.mktemp("corpus")
    run(GEN, "indicators", "--n", 2000, "--planted", 200, "--mix", MIX, "--out",
        d / "ioc.tsv", "--plant-out", d / "plant.tsv", "--span", SPAN)
    run(GEN, "logs", "--out", d, "--bytes", "3M", "--indicators",
        d / "ioc.tsv", "--plant", d / "plant.tsv", "--span", SPAN)
    return d


@pytest.fixture(scope="module")
def homes(corpus, tmp_path_factory):
    """Two archives of the same logs in twenty segments: plain, sealed."""
    d = tmp_path_factory.mktemp("homes")
    logs = sorted((corpus / "logs").rglob("*.*"))
    r = archive(d / "sealed", "seal")
    assert "archive.key" in r.stdout and "without it" in r.stderr
    for home in (d / "plain", d / "sealed"):
        for i in range(0, len(logs), 2):
            archive(home, "add", *logs[i:i + 2])
    return d / "plain", d / "sealed"


@pytest.fixture
def box(homes, tmp_path):
    to = tmp_path / "home"
    subprocess.run(["cp", "-a", homes[1], to], check=True)
    return to


def test_the_same_answers(corpus, homes, box):
    plain = box.parent / "plain"
    subprocess.run(["cp", "-a", homes[0], plain], check=True)
    for step in range(3):
        for more in ((), ("--lines",), ("--detail",), ("-j", 3),
                     ("--format", "json")):
            a = hunt(plain, corpus / "ioc.tsv", *more)
            b = hunt(box, corpus / "ioc.tsv", *more)
            assert answers(a) == answers(b)
        assert (archive(plain, "coverage").stdout ==
                archive(box, "coverage").stdout)
        archive(box, "verify")
        for home in (plain, box):  # runs; then few segments
            archive(home, "compact", "--least", 64 if step == 0 else 2)
        assert step or files(box, ".run")
    # What is known is not taken twice.
    r = archive(box, "add", *sorted((corpus / "logs").rglob("*.*")))
    assert " lines 0 " in r.stdout
    archive(box, "prune", "--before", "2017-11-01", "--yes")
    archive(box, "verify")


def test_nothing_to_read(corpus, box):
    archive(box, "compact", "--least", 64)
    words = [b"GET ", b"sshd[", b"squid", b"named", b".log", b"/logs/",
             b"NRSEG\r\n", b"NRRUN\r\n"]
    words += [row.split("\t")[1].encode() for row in
              (corpus / "ioc.tsv").read_text().splitlines()
              if not row.startswith("#")][:200]
    for path in (box / "archive").iterdir():
        octets = path.read_bytes()
        for word in words:
            assert word not in octets, (path, word)
    for path in files(box) + files(box, ".run"):
        assert path.read_bytes()[:8] == b"\x89NRSEAL\n"
    key = box / "archive.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_second_reader_knows_the_standard():
    """draft-irtf-cfrg-xchacha-03, A.3.1."""
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you "
            b"only one tip for the future, sunscreen would be it.")
    got = refseal.unseal(
        bytes(range(0x80, 0xa0)), bytes(range(0x40, 0x58)), bytes.fromhex(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
            "21f9664c97637da9768812f615c68b13b52e"),
        bytes.fromhex("c0875924c1c7987947deafd8780acf49"),
        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert got == text


def test_second_reader(homes):
    key = refseal.read_key(homes[1] / "archive.key")
    marker = (homes[1] / "archive/sealed").read_text().split()
    assert marker == ["noroshi-sealed-archive", "1",
                      refseal.key_name(key).hex()]
    path = min(files(homes[1]), key=lambda p: p.stat().st_size)
    got = refseal.plain(key, path.read_bytes())
    want = (homes[0] / "archive" / path.name).read_bytes()
    assert got[:24] == want[:24] and len(got) == len(want)
    at = int.from_bytes(want[-48:-40], "little")  # blocks end, index begins
    assert got[:at] == want[:at]


def test_keys(corpus, box):
    key, ioc = box / "archive.key", corpus / "ioc.tsv"
    want = hunt(box, ioc).stdout
    away = box.parent / "elsewhere.key"
    key.rename(away)
    for argv in (("ls",), ("stat",), ("verify",), ("compact",),
                 ("add", ioc)):
        r = archive(box, *argv, status=2)
        assert "is sealed, and its key is not here" in r.stderr
    assert hunt(box, ioc, status=2).stdout == ""
    assert hunt(box, ioc, "--key", away).stdout == want
    archive(box, "verify", "--key", away)
    archive(box.parent / "other", "seal")
    shutil.copy(box.parent / "other/archive.key", key)
    r = archive(box, "ls", status=2)
    assert "another key" in r.stderr
    shutil.copy(away, key)
    key.chmod(0o640)
    assert "others may read it" in archive(box, "ls", status=2).stderr
    key.chmod(0o600)
    for text in ("", "x", "noroshi-archive-key 1 \n",
                 "noroshi-archive-key 1 AAAA\n",
                 "noroshi-archive-key 2 " + "A" * 43 + "\n"):
        key.write_text(text)
        archive(box, "ls", status=2)


def test_only_an_empty_archive(homes, corpus, tmp_path):
    r = archive(homes[0], "seal", status=2)
    assert "holds logs already" in r.stderr
    assert not (homes[0] / "archive/sealed").exists()
    r = archive(homes[1], "seal", status=2)
    assert "is sealed already" in r.stderr


def damage(octets, how):
    n = len(octets)
    page = HEADER + (PAGE + TAG)
    if how == "head":
        return octets[:3] + b"x" + octets[4:]
    if how == "file number":
        return octets[:24] + bytes(16) + octets[40:]
    if how == "first page":
        return octets[:page - 9] + bytes([octets[page - 9] ^ 1]) + \
            octets[page - 8:]
    if how == "tag":
        return octets[:page - 1] + bytes([octets[page - 1] ^ 1]) + octets[page:]
    if how == "last page":
        return octets[:n - 40] + bytes([octets[n - 40] ^ 1]) + octets[n - 39:]
    if how == "swapped":
        a, b = HEADER + PAGE + TAG, HEADER + 2 * (PAGE + TAG)
        c = b + PAGE + TAG
        return octets[:a] + octets[b:c] + octets[a:b] + octets[c:]
    if how == "page cut off":
        return octets[:HEADER + (n - HEADER - 1) // (PAGE + TAG) * (PAGE + TAG)]
    if how == "cut":
        return octets[:n // 2]
    if how == "longer":
        return octets + b"\0" * 100
    if how == "nothing":
        return b""
    raise ValueError(how)


@pytest.mark.parametrize("how", ["head", "file number", "first page", "tag",
                                 "last page", "swapped", "page cut off", "cut",
                                 "longer", "nothing"])
def test_damage_is_named_and_mended(corpus, homes, box, how):
    name = max(files(box), key=lambda p: p.stat().st_size)
    octets = name.read_bytes()
    assert len(octets) > HEADER + 4 * (PAGE + TAG)
    name.write_bytes(damage(octets, how))
    r = archive(box, "verify", status=3)
    assert name.name in r.stdout
    r = hunt(box, corpus / "ioc.tsv", "--lines", status=3)
    assert name.name in r.stderr
    before = set(answers(hunt(homes[0], corpus / "ioc.tsv",
                              "--lines")).splitlines())
    lines = {x for x in answers(r).splitlines() if x.startswith("line\t")}
    assert lines and lines <= before
    if how in ("cut", "nothing", "page cut off", "longer", "last page"):
        return
    # Without anything lost, or with what is lost said.
    r = archive(box, "repair", "--all", status=3 if how in
                ("first page", "tag", "swapped") else 0)
    assert "rebuilt" in r.stdout
    archive(box, "verify")
    assert name.read_bytes()[:8] == b"\x89NRSEAL\n"
    got = {x for x in answers(hunt(box, corpus / "ioc.tsv", "--lines"))
           .splitlines() if x.startswith("line\t")}
    assert lines <= got
    if how in ("head", "file number"):
        assert got == {x for x in before if x.startswith("line\t")}


def test_exchanged(corpus, homes, box):
    """Files of one archive are no files of another, nor of another name."""
    a, b = files(box)[:2]
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    r = archive(box, "verify", status=3)
    assert a.name in r.stdout
    a.write_bytes(files(homes[0])[0].read_bytes())  # a plain one
    r = archive(box, "verify", status=3)
    assert a.name in r.stdout
    r = hunt(box, corpus / "ioc.tsv", status=3)
    assert a.name in r.stderr
    a.write_bytes(one)
    archive(box, "verify")
    plain = box.parent / "plain"
    subprocess.run(["cp", "-a", homes[0], plain], check=True)
    c = files(plain)[0]
    c.write_bytes(one)
    r = hunt(plain, corpus / "ioc.tsv", status=3)
    assert "is sealed, and the archive is not" in r.stderr


def test_clickhouse_is_refused(tmp_path):
    r = run(NOROSHI, "archive", "seal", "--archive",
            "clickhouse://127.0.0.1:1/x", status=2)
    assert "ClickHouse" in r.stderr
