"""noroshi extract: distinct values, context, documents and hostile ones."""

import base64
import collections
import json
import os
import pathlib
import random
import subprocess
import zlib

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"


def extract(*args, stdin=b"", status=0, text=True):
    r = subprocess.run([NOROSHI, "extract", *map(str, args)], input=stdin,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=120, check=False)
    assert r.returncode == status, (r.returncode, r.stderr)
    if status == 0:
        assert r.stderr == b""
    extract.said = r.stderr.decode()
    return r.stdout.decode() if text else r.stdout


def values(out, kind=None):
    rows = [line.split("\t") for line in out.splitlines()]
    return [r[1] for r in rows if kind in (None, r[0])]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    rng = random.Random(20170821)
    path = tmp_path_factory.mktemp("log") / "access.log"
    names = ["%s.example%d.com" % (w, i) for w in ("www", "mail", "cdn")
             for i in range(40)]
    with open(path, "w", encoding="ascii") as f:
        for _ in range(30000):
            f.write("%d.%d.0.%d GET http://%s/%x?q=1 200 %032x a@%s\n" % (
                rng.choice((10, 192)), rng.randrange(3), rng.randrange(256),
                rng.choice(names), rng.randrange(500), rng.randrange(99),
                rng.choice(names)))
    return path


def test_distinct_values_are_what_sort_and_uniq_count(log):
    plain = extract(log)
    want = collections.Counter(tuple(r.split("\t")[:2]) for r in plain.splitlines())
    first = {}
    for row in plain.splitlines():
        kind, value, _, line, _ = row.split("\t")
        first.setdefault((kind, value), line)
    rows = [r.split("\t") for r in extract("--unique", log).splitlines()]
    assert {(r[0], r[1]): int(r[2]) for r in rows} == want
    assert len(rows) == len(want) > 1000
    for kind, value, _, file, line in rows:
        assert file == str(log) and line == first[kind, value]
    counts = [int(r[2]) for r in rows]
    assert counts == sorted(counts, reverse=True)


def test_orders_of_distinct_values(log):
    by_first = [r.split("\t") for r in extract("-u", "--sort", "first", log).splitlines()]
    assert [int(r[4]) for r in by_first] == sorted(int(r[4]) for r in by_first)
    by_value = values(extract("-u", "--sort=value", "-k", "domain", log))
    assert by_value == sorted(by_value)
    addresses = values(extract("-u", "--sort=value", "-k", "ipv4", log))
    assert addresses == sorted(addresses, key=lambda a: [int(o) for o in a.split(".")])


def test_too_many_distinct_values(log):
    out = extract("-u", "--memory", "1M", log, status=2)
    assert out == "" and "--memory" in extract.said and "--kinds" in extract.said


def test_first_sight_over_several_files(tmp_path):
    (tmp_path / "a").write_text("x\n10.0.0.1\n")
    (tmp_path / "b").write_text("10.0.0.2\n10.0.0.1\n")
    assert extract("-u", tmp_path / "a", tmp_path / "b") == (
        f"ipv4\t10.0.0.1\t2\t{tmp_path}/a\t2\n"
        f"ipv4\t10.0.0.2\t1\t{tmp_path}/b\t1\n")


def test_only_the_kinds_asked_for(log):
    every = extract(log).splitlines()
    for kinds in ("url", "email", "md5", "ipv4,domain"):
        want = [r for r in every if r.split("\t")[0] in kinds.split(",")]
        assert want and extract("--kinds", kinds, log).splitlines() == want


def test_offset_and_context(tmp_path):
    text = "first\n  see 10.0.0.9\there\r\nlast CVE-2017-0199"
    path = tmp_path / "t"
    path.write_bytes(text.encode())
    rows = [r.split("\t") for r in extract("--offset", "--context", 4, path).splitlines()]
    assert rows == [
        ["ipv4", "10.0.0.9", str(path), "2", "7", "12", "see 10.0.0.9?her"],
        ["cve", "CVE-2017-0199", str(path), "3", "6", "32", "ast CVE-2017-0199"]]
    for row in rows:
        assert text[int(row[5]):].startswith(row[1])
    rows = [r.split("\t") for r in extract("-C", path).splitlines()]
    assert rows[0][5:] == ["  see 10.0.0.9?here"]
    got = [json.loads(r) for r in extract("--json", "--offset", "-C", path).splitlines()]
    assert got[0] == {"kind": "ipv4", "value": "10.0.0.9", "file": str(path),
                      "line": 2, "column": 7, "offset": 12,
                      "context": "  see 10.0.0.9\there"}
    got = [json.loads(r) for r in extract("--json", "-u", path).splitlines()]
    assert got[0] == {"kind": "ipv4", "value": "10.0.0.9", "count": 1,
                      "file": str(path), "line": 2}


def test_offset_behind_a_conversion(tmp_path):
    path = tmp_path / "wide.log"
    path.write_bytes("\ufeffab 10.0.0.9".encode("utf-16-le"))
    assert extract("--offset", path).split("\t")[5] == "3\n"


def test_a_line_in_pieces(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"x\n" + b"word " * 500000 + b"10.0.0.9 y\n10.0.0.8\n")
    rows = [r.split("\t") for r in extract("--offset", path).splitlines()]
    assert rows[0][3:] == ["2", "2500001", "2500002"]
    assert rows[1][3:] == ["3", "1", "2500013"]


def test_disarmed_both_ways(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("hxxps://www[.]evil[.]com/a and 10[.]0.0.9, x[at]evil.com\n")
    armed = extract("--fangs", path)
    assert values(armed) == ["https://www.evil.com/a", "www.evil.com",
                             "10.0.0.9", "x@evil.com", "evil.com"]
    disarmed = extract("--fangs", "--defang", path)
    assert values(disarmed)[0] == "hxxps://www[.]evil[.]com/a"
    assert [r.split("\t")[2:] for r in disarmed.splitlines()] == [
        r.split("\t")[2:] for r in armed.splitlines()]
    (tmp_path / "again").write_text("\n".join(values(disarmed)) + "\n")
    again = extract("--fangs", tmp_path / "again")
    assert set(values(again)) == set(values(armed))


def test_known_values(tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "dns.json").write_text(json.dumps({
        "name": "Public resolvers", "type": "cidr", "version": 1,
        "description": "", "matching_attributes": ["ip-dst"],
        "list": ["8.8.8.8"]}))
    path = tmp_path / "t"
    path.write_text("8.8.8.8 10.0.0.9\n")
    rows = extract("--known", "mark", "--warninglists", lists, path)
    assert [r.split("\t")[5] for r in rows.splitlines()] == ["dns", "-"]
    assert values(extract("--known=drop", "--warninglists", lists, "-u", path)) == ["10.0.0.9"]
    got = [json.loads(r) for r in extract(
        "--known=mark", "--warninglists", lists, "--json", path).splitlines()]
    assert got[0]["known"] == "dns" and "known" not in got[1]


def test_folders(tmp_path):
    (tmp_path / "sub/deeper").mkdir(parents=True)
    (tmp_path / "sub/a.log").write_text("10.0.0.1\n")
    (tmp_path / "sub/deeper/b.log").write_text("10.0.0.2\n")
    assert sorted(values(extract("-r", tmp_path))) == ["10.0.0.1", "10.0.0.2"]
    assert extract(tmp_path, status=3) == "" and str(tmp_path) in extract.said


@pytest.mark.parametrize("args", [
    ["--unique", "--offset"], ["-u", "-C"], ["--sort", "count"],
    ["--sort", "colour", "-u"], ["--memory", "1M"], ["--known", "perhaps"],
    ["--context", "5000"], ["--time-limit", "90000"], ["--kinds", "colour"]],
    ids=" ".join)
def test_options_at_odds(args):
    assert extract(*args, stdin=b"10.0.0.9\n", status=2) == "" and extract.said


# --- documents ---

def pdf(lines):
    """A PDF of one page, written out by hand (ISO 32000-1, 7.5)."""
    text = "BT /F1 12 Tf 50 800 Td 14 TL " + " ".join(
        "(%s) Tj T*" % s.replace("(", r"\(").replace(")", r"\)") for s in lines) + " ET"
    stream = zlib.compress(text.encode())
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 900 850] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"]
    out, at = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for i, body in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    table = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % a for a in at)
    out += b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % table
    return out


HTML = b"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>x</title>
<script>fetch("http://script.evil.com/a");</script></head><body>
<!-- http://comment.evil.com/ --><p>Shown<b>.</b>evil.com and hxxp://dis[.]armed.com/x
<a href="https://hid&#100;en.evil.com/?a=1&amp;b=2">here</a></p></body></html>
"""
IN_HTML = {"http://script.evil.com/a", "http://comment.evil.com/", "shown.evil.com",
           "http://dis.armed.com/x", "https://hidden.evil.com/?a=1&b=2"}


def mail(*parts):
    head = (b"From: =?utf-8?q?Mr=2E_X?= <a@from.evil.com>\r\nTo: b@example.org\r\n"
            b"Subject: =?utf-8?B?%s?=\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=\"=q\"\r\n\r\n"
            % base64.b64encode("開く http://subject.evil.com/".encode()))
    body = b"".join(b"--=q\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n" % p
                    for p in parts)
    return head + body + b"--=q--\r\n"


def test_pdf(tmp_path):
    path = tmp_path / "report"  # the name says nothing
    path.write_bytes(pdf(["C2 is hxxp://pdf[.]evil.com/a", "and 192.0.2.9"]))
    assert extract(path) == (f"url\thttp://pdf.evil.com/a\t{path}\t1\t7\n"
                             f"domain\tpdf.evil.com\t{path}\t1\t14\n"
                             f"ipv4\t192.0.2.9\t{path}\t2\t5\n")
    assert values(extract(stdin=path.read_bytes()))[0] == "http://pdf.evil.com/a"


def test_html(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(HTML)
    assert IN_HTML <= set(values(extract(path)))
    assert IN_HTML <= set(values(extract(stdin=HTML)))
    raw = values(extract("--raw", path))
    assert "http://script.evil.com/a" in raw and "shown.evil.com" not in raw


def test_mail(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(mail(
        (b"text/plain; charset=iso-2022-jp", b"7bit",
         "接続先jp.evil.comと".encode("iso-2022-jp")),
        (b"text/plain", b"base64", base64.encodebytes(b"http://b64.evil.com/")),
        (b"text/plain", b"quoted-printable", b"http://qp.e=\r\nvil.com/=3Fx"),
        (b"text/html", b"base64", base64.encodebytes(HTML)),
        (b"application/octet-stream; name=\"r.pdf\"", b"base64",
         base64.encodebytes(pdf(["http://pdf.evil.com/"]))),
        (b"image/png", b"base64", base64.encodebytes(b"\x89PNG\r\n\x1a\n\0\0"))))
    got = set(values(extract(path)))
    assert IN_HTML <= got
    assert {"a@from.evil.com", "http://subject.evil.com/", "jp.evil.com",
            "http://b64.evil.com/", "http://qp.evil.com/?x", "http://pdf.evil.com/"} <= got
    assert got == set(values(extract(stdin=path.read_bytes())))
    box = tmp_path / "box"
    box.write_bytes(b"From x Mon Aug 21 00:00:00 2017\n" + path.read_bytes() +
                    b"\nFrom y Mon Aug 21 00:00:00 2017\nFrom: a@b.org\nTo: c@second.org\n"
                    b"Subject: x\n\nhttp://second.evil.com/\n")
    assert got | {"http://second.evil.com/", "c@second.org"} <= set(values(extract(box)))


def test_an_attachment_that_is_not_read(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(mail((b"text/plain", b"7bit", b"http://good.evil.com/"),
                          (b"application/zip", b"base64", b"UEsDBAAAAAA=")))
    assert "http://good.evil.com/" in values(extract(path, status=3))
    assert "1; save and unpack" in extract.said


def test_what_only_looks_like_a_document():
    logs = b"<14>Aug 21 00:00:00 h app: From: x 10.0.0.9\n"
    assert values(extract(stdin=logs)) == ["10.0.0.9"]
    assert values(extract(stdin=b"date: 10.0.0.8\nhost: b\n\n10.0.0.9\n")) == [
        "10.0.0.8", "10.0.0.9"]


def test_streams_come_whole(tmp_path):
    """What was read of a pipe to recognise it is not lost."""
    for n in (0, 1, 4095, 4096, 4097, 9000, 300000):
        text = b"x" * (n - 1) + b"\n" if n else b""
        assert values(extract(stdin=text + b"10.0.0.9\n")) == ["10.0.0.9"]
    squeezed = subprocess.run(["gzip", "-c"], input=b"10.0.0.9 " * 20000,
                              stdout=subprocess.PIPE, check=True).stdout
    assert len(values(extract(stdin=squeezed))) == 20000


def test_missing_converters(tmp_path):
    (tmp_path / "none").mkdir()
    files = {"a.pdf": (pdf(["10.0.0.9"]), "poppler-utils"), "b.html": (HTML, "package w3m"),
             "c.eml": (mail(), "package python3")}
    log = tmp_path / "log"
    log.write_text("10.0.0.7\n")
    for name, (octets, package) in files.items():
        path = tmp_path / name
        path.write_bytes(octets)
        out = extract("--converters", tmp_path / "none", path, log, status=3)
        assert package in extract.said and str(path) in extract.said
        assert "10.0.0.7" in values(out)


def fake(folder, name, body):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + body + "\n")
    path.chmod(0o755)
    return folder


def test_a_converter_that_hangs(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(["x"]))
    for body in ("echo 10.0.0.9; exec sleep 1000",
                 "echo 10.0.0.9; while :; do :; done",
                 "echo 10.0.0.9; exec >&-; exec sleep 1000"):
        bad = fake(tmp_path / "bad", "pdftotext", body)
        out = extract("--converters", bad, "--time-limit", 1, path, status=3)
        assert "too long" in extract.said and values(out) == ["10.0.0.9"]


def test_a_converter_that_fails_or_floods(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(["x"]))
    bad = fake(tmp_path / "bad", "pdftotext", "echo 10.0.0.9; exit 1")
    assert values(extract("--converters", bad, path, status=3)) == ["10.0.0.9"]
    assert "cannot read it" in extract.said
    bad = fake(tmp_path / "bad", "pdftotext", "exec yes 10.0.0.9")
    out = extract("--converters", bad, "-u", path, status=3)
    assert "256 MiB" in extract.said
    assert int(out.split("\t")[2]) == 256 * 2**20 // 9
    bad = fake(tmp_path / "bad", "pdftotext", "kill -11 $$")
    assert extract("--converters", bad, path, status=3) == ""


def test_a_converter_can_do_no_harm(tmp_path):
    """No write, no network, no process; secrets of the home stay unread."""
    path, secret, made = tmp_path / "a.pdf", tmp_path / "secret", tmp_path / "made"
    path.write_bytes(pdf(["x"]))
    secret.write_text("10.0.0.66\n")
    made.write_text("")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "pdftotext").write_text(f"""#!/usr/bin/python3
import os, socket
def could(what):
    try:
        what()
        print("could.do.it.com")
    except (OSError, ValueError):
        print("10.0.0.9")
could(lambda: open({str(made)!r}, "w"))
could(lambda: open({str(made)!r}, "a"))
could(lambda: os.unlink({str(made)!r}))
could(lambda: os.mkdir({str(tmp_path / "dir")!r}))
could(lambda: socket.socket())
could(lambda: socket.socket(socket.AF_UNIX))
could(lambda: os.fork())
could(lambda: os.kill(os.getppid(), 0))
could(lambda: print(open({str(secret)!r}).read()))
""")
    (bad / "pdftotext").chmod(0o755)
    assert values(extract("--converters", bad, path)) == ["10.0.0.9"] * 9
    assert made.exists() and not (tmp_path / "dir").exists()


@pytest.mark.parametrize("octets", [
    b"%PDF-1.7\n" + b"\xff\x00" * 5000, pdf(["x"])[:200]], ids=["junk", "cut"])
def test_damaged_pdf(tmp_path, octets):
    path = tmp_path / "a.pdf"
    path.write_bytes(octets)
    assert extract(path, status=3) == "" and "pdftotext cannot read it" in extract.said


def test_nested_and_endless_mail(tmp_path):
    """Thirty mails in one another; a boundary that never comes."""
    inner = b"From: a@b.org\nTo: x\nSubject: http://deep.evil.com/\n\nx\n"
    for _ in range(30):
        inner = (b"From: a@b.org\nTo: x\nSubject: y\nContent-Type: message/rfc822\n\n" + inner)
    assert "http://deep.evil.com/" in values(extract(stdin=inner))
    text = (b"From: a@b.org\nTo: x\nSubject: y\nMIME-Version: 1.0\n"
            b"Content-Type: multipart/mixed; boundary=never\n\nhttp://lost.evil.com/\n")
    assert "http://lost.evil.com/" in values(extract(stdin=text))
