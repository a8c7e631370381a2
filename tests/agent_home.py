"""One organisation in a test: its home, its logs, its agent."""

import datetime
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", ROOT / "build")).resolve()
NOROSHI = BUILD / "cmd/noroshi"
NOW = "2017-08-21T00:00:00Z"
ENV = {**os.environ, "NOROSHI_NOW": NOW}
PATIENCE = 30  # seconds until a test gives up; none is judged by its speed


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def squid(day, client, url, status="TCP_MISS/200"):
    at = datetime.datetime.fromisoformat(day).replace(
        tzinfo=datetime.timezone.utc).timestamp()
    return (f"{at:.3f}    120 {client} {status} 4512 GET {url} - "
            f"HIER_DIRECT/203.0.113.9 text/html\n")


def indicator(pattern, first="2017-06-01", last="2017-08-10", **more):
    return {
        "type": "indicator", "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created": "2017-08-20T00:00:00.000Z",
        "modified": "2017-08-20T00:00:00.000Z",
        "pattern": pattern, "pattern_type": "stix",
        "valid_from": f"{first}T00:00:00Z",
        "x_noroshi_first_seen": f"{first}T00:00:00Z",
        "x_noroshi_last_seen": f"{last}T00:00:00Z", **more}


class Home:
    def __init__(self, path):
        self.path = path
        self.agent = None
        self.run("init")

    def run(self, command, *args, status=0):
        r = subprocess.run([NOROSHI, command, "--home", self.path, *args],
                           text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=ENV)
        assert r.returncode == status, (command, args, r.stdout, r.stderr)
        return r.stdout if status == 0 else r.stderr

    def configure(self, text):
        (self.path / "config").write_text(text)

    def archive(self, lines, name="access.log"):
        log = self.path.parent / f"{self.path.name}-{name}"
        log.write_text("".join(lines))
        self.run("archive", "add", log)

    def start(self, *args):
        self.agent = subprocess.Popen(
            [NOROSHI, "agent", "--home", self.path, *args], env=ENV,
            stderr=subprocess.PIPE, text=True)
        for role in ("supervisor", "keeper", "courier"):
            wait_for(f"{role} is confined", lambda: self.pid(role))
        return self

    def pid(self, role):
        try:
            words = (self.path / "run" / f"{role}.pid").read_text().split()
        except OSError:
            return None
        if len(words) != 2:
            return None
        try:
            os.kill(int(words[0]), 0)
        except OSError:
            return None
        return int(words[0])

    def stop(self, how=signal.SIGTERM):
        if not self.agent:
            return None
        self.agent.send_signal(how)
        status = self.agent.wait(PATIENCE)
        self.agent.stderr.close()
        self.agent = None
        return status

    def connected(self):
        wait_for("connected", lambda: "connected to" in self.log())

    def log(self):
        try:
            return (self.path / "log").read_text()
        except OSError:
            return ""

    def answers(self):
        """The standing answer of each indicator."""
        try:
            text = (self.path / "answers.jsonl").read_text()
        except OSError:
            return {}
        lines = [json.loads(t) for t in text.splitlines(True)
                 if t.endswith("\n")]
        return {a["indicator"]: a for a in lines}

    def box(self, name):
        return sorted(p.stem for p in
                      (self.path / "outbox" / name).glob("*.json"))
