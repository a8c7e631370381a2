"""Processes of the demonstration: started, watched, measured, ended."""

import atexit
import datetime
import os
import pathlib
import resource
import signal
import subprocess
import time

from show import Failure

STOP_S = 10  # from SIGTERM to SIGKILL


class Clock:
    """The demonstration's clock: starts at a given instant, runs as ours."""

    def __init__(self, now):
        self.start = datetime.datetime.fromisoformat(now.replace("Z", "+00:00"))
        self.began = time.monotonic()

    def now(self):
        passed = datetime.timedelta(seconds=time.monotonic() - self.began)
        text = (self.start + passed).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")


class Runner:
    """Runs the product's programs with the injected clock, and owns those
    that stay: whatever ends the demonstration ends them too, unless kept."""

    def __init__(self, build, clock):
        self.noroshi = find(build, "noroshi")
        self.hub = find(build, "noroshi-hub")
        self.gen = find(build, "noroshi-gen")
        self.clock = clock
        self.children = {}  # name -> Popen
        self.kept = False
        raise_files()
        atexit.register(self.stop_all)
        for s in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, lambda n, _: os._exit(self.stop_all() or 128 + n))

    def env(self):
        return {**os.environ, "NOROSHI_NOW": self.clock.now(), "LC_ALL": "C"}

    def run(self, *argv, ok=(0,), stdin=None):
        """Run to the end; standard output as text."""
        r = subprocess.run([str(a) for a in argv], env=self.env(), input=stdin,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
        if r.returncode not in ok:
            words = " ".join(str(a) for a in argv[:4])
            text = (r.stderr or r.stdout).strip()[-800:]
            raise Failure(f"{words} ...: exit status {r.returncode}: {text}")
        return r.stdout

    def start(self, name, log, *argv):
        """Start a process that stays, in a session of its own."""
        with open(log, "ab") as f:
            p = subprocess.Popen([str(a) for a in argv], env=self.env(),
                                 stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                 start_new_session=True)
        self.children[name] = p
        return p

    def stop(self, name):
        p = self.children.pop(name)
        end([p])

    def stop_all(self):
        if self.kept:
            return
        left, self.children = list(self.children.values()), {}
        end(left)

    def keep(self):
        """Leave what runs running: the pids to end later."""
        self.kept = True
        return [p.pid for p in self.children.values()]

    def check_alive(self, logs):
        for name, p in self.children.items():
            if p.poll() is not None:
                log = pathlib.Path(logs(name))
                text = log.read_text(errors="replace")[-600:].strip()
                raise Failure(f"{name} ended with status {p.returncode}: "
                              f"{text}")


def find(build, name):
    for path in (build / name, build / "cmd" / name,
                 build / "tools/gen" / name):
        if path.is_file():
            return path.resolve()
    raise Failure(f"{build}: no {name}; run `make build` first")


def raise_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end(processes):
    """SIGTERM, then SIGKILL to the whole session of each."""
    for p in processes:
        if p.poll() is None:
            p.terminate()
    limit = time.monotonic() + STOP_S
    for p in processes:
        try:
            p.wait(max(0.1, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()


def is_ours(pid, word):
    """Does PID live, and stand WORD in its command line?"""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return word in words and state.rsplit(")", 1)[1].split()[0] != "Z"


def end_groups(pids, word):
    """End the sessions of PIDS that WORD stands in the command line of."""
    left = [pid for pid in pids if is_ours(pid, word)]
    groups, limit = list(left), time.monotonic() + STOP_S
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    while left and time.monotonic() < limit:
        time.sleep(0.05)
        left = [pid for pid in left if is_ours(pid, word)]
    for pid in groups:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def status(pid):
    """/proc/PID/status as a dictionary; empty when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def tree():
    """{pid: [pids of its children]} of all processes."""
    out = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            parent = status(entry).get("PPid")
            if parent:
                out.setdefault(int(parent), []).append(int(entry))
    return out


def with_children(pids):
    by_parent, out, todo = tree(), [], list(pids)
    while todo:
        pid = todo.pop()
        out.append(pid)
        todo += by_parent.get(pid, [])
    return out


def memory(pids):
    """(sum of RSS, sum of PSS or None where it may not be read), octets."""
    rss, pss = 0, 0
    for pid in pids:
        words = status(pid).get("VmRSS", "0 kB").split()
        rss += int(words[0]) * 1024
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            line = next(x for x in text.splitlines() if x.startswith("Pss:"))
            if pss is not None:
                pss += int(line.split()[1]) * 1024
        except (OSError, StopIteration):
            pss = None
    return rss, pss


def established(port):
    """TCP connections that the server at PORT holds."""
    n = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        n += int(words[1].split(":")[1], 16) == port and words[3] == "01"
    return n
