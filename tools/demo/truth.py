#!/usr/bin/env python3
"""What every organisation must answer, from the scenario and the generator.

    truth.py org CAST ID GEN-DIR OUT    one organisation, from its generated
                                        logs and their truth.tsv, expected.tsv
    truth.py judge RUN-DIR              all homes and the hub's view against it

Shares no code with the product. The rules are those of the field's handbook:
window = days from 30 before the first to 30 after the last day of an
indicator; coverage = days of it (UTC) on which a log of a needed kind has a
line; seen = a line that was not denied; denied = only denied ones; else
cannot-say below 0.30 or without any needed log, else not-seen.
"""

import bisect
import calendar
import datetime
import json
import mmap
import pathlib
import re
import sys

MARGIN = 30  # days
LEAST = 0.30
ZONE = 9 * 3600  # the organisations' clocks
NEEDED = {"domain": {"dns", "proxy"}, "ipv4": {"fw", "proxy"},
          "sha256": {"edr", "mail"}}
KIND = {"squid": "proxy", "named": "dns", "dnsmasq": "dns", "firewall": "fw",
        "mail": "mail", "winevt": "edr"}
MONTHS = {m.encode(): i for i, m in enumerate(calendar.month_abbr) if m}


def stamp(source, line, year):
    """Seconds since the epoch of a line."""
    if source == "squid":
        return int(line[:line.index(b".")])
    if source == "named":  # 22-Aug-2015 09:00:01.123
        d, m, y = line[:11].split(b"-")
        clock, month = line[12:20], MONTHS[m]
        year, day = int(y), int(d)
    elif source == "winevt":  # {"EventTime":"2015-08-22 09:00:01"
        year, month, day = (int(x) for x in line[14:24].split(b"-"))
        clock = line[25:33]
    else:  # Aug 22 09:00:01
        month, day, clock = MONTHS[line[:3]], int(line[4:6]), line[7:15]
    h, m, s = (int(x) for x in clock.split(b":"))
    return calendar.timegm((year, month, day, h, m, s)) - ZONE


class Lines:
    """The lines of a sorted log file, found by bisection over its octets."""

    def __init__(self, source, path):
        self.source = source
        self.year = int(re.search(r"-(\d{4})-\d\d", path.name).group(1))
        with open(path, "rb") as f:
            size = f.seek(0, 2)
            self.m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) \
                if size else b""

    def start(self, at):
        """Offset of the line that octet AT stands in."""
        return self.m.rfind(b"\n", 0, at) + 1

    def end(self, at):
        end = self.m.find(b"\n", at)
        return len(self.m) if end < 0 else end + 1

    def time(self, at):
        at = self.start(at)
        return stamp(self.source, self.m[at:at + 40], self.year)

    def __len__(self):
        return len(self.m)

    def __getitem__(self, at):
        if at >= len(self.m):
            raise IndexError(at)
        return self.time(at) // 86400

    def days(self):
        """Days (UTC, since the epoch) on which a line stands here."""
        out, at = set(), 0
        while at < len(self.m):
            day = self[at]
            out.add(day)
            # the next octet whose line is of a later day starts that line
            at = max(bisect.bisect_right(self, day, at, len(self.m)),
                     self.end(at))
        return out


def days_by_kind(logs, sources):
    """{kind of log: days with a line}."""
    out = {}
    for source in sources:
        days = out.setdefault(KIND[source], set())
        for path in sorted((logs / source).iterdir()):
            days |= Lines(source, path).days()
    return out


def rows(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def denied_lines(gen):
    """{(kind, value): planted lines that a firewall dropped}."""
    wanted, out = {}, {}
    for kind, value, file, line, *_ in rows(gen / "truth.tsv"):
        if file.startswith("firewall/"):
            wanted.setdefault(file, {}).setdefault(int(line), []).append(
                (kind, value))
    for file, by_line in wanted.items():
        with open(gen / "logs" / file, "rb") as f:
            for number, text in enumerate(f, 1):
                if number in by_line and b" DROP-IN " in text:
                    for key in by_line[number]:
                        out[key] = out.get(key, 0) + 1
    return out


def day(text):
    d = datetime.date.fromisoformat(text)
    return calendar.timegm(d.timetuple()) // 86400


def coverage(indicator, days):
    """(share of the window's days with a needed log, is there any)"""
    first = day(indicator["first"]) - MARGIN
    last = day(indicator["last"]) + MARGIN
    had = set()
    for kind in NEEDED[indicator["kind"]]:
        had |= days.get(kind, set())
    n = sum(first <= d <= last for d in had)
    return n / (last - first + 1), bool(had)


def answer(indicator, days, expected, denied):
    key = (indicator["kind"], indicator["value"])
    lines, first, last = expected.get(key, (0, None, None))
    cov, any_log = coverage(indicator, days)
    if lines > denied.get(key, 0):
        word = "seen"
    elif lines:
        word = "denied"
    elif cov < LEAST or not any_log:
        word = "cannot-say"
    else:
        word = "not-seen"
    return {"kind": key[0], "value": key[1], "answer": word, "lines": lines,
            "denied": denied.get(key, 0), "first": first, "last": last,
            "coverage": round(cov, 6)}


def organisation(cast, org_id, gen):
    org = next(o for o in cast["orgs"] if o["id"] == org_id)
    expected = {(k, v): (int(n), int(a), int(b))
                for k, v, n, a, b in rows(gen / "expected.tsv")}
    days = days_by_kind(gen / "logs", org["sources"])
    denied = denied_lines(gen)
    values = [answer(i, days, expected, denied) for i in cast["indicators"]]
    mean = sum(v["coverage"] for v in values) / len(values)
    if any(v["answer"] == "seen" for v in values):
        word = "seen"
    else:
        word = "cannot-say" if mean < LEAST else "not-seen"
    return {"id": org_id, "answer": word, "coverage": round(mean, 6),
            "values": values}


def main(argv):
    if len(argv) == 6 and argv[1] == "org":
        cast = json.loads(pathlib.Path(argv[2]).read_text(encoding="utf-8"))
        out = organisation(cast, argv[3], pathlib.Path(argv[4]))
        pathlib.Path(argv[5]).write_text(json.dumps(out), encoding="utf-8")
        return 0
    if len(argv) == 3 and argv[1] == "judge":
        import judge
        return judge.main(pathlib.Path(argv[2]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
