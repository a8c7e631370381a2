"""Old archives in bulk: members of zip and tar, packet captures."""

import datetime
import io
import lzma
import os
import pathlib
import socket
import struct
import subprocess
import tarfile
import zipfile

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).absolute()
NOROSHI = BUILD / "cmd/noroshi"
ENV = dict(os.environ, NOROSHI_NOW="2018-01-05")
LINE = ('{"timestamp":"2017-06-0%dT10:00:00Z","flow_id":1,"event_type":"dns",'
        '"src_ip":"10.0.0.5","dest_ip":"10.0.0.1","dns":{"type":"query",'
        '"rrname":"%s"}}\n')


def run(*argv, status=0):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       env=ENV)
    assert r.returncode == status, (r.returncode, r.stdout, r.stderr)
    return r


def add(home, *files, status=0):
    r = run(NOROSHI, "archive", "add", "--home", home, *files, status=status)
    words = r.stdout.split()
    return dict(zip(words[::2], words[1::2])), r.stderr


def hunt(home, tmp, *indicators):
    """{indicator: (lines, first day)}"""
    ioc = tmp / "ioc.tsv"
    ioc.write_text("".join("%s\t%s\n" % i for i in indicators))
    r = subprocess.run([NOROSHI, "hunt", "--home", home, "-i", ioc],
                       capture_output=True, text=True, env=ENV)
    assert r.returncode in (0, 1), r.stderr
    rows = [line.split("\t") for line in r.stdout.splitlines()]
    day = "{:%Y-%m-%d}".format
    return {row[1]: (row[2], day(datetime.datetime.fromtimestamp(
        int(row[3]), datetime.timezone.utc))) for row in rows}


def tar_of(mode, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, text in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), 1496400000
            t.addfile(info, io.BytesIO(text))
    return out.getvalue()


def test_members_are_added_once(tmp_path):
    a = (LINE % (1, "evil.example.net")).encode()
    b = (LINE % (2, "bad.example.org")).encode() * 3
    logs = tmp_path / "logs"
    (logs / "old").mkdir(parents=True)
    with zipfile.ZipFile(logs / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x/dns.log", a)
        z.writestr("x/", b"")
        z.writestr("dns.log.xz", lzma.compress(b))
    (logs / "old/b.tar.gz").write_bytes(tar_of("w:gz", [
        ("/var/log/c.log", (LINE % (3, "evil.example.net")).encode())]))
    (logs / "old/c.tar").write_bytes(tar_of("w:", [("copy/of/a.log", a)]))
    home = tmp_path / "home"
    got, err = add(home, "-r", logs)
    assert (got["files"], got["known"], got["lines"]) == ("3", "1", "5"), err
    for _ in range(2):
        assert hunt(home, tmp_path, ("domain", "evil.example.net"),
                    ("domain", "bad.example.org")) == {
            "evil.example.net": ("2", "2017-06-01"),
            "bad.example.org": ("3", "2017-06-02")}
        got, _ = add(home, "-r", logs)
        assert (got["lines"], got["known"]) == ("0", "4")


def test_hostile_packs_are_named_and_the_rest_is_added(tmp_path):
    line = (LINE % (1, "evil.example.net")).encode()
    home = tmp_path / "home"
    bad = tmp_path / "bad.tar"
    bad.write_bytes(tar_of("w:", [
        ("../../etc/cron.d/x", line), ("in.tar", tar_of("w:", [("y", line)])),
        ("good.log", line)]))
    got, err = add(home, bad, status=3)
    assert got["lines"] == "1"
    assert "leads out of the pack" in err and "within a pack" in err
    assert not (tmp_path / "etc").exists()

    cut = tmp_path / "cut.tar.gz"
    whole = tar_of("w:gz", [("one.log", line + b"second\n"),
                            ("two.log", os.urandom(300000).hex().encode())])
    cut.write_bytes(whole[:len(whole) // 2])
    _, err = add(home, cut, status=3)
    assert "ends early" in err and "cut.tar.gz" in err

    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("zeros.log", b"0" * (80 << 20))
    got, err = add(home, bomb, status=3)
    assert "400 times" in err and got["lines"] == "0"

    with open(tmp_path / "cut.zip", "wb") as f:
        f.write(bomb.read_bytes()[:1000])
    _, err = add(home, tmp_path / "cut.zip", status=3)
    assert "cut.zip" in err and "directory" in err


def packet(seconds, proto, sport, dport, data, src="10.0.0.5",
           dst="203.0.113.9", seq=1):
    if proto == 17:
        l4 = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    else:
        l4 = struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 0x50, 0x18, 9, 0,
                         0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(l4) + len(data), 0, 0,
                     64, proto, 0, socket.inet_aton(src),
                     socket.inet_aton(dst))
    frame = b"\0" * 12 + b"\x08\x00" + ip + l4 + data
    return struct.pack("<IIII", seconds, 0, len(frame), len(frame)) + frame


def name(text):
    return b"".join(bytes([len(w)]) + w.encode() for w in text.split(".")) \
        + b"\0"


def capture():
    t = 1496480400  # 2017-06-03
    question = name("evil.example.net") + b"\0\1\0\1"
    answer = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + question \
        + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) \
        + socket.inet_aton("198.51.100.77")
    query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question
    sni = b"tls.example.org"
    ext = struct.pack(">HHHBH", 0, len(sni) + 5, len(sni) + 3, 0,
                      len(sni)) + sni
    hello = b"\3\3" + b"R" * 32 + b"\0" + b"\0\2\x13\1" + b"\1\0" \
        + struct.pack(">H", len(ext)) + ext
    hello = b"\1" + len(hello).to_bytes(3, "big") + hello
    record = b"\x16\3\1" + struct.pack(">H", len(hello)) + hello
    get = (b"GET /gate.php?id=1 HTTP/1.1\r\nUser-Agent: x\"y\r\n"
           b"Host: www.example.com\r\n\r\n")
    return struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b"".join([
        packet(t, 17, 40000, 53, query, dst="10.0.0.1"),
        packet(t, 17, 53, 40000, answer, src="10.0.0.1", dst="10.0.0.5"),
        packet(t + 1, 6, 40001, 80, get[:50], seq=100),
        packet(t + 1, 6, 40001, 80, get[50:], seq=150),
        packet(t + 2, 6, 40002, 443, record[:40], seq=5),
        packet(t + 2, 6, 40002, 443, record[40:], seq=45)])


def frames_to(address):
    """Octets of the frames of capture() to ADDRESS."""
    text, at = capture(), 24
    while at < len(text):
        n, = struct.unpack_from("<I", text, at + 8)
        frame = text[at + 16:at + 16 + n]
        if frame[30:34] == socket.inet_aton(address):
            yield n
        at += 16 + n


WANT = {"evil.example.net": ("2", "2017-06-03"),
        "198.51.100.77": ("1", "2017-06-03"),
        "203.0.113.9": ("4", "2017-06-03"),  # two flows, http, tls
        "http://www.example.com/gate.php?id=1": ("1", "2017-06-03"),
        "tls.example.org": ("1", "2017-06-03")}


def test_capture_is_lines(tmp_path):
    home, pcap = tmp_path / "home", tmp_path / "a.pcap"
    pcap.write_bytes(capture())
    got, err = add(home, pcap)
    assert got["lines"] == "7", err  # 4 events, 3 flows
    asked = [("domain" if n[-1].isalpha() else "ipv4", n) for n in WANT
             if not n.startswith("http")]
    asked.append(("url", "http://www.example.com/gate.php?id=1"))
    assert hunt(home, tmp_path, *asked) == WANT
    # What went out is what the flows say, whoever asks: address or range.
    (tmp_path / "ioc.tsv").write_text("ipv4\t203.0.113.9\n"
                                      "cidr\t203.0.113.0/24\n")
    said = [line.split("\t") for line in
            run(NOROSHI, "hunt", "--home", home, "-i", tmp_path / "ioc.tsv",
                "--detail", status=1).stdout.splitlines()]
    sent = sum(n - 14 for n in frames_to("203.0.113.9"))
    for kind, value in ("ipv4", "203.0.113.9"), ("cidr", "203.0.113.0/24"):
        assert ["host", kind, value, "10.0.0.5", "client", "4", "0",
                "1496480401", "1496480402"] in said
        assert ["octets", kind, value, "2017-06-03", "eve", str(sent),
                "2"] in said
        assert ["octets-total", kind, value, str(sent)] in said
    (tmp_path / "b.tar.xz").write_bytes(tar_of("w:xz", [("b", capture())]))
    got, _ = add(home, pcap, tmp_path / "b.tar.xz")
    assert (got["lines"], got["known"]) == ("0", "2")

    cut = tmp_path / "cut.pcap"
    cut.write_bytes(capture()[:-20])
    _, err = add(tmp_path / "h2", cut, status=3)
    assert "ends early" in err
    assert hunt(tmp_path / "h2", tmp_path, ("domain", "evil.example.net")) \
        == {"evil.example.net": ("2", "2017-06-03")}
