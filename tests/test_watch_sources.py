"""noroshi watch: where lines come from, and lists that change meanwhile."""

import gzip
import lzma
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
LIMIT = 60  # seconds to wait for what must happen


def until(said, what):
    deadline = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(0.01)


class Watch:
    """A watch that writes to d/out; its rows, as they are there now."""

    def __init__(self, d, *more, out=True):
        self.d = d
        argv = [NOROSHI, "watch", "--warninglists", "none", "-i", d / "list"]
        if out:
            argv += ["--output-file", d / "out"]
        self.p = subprocess.Popen(
            [*argv, *more], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.DEVNULL, stderr=(d / "err").open("w"))

    def rows(self):
        out = self.d / "out"
        if not out.exists():
            return []
        whole = out.read_bytes().rpartition(b"\n")[0]
        return [r.split(b"\t") for r in whole.split(b"\n")] if whole else []

    def observed(self):
        return [r[3].decode() for r in self.rows()]

    def wait(self, *names):
        def there():
            assert self.p.poll() is None, (self.d / "err").read_text()
            return set(names) <= set(self.observed())
        until(f"{names} in {self.observed()}", there)

    def end(self, status=1):
        self.p.send_signal(signal.SIGTERM)
        assert self.p.wait(LIMIT) == status, (self.d / "err").read_text()
        return self.observed()


@pytest.fixture
def start(tmp_path):
    (tmp_path / "list").write_text("domain\tevil.com\n")
    begun = []

    def begin(*more, **kw):
        begun.append(Watch(tmp_path, *more, **kw))
        return begun[-1]

    yield begin
    for w in begun:
        w.p.kill()
        w.p.wait()


def add(path, *names):
    with path.open("a") as f:
        f.writelines(f"line of {n}.evil.com\n" for n in names)


def named(*names):
    return [n + ".evil.com" for n in names]


def test_folder_is_followed(start, tmp_path):
    logs = tmp_path / "logs"
    (logs / "sub").mkdir(parents=True)
    add(logs / "a.log", "a1")
    add(logs / "sub/b.log", "b1")
    w = start("-f", logs)
    w.wait(*named("a1", "b1"))
    add(logs / "new.log", "n1")  # appears
    add(logs / "a.log", "a2")
    (logs / "later").mkdir()  # a folder, too
    add(logs / "later/c.log", "c1")
    w.wait(*named("n1", "a2", "c1"))
    (logs / "a.log").unlink()  # vanishes and comes back
    add(logs / "sub/b.log", "b2")
    w.wait(*named("b2"))
    add(logs / "a.log", "a3")
    w.wait(*named("a3"))
    assert sorted(w.end()) == named("a1", "a2", "a3", "b1", "b2", "c1", "n1")


def test_pattern_is_followed(start, tmp_path):
    w = start("-f", str(tmp_path / "x*.log"))
    until("the pattern matches nothing yet", lambda:
          "no such file" in (tmp_path / "err").read_text())
    add(tmp_path / "x1.log", "one")
    add(tmp_path / "y1.log", "other")
    w.wait(*named("one"))
    add(tmp_path / "x2.log", "two")
    add(tmp_path / "x1.log", "three")
    w.wait(*named("two", "three"))
    assert sorted(w.end(3)) == named("one", "three", "two")


def test_rotations_are_followed(start, tmp_path):
    log, old = tmp_path / "app.log", tmp_path / "app.log.1"
    add(log, "r1")
    w = start("-f", log)
    w.wait(*named("r1"))
    log.rename(old)  # renamed, and still written to
    add(old, "r2")
    add(log, "r3")
    w.wait(*named("r2", "r3"))
    with gzip.open(tmp_path / "app.log.2.gz", "wb") as f:
        f.write(old.read_bytes())
    old.unlink()  # packed
    shutil.copyfile(log, old)  # copied and cut short
    os.truncate(log, 0)
    add(log, "r4")
    w.wait(*named("r4"))
    add(log, "r5")
    w.wait(*named("r5"))
    assert w.end() == named("r1", "r2", "r3", "r4", "r5")


def test_packed_files(start, tmp_path):
    line = b"line of p.evil.com\n"
    (tmp_path / "a.log").write_bytes(line)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(line) * 2)
    (tmp_path / "c.log.xz").write_bytes(lzma.compress(line))
    names = ["a.log", "b.log.gz", "c.log.xz"]
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", tmp_path / "a.log", "-o",
                        tmp_path / "d.log.zst"], check=True)
        names.append("d.log.zst")
    w = start(*[tmp_path / n for n in names])
    assert w.p.wait(LIMIT) == 1
    assert [int(r[0]) for r in w.rows()] == list(range(1, len(names) + 2))


def test_fifo_has_no_end(start, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    w = start("-f", pipe)
    for n in ("f1", "f2"):  # two writers, one after the other
        with pipe.open("w") as f:
            f.write(f"{n}.evil.com\n")
        w.wait(*named(n))
    assert w.end() == named("f1", "f2")


def test_unreadable_files_are_named(start, tmp_path):
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"x" * 9999)[:-9])
    add(tmp_path / "good", "g")
    w = start(tmp_path / "bad.gz", tmp_path / "none", tmp_path / "good")
    assert w.p.wait(LIMIT) == 3
    said = (tmp_path / "err").read_text()
    assert "bad.gz" in said and "none" in said and "good" not in said
    assert w.observed() == named("g")


def test_numbers_are_those_of_the_input(tmp_path, start):
    r = random.Random(5)
    text = "".join("clean\n" if r.random() < 0.9 else f"e{i}.evil.com\n"
                   for i in range(20000))
    (tmp_path / "log").write_text(text)
    w = start("--stats", "-f", tmp_path / "log")
    hits = text.count("evil.com")
    until("all rows", lambda: len(w.rows()) == hits)
    w.p.send_signal(signal.SIGUSR1)
    until("counters", lambda: (tmp_path / "err").read_text().count("\n") > 0)
    w.end()
    said = (tmp_path / "err").read_text().replace(",", "")
    for number in (hits, len(text), text.count("\n")):
        assert said.count(str(number)) >= 2, said  # asked for and at the end


def test_lists_change_under_load(start, tmp_path):
    """Each line has a name of every list and one that all lists have."""
    def put(k):
        new = tmp_path / "new"
        new.write_text(f"domain\tone{k}.com\ndomain\ttwo{k}.com\n"
                       "domain\tevil.com\n")
        new.rename(tmp_path / "list")

    put(0)
    log = tmp_path / "log"
    log.write_text("")
    w = start("-f", "-j", "2", log)
    n = 0
    names = " ".join(f"one{k}.com two{k}.com" for k in range(4))
    for k in range(1, 5):
        for _ in range(20):
            with log.open("a") as f:
                for _ in range(250):
                    n += 1
                    f.write(f"{n} {names} n{n}.evil.com\n")
        put(k % 4)
        seen = f"two{k % 4}.com"

        def judged():  # lines come until the new list has judged one
            nonlocal n
            n += 1
            with log.open("a") as f:
                f.write(f"{n} {names} n{n}.evil.com\n")
            return seen in w.observed()[-6:]
        until(seen, judged)
    w.wait(f"n{n}.evil.com")
    w.end()
    lines = {}
    for r in w.rows():
        lines.setdefault(int(r[0]), []).append(r[3].decode())
    assert sorted(lines) == list(range(1, n + 1))
    used = set()
    for i, got in lines.items():
        assert len(got) == 3 and f"n{i}.evil.com" in got
        one, two = sorted(got)[1:] if got[0][0] == "n" else sorted(
            g for g in got if not g.startswith("n"))
        assert one[:3] + one[3:] == one and one[3:] == two[3:]
        used.add(one)
    assert len(used) == 4


def test_two_lists_and_one_that_vanishes(start, tmp_path):
    (tmp_path / "more").write_text("domain\tmore.com\n")
    log = tmp_path / "log"
    log.write_text("a.evil.com a.more.com\n")
    w = start("-i", tmp_path / "more", "-f", log)
    w.wait("a.evil.com", "a.more.com")
    (tmp_path / "more").unlink()
    until("it is said", lambda: "stays in force" in
          (tmp_path / "err").read_text())
    with log.open("a") as f:
        f.write("b.evil.com b.more.com b.back.com\n")
    w.wait("b.evil.com", "b.more.com")
    (tmp_path / "more").write_text("domain\tback.com\n")

    def back():
        with log.open("a") as f:
            f.write("c.back.com\n")
        return "c.back.com" in w.observed()
    until("the list that came back", back)
    assert w.end().count("b.back.com") == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_state_without_output_file(start, tmp_path, how):
    """At least once, the same hit with the same id."""
    log, state = tmp_path / "log", tmp_path / "state"
    got = []

    def go(last):
        out = (tmp_path / "rows").open("ab")
        p = subprocess.Popen(
            [NOROSHI, "watch", "--warninglists", "none", "-i",
             tmp_path / "list", "-f", "--state", state, log], stdout=out)
        try:
            until(last, lambda: last in (tmp_path / "rows").read_text())
            until("state", state.exists)
            p.send_signal(how)
            p.wait(LIMIT)
        finally:
            p.kill()
            p.wait()

    for k in range(4):
        add(log, *[f"k{k}n{i}" for i in range(300)])
        go(f"k{k}n299.evil.com")
    got = [r.split("\t") for r in
           (tmp_path / "rows").read_text().splitlines()]
    want = [f"k{k}n{i}.evil.com" for k in range(4) for i in range(300)]
    assert {r[3] for r in got} == set(want)
    assert len({(r[3], r[8]) for r in got}) == len(want)
    if how == signal.SIGTERM:  # an orderly end says each once
        assert [r[3] for r in got] == want


def test_syslog_of_one_is_read_by_another(start, tmp_path):
    """Hits leave as RFC 5424 and come in again where they are collected."""
    log, far = tmp_path / "log", tmp_path / "far"
    far.mkdir()
    (far / "list").write_text("domain\tevil.com\n")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    collector = Watch(far, "--syslog", f"tcp://127.0.0.1:{port}")
    try:
        until("listening", lambda: "listening" in (far / "err").read_text())
        add(log, *[f"s{i}" for i in range(200)])
        w = start("--output", f"syslog:tcp://127.0.0.1:{port}", log, out=False)
        assert w.p.wait(LIMIT) == 1, (tmp_path / "err").read_text()
        until("all rows", lambda: len(collector.rows()) == 200)
        collector.end()
    finally:
        collector.p.kill()
        collector.p.wait()
    # each message is one line, in order, and has the indicator
    for i, r in enumerate(collector.rows(), 1):
        assert (int(r[0]), r[2]) == (i, b"evil.com")
        assert r[7].startswith(b"syslog:tcp:127.0.0.1")


def test_full_output_is_named(tmp_path):
    (tmp_path / "list").write_text("domain\tevil.com\n")
    add(tmp_path / "log", *[f"n{i}" for i in range(9999)])
    with open("/dev/full", "wb") as full:
        p = subprocess.run([NOROSHI, "watch", "--warninglists", "none", "-i",
                            tmp_path / "list", "--state", tmp_path / "state",
                            tmp_path / "log"], stdout=full,
                           stderr=subprocess.PIPE, timeout=LIMIT)
    assert p.returncode == 2 and b"space" in p.stderr
    # nothing was said to be delivered: all comes with the next run
    p = subprocess.run([NOROSHI, "watch", "--warninglists", "none", "-i",
                        tmp_path / "list", "--state", tmp_path / "state",
                        tmp_path / "log"], stdout=subprocess.PIPE,
                       timeout=LIMIT)
    assert p.returncode == 1 and p.stdout.count(b"\n") == 9999
