"""Bad input, named: every command meets what users really have on their disks.

Each case checks the exit status, that the message names the thing and what is
wrong with it, and that nothing was lost or half done. Permission tests run as
an ordinary user (setpriv), since root may read everything.
"""
import gzip
import lzma
import os
import random
import shutil
import socket
import subprocess
import time

import pytest

BUILD = os.environ.get("NOROSHI_BUILD", "build")
NOROSHI = os.path.abspath(os.path.join(BUILD, "cmd", "noroshi"))
HUB = os.path.abspath(os.path.join(BUILD, "cmd", "noroshi-hub"))
NOW = "2017-08-21T00:00:00Z"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

SQUID = b"1462060800.123     85 192.168.1.9 TCP_MISS/200 4512 GET http://%s/ - HIER_DIRECT/192.0.2.7 text/html\n"
LIST = "domain\tevil.example\nipv4\t192.0.2.99\n"


def run(*args, program=NOROSHI, prefix=(), stdin=None, timeout=120, **env):
    full = {**os.environ, "NOROSHI_NOW": NOW, "NOROSHI_HOME": "/nonexistent",
            "LC_ALL": "C.UTF-8", **env}
    return subprocess.run([*prefix, program, *map(str, args)], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=full, timeout=timeout, check=False)


def rows(result):
    return [line.split("\t") for line in result.stdout.decode().splitlines()]


@pytest.fixture
def box(tmp_path):
    (tmp_path / "list.tsv").write_text(LIST)
    os.chmod(tmp_path, 0o755)
    made = run("init", "--home", tmp_path / "home")
    assert made.returncode == 0, made.stderr
    return tmp_path


def watch(box, *files, **kw):
    return run("watch", "-i", box / "list.tsv", *files, **kw)


def add(box, *files, **kw):
    return run("archive", "add", "--home", box / "home", *files, **kw)


def hunt(box, *more, **kw):
    return run("hunt", "--home", box / "home", "-i", box / "list.tsv", *more, **kw)


COMMANDS = [["extract"], ["watch"], ["import"], ["hunt"], ["archive", "add"],
            ["archive", "ls"], ["archive", "stat"], ["archive", "verify"],
            ["archive", "prune"], ["init"], ["join"], ["status"], ["agent"],
            ["outbox"], ["report", "new"], ["feed", "ls"], ["picture", "extent"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_unknown_option(command):
    r = run(*command, "--no-such-option")
    assert r.returncode == 2
    assert b"--no-such-option" in r.stderr and b"unknown option" in r.stderr
    assert r.stdout == b""


def test_unknown_command_and_none():
    assert run("frobnicate").returncode == 2
    assert b"frobnicate" in run("frobnicate").stderr
    assert run().returncode == 2
    assert run("--help").returncode == 0
    assert run("--version").stdout.startswith(b"noroshi ")


@pytest.mark.parametrize("command", [["extract"], ["watch", "-i", "LIST"]], ids=" ".join)
def test_missing_file_and_directory(box, command):
    command = [str(box / "list.tsv") if c == "LIST" else c for c in command]
    r = run(*command, box / "absent.log")
    assert r.returncode in (2, 3) and b"absent.log" in r.stderr
    r = run(*command, box / "home")
    if command[0] == "watch":  # reads all files below; keys and logs are empty
        assert r.returncode in (0, 3)
    else:
        assert r.returncode in (2, 3) and str(box).encode() in r.stderr
    assert r.stdout == b""


def test_missing_list(box):
    for command in (["watch"], ["hunt", "--home", box / "home"]):
        r = run(*command, "-i", box / "absent.tsv")
        assert r.returncode == 2 and b"absent.tsv" in r.stderr
        r = run(*command)
        assert r.returncode == 2 and r.stderr


def test_one_missing_file_does_not_stop_the_others(box):
    (box / "a.log").write_bytes(SQUID % b"evil.example")
    r = watch(box, box / "absent.log", box / "a.log")
    assert r.returncode == 3 and b"absent.log" in r.stderr
    assert len(rows(r)) == 1
    r = add(box, box / "absent.log", box / "a.log")
    assert r.returncode == 3 and b"absent.log" in r.stderr
    assert rows(hunt(box))[0][2] == "1"


@pytest.mark.parametrize("seed", range(8))
def test_binary_junk(box, seed):
    junk = random.Random(seed).randbytes(300_000)
    (box / "junk").write_bytes(junk + b" 192.0.2.99 evil[.]example\n" + junk)
    r = watch(box, box / "junk")
    assert r.returncode in (2, 3) and b"junk" in r.stderr
    r = add(box, box / "junk")
    assert r.returncode in (2, 3) and b"junk" in r.stderr
    r = run("import", box / "junk", "-o", box / "out.nrw")
    assert r.returncode == 2 and b"junk" in r.stderr
    assert not (box / "out.nrw").exists()


@pytest.mark.parametrize("name,text", [
    ("crlf", (SQUID % b"evil.example").replace(b"\n", b"\r\n")),
    ("bom", b"\xef\xbb\xbf" + SQUID % b"evil.example"),
    ("utf16le", ("\ufeff" + (SQUID % b"evil.example").decode()).encode("utf-16-le")),
    ("utf16be", ("\ufeff" + (SQUID % b"evil.example").decode()).encode("utf-16-be")),
    ("nul", SQUID % b"a.example" + b"x\0y evil.example\0\n"),
    ("no line feed", (SQUID % b"evil.example").rstrip(b"\n")),
    ("broken utf-8", b"\xfd\x80\xff" * 3 + b" " + SQUID % b"evil.example"),
])
def test_encodings(box, name, text):
    (box / "a.log").write_bytes(text)
    r = watch(box, box / "a.log")
    assert r.returncode == 1, r.stderr
    assert len(rows(r)) == 1 and rows(r)[0][2] == "evil.example"
    assert add(box, box / "a.log").returncode == 0
    r = hunt(box)
    assert r.returncode == 1 and rows(r)[0][1:3] == ["evil.example", "1"]


def test_truncated_archives(box):
    text = b"".join(SQUID % (b"host%d.example" % i) for i in range(40_000)) + SQUID % b"evil.example"
    head = SQUID % b"evil.example" + text
    packed = {"a.gz": gzip.compress(head), "a.xz": lzma.compress(head, preset=0)}
    if shutil.which("zstd"):
        packed["a.zst"] = subprocess.run(["zstd", "-q", "-c"], input=head,
                                         stdout=subprocess.PIPE, check=True).stdout
    for name, octets in packed.items():
        (box / name).write_bytes(octets[:len(octets) // 2])
        r = watch(box, box / name)
        assert r.returncode == 3 and name.encode() in r.stderr, (name, r.stderr)
        assert len(rows(r)) == 1, "what can be read is read"
        (box / name).write_bytes(octets)
        assert watch(box, box / name).returncode == 1


def test_years_1970_and_2099(box):
    (box / "a.log").write_bytes(
        (SQUID % b"evil.example").replace(b"1462060800", b"0000000001") +
        (SQUID % b"evil.example").replace(b"1462060800", b"4087756800"))
    r = watch(box, "--time", "iso", box / "a.log")
    assert r.returncode == 1 and len(rows(r)) == 2
    assert rows(r)[0][5].startswith("1970-01-01") and rows(r)[1][5].startswith("2099-")
    assert add(box, box / "a.log").returncode == 0
    r = hunt(box)
    assert rows(r)[0][2] == "2"


def test_huge_line(box):
    """One line of 1 GB: matched as a stream, in flat memory, stored cut."""
    octets = int(os.environ.get("HUGE_LINE", "1000000000"))
    with open(box / "huge.log", "wb") as f:
        f.write(b"1462060800.123 first evil.example ")
        filler = b"lorem ipsum dolor sit amet " * 40_000
        while f.tell() < octets:
            f.write(filler)
        f.write(b" 192.0.2.99 last\n")
    r = run("watch", "-i", box / "list.tsv", box / "huge.log",
            prefix=["prlimit", "--as=1500000000"], timeout=600)
    assert r.returncode == 1, r.stderr
    assert {row[2] for row in rows(r)} == {"evil.example", "192.0.2.99"}
    assert {row[0] for row in rows(r)} == {"1"}, "it is one line"
    r = run("archive", "add", "--home", box / "home", box / "huge.log",
            prefix=["prlimit", "--as=2500000000"], timeout=600)
    assert r.returncode in (0, 3), r.stderr
    assert {row[1]: row[2] for row in rows(hunt(box))} == {"evil.example": "1", "192.0.2.99": "1"}
    assert run("archive", "verify", "--home", box / "home").returncode == 0


def test_permission_denied(box):
    prefix = NOBODY if os.getuid() == 0 else []
    (box / "secret.log").write_bytes(SQUID % b"evil.example")
    os.chmod(box / "secret.log", 0o600 if prefix else 0)
    for parent in box.parents[:-2]:  # pytest's own folders are closed to others
        os.chmod(parent, 0o755)
    r = watch(box, box / "secret.log", prefix=prefix)
    assert r.returncode in (2, 3)
    assert b"secret.log" in r.stderr and b"Permission denied" in r.stderr
    if prefix:
        r = run("archive", "stat", "--home", box / "home", prefix=prefix)
        assert r.returncode == 2 and b"Permission denied" in r.stderr


def test_output_that_cannot_be_written(box):
    (box / "a.log").write_bytes(SQUID % b"evil.example")
    with open("/dev/full", "wb") as full:
        r = subprocess.run([NOROSHI, "watch", "-i", box / "list.tsv", box / "a.log"],
                           stdout=full, stderr=subprocess.PIPE, check=False)
    assert r.returncode == 2 and b"No space left" in r.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a tmpfs needs root")
def test_disk_full(box):
    disk = box / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        assert run("init", "--home", disk / "home").returncode == 0
        (box / "small.log").write_bytes(SQUID % b"evil.example")
        r = run("archive", "add", "--home", disk / "home", box / "small.log")
        assert r.returncode == 0
        with open(box / "big.log", "wb") as f:
            for i in range(120_000):
                f.write(SQUID % (b"%s.example" % os.urandom(12).hex().encode()))
        r = run("archive", "add", "--home", disk / "home", box / "big.log")
        assert r.returncode == 2 and b"No space left" in r.stderr, r.stderr
        r = run("hunt", "--home", disk / "home", "-i", box / "list.tsv")
        assert r.returncode == 1 and rows(r)[0][1:3] == ["evil.example", "1"], "what was acknowledged stands"
        assert run("archive", "verify", "--home", disk / "home").returncode == 0
        left = [f for f in os.listdir(disk / "home" / "archive") if "tmp" in f]
        assert left == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_processes_on_one_archive(box):
    fifo = box / "slow.log"
    os.mkfifo(fifo)
    first = subprocess.Popen([NOROSHI, "archive", "add", "--home", box / "home", fifo],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    feed = os.open(fifo, os.O_WRONLY)
    try:
        os.write(feed, SQUID % b"evil.example")
        (box / "a.log").write_bytes(SQUID % b"evil.example")
        r = add(box, box / "a.log")
        assert r.returncode == 2
        assert b"lock" in r.stderr and b"another noroshi process" in r.stderr
    finally:
        os.close(feed)
    first.communicate(timeout=60)
    assert add(box, box / "a.log").returncode == 0


def test_damaged_segment(box):
    for i, name in enumerate((b"evil.example", b"good.example")):
        (box / f"{i}.log").write_bytes(SQUID % name)
        assert add(box, box / f"{i}.log").returncode == 0
    segments = sorted(f for f in os.listdir(box / "home" / "archive") if f.endswith(".seg"))
    assert len(segments) == 2
    path = box / "home" / "archive" / segments[1]
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 0x40
    path.write_bytes(octets)
    r = run("archive", "verify", "--home", box / "home")
    assert r.returncode == 3 and segments[1].encode() in r.stderr
    shutil.copy(path, box / "cut")
    path.write_bytes(bytes(octets[:len(octets) // 3]))
    r = hunt(box)
    assert r.returncode == 3 and segments[1].encode() in r.stderr
    assert rows(r)[0][1] == "evil.example", "the rest answers"


def test_file_that_shrinks_while_followed(box):
    log = box / "live.log"
    log.write_bytes(SQUID % b"a.example" * 50)
    p = subprocess.Popen([NOROSHI, "watch", "-i", box / "list.tsv", "-f", log],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(0.5)
        log.write_bytes(SQUID % b"evil.example")  # copytruncate, then new text
        assert b"evil.example" in p.stdout.readline()
        os.rename(log, box / "live.log.1")
        with open(box / "live.log.1", "ab") as f:
            f.write(SQUID % b"late.evil.example")
        log.write_bytes(SQUID % b"new.evil.example")
        seen = p.stdout.readline() + p.stdout.readline()
        assert b"late.evil.example" in seen and b"new.evil.example" in seen
    finally:
        p.terminate()
        p.communicate(timeout=10)


@pytest.mark.parametrize("name,text,word", [
    ("unknown kind", "frob\tx\n", b"no indicator"),
    ("bad address", "ipv4\t1.2.3.400\n", b"1.2.3.400"),
    ("bad prefix", "cidr\t10.0.0.0/33\n", b"10.0.0.0/33"),
    ("one label", "domain\tlocalhost\n", b"localhost"),
    ("json cut", '{"type":"bundle","id":"bundle--', b"list"),
    ("json twice", '{"type":"bundle","type":"bundle"}', b"list"),
    ("empty", "", b"list"),
])
def test_bad_lists(box, name, text, word):
    (box / "bad.list").write_text(text)
    r = run("import", box / "bad.list", "-o", box / "out.nrw")
    assert r.returncode in (2, 3), (name, r.stdout, r.stderr)
    assert word in r.stderr + r.stdout, (name, r.stderr)
    assert not (box / "out.nrw").exists()


def test_damaged_compiled_list(box):
    assert run("import", box / "list.tsv", "-o", box / "l.nrw").returncode == 0
    good = (box / "l.nrw").read_bytes()
    for octets in (good[:-5], good[:40], good[:60] + bytes([good[60] ^ 1]) + good[61:]):
        (box / "l.nrw").write_bytes(octets)
        r = run("watch", "-i", box / "l.nrw", stdin=b"evil.example\n")
        assert r.returncode == 2 and b"l.nrw" in r.stderr


def test_home_without_init(box):
    for command in (["status"], ["agent"], ["outbox", "ls"]):
        r = run(*command, "--home", box / "nowhere")
        assert r.returncode == 2 and b"nowhere" in r.stderr and b"init" in r.stderr, (command, r.stderr)


def test_join_nonsense(box):
    for address in ("http://x/", "noroshi://", "noroshi://127.0.0.1:1/?code=a",
                    "noroshi://127.0.0.1:1/?code=a&pin=zz"):
        r = run("join", "--home", box / "home", address)
        assert r.returncode == 2 and r.stderr, address
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    pin = "A" * 43
    r = run("join", "--home", box / "home", f"noroshi://127.0.0.1:{port}/?code=abc&pin={pin}")
    assert r.returncode == 2 and b"127.0.0.1" in r.stderr
    assert not (box / "home" / "hub" / "key").exists()


@pytest.fixture
def hub(tmp_path):
    home = tmp_path / "hubhome"
    assert run("init", "--home", home, program=HUB).returncode == 0
    return home


def test_hub_bad_options(hub):
    for args in (["serve", "--home", hub, "--listen", "nonsense"],
                 ["serve", "--home", hub, "--listen", "0.0.0.0:0", "--http"],
                 ["serve", "--home", hub / "nowhere", "--listen", "127.0.0.1:0"],
                 ["member", "revoke", "nobody", "--home", hub],
                 ["restore", "--home", hub / "fresh", hub / "absent"],
                 ["account", "add", "x", "--role", "king", "--home", hub]):
        r = run(*args, program=HUB, stdin=b"")
        assert r.returncode == 2 and r.stderr, args
    assert run("init", "--home", hub, program=HUB).returncode == 2, "an existing hub is not made anew"


def test_hub_database_read_only(hub):
    if os.getuid() != 0:
        pytest.skip("needs two users")
    for root, dirs, files in os.walk(hub):
        os.chmod(root, 0o755)
        for f in files:
            os.chmod(os.path.join(root, f), 0o444)
    r = run("serve", "--home", hub, "--listen", "127.0.0.1:0", program=HUB, prefix=NOBODY)
    assert r.returncode == 2
    assert str(hub).encode() in r.stderr and (b"ermission denied" in r.stderr or b"read" in r.stderr)


def test_hub_check_finds_damage(hub):
    assert run("check", "--home", hub, program=HUB).returncode == 0
    database = next(f for f in os.listdir(hub) if f.endswith((".db", ".sqlite")))
    octets = bytearray((hub / database).read_bytes())
    octets[100:4096] = random.Random(1).randbytes(3996)
    (hub / database).write_bytes(octets)
    for left in os.listdir(hub):
        if left.endswith(("-wal", "-shm")):
            os.unlink(hub / left)
    r = run("check", "--home", hub, program=HUB)
    assert r.returncode in (2, 3) and r.stderr
