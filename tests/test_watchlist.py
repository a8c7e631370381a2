"""noroshi watchlist: lists that are seen, checked and changed."""

import collections
import fcntl
import ipaddress
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
ROOT = pathlib.Path(__file__).resolve().parent.parent
WARN = ROOT / "share/warninglists"
DAY = 86400
BASE_TIME = 1500000000


def run(*argv, stdin=None, **kw):
    return subprocess.run([NOROSHI, *map(str, argv)], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kw)


def ok(*argv, status=0, **kw):
    r = run(*argv, **kw)
    assert r.returncode == status, (argv, r.returncode, r.stderr)
    return r.stdout


def figures(out):
    return {k: int(v) for k, v in (l.split("\t") for l in out.decode().splitlines())}


def make(path, lines, *options):
    ok("import", "--warninglists", "none", "-o", path, *options, "-",
       stdin="".join(l + "\n" for l in lines).encode())


def add(path, lines, *options, **kw):
    return ok("watchlist", "add", "--warninglists", "none", *options, path, "-",
              stdin="".join(l + "\n" for l in lines).encode(), **kw)


def rm(path, lines, **kw):
    return ok("watchlist", "rm", path, "-", stdin="".join(l + "\n" for l in lines).encode(), **kw)


def ls(path, *options):
    """What the list says, in a form that does not depend on its order."""
    return {(x["kind"], x["value"]): x for x in
            map(json.loads, ok("watchlist", "ls", "--json", *options, path).splitlines())}


def domains(n, tag="n"):
    return [f"domain\t{tag}{i}.example" for i in range(n)]


# --- against a model ---------------------------------------------------------

UNIVERSE = [("domain", f"d{i}.example") for i in range(40)]
UNIVERSE += [("domain", f"deep.d{i}.example") for i in range(0, 40, 3)]
UNIVERSE += [("ipv4", f"192.0.2.{i}") for i in range(40)]
UNIVERSE += [("cidr", f"10.{i}.0.0/16") for i in range(12)]
UNIVERSE += [("cidr", f"10.{i}.{i}.0/24") for i in range(0, 12, 2)]
UNIVERSE += [("ipv6", f"2001:db8::{i:x}") for i in range(1, 12)]
UNIVERSE += [("cidr", f"2001:db8:{i:x}::/48") for i in range(1, 6)]
UNIVERSE += [("url", f"http://h{i}.example/x") for i in range(12)]
UNIVERSE += [("sha256", f"{i:064x}") for i in range(1, 12)]
UNIVERSE += [("cve", f"CVE-2017-{1000 + i}") for i in range(6)]
TLP = ["none", "clear", "green", "amber", "amber+strict", "red"]


class Model(dict):
    """(kind, value) -> what is said of it; the rules of nr_watchlist_add()."""

    def add(self, items, source, tlp, start, until):
        for item in items:
            old = self.get(item)
            if not old:
                self[item] = {"sources": {source}, "tlp": tlp, "from": start, "until": until}
                continue
            old["sources"].add(source)
            old["tlp"] = max(old["tlp"], tlp)
            starts = [t for t in (old["from"], start) if t is not None]
            old["from"] = min(starts) if starts else None
            old["until"] = None if None in (old["until"], until) else max(old["until"], until)

    def remove(self, items):
        for item in items:
            self.pop(item, None)


def rfc3339(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def said(x):
    return {"sources": {c["source"] for c in x["claims"]}, "tlp": TLP.index(x.get("tlp", "none")),
            "from": x.get("valid_from"), "until": x.get("valid_until")}


def in_words(model):
    return {k: {**v, "from": v["from"] and rfc3339(v["from"]),
                "until": v["until"] and rfc3339(v["until"])} for k, v in model.items()}


LOG = [v.split("/")[0].replace("http:", "http://h0.example/y") for _, v in UNIVERSE]
LOG = [f"a {v} b" for v in LOG]
LOG += [f"GET http://h{i}.example/x 10.{i}.{i}.7 www.deep.d{i}.example" for i in range(40)]
LOG += [f"from 2001:db8:{i:x}::5 to 10.{i}.200.1" for i in range(8)]


def words(line):
    return line.replace("GET ", "").split()


def brute(model, lines):
    """Every (line, kind, value) of MODEL, by looking at each word of each line."""
    found = set()
    for n, line in enumerate(lines, 1):
        for word in words(line):
            host = word[7:].split("/")[0] if word.startswith("http://") else word
            try:
                address = ipaddress.ip_address(word)
            except ValueError:
                address = None
            for kind, value in model:
                if kind == "domain":
                    hit = not address and ("." + host).endswith("." + value)
                elif kind == "cidr":
                    net = ipaddress.ip_network(value)
                    hit = address and address.version == net.version and address in net
                elif kind in ("ipv4", "ipv6"):
                    hit = address and address == ipaddress.ip_address(value)
                else:
                    hit = word == value
                if hit:
                    found.add((n, kind, value))
    return found


def watched(path, log):
    r = run("watch", "--warninglists", "none", "-i", path, log)
    assert r.returncode in (0, 1) and r.stderr == b"", r.stderr
    rows = [l.split("\t")[:3] for l in r.stdout.decode().splitlines()]
    assert len(rows) == len({tuple(x) for x in rows})
    return {(int(a), b, c) for a, b, c in rows}


def check(path, model, log, rnd):
    listed = ls(path)
    assert {k: said(x) for k, x in listed.items()} == in_words(model)
    assert watched(path, log) == brute(model, LOG)
    assert b"damaged\t0\n" in ok("watchlist", "verify", path)
    stat = json.loads(ok("watchlist", "stat", "--json", path))
    assert stat["indicators"] == len(model)
    assert stat["kinds"] == dict(collections.Counter(k for k, _ in model))
    assert stat["tlp"] == dict(collections.Counter(TLP[v["tlp"]] for v in model.values()))
    assert stat["sources"] == dict(collections.Counter(s for v in model.values() for s in v["sources"]))
    assert stat["unmatched"] == sum(k == "cve" for k, _ in model) # needs more than nr_scan()
    # and what the options choose
    at = BASE_TIME + rnd.randrange(-5, 60) * DAY
    valid = {k for k, v in model.items() if (v["from"] is None or v["from"] <= at) and
             (v["until"] is None or at < v["until"])}
    assert set(ls(path, "--at", at)) == valid
    source = f"s{rnd.randrange(5)}"
    assert set(ls(path, "--source", source)) == {k for k, v in model.items() if source in v["sources"]}
    assert set(ls(path, "--kind", "cidr")) == {k for k in model if k[0] == "cidr"}
    item = rnd.choice(UNIVERSE)
    r = run("watchlist", "get", path, item[1])
    assert r.returncode in (0, 1)
    assert (f"listed\t{item[0]}\t{item[1]}\t" in r.stdout.decode()) == (item in model)


@pytest.mark.parametrize("seed", range(4))
def test_changes_are_those_of_a_model(tmp_path, seed):
    rnd, model, path = random.Random(seed), Model(), tmp_path / "list.nrw"
    log = tmp_path / "log"
    log.write_text("".join(l + "\n" for l in LOG))

    def some(n):
        return rnd.sample(UNIVERSE, rnd.randrange(1, n))

    def options():
        start = rnd.choice([None, BASE_TIME + rnd.randrange(30) * DAY])
        until = rnd.choice([None, BASE_TIME + rnd.randrange(31, 60) * DAY])
        tlp, source = rnd.randrange(6), f"s{rnd.randrange(5)}"
        argv = ["--source", source]
        if tlp:
            argv += ["--tlp", TLP[tlp]]
        if start is not None:
            argv += ["--valid-from", start]
        if until is not None:
            argv += ["--valid-until", until]
        return argv, (source, tlp, start, until)

    items, (argv, how) = some(80), options()
    make(path, ["\t".join(i) for i in items], *argv)
    model.add(items, *how)
    deltas = set()
    for step in range(9):
        if step % 3 == 2:
            items = some(60)
            got = figures(rm(path, ["\t".join(i) for i in items]))
            assert got["removed"] == sum(i in model for i in items)
            assert got["absent"] == sum(i not in model for i in items)
            model.remove(items)
        else:
            items, (argv, how) = some(50), options()
            got = figures(add(path, ["\t".join(i) for i in items], *argv))
            assert got["added"] == sum(i not in model for i in items)
            assert got["removed"] == 0
            model.add(items, *how)
        deltas.add(got["deltas"])
        check(path, model, log, rnd)
    assert deltas >= {1, 2, 3}
    ok("watchlist", "merge", path)
    assert not list(tmp_path.glob("*.d?"))
    check(path, model, log, rnd)


# --- how it behaves ----------------------------------------------------------

def test_feeds_see_deltas(tmp_path):
    """A compiled list among others is taken with what stands beside it."""
    a, b, other = tmp_path / "a.nrw", tmp_path / "b.nrw", tmp_path / "c.tsv"
    make(a, domains(5))
    add(a, ["domain\tnew.example"])
    rm(a, ["n1.example"])
    want = {"n0.example", "n2.example", "n3.example", "n4.example", "new.example"}
    ok("import", "--warninglists", "none", "-o", b, a)
    assert {v for _, v in ls(b)} == want
    other.write_text("domain\tother.example\n")
    ok("import", "--warninglists", "none", "-o", b, other, a)
    assert {v for _, v in ls(b)} == want | {"other.example"}
    r = run("watch", "--warninglists", "none", "-i", other, "-i", a,
            stdin=b"x new.example\nx n1.example\nx other.example\n")
    assert [l.split(b"\t")[2] for l in r.stdout.splitlines()] == [b"new.example", b"other.example"]


def test_sources_of_plain_lines(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, domains(3) + ["192.0.2.1", "hxxp://a[.]example/x"], "--source", "us", "--pap", "red")
    for x in ls(path).values():
        assert [c["source"] for c in x["claims"]] == ["us"] and x["pap"] == "red"
    (tmp_path / "f.txt").write_text("domain\tf.example\n")
    ok("watchlist", "add", "--warninglists", "none", path, tmp_path / "f.txt")
    assert ls(path)["domain", "f.example"]["claims"] == [{"source": "f.txt"}]


def test_get(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, ["domain\tevil.com", "cidr\t10.1.0.0/16", "url\thttp://u.example/x", "ja3\t" + "0" * 32],
         "--source", "us", "--valid-from", "2026-01-02", "--tlp", "green")
    out = ok("watchlist", "get", path, "evil.com", status=1).decode()
    assert out == "listed\tdomain\tevil.com\t2026-01-02T00:00:00Z\t-\tgreen\t-\t-\tus\t-\n"
    assert ok("watchlist", "get", path, "a.evil[.]com", status=1).startswith(b"covers\tdomain\tevil.com\t")
    assert ok("watchlist", "get", path, "10.1.2.3", status=1).startswith(b"covers\tcidr\t10.1.0.0/16\t")
    assert ok("watchlist", "get", path, "--kind", "ja3", "0" * 32, status=1).startswith(b"listed\tja3\t")
    assert ok("watchlist", "get", path, "com.evil.example", "10.2.0.1") == b""
    r = run("watchlist", "get", path, "no such value")
    assert r.returncode == 2 and b"no such value" in r.stderr


def test_refusals(tmp_path):
    path, text = tmp_path / "l.nrw", tmp_path / "t.txt"
    text.write_text("domain\ta.example\n")
    make(path, domains(2))
    before = path.read_bytes()
    cases = [
        (["add", tmp_path / "none.nrw", text], b"no such file"),
        (["add", text, text], b"not a compiled list"),
        (["add", path, "--tlp", "blue", text], b"--tlp"),
        (["add", path, "--valid-from", "2020-01-02", "--valid-until", "2020-01-02", text], b"--valid-until"),
        (["add", path, tmp_path / "none.txt"], b"none.txt"),
        (["rm", tmp_path / "none.nrw", text], b"no such file"),
        (["ls", path, "--kind", "colour"], b"colour"),
        (["verify", text], b"not a compiled list"),
        (["stat", tmp_path / "none.nrw"], b"no such file"),
        (["merge", text], b"not a compiled list"),
        (["frobnicate", path], b"frobnicate"),
        ([], b"usage"),
    ]
    for argv, why in cases:
        r = run("watchlist", *argv)
        assert r.returncode == 2 and why in r.stderr, (argv, r.stderr)
        assert r.stdout == b"" or argv[0] == "verify"
    r = run("watchlist", "add", "--warninglists", "none", path, "-", stdin=b"nothing at all\n")
    assert r.returncode == 2 and b"no indicator found" in r.stderr
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.nrw", "t.txt"]


def test_a_change_does_not_touch_the_base(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, domains(20000))
    before, inode = path.read_bytes(), path.stat().st_ino
    for i in range(5):
        got = figures(add(path, domains(10, f"x{i}-")))
        assert got["added"] == 10 and got["base_indicators"] == 20000
        assert got["delta_indicators"] == 10 * (i + 1)
        assert got["deltas"] == [1, 2, 3, 1, 2][i]
    assert path.stat().st_ino == inode and path.read_bytes() == before
    assert sum(p.stat().st_size for p in tmp_path.glob("l.nrw.d?")) < 200000
    r = run("watchlist", "add", "--warninglists", "none", path, "-",
            stdin="".join(l + "\n" for l in domains(6000, "y")).encode())
    assert r.returncode == 0 and b"watchlist merge makes one file" in r.stderr
    ok("watchlist", "merge", path)
    assert path.stat().st_ino != inode
    assert json.loads(ok("watchlist", "stat", "--json", path))["indicators"] == 26050


def test_ls_needs_no_memory(tmp_path):
    """Walking over a list keeps nothing: the heap stays what it is at a tenth."""
    peaks = []
    for n in (20000, 200000):
        path = tmp_path / f"{n}.nrw"
        make(path, [f"ipv4\t10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(n)])
        p = subprocess.Popen([NOROSHI, "watchlist", "ls", path], stdout=subprocess.PIPE)
        peak = rows = 0
        for line in p.stdout:
            rows += 1
            if rows % 10000 == 0:
                status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
                peak = max([peak] + [int(l.split()[1]) for l in status.splitlines()
                                     if l.startswith("RssAnon:")])
        assert p.wait() == 0 and rows == n
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 1024, peaks


def test_one_writer_at_a_time(tmp_path):
    """Who changes a list keeps others from it; readers read on."""
    path, text = tmp_path / "l.nrw", tmp_path / "t.txt"
    text.write_text("domain\ta.example\n")
    make(path, domains(2))
    add(path, domains(2, "x"))
    with open(f"{path}.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for argv in (["watchlist", "add", path, text], ["watchlist", "rm", path, text],
                     ["watchlist", "merge", path], ["import", "--warninglists", "none", "-o", path, text]):
            r = run(*argv)
            assert r.returncode == 2 and b"another noroshi process" in r.stderr, argv
        assert len(ls(path)) == 4
    ok("import", "--warninglists", "none", "-o", path, text)
    assert len(ls(path)) == 1


# --- damage ------------------------------------------------------------------

PARTS = ["entries", "keys", "abouts", "claims", "strings", "slots", "filter", "nets", "dead", "sums"]


def sections(data):
    """Where each part lies: "NRWL" version 3, format.h."""
    assert data[:4] == b"NRWL" and struct.unpack_from("<H", data, 4)[0] == 3
    head = struct.unpack_from("<H", data, 6)[0]
    size = struct.unpack_from("<Q", data, 16)[0]
    assert size == len(data)
    for at in range(64, head - 16 * len(PARTS), 8): # the table of parts
        rows = [struct.unpack_from("<QQ", data, at + 16 * i) for i in range(len(PARTS))]
        if rows[0][0] == head and rows[9][0] + 8 * rows[9][1] == size:
            return dict(zip(PARTS, rows))
    raise AssertionError("no table of parts")


def test_each_damaged_part_is_named(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, domains(300) + ["cidr\t10.0.0.0/8", "ipv4\t192.0.2.1"], "--source", "somebody")
    add(path, domains(3, "more"))
    rm(path, ["n7.example"])
    for name in ("l.nrw", "l.nrw.d1", "l.nrw.d2"):
        file = tmp_path / name
        whole = file.read_bytes()
        for part, (at, n) in [("head", (100, 1)), *sections(whole).items()]:
            if n == 0:
                continue
            data = bytearray(whole)
            data[at] ^= 1
            file.write_bytes(data)
            r = run("watchlist", "verify", path)
            assert r.returncode == 3, (name, part, r.stdout, r.stderr)
            rows = [l.split("\t") for l in r.stdout.decode().splitlines()]
            bad = [x for x in rows if x[0] == "damaged" and len(x) > 2]
            assert [(x[1], x[2]) for x in bad] == [(str(file), part)], bad
            assert part == "head" or int(bad[0][3]) <= at < int(bad[0][3]) + int(bad[0][4])
            said = json.loads(run("watchlist", "verify", "--json", path).stdout)
            assert [f["part"] for f in said["faults"]] == [part] and said["damaged"] == 1
            # nobody takes it for a list, and nobody writes over it
            for argv in (["ls", path], ["stat", path], ["merge", path]):
                assert run("watchlist", *argv).returncode == 2
            assert file.read_bytes() == data
        file.write_bytes(whole)
        for cut in (len(whole) - 1, 500, 3):
            file.write_bytes(whole[:cut])
            assert run("watchlist", "verify", path).returncode in (2, 3)
        file.write_bytes(whole)
    assert ok("watchlist", "verify", path).splitlines()[0] == b"files\t3"


def test_damage_of_a_large_list_is_found_page_by_page(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, [f"sha256\t{i:064x}" for i in range(500000)])
    data = bytearray(path.read_bytes())
    assert len(data) > 16 << 20 # larger than what is checked when it is opened
    where = sections(data)
    places = [("keys", where["keys"][0] + 5), ("keys", where["keys"][0] + 10 * 65536),
              ("slots", where["slots"][0] + 65536), ("filter", where["filter"][0])]
    for _, at in places:
        data[at] ^= 4
    path.write_bytes(data)
    r = run("watchlist", "verify", path)
    rows = [l.split("\t") for l in r.stdout.decode().splitlines() if l.count("\t") > 1]
    assert r.returncode == 3 and [x[2] for x in rows] == [p for p, _ in places]
    assert all(int(x[3]) <= at < int(x[3]) + int(x[4]) for x, (_, at) in zip(rows, places))
    r = run("watchlist", "ls", path) # what can be read is printed
    assert r.returncode == 3 and b"verify names the places" in r.stderr
    assert 490000 < r.stdout.count(b"\n") < 500000


# --- crashes -----------------------------------------------------------------

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <unistd.h>
static int step = 0;
static void count(void) {
    const char *at = getenv("DIE_AT");
    if (at && ++step == atoi(at)) kill(getpid(), SIGKILL);
}
#define WRAP(ret, name, args, call) ret name args { \
    static ret (*real) args; ret r; \
    if (!real) real = (ret (*) args)dlsym(RTLD_NEXT, #name); \
    count(); r = real call; count(); return r; }
WRAP(int, rename, (const char *a, const char *b), (a, b))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, unlink, (const char *a), (a))
WRAP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(int, utimensat, (int fd, const char *p, const struct timespec *t, int f), (fd, p, t, f))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Kills the process before or after its Nth step that changes a file."""
    at = tmp_path_factory.mktemp("shim")
    (at / "die.c").write_text(SHIM)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", at / "die.so",
                    at / "die.c", "-ldl"], check=True)
    return at / "die.so"


@pytest.mark.parametrize("what", ["add", "rm", "fourth", "merge"])
def test_killed_at_every_step(tmp_path, shim, what):
    base, old, new = tmp_path / "base", {}, {}
    base.mkdir()
    make(base / "l.nrw", domains(200))
    for i in range({"fourth": 3, "merge": 2}.get(what, 1)):
        add(base / "l.nrw", domains(5, f"x{i}-"))
    rm(base / "l.nrw", ["n3.example"]) if what == "merge" else None
    (tmp_path / "in").write_text("domain\tlast.example\ndomain\tn5.example\n")

    def change(path, **env):
        argv = ["merge", path] if what == "merge" else \
            ["rm" if what == "rm" else "add", path, tmp_path / "in"]
        if argv[0] == "add":
            argv += ["--warninglists", "none"]
        return subprocess.run([NOROSHI, "watchlist", *argv], stdout=subprocess.DEVNULL, check=False,
                              env={**os.environ, **env}).returncode

    def content(path):
        return {k: json.dumps(x, sort_keys=True) for k, x in ls(path).items()}

    def copy(name):
        shutil.copytree(base, tmp_path / name)
        return tmp_path / name / "l.nrw"

    old = content(base / "l.nrw")
    done = copy("done")
    assert change(done) == 0
    new = content(done)
    assert (old == new) == (what == "merge")
    preload = {"LD_PRELOAD": str(shim), "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    seen, step = [], 0
    while True:
        step += 1
        path = copy(f"k{step}")
        status = change(path, DIE_AT=str(step), **preload)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        got = content(path)
        assert got in (old, new)
        seen.append(got == new)
        assert b"damaged\t0\n" in ok("watchlist", "verify", path)
        # and the next change works, on what is there, and leaves nothing behind
        assert change(path) == 0
        assert content(path) == new
        assert not list(path.parent.glob("*.new")) and not list(path.parent.glob("*.tmp*"))
        shutil.rmtree(path.parent)
    assert step > 8
    if what != "merge":
        assert seen == sorted(seen) and not seen[0] and seen[-1]


# --- watch -------------------------------------------------------------------

class Follower:
    """noroshi watch -f, whose rows arrive in a list."""

    def __init__(self, *argv, trace=None):
        self.out = open(trace + ".out", "wb")
        self.err = open(trace + ".err", "wb")
        self.path = trace
        self.p = subprocess.Popen([NOROSHI, "watch", *map(str, argv)], stdout=self.out, stderr=self.err)

    def rows(self):
        return pathlib.Path(self.path + ".out").read_bytes().splitlines()

    def stderr(self):
        return pathlib.Path(self.path + ".err").read_bytes()

    def figures(self):
        """Those of the next SIGUSR1."""
        before = self.stderr().count(b"swaps=")
        self.p.send_signal(signal.SIGUSR1)
        wait(lambda: self.stderr().count(b"swaps=") > before and self.stderr().endswith(b"\n"))
        line = [l for l in self.stderr().splitlines() if b"swaps=" in l][-1]
        return dict(f.split("=") for f in line.decode().split() if "=" in f)

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        status = self.p.wait(20)
        self.out.close()
        self.err.close()
        return status


def wait(done, seconds=20):
    for _ in range(seconds * 50):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def test_watch_takes_deltas_over(tmp_path):
    path, log = tmp_path / "l.nrw", tmp_path / "log"
    make(path, domains(100))
    log.write_text("")
    f = Follower("--warninglists", "none", "-i", path, "-f", log, trace=str(tmp_path / "w"))
    written = 0

    def write(text):
        nonlocal written
        with log.open("a") as out:
            out.write(text)
        written += text.count("\n")

    try:
        write("0 n1.example\n")
        wait(lambda: len(f.rows()) == 1)
        swaps = 0
        # lines come all the time while the list changes by every way there is
        for i, change in enumerate(["add", "add", "rm", "add", "merge"]):
            write("".join(f"{k} n2.example\n" for k in range(200)))
            if change == "add":
                add(path, [f"domain\tlate{i}.example"])
            elif change == "rm":
                rm(path, ["n1.example"])
            else:
                ok("watchlist", "merge", path)
            write("".join(f"{k} n2.example\n" for k in range(200)))
            wait(lambda: int(f.figures()["swaps"]) > swaps)
            swaps = int(f.figures()["swaps"])
            write(f"x late{i}.example n1.example\n")
        wait(lambda: int(f.figures()["lines"]) == written)
        got = collections.Counter(r.split(b"\t")[2].decode() for r in f.rows())
        assert got == {"n2.example": 2000, "late0.example": 1, "late1.example": 1,
                       "late3.example": 1, "n1.example": 3}, got
        numbers = [int(r.split(b"\t")[0]) for r in f.rows()]
        assert numbers == sorted(numbers)
        assert int(f.figures()["indicators"]) == 102
    finally:
        status = f.stop()
    assert status == 1


def test_watch_reads_only_the_delta(tmp_path):
    """The base stays mapped as it is: the same mapping, not read again."""
    path, log = tmp_path / "l.nrw", tmp_path / "log"
    make(path, domains(100))
    log.write_text("")
    f = Follower("--warninglists", "none", "-i", path, "-f", log, trace=str(tmp_path / "w"))

    def maps():
        lines = pathlib.Path(f"/proc/{f.p.pid}/maps").read_text().splitlines()
        return {l.split()[0] for l in lines if l.endswith("/l.nrw")}, \
            {l.rsplit("/", 1)[1] for l in lines if "/l.nrw.d" in l}

    try:
        wait(lambda: maps()[0])
        before = maps()[0]
        for i in range(3):
            add(path, [f"domain\tm{i}.example"])
            wait(lambda: int(f.figures()["indicators"]) == 101 + i)
            wait(lambda: maps()[1] == {f"l.nrw.d{k + 1}" for k in range(i + 1)})
            assert maps()[0] == before
        ok("watchlist", "merge", path)
        wait(lambda: maps()[0] != before and not maps()[1])
    finally:
        f.stop()


# --- warninglists ------------------------------------------------------------

def warninglist(where, name, entries, version=1):
    where.mkdir(exist_ok=True)
    (where / f"{name}.json").write_text(json.dumps({
        "name": name, "version": version, "description": "test", "type": "hostname",
        "matching_attributes": ["domain", "hostname"], "list": entries}))


def version_of(path):
    return json.loads(ok("watchlist", "stat", "--json", path))["warninglists"]


def test_lists_know_their_judges(tmp_path):
    one, two, home = tmp_path / "one", tmp_path / "two", tmp_path / "home"
    warninglist(one, "a", ["n1.example"])
    warninglist(two, "a", ["n2.example"])
    path, text = tmp_path / "l.nrw", tmp_path / "t.txt"
    text.write_text("".join(l + "\n" for l in domains(5)))
    env = {**os.environ, "NOROSHI_HOME": str(home)}

    def judged(*options):
        return ok("import", *options, "-o", path, text, env=env)

    def watch(where):
        return run("watch", "--warninglists", where, "-i", path, stdin=b"nothing\n", env=env).stderr

    judged("--warninglists", "none")
    assert version_of(path) == "none"
    assert watch("none") == b"" and watch(one).count(b"no warninglists judged its values") == 1
    judged("--warninglists", one)
    first = version_of(path)
    assert first != "none" and watch(one) == b"" and watch("none") == b""
    assert watch(two).count(b"judged by other warninglists") == 1
    assert watch(two).count(b"\n") == 1
    # the version is that of the content: of an entry, of "version", of an exception
    seen = {first}
    for entries, number in ((["n1.example", "n4.example"], 1), (["n1.example"], 2)):
        warninglist(one, "a", entries, number)
        judged("--warninglists", one)
        assert version_of(path) not in seen
        seen.add(version_of(path))
    warninglist(one, "a", ["n1.example"])
    judged("--warninglists", one)
    assert version_of(path) == first
    home.mkdir()
    (home / "config").write_text("allow = n1.example\n")
    assert b"judged by other warninglists" in watch(one)
    judged("--warninglists", one)
    assert version_of(path) not in seen
    (home / "config").unlink()
    # a delta that others judged, then the whole judged anew
    judged("--warninglists", one)
    r = run("watchlist", "add", "--warninglists", two, path, "-", stdin=b"domain\tn2.example\n", env=env)
    assert r.returncode == 0 and b"judged by other warninglists" in r.stderr
    assert version_of(path) not in (first, "none")
    assert b"judged by other" in watch(one) and b"judged by other" in watch(two)
    assert ls(path)["domain", "n2.example"]["warninglist"] == "a: n2.example"
    ok("watchlist", "merge", path)
    assert b"judged by other" in watch(one) and b"judged by other" in watch(two)
    again = tmp_path / "again.nrw"
    ok("import", "--warninglists", one, "-o", again, path, env=env)
    assert version_of(again) == first
    assert {v for (_, v), x in ls(again).items() if "warninglist" in x} == {"n1.example"}
    # taking out changes nothing about who judged the rest
    rm(again, ["n3.example"])
    assert version_of(again) == first


def test_stat_counts_only_what_is_there(tmp_path):
    path = tmp_path / "l.nrw"
    make(path, domains(3) + ["ja3\t" + "0" * 32, "filename\tevil.exe"])
    before = json.loads(ok("watchlist", "stat", "--json", path))
    assert before["unmatched"] == 2
    ok("watchlist", "rm", path, "-", stdin=("ja3\t" + "0" * 32 + "\n").encode())
    after = json.loads(ok("watchlist", "stat", "--json", path))
    assert after["unmatched"] == 1 and after["kinds"] == {"domain": 3, "filename": 1}
    assert after["indicators"] == 4 and after["deltas"] == 1 and after["gone"] == 1
