"""The rules that refmatch.py leaves open, and what the options of `noroshi watch` add to it.

Slow, short, and independent of the C code: refmatch.Matcher says what a match is, Rules adds readings. An option
never takes a match away. Kinds beyond the reference's nine are matched whenever a list holds them.

    refrules.py INDICATORS.tsv OPTION,... [FILE...]     options: ports ranges fangs url_bare url_prefix
"""
import encodings.idna
import ipaddress
import re
import sys
import tempfile

import refmatch
from refmatch import ADDR6, HEX, IP4, NAME, URL, canon_url

PORT = rb"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
HOT = "ipv4 cidr ipv6 domain url md5 sha1 sha256 email".split()

# Disarmed text: first match wins, as the table in src/observable/fang.c is ordered.
MARKS = [(rb"\[://\]", b"://"), (rb"\[dot\]|\(dot\)|\{dot\}", b"."), (rb"\[at\]|\(at\)|\{at\}", b"@"),
         (rb"\[\.\]|\(\.\)|\{\.\}", b"."), (rb"\[:\]", b":"), (rb"\[/\]", b"/"), (rb"\[@\]|\(@\)", b"@"),
         (rb"\[\.", b"."), (rb"\\\.", b".")]
SCHEMES = [(rb"hxxp|hxtp|htxp|h\*\*p", b"http"), (rb"fxp", b"ftp")]
FANGED = re.compile(
    b"|".join(b"(%s)" % m for m, _ in MARKS) + b"|"
    + b"|".join(rb"(?<![0-9A-Za-z])(%s)(?=%s[:\[])" % (m, rb"s?" if to == b"http" else b"") for m, to in SCHEMES),
    re.I)
PLAIN = [to for _, to in MARKS + SCHEMES]

# Characters above U+007F that end a name in U-labels.
BREAKS = [(0x80, 0xa9), (0xab, 0xb4), (0xb6, 0xb6), (0xb8, 0xb9), (0xbb, 0xbf), (0xd7, 0xd7), (0xf7, 0xf7),
          (0x2000, 0x200b), (0x200e, 0x2bff), (0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030),
          (0x303d, 0x303f), (0xd800, 0xf8ff), (0xfe10, 0xfe6f), (0xfeff, 0xfeff), (0xff01, 0xff0f),
          (0xff1a, 0xff20), (0xff3b, 0xff40), (0xff5b, 0xff65), (0xffe0, 0xffff)]
URUN = re.compile("(?:[A-Za-z0-9._-]|[^\x00-\x7f%s])+" % "".join("%c-%c" % b for b in BREAKS))

WORD = re.compile(rb"[^\x00-\x20\x7f\"'<>|*?:/\\,;()\[\]{}=&`]+")
TLD = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")


def refang(line):
    return FANGED.sub(lambda m: PLAIN[m.lastindex - 1], line)


def bitcoin(value):
    return value.lower() if value.upper() == value and value.startswith(b"BC1") else value


class Rules(refmatch.Matcher):
    def __init__(self, path, options=()):
        self.options = set(options)
        self.cold = {k: set() for k in "sha512 wallet ja3 ja4 filename cve asn".split()}
        self.bare, hot = set(), []
        with open(path, "rb") as f:
            for line in f:
                if line.startswith(b"#") or not line.strip():
                    continue
                kind, value = line.rstrip(b"\r\n").split(b"\t")[:2]
                kind = kind.decode()
                if kind in ("wallet-btc", "wallet-eth"):
                    kind = "wallet"
                if kind == "url" and b"://" not in value:
                    host, slash, rest = value.partition(b"/")
                    self.bare.add(b"//" + host.lower() + slash + rest)
                elif kind in HOT:
                    hot.append(line.rstrip(b"\r\n") + b"\n")
                elif kind == "wallet":
                    self.cold[kind].add(value.lower() if value[:2] in (b"0x", b"0X") else bitcoin(value))
                elif kind == "cve":
                    self.cold[kind].add(value.upper())
                elif kind == "asn":
                    self.cold[kind].add(b"AS%d" % int(value.upper().removeprefix(b"AS")))
                else:
                    self.cold[kind].add(value.lower())
        with tempfile.NamedTemporaryFile() as f:
            f.writelines(hot)
            f.flush()
            super().__init__(f.name)
        self.idn = any(b"xn--" in d for d in self.sets["domain"])

    def match(self, line):
        out = self.one(line)
        if "fangs" in self.options:
            out |= self.one(refang(line))
        return out

    def one(self, line):
        out = super().match(line)
        for m in NAME.finditer(line):
            for run in self.readings(line, m.start(), m.group()):
                run = run.strip(b".-").lower()
                if "ports" in self.options:
                    self.ported(run, out)
                if "ranges" in self.options:
                    self.ranged(run, out)
        if "ports" in self.options:
            self.ported_v6(line, out)
        self.urls(line, out)
        if self.idn:
            self.u_names(line, out)
        if any(self.cold.values()):
            self.cold_kinds(line, out)
        return out

    def name(self, text, out):
        """An address or a name by itself, as refmatch.py takes it."""
        out |= super().match(b" " + text + b" ")

    def ported(self, run, out):
        """tcpdump: 1.2.3.4.443, evil.com.443"""
        m = re.fullmatch(rb"(.+)\." + PORT, run, re.S)
        if m and not IP4.fullmatch(run):
            self.name(m.group(1), out)

    def ported_v6(self, line, out):
        """tcpdump: 2001:db8::1.443"""
        for m in ADDR6.finditer(line):
            after = re.match(rb"\.(" + PORT + rb")[.-]*(?![A-Za-z0-9._-])", line[m.end():])
            if after and (m.group()[-1:] != b":" or m.group()[-2:] == b"::"):
                out |= super().match(line[max(m.start() - 1, 0):m.end()])

    def ranged(self, run, out):
        """10.0.0.1-10.0.0.9, 10.0.0.1-9: the two ends"""
        a, _, b = run.partition(b"-")
        if not IP4.fullmatch(a):
            return
        head, last = a.rsplit(b".", 1)
        if re.fullmatch(rb"0|[1-9]\d{0,2}", b) and int(last) <= int(b) <= 255:
            b = head + b"." + b
        if IP4.fullmatch(b):
            self.name(a, out)
            self.name(b, out)

    def heads(self, u):
        """A URL as it stands, without its query, as a prefix up to a border."""
        end = re.match(rb"[a-z]+://[^/?#]*", u).end()
        yield u
        if "url_bare" in self.options:
            yield u[:end] + re.match(rb"[^?#]*", u[end:]).group()
        if "url_prefix" in self.options:
            for n in range(end, len(u)):
                if u[n] in b"/?#&" or (n > end and u[n - 1] in b"/?#&="):
                    yield u[:n]

    def urls(self, line, out):
        for m in URL.finditer(line):
            u = canon_url(m.group().replace(b"\\/", b"/"))
            for v in {u, u.rstrip(b".,;:!?)]")}:
                if not re.match(rb"[a-z]+://[^/?#]", v):
                    continue
                for h in self.heads(v):
                    if h in self.sets["url"]:
                        out.add(("url", h))
                    if h.startswith(b"http") and h.split(b":", 1)[1] in self.bare:
                        out.add(("url", h.split(b"://", 1)[1]))

    def u_names(self, line, out):
        text = line.decode("utf-8", "surrogateescape")
        for m in URUN.finditer(text):
            run, before = m.group(), text[m.start() - 1:m.start()]
            if run.isascii():
                continue
            self.u_name(run, out)
            if before == "%" and re.match("[0-9A-Fa-f]{2}.", run, re.S):
                self.u_name(run[2:], out)
            elif before == "\\" and run[0] in "nrt":
                self.u_name(run[1:], out)

    def u_name(self, run, out):
        run = run.strip(".-")
        head, dot, last = run.rpartition(".")
        if re.match("[A-Za-z]", last):  # a sentence goes on behind "evil.jp"
            last = re.match("[\x00-\x7f]*", last).group()
        run = head + dot + last
        if not dot or run.isascii():
            return
        labels = []
        for label in reversed(run.split(".")):
            a = a_label(label)
            if a is None:
                break
            labels.insert(0, a)
        if len(labels) < 2 or not TLD.fullmatch(labels[-1]) or "xn--" not in ".".join(labels):
            return
        while len(labels) > 1:
            name = ".".join(labels).encode()
            if name in self.sets["domain"]:
                out.add(("domain", name))
            del labels[0]

    def cold_kinds(self, line, out):
        c = self.cold
        for m in HEX.finditer(line):
            if len(m.group()) == 32 and m.group().lower() in c["ja3"]:
                out.add(("ja3", m.group().lower()))
        for m in NAME.finditer(line):
            run = m.group().strip(b".-_")
            if run in c["ja4"]:
                out.add(("ja4", run))
            if run.upper() in c["cve"]:
                out.add(("cve", run.upper()))
            for part in re.findall(rb"[A-Za-z0-9]+", run):
                if re.fullmatch(rb"[0-9A-Fa-f]{128}", part) and part.lower() in c["sha512"]:
                    out.add(("sha512", part.lower()))
                if part in c["asn"]:
                    out.add(("asn", part))
                if part[:2] in (b"0x", b"0X") and part.lower() in c["wallet"]:
                    out.add(("wallet-eth", part.lower()))
                elif part in c["wallet"]:
                    out.add(("wallet-btc", part))
        if c["filename"]:
            for name in list(self.words(line)) + list(self.quoted(line)):
                name = name.strip(b" ").rstrip(b". ").lower()
                if name in c["filename"]:
                    out.add(("filename", name))

    def words(self, line):
        """Words with a dot, or behind a slash; the last part of a path."""
        for m in WORD.finditer(line):
            word, before, after = m.group(), line[m.start() - 1:m.start()], line[m.end():m.end() + 2]
            if after[:1] == b"/" or (after[:1] == b"\\" and after not in (b"\\n", b"\\r", b"\\t", b'\\"')):
                continue
            if before in (b"/", b"\\") and before or b"." in word:
                yield word
            if before == b"\\" and word[:1] in (b"n", b"r", b"t"):
                yield word[1:]

    def quoted(self, line):
        """Names of several words between neighbouring double quotes, from the last slash on."""
        parts = line.split(b'"')
        for text in parts[1:-1]:
            name = re.split(rb"[/\\]", text.rstrip(b"\\"))[-1]
            if b" " in name and b"." in name and not re.search(rb"[\x00-\x1f\x7f]", name):
                yield name


def a_label(label):
    if not label or label.isascii():
        return label.lower() if 0 < len(label) <= 63 else None
    try:
        a = encodings.idna.ToASCII(label).decode().lower()
    except UnicodeError:
        return None
    u = encodings.idna.nameprep(label)
    if u[:1] == "-" or u[-1:] == "-" or u[2:4] == "--" or "." in a or not re.fullmatch("[a-z0-9_-]+", a):
        return None
    return a


def cover(first, last):
    """The addresses and ranges that an indicator "first-last" stands for."""
    nets = ipaddress.summarize_address_range(ipaddress.ip_address(first), ipaddress.ip_address(last))
    return [str(n.network_address) if n.num_addresses == 1 else str(n) for n in nets]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    rules = Rules(sys.argv[1], sys.argv[2].split(","))
    total, out = 0, sys.stdout.buffer
    for path in sys.argv[3:] or ["-"]:
        f = sys.stdin.buffer if path == "-" else open(path, "rb")
        for line in f:
            total += 1
            for kind, value in sorted(rules.match(line)):
                out.write(b"%d\t%s\t%s\n" % (total, kind.encode(), value))


if __name__ == "__main__":
    main()
