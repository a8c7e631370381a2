"""The options of noroshi watch that add readings, line by line against tests/refrules.py."""

import ipaddress
import os
import pathlib
import random
import subprocess
import sys

import pytest

import refrules

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"

M32 = "d41d8cd98f00b204e9800998ecf8427e"
ETH = "0xDE0B295669a9FD93d5F28D9Ec85E40f4cb697BAe"
BTC = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
JA4 = "t13d1516h2_8daaf6152771_b186095e22b6"
LIST = ["ipv4\t1.2.3.4", "ipv4\t10.0.0.9", "cidr\t10.0.0.0/29", "cidr\t2001:db8::/32", "ipv6\tfe80::1",
        "domain\tevil.com", "domain\twww.evil.com", "domain\tetwork.example", "domain\tnetwork.example",
        "domain\txn--r8jz45g.jp", "domain\txn--bcher-kva.example", "domain\txn--r8jz45g.xn--zckzah",
        "url\thttp://evil.com/a", "url\thttps://evil.com", "url\thttp://evil.com/a?b=", "url\tevil.com/x/",
        "url\tftp://1.2.3.4/a/b", "email\tuser@evil.com", "md5\t" + M32]
COLD = ["ja3\t" + M32, "sha512\t" + 4 * M32, "cve\tCVE-2017-0199", "asn\tAS64496", "wallet-eth\t" + ETH,
        "wallet-btc\t" + BTC, "ja4\t" + JA4, "filename\tevil.exe", "filename\tmy notes 3.doc", "filename\tx"]
PARTS = ["1.2.3.4", "10.0.0.1", "10.0.0.9", "1.2.3", "evil.com", "www.", "2001:db8::1", "fe80::1", "::", ":",
         ".443", ".65535", ".65536", ".0", ".", "-", "-9", "-300", "_", ">", " ", " ", " ", "%2F", "%", "\\n", "\\r",
         "\\", "\\\\", "C:\\", "network.example", "/", "\\/", "http://", "http://evil.com/a", "https:\\/\\/", "hxxp://", "hXXps[://]",
         "h**p:", "fxp://", "http[:]//", "[.]", "(dot)", "[.", "(.)", "\\.", "[at]", "[@]", "@", "user", "evil", "com",
         "/a", "/x/", "/b", "?", "?b=", "?b=c", "#d", "&e", "=", ":80", ",", ".", ")", "\u4f8b\u3048", "b\u00fccher",
         "B\u00dcCHER", "bu\u0308cher", ".example", ".jp", ".\u30c6\u30b9\u30c8", "\u306b", "\u3002", "\u300c", "\uff0e",
         "\u00e9", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\udcff", "\udce4\udcbe",
         "xn--r8jz45g.jp", M32, 4 * M32, "CVE-2017-0199", "cve-2017-0199", "AS64496", ETH, BTC, JA4, "evil.exe",
         "Evil.EXE", "my notes 3.doc", '"', '"', "x", "a", "0", "\t", "'", "|", "(", "="]
OPTIONS = {"ports": "--tcpdump", "ranges": "--ranges", "fangs": "--fangs", "url_bare": "--url-no-query",
           "url_prefix": "--url-prefix"}


def lines(seed, n):
    r = random.Random(seed)
    for _ in range(n):
        yield "".join(r.choice(PARTS) for _ in range(r.randint(1, 12))) + "\n"


def watch(listed, log, options):
    out = subprocess.run([NOROSHI, "watch", "--warninglists", "none", "-i", listed,
                          *(OPTIONS[o] for o in options), log],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert out.returncode in (0, 1), out.stderr
    return {tuple(row.split(b"\t")[:3]) for row in out.stdout.splitlines()}


def reference(listed, log, options):
    rules = refrules.Rules(listed, options)
    return {(b"%d" % n, kind.encode(), value)
            for n, line in enumerate(open(log, "rb"), 1) for kind, value in rules.match(line)}


@pytest.mark.parametrize("options,cold", [
    ([], False), ([], True), (["ports"], False), (["ranges"], False), (["fangs"], False), (["url_bare"], False),
    (["url_prefix"], False), (list(OPTIONS), True)], ids=str)
def test_agrees(options, cold, tmp_path):
    listed, log = tmp_path / "list", tmp_path / "log"
    listed.write_text("\n".join(LIST + (COLD if cold else [])) + "\n")
    log.write_bytes("".join(lines(len(options) * 2 + cold, 6000)).encode("utf-8", "surrogateescape"))
    got, want = watch(listed, log, options), reference(listed, log, options)
    text = log.read_bytes().splitlines()
    for row in sorted(got ^ want)[:10]:
        print(*row, row in want and "missing" or "too much", text[int(row[0]) - 1], file=sys.stderr)
    assert got == want
    assert len({row[2] for row in got}) > 10


def test_options_only_add(tmp_path):
    """What is found without options is found with them."""
    listed, log = tmp_path / "list", tmp_path / "log"
    listed.write_text("\n".join(LIST) + "\n")
    log.write_bytes("".join(lines(99, 3000)).encode("utf-8", "surrogateescape"))
    plain = watch(listed, log, [])
    for option in OPTIONS:
        more = watch(listed, log, [option])
        assert plain <= more and plain != more, option


@pytest.mark.parametrize("value,family", [("10.0.0.3-10.0.0.6", 4), ("10.0.0.250 - 10.0.1.4", 4),
                                          ("2001:db8::fffe-2001:db8::1:1", 6)])
def test_listed_ranges(value, family, tmp_path):
    """An indicator "first-last" stands for the networks that make it up, and matches all of it and no more."""
    first, last = (ipaddress.ip_address(a.strip()) for a in value.split("-"))
    listed, log = tmp_path / "list", tmp_path / "log"
    listed.write_text(f"ipv{family}\t{value}\n")
    near = [first + i for i in range(-2, int(last) - int(first) + 3)]
    log.write_text("".join(f"{a}\n" for a in near))
    got = watch(listed, log, [])
    assert sorted(int(n) for n, _, _ in got) == [i for i, a in enumerate(near, 1) if first <= a <= last]
    assert {row[2].decode() for row in got} == set(refrules.cover(first, last))
