#!/usr/bin/env python3
"""Hostile text for matchers: what is near an indicator, in every wrong place.

    hostile.py LIST SEED OCTETS [sparse] > text

Same list, seed and size, same text. Indicators whole, cut, glued, respelled,
escaped and broken by the edges of 64 octets and of the blocks in which logs
are read; truncated UTF-8, control octets, long runs, lines over a mebibyte.
Sparse: one indicator a line, at any place of 64 octets, so that nothing else
of the line makes up for what is missed.
"""
import random
import socket
import sys

SEPARATORS = [b" ", b"\t", b",", b";", b":", b"/", b"?", b"=", b"&", b"#",
              b'"', b"'", b"<", b">", b"(", b")", b"[", b"]", b"{", b"}",
              b"|", b"\\", b"^", b"`", b"@", b"!", b"%", b"+", b"~", b"*",
              b"$", b"\r", b"\0", b"\x01", b"\x1b", b"\x7f", b"\x80", b"\xff"]
NAME = [b".", b"-", b"_", b"..", b"--", b".-", b"-.", b"...", b"a", b"Z",
        b"0", b"9", b"f", b"n", b"r", b"t", b"x", b"com", b".com", b"com.",
        b"www.", b"xn--", b".au", b"1.", b".1", b"255", b"256", b"00", b"01"]
ESCAPES = [b"%2F", b"%2f", b"%0A", b"%", b"%2", b"%%", b"%2e", b"%3a%2f%2f",
           b"\\n", b"\\r", b"\\t", b"\\/", b"\\\\n", b"\\u002f", b"\\x2f",
           b"\\\"", b"&amp;", b"&#46;", b"\\", b"\\\\"]
UTF8 = ["é".encode(), "狼煙".encode(), "😀".encode(), b"\xc3", b"\xe7\x8b",
        b"\xf0\x9f\x98", b"\xc0\x80", b"\xed\xa0\x80", "ü".encode(),
        "。".encode(), "．".encode(), "ａ".encode(), b"\xef\xbb\xbf",
        "\u200b".encode(), "\u00ad".encode(), "İ".encode(), "ß".encode()]
URLS = [b"http://", b"https://", b"ftp://", b"HTTP://", b"hTTps:\\/\\/",
        b"http:/", b"http:\\/\\/", b"xhttp://", b"http:///", b"://", b"//",
        b"hxxp://", b"http[:]//", b"https:", b"http://user:pw@", b":443/"]
FANGS = [b"[.]", b"(.)", b"[dot]", b"{.}", b"[at]", b"[:]", b" . "]
V6 = [b"::", b":", b":::", b"::ffff:", b"fe80::", b"2001:db8::", b"%eth0",
      b"/64", b"[", b"]", b"]:443", b"0:0:0", b":abcd", b":12345", b"::1"]
V4 = [b".443", b":443", b"-10.0.0.9", b"/24", b".255", b".256", b".0",
      b".in-addr.arpa", b".dsl.other.net", b"."]
LINE_EDGES = (1 << 16, 1 << 18, 1 << 20, 1 << 22)


def respell6(r, value):
    """Another spelling of an IPv6 address."""
    raw = socket.inet_pton(socket.AF_INET6, value.decode())
    groups = ["%x" % int.from_bytes(raw[i:i + 2], "big")
              for i in range(0, 16, 2)]
    if r.random() < 0.5:
        groups = [g.zfill(r.randint(1, 4)) for g in groups]
    text = ":".join(groups)
    if r.random() < 0.3:
        text = text.replace(":0:0:", "::", 1)
    return (text.upper() if r.random() < 0.5 else text).encode()


def near_net(r, value):
    """An address inside a network or just beside it."""
    net, n = value.split(b"/")
    six = b":" in net
    family = socket.AF_INET6 if six else socket.AF_INET
    bits = 128 if six else 32
    a = int.from_bytes(socket.inet_pton(family, net.decode()), "big")
    size = 1 << (bits - int(n))
    a += r.choice((0, size - 1, size, -1, r.randrange(size)))
    a &= (1 << bits) - 1
    return socket.inet_ntop(family, a.to_bytes(bits // 8, "big")).encode()


def spelled(r, kind, value):
    """An indicator as text: true, in another spelling, or nearly so."""
    if kind == b"cidr":
        value = near_net(r, value)
    elif kind == b"ipv6" and r.random() < 0.6:
        value = respell6(r, value)
    way = r.random()
    if way < 0.5:
        return value
    if way < 0.58:
        return value.upper()
    if way < 0.64:
        return bytes(c ^ 32 if 65 <= (c & ~32) <= 90 and r.random() < 0.5
                     else c for c in value)
    if way < 0.70:
        return value.replace(b"/", b"\\/")
    if way < 0.74:
        return value.replace(b".", r.choice(FANGS), r.randint(1, 3))
    if way < 0.78 and b"xn--" in value:
        try:
            return value.decode("idna").encode()
        except UnicodeError:
            return value
    cut = r.randint(0, len(value))
    if way < 0.86:
        return value[:cut]
    if way < 0.92:
        return value[cut:]
    if way < 0.96:
        return value[:cut] + r.choice(UTF8 + SEPARATORS + NAME) + value[cut:]
    return value + value


def long_run(r):
    n = int(2 ** r.uniform(1, 12))
    if r.random() < 0.002:
        n *= 12  # still under the longest token of a line in pieces
    unit = r.choice((b"a", b"0", b"f", b".", b"a.", b"1.", b"1.2.3.4.", b":",
                     b"-", b"_", b"0:", b"ab:", b" ", b"/", b"@", b"a@", b"%",
                     b"%2", b"\\", b"\xc3", "狼".encode(), b"http://"))
    if b"." in unit or b"@" in unit or b":" in unit or unit == b"http://":
        n = min(n, 1500)
    return unit * n


def part(r, listed):
    way = r.random()
    if way < 0.36:
        return spelled(r, *r.choice(listed))
    if way < 0.55:
        return r.choice(SEPARATORS)
    if way < 0.70:
        return r.choice(NAME)
    if way < 0.77:
        return r.choice(ESCAPES)
    if way < 0.82:
        return r.choice(UTF8)
    if way < 0.86:
        return r.choice(URLS)
    if way < 0.90:
        return r.choice(V4)
    if way < 0.94:
        return r.choice(V6)
    if way < 0.97:
        return b"%d.%d.%d.%d" % tuple(r.choice((0, 1, 9, 10, 99, 100, 255,
                                                256, r.randrange(300)))
                                      for _ in range(4))
    if way < 0.985:
        return long_run(r)
    return bytes(r.choice(b"0123456789abcdefABCDEF")
                 for _ in range(r.choice((31, 32, 33, 40, 41, 63, 64, 65))))


def line(r, listed, at):
    """One line without its LF, to stand at octet AT of the text."""
    out = bytearray()
    way = r.random()
    if way < 0.000004:  # goes on over several blocks
        want = r.randint(1 << 20, 3 << 20)
    elif way < 0.002:
        want = r.randint(1000, 40000)
    else:
        want = int(2 ** r.uniform(0, 9))
    if r.random() < 0.2:  # put an indicator across an edge of 64 octets
        out += b" " * ((r.randint(-40, 8) - at) % 64)
    while len(out) < want:
        if want > 40000 and r.random() < 0.2:
            out += b" "  # a line in pieces needs places to be cut
        out += part(r, listed)
    return bytes(out).replace(b"\n", b"n")


def edge_of(r):
    """What stands beside an indicator: nothing, or up to three things."""
    return b"".join(r.choice(r.choice((SEPARATORS, NAME, ESCAPES, UTF8)))
                    for _ in range(r.choice((0, 1, 1, 1, 2, 3))))


def sparse(listed, seed, octets):
    """Chunks of text with an indicator a line."""
    r = random.Random(seed)
    at = 0
    while at < octets:
        kind, value = r.choice(listed)
        if kind == b"cidr":
            value = near_net(r, value)
        elif kind == b"ipv6" and r.random() < 0.5:
            value = respell6(r, value)
        elif r.random() < 0.2:
            value = spelled(r, kind, value)
        one = b"." * (r.random() < 0.02) + b" " * r.randrange(70) + \
            edge_of(r) + value + edge_of(r) + b" " * r.randrange(3)
        one = one.replace(b"\n", b"n") + b"\n"
        at += len(one)
        yield one


def text(listed, seed, octets):
    """Chunks of the text; OCTETS or a little more in all."""
    r = random.Random(seed)
    at = 0
    head = b"# plain text, or it would pass for binary data\n" * 1500
    yield head
    at += len(head)
    edge = 0
    while at < octets:
        step = LINE_EDGES[edge % len(LINE_EDGES)]
        to_edge = -at % step
        if 200 < to_edge < 2000 and r.random() < 0.7:
            edge += 1  # an indicator across the edge of a block
            pad = to_edge - r.randint(0, 60)
            body = b"." if r.random() < 0.1 else b" "
            one = r.choice((body * pad, b"\n" * pad)) + \
                spelled(r, *r.choice(listed))
        else:
            one = line(r, listed, at)
        one += b"\r\n" if r.random() < 0.05 else b"\n"
        at += len(one)
        yield one
    yield b"no LF at the end: " + r.choice(listed)[1]


def read_list(path):
    with open(path, "rb") as f:
        return [tuple(row.rstrip(b"\n").split(b"\t")[:2]) for row in f
                if row.strip() and not row.startswith(b"#")]


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[4:] not in ([], ["sparse"]):
        sys.exit(__doc__)
    make = sparse if sys.argv[4:] else text
    for chunk in make(read_list(sys.argv[1]), int(sys.argv[2]),
                      int(sys.argv[3])):
        sys.stdout.buffer.write(chunk)


if __name__ == "__main__":
    main()
