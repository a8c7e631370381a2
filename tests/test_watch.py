"""noroshi watch and extract against the reference matcher and as a user meets them."""

import gzip
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
GEN = BUILD / "tools/gen/noroshi-gen"
REFMATCH = pathlib.Path(__file__).with_name("refmatch.py").resolve()


def noroshi(*argv, stdin=None):
    if argv[0] == "watch":
        argv = ["watch", "--warninglists", "none", *argv[1:]]
    return subprocess.run([NOROSHI, *map(str, argv)], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def rows(out, columns):
    return sorted(tuple(line.split(b"\t")[:columns])
                  for line in out.splitlines())


def agree(ioc, files):
    ours = noroshi("watch", "-i", ioc, "--tz", "+0900", *files)
    ref = subprocess.run([sys.executable, REFMATCH, ioc, *files], check=True,
                         stdout=subprocess.PIPE).stdout
    assert ours.stderr == b""
    assert ours.returncode in (0, 1)
    assert rows(ours.stdout, 3) == rows(ref, 3)
    return ours.stdout


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_on_corpus(seed, tmp_path):
    ioc, plant, corpus = (tmp_path / n for n in ("ioc", "plant", "corpus"))
    subprocess.run([GEN, "indicators", "--n", "5000", "--planted", "400",
                    "--seed", str(seed), "--out", ioc, "--plant-out", plant],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([GEN, "logs", "--out", corpus, "--bytes", "3M", "--seed",
                    str(seed), "--org", "alpha", "--indicators", ioc,
                    "--plant", plant], check=True, stdout=subprocess.DEVNULL)
    files = sorted(p for p in (corpus / "logs").rglob("*") if p.is_file())
    out = agree(ioc, files)
    # the times of the lines are those of the generator
    line_of, total = {}, 0
    for f in files:
        line_of[str(f.relative_to(corpus / "logs"))] = total
        total += sum(1 for _ in f.open("rb"))
    at = {(int(r[0]), r[1], r[2]): r[5] for r in
          (line.split(b"\t") for line in out.splitlines())}
    checked = 0
    for line in (corpus / "truth.tsv").read_bytes().splitlines():
        kind, value, name, n, epoch = line.split(b"\t")[:5]
        if not n.isdigit():
            continue
        key = (line_of[name.decode()] + int(n), kind, value)
        assert at[key] == epoch, (line, at[key])
        checked += 1
    assert checked > 1000


PARTS = ["evil.com", "a.evil.com", "1.2.3.4", "10.0.0.255", "2001:db8::1",
         "::1", "fe80::a:b", "http://", "https:\\/\\/", "ftp://", "HTTP://",
         "user", "@", "a+b@", ".", "-", "_", "..", "%", "%2F", "%0a", "\\n",
         "\\r", "\\/", "/", "?q=", ":", ":80", '"', " ", "\t", "<", ">", "|",
         "(", ")", "{", "x", "Z", "0", "1", "f",
         "d41d8cd98f00b204e9800998ecf8427e",
         "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "\u00e9", "\x7f", ".com",
         "com.", "xn--p1ai", ",", ";", "!", "=", "&", "#", "\r"]
HOSTILE = ["ipv4\t1.2.3.4", "ipv4\t10.0.0.255", "cidr\t10.0.0.0/24",
           "cidr\t1.0.0.0/8", "cidr\t2001:db8::/32", "cidr\tfe80::/10",
           "ipv6\t2001:db8::1", "ipv6\tfe80::a:b", "domain\tevil.com",
           "domain\ta.evil.com", "domain\tcom.xn--p1ai",
           "domain\tevil.comcom", "url\thttp://evil.com",
           "url\thttps://evil.com/", "url\tftp://1.2.3.4",
           "url\thttp://a.evil.com/x", "md5\td41d8cd98f00b204e9800998ecf8427e",
           "sha1\tda39a3ee5e6b4b0d3255bfef95601890afd80709",
           "email\tuser@evil.com", "email\ta+b@evil.com",
           "email\tb@evil.com"]


def test_agrees_on_hostile_lines(tmp_path):
    r = random.Random(7)
    log, ioc = tmp_path / "log", tmp_path / "ioc"
    log.write_text("".join(
        "".join(r.choice(PARTS) for _ in range(r.randint(1, 12))) + "\n"
        for _ in range(20000)), newline="")
    ioc.write_text("\n".join(HOSTILE) + "\n")
    out = agree(ioc, [log])
    assert len({line.split(b"\t")[2] for line in out.splitlines()}) > 12


@pytest.fixture
def ioc(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("domain\tevil[.]com\nipv4\t192.0.2.7\n"
                    "url\thxxp://evil[.]com/x\n")
    return path


def test_forms(ioc, tmp_path):
    line = b"2017-01-02T03:04:05Z GET http://evil.com/x\n"
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(line)
    packed.write_bytes(gzip.compress(line))
    out = noroshi("watch", "-i", ioc, plain, packed)
    assert out.returncode == 1
    got = [r.split(b"\t") for r in out.stdout.splitlines()]
    assert [r[0] for r in got] == [b"1", b"1", b"2", b"2"]
    assert {r[5] for r in got} == {b"1483326245"}
    assert got[0][7] == str(plain).encode()
    out = noroshi("watch", "-i", ioc, "--json", "--time", "iso", stdin=line)
    got = [json.loads(r) for r in out.stdout.splitlines()]
    assert {g["indicator"] for g in got} == {"evil.com", "http://evil.com/x"}
    assert got[0]["time"] == "2017-01-02T03:04:05Z"
    assert got[0]["file"] == "-"


def test_long_line(ioc):
    line = b"x evil.com " + b"word " * 500000 + b" evil.com 192.0.2.7\n"
    out = noroshi("watch", "-i", ioc, stdin=b"first\n" + line + b"evil.com\n")
    assert rows(out.stdout, 3) == [
        (b"2", b"domain", b"evil.com"), (b"2", b"ipv4", b"192.0.2.7"),
        (b"3", b"domain", b"evil.com")]


def test_statuses(ioc, tmp_path):
    assert noroshi("watch", "-i", ioc, stdin=b"nothing\n").returncode == 0
    denied = (b"Aug 21 10:00:00 fw kernel: DROP IN=eth0 OUT= SRC=192.0.2.7 "
              b"DST=10.0.0.1 LEN=40 PROTO=TCP SPT=1 DPT=22\n")
    out = noroshi("watch", "-i", ioc, stdin=denied)
    assert out.stdout.split(b"\t")[4] == b"denied"
    assert out.returncode == 0
    gone = tmp_path / "gone"
    out = noroshi("watch", "-i", ioc, gone, stdin=b"")
    assert out.returncode == 3 and str(gone).encode() in out.stderr
    out = noroshi("watch", "-i", gone)
    assert out.returncode == 2 and str(gone).encode() in out.stderr
    for argv in (["watch"], ["watch", "-i", ioc, "--colour"],
                 ["watch", "-i", ioc, "--time", "tea"],
                 ["watch", "-i", ioc, "-f", "-"],
                 ["extract", "--kinds", "colour"]):
        out = noroshi(*argv, stdin=b"")
        assert out.returncode == 2 and out.stderr and not out.stdout
    bad = tmp_path / "bad"
    bad.write_text("domain\tcom\nipv4\t192.0.2.7\n")
    out = noroshi("watch", "-i", bad, stdin=b"192.0.2.7\n")
    assert out.returncode == 1 and out.stderr
    bad.write_text("domain\tcom\n")
    assert noroshi("watch", "-i", bad, stdin=b"").returncode == 2
    assert noroshi("extract", tmp_path).returncode == 3


def wait_for(path, text, process):
    deadline = time.monotonic() + 60
    while text not in path.read_bytes():
        assert process.poll() is None, "watch ended"
        assert time.monotonic() < deadline, path.read_bytes()
        time.sleep(0.05)


def test_follow(ioc, tmp_path):
    log, out = tmp_path / "app.log", tmp_path / "out"
    log.write_bytes(b"old evil.com\n")
    with out.open("wb") as f:
        p = subprocess.Popen([NOROSHI, "watch", "--warninglists", "none",
                              "-i", ioc, "-f", log],
                             stdout=f)
    try:
        wait_for(out, b"1\tdomain", p)
        with log.open("ab") as f:
            f.write(b"nothing\npart of 192.0")
        with log.open("ab") as f:
            f.write(b".2.7\n")
        wait_for(out, b"3\tipv4", p)
        log.rename(tmp_path / "app.log.1")
        with (tmp_path / "app.log.1").open("ab") as f:
            f.write(b"late evil.com\n")
        log.write_bytes(b"new evil.com\n")
        wait_for(out, b"5\tdomain", p)
        log.write_bytes(b"")
        time.sleep(1.5)  # one look at the emptied file
        with log.open("ab") as f:
            f.write(b"again evil.com\n")
        wait_for(out, b"6\tdomain", p)
        with log.open("ab") as f:
            f.write(b"without end evil.com")
        time.sleep(0.2)
        p.terminate()
        assert p.wait(60) == 1
    finally:
        p.kill()
    lines = [r.split(b"\t")[0] for r in out.read_bytes().splitlines()]
    assert lines == [b"1", b"3", b"4", b"5", b"6", b"7"]


def test_follow_takes_new_list(ioc, tmp_path):
    log, out, err = (tmp_path / n for n in ("app.log", "out", "err"))
    log.write_bytes(b"evil.com other.com\n")
    with out.open("wb") as o, err.open("wb") as e:
        p = subprocess.Popen([NOROSHI, "watch", "--warninglists", "none",
                              "-i", ioc, "-f", log], stdout=o, stderr=e)
    try:
        wait_for(out, b"1\tdomain\tevil.com", p)
        ioc.write_text("domain\tcom\n")
        wait_for(err, b"stays in force", p)
        new = tmp_path / "new"
        new.write_text("domain\tother.com\n")
        new.rename(ioc)
        for n in range(2, 200):  # lines until one is read with the new list
            with log.open("ab") as f:
                f.write(b"evil.com other.com\n")
            time.sleep(0.1)
            if b"other.com\tother.com" in out.read_bytes():
                break
        p.terminate()
        assert p.wait(60) == 1
    finally:
        p.kill()
    lines = [r.split(b"\t")[0] for r in out.read_bytes().splitlines()]
    assert lines == [b"%d" % i for i in range(1, n + 1)]  # none lost, none twice


# Take every inotify instance that the user may have, then follow.
EXHAUST = """
import ctypes, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
while libc.inotify_init1(0) >= 0:
    pass
sys.exit(subprocess.call(sys.argv[1:]))
"""


def test_follow_without_inotify(ioc):
    nobody = []
    if os.geteuid() == 0:  # not at the cost of root's other programs
        nobody = ["setpriv", "--reuid=65534", "--regid=65534",
                  "--clear-groups"]
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        program = shutil.copy(NOROSHI, folder)
        listed = shutil.copy(ioc, folder)
        pathlib.Path(listed).chmod(0o644)
        log, out = folder / "app.log", folder / "out"
        log.write_bytes(b"")
        with out.open("wb") as f:
            p = subprocess.Popen(
                [*nobody, sys.executable, "-c", EXHAUST, program, "watch",
                 "--warninglists", "none", "-i", listed, "-f", log],
                stdout=f, start_new_session=True)
        try:
            for i in (1, 2):
                with log.open("ab") as f:
                    f.write(b"evil.com\n")
                wait_for(out, b"%d\tdomain" % i, p)
        finally:
            os.killpg(p.pid, signal.SIGTERM)
            p.wait(60)


def test_compiled_list(ioc, tmp_path):
    packed = tmp_path / "list.nrwl"
    log = b"http://evil.com/x 192.0.2.7\n192.0.2.8 www.evil.com\n"
    out = noroshi("import", "--warninglists", "none", ioc, "-o", packed)
    assert out.returncode == 0, out.stderr
    assert noroshi("watch", "-i", packed, stdin=log).stdout == \
        noroshi("watch", "-i", ioc, stdin=log).stdout != b""
    whole = packed.read_bytes()
    for damaged in (whole[:-1], whole[:100], whole[:200] + b"\xff" + whole[201:]):
        packed.write_bytes(damaged)
        out = noroshi("watch", "-i", packed, stdin=log)
        assert out.returncode == 2 and not out.stdout
        assert str(packed).encode() in out.stderr


def test_odd_text(ioc, tmp_path):
    lines = "first\r\n192.0.2.7\x00evil.com\r\n"
    for name, octets in (("crlf", lines.encode()),
                         ("bom", b"\xef\xbb\xbf" + lines.encode()),
                         ("utf16", lines.encode("utf-16"))):
        log = tmp_path / name
        log.write_bytes(octets)
        out = noroshi("watch", "-i", ioc, log)
        assert rows(out.stdout, 4) == [
            (b"2", b"domain", b"evil.com", b"evil.com"),
            (b"2", b"ipv4", b"192.0.2.7", b"192.0.2.7")], name
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(
        b"evil.com\n" + random.Random(1).randbytes(50000).hex().encode())[:-9])
    out = noroshi("watch", "-i", ioc, cut)
    assert out.returncode == 3 and b"cut.gz" in out.stderr
    assert rows(out.stdout, 3)[0] == (b"1", b"domain", b"evil.com")


def test_warninglists(ioc, tmp_path):
    lists = REFMATCH.parent.parent / "share/warninglists"
    ioc.write_text("ipv4\t8.8.8.8\nfilename\tx.exe\n")
    out = subprocess.run([NOROSHI, "watch", "--warninglists", lists, "--json",
                          "-i", ioc], input=b"8.8.8.8\n", capture_output=True)
    assert out.returncode == 1
    assert "8.8.8.8" in json.loads(out.stdout)["warninglist"]
    assert b"1 values stand on warninglists" in out.stderr
    assert b"of a kind" not in out.stderr


def test_extract(tmp_path):
    text = tmp_path / "report.txt"
    text.write_bytes(b"See index.html and CVE-2017-0199\r\n"
                     b"C2 http://Evil.COM/x. and %2Fa@evil.co.jp AS64496\n")
    out = noroshi("extract", text)
    assert out.returncode == 0
    f = str(text).encode()
    assert out.stdout.splitlines() == [
        b"cve\tCVE-2017-0199\t%s\t1\t20" % f,
        b"url\thttp://evil.com/x\t%s\t2\t4" % f,
        b"domain\tevil.com\t%s\t2\t11" % f,
        b"email\ta@evil.co.jp\t%s\t2\t30" % f,
        b"domain\tevil.co.jp\t%s\t2\t32" % f,
        b"asn\tAS64496\t%s\t2\t43" % f]
    out = noroshi("extract", "--kinds", "cve,asn", "--json", text)
    got = [json.loads(line) for line in out.stdout.splitlines()]
    assert [g["value"] for g in got] == ["CVE-2017-0199", "AS64496"]
    assert (got[0]["line"], got[0]["column"]) == (1, 20)
