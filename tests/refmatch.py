#!/usr/bin/env python3
# Provenance: own work, the executable definition of a match (tools/gen/README.md),
# copied unchanged but for these two lines from the folder it was written in.
"""Reference matcher: slow, short, and the meaning of "this line contains this indicator" (README.md).

    refmatch.py INDICATORS.tsv [FILE...]     (no FILE: standard input)

Prints one line per (line, indicator): line number (counted over all input), kind, indicator, file, line in file.
It is what an analyst would script (regular expressions and hash look-ups) and it checks the generator's truth.
"""
import re
import socket
import sys

NAME = re.compile(rb"[A-Za-z0-9._-]+")
ADDR6 = re.compile(rb"[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*")
HEX = re.compile(rb"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})(?![0-9A-Za-z])")
URL = re.compile(rb"(?<![0-9A-Za-z])(?:https?|ftp):(?://|\\/\\/)(?:\\/|[^\x00-\x20\"'<>`|{}\\^\x7f-\xff])+", re.I)
EMAIL = re.compile(rb"([A-Za-z0-9._+-]+)@([A-Za-z0-9._-]+)")
IP4 = re.compile(rb"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)")
HEXDIGITS = b"0123456789abcdefABCDEF"
KIND_OF_LEN = {32: "md5", 40: "sha1", 64: "sha256"}


def canon_url(u):
    scheme, rest = u.split(b"://", 1)
    m = re.match(rb"[^/?#]*", rest)
    return scheme.lower() + b"://" + m.group(0).lower() + rest[m.end():]


class Matcher:
    def __init__(self, path):
        self.sets = {k: set() for k in "ipv4 cidr ipv6 domain url md5 sha1 sha256 email".split()}
        self.cidr_lens, self.cidr6_lens = set(), set()
        with open(path, "rb") as f:
            for line in f:
                if line.startswith(b"#") or not line.strip():
                    continue
                kind, value = line.rstrip(b"\r\n").split(b"\t")[:2]
                kind = kind.decode()
                if kind == "cidr" and b":" in value:
                    net, n = value.split(b"/")
                    n = int(n)
                    self.cidr6_lens.add(n)
                    self.sets[kind].add((int.from_bytes(socket.inet_pton(socket.AF_INET6, net.decode()), "big") >> (128 - n), n, 6))
                elif kind == "cidr":
                    net, n = value.split(b"/")
                    n = int(n)
                    self.cidr_lens.add(n)
                    self.sets[kind].add((int.from_bytes(socket.inet_aton(net.decode()), "big") >> (32 - n), n))
                elif kind == "ipv6":
                    self.sets[kind].add(socket.inet_pton(socket.AF_INET6, value.decode()))
                elif kind == "url":
                    self.sets[kind].add(canon_url(value))
                else:
                    self.sets[kind].add(value.lower().rstrip(b"."))

    def readings(self, line, start, run):
        """The run itself, and the run without the tail of an escape (%HH, \\n, \\r, \\t) right before it."""
        yield run
        before = line[start - 1:start]
        if before == b"%" and len(run) > 2 and run[0] in HEXDIGITS and run[1] in HEXDIGITS:
            yield run[2:]
        elif before == b"\\" and run[:1] in (b"n", b"r", b"t"):
            yield run[1:]

    def match(self, line):
        s, out = self.sets, set()
        for m in NAME.finditer(line):
            for run in self.readings(line, m.start(), m.group()):
                run = run.strip(b".-").lower()
                if IP4.fullmatch(run):
                    if run in s["ipv4"]:
                        out.add(("ipv4", run))
                    if self.cidr_lens:
                        a = int.from_bytes(socket.inet_aton(run.decode()), "big")
                        for n in self.cidr_lens:
                            if (a >> (32 - n), n) in s["cidr"]:
                                net = (a >> (32 - n) << (32 - n)).to_bytes(4, "big")
                                out.add(("cidr", b"%s/%d" % (socket.inet_ntoa(net).encode(), n)))
                    continue
                while b"." in run:
                    if run in s["domain"]:
                        out.add(("domain", run))
                    run = run.split(b".", 1)[1]
                if run in s["domain"]:
                    out.add(("domain", run))
        if b"://" in line or b":\\/\\/" in line:
            for m in URL.finditer(line):
                u = canon_url(m.group().replace(b"\\/", b"/"))
                for v in {u, u.rstrip(b".,;:!?)]")}:
                    if v in s["url"]:
                        out.add(("url", v))
        for m in HEX.finditer(line):
            h = m.group().lower()
            if h in s[KIND_OF_LEN[len(h)]]:
                out.add((KIND_OF_LEN[len(h)], h))
        if b"@" in line:
            for m in EMAIL.finditer(line):
                for local in self.readings(line, m.start(), m.group(1)):
                    e = (local + b"@" + m.group(2).rstrip(b".-")).lower()
                    if e in s["email"]:
                        out.add(("email", e))
        if (s["ipv6"] or self.cidr6_lens) and line.count(b":") > 1:
            for m in ADDR6.finditer(line):
                run, a, b = m.group(), m.start(), m.end()
                if run.startswith(b":") and not run.startswith(b"::"):
                    run = run[1:]
                elif line[a - 1:a].isalnum():
                    continue
                if run.endswith(b":") and not run.endswith(b"::"):
                    run = run[:-1]
                elif line[b:b + 1].isalnum() or (line[b:b + 1] == b"." and line[b + 1:b + 2].isalnum()):
                    continue
                try:
                    v = socket.inet_pton(socket.AF_INET6, run.decode())
                except OSError:
                    continue
                if v in s["ipv6"]:
                    out.add(("ipv6", socket.inet_ntop(socket.AF_INET6, v).encode()))
                for n in self.cidr6_lens:
                    a = int.from_bytes(v, "big") >> (128 - n)
                    if (a, n, 6) in s["cidr"]:
                        net = (a << (128 - n)).to_bytes(16, "big")
                        out.add(("cidr", b"%s/%d" % (socket.inet_ntop(socket.AF_INET6, net).encode(), n)))
        return out


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    matcher = Matcher(sys.argv[1])
    total, out = 0, sys.stdout.buffer
    for path in sys.argv[2:] or ["-"]:
        f = sys.stdin.buffer if path == "-" else open(path, "rb")
        for n, line in enumerate(f, 1):
            total += 1
            for kind, value in sorted(matcher.match(line)):
                out.write(b"%d\t%s\t%s\t%s\t%d\n" % (total, kind.encode(), value, path.encode(), n))


if __name__ == "__main__":
    main()
