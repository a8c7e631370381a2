"""Three organisations and the real hub: one reports, all answer; the hub is
restarted and killed, agents are killed, nothing is lost and nothing doubled."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time

import pytest

from agent_home import BUILD, ENV, Home, squid, wait_for

HUB = BUILD / "cmd/noroshi-hub"
KILLS = int(os.environ.get("KILLS", "5"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Hub:
    def __init__(self, path):
        self.home, self.port, self.server = path / "hub", free_port(), None
        self.run("init", "--title", "test", "--address",
                 f"127.0.0.1:{self.port}")
        self.log = open(path / "hub.log", "a")

    def run(self, *args, text=None):
        command = list(args)
        at = 1 if command[0] in ("init", "check", "status") else 2
        command[at:at] = ["--home", self.home]
        r = subprocess.run([HUB, *command], text=True, input=text,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=ENV)
        assert r.returncode == 0, (args, r.stdout, r.stderr)
        return r.stdout

    def start(self):
        self.server = subprocess.Popen(
            [HUB, "serve", "--home", self.home, "--listen",
             f"127.0.0.1:{self.port}"], env=ENV, stdout=self.log,
            stderr=self.log)
        wait_for("the hub listens", self.listens)

    def listens(self):
        assert self.server.poll() is None
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how=signal.SIGTERM):
        if self.server:
            self.server.send_signal(how)
            self.server.wait(60)
            self.server = None

    def invite(self, name):
        out = self.run("member", "invite", name, "--sector", "energy",
                       "--size", "large")
        return re.search(r"noroshi://\S+", out).group()


@pytest.fixture
def hub(tmp_path):
    h = Hub(tmp_path)
    h.start()
    yield h
    h.stop()
    h.log.close()


@pytest.fixture
def homes(tmp_path, hub):
    homes = []
    for name in ("a", "b", "c"):
        h = Home(tmp_path / name)
        h.run("join", hub.invite(name))
        homes.append(h)
    homes[0].archive([squid("2017-07-03", "10.0.0.7", "http://evil.example/")])
    homes[1].archive([squid(f"2017-{m:02d}-{d:02d}", "10.0.0.5",
                            "http://news.example/")
                      for m in range(5, 9) for d in range(1, 21)])
    yield homes
    for h in homes:
        h.stop()


def report(home, path, names):
    """REPORT of domain NAMES by HOME: the ids of its indicators."""
    form = path / "form.json"
    form.write_text(json.dumps({
        "title": "A campaign", "summary": "Found by log review.",
        "discovered": "2017-08-20", "running": "unknown",
        "tlp_tech": "green", "tlp_damage": "amber+strict", "pap": "green",
        "identity_scope": "hub", "org": "Zirconia Works",
        "observables": [
            {"type": "domain", "value": n, "role": "c2",
             "first_seen": "2017-06-01T00:00:00Z",
             "last_seen": "2017-08-10T00:00:00Z"} for n in names]}))
    home.run("report", "send", form)


def test_one_reports_and_the_others_answer(hub, homes, tmp_path):
    a, b, c = homes
    c.configure("share = never\n")
    for h in homes:
        h.start().connected()
    report(a, tmp_path, ["evil.example", "other.example"])
    for h in homes:
        wait_for("two answers", lambda: len(h.answers()) == 2)
    words = {h: {x["values"][0]["value"]: x["answer"]
                 for x in h.answers().values()} for h in homes}
    assert words[a]["evil.example"] == "seen"
    assert words[b]["evil.example"] == "not-seen"
    assert words[c]["evil.example"] == "cannot-say"
    for h in (a, b):
        wait_for("sent", lambda: len(sent(h)) == 1)
    assert c.box("sent") == c.box("pending") == c.box("held") == []
    check(hub, answers=4)


def check(hub, answers):
    out = dict(line.split("\t") for line in hub.run("check").splitlines())
    assert out["answers"] == str(answers) and out["faults"] == "0", out


def sent(home):
    """Answers acknowledged (the reporter's box holds its report, too)."""
    return [line for line in home.run("outbox", "ls").splitlines()
            if re.match(r"sent\t\S+\tanswers\t", line)]


def test_restart_and_kill_of_the_hub_and_of_agents(hub, homes, tmp_path):
    rng = random.Random(7)
    for h in homes:
        h.start().connected()
    n = 0
    for k in range(KILLS):
        report(homes[0], tmp_path, [f"k{k}-{i}.example" for i in range(5)])
        n += 5
        time.sleep(rng.random() * 0.2)
        victim = rng.choice(["hub", "keeper", "courier", "supervisor"])
        h = rng.choice(homes)
        pid = h.pid(victim) if victim != "hub" else None
        if victim == "hub":
            hub.stop(rng.choice([signal.SIGTERM, signal.SIGKILL]))
            hub.start()
        elif pid:
            os.kill(pid, signal.SIGKILL)
            if victim == "supervisor":
                h.agent.wait()
                h.agent.stderr.close()
                h.start()
    for h in homes:
        wait_for("every answer", lambda: len(h.answers()) == n)
        wait_for("all sent", lambda: sent(h) and not h.box("pending"))
        lines = (h.path / "answers.jsonl").read_text().splitlines()
        assert len(lines) == n, "an indicator was answered twice"
    hub.stop()
    check(hub, answers=3 * n)


@pytest.mark.parametrize("now,word", [("2031-01-01T00:00:00Z", "behind"),
                                      ("2003-01-01T00:00:00Z", "ahead of")])
def test_clock_skew(hub, homes, tmp_path, now, word):
    """A member whose clock is wrong is told when it joins, with what to do; one
    whose clock is right hears nothing of it."""
    late = Home(tmp_path / "late")
    r = subprocess.run([BUILD / "cmd/noroshi", "join", "--home", late.path,
                        hub.invite("late")], text=True,
                       env={**ENV, "NOROSHI_NOW": now},
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr
    assert "the hub's clock is " in r.stderr and word in r.stderr
    assert "set the clock" in r.stderr
    again = Home(tmp_path / "right")
    quiet = subprocess.run([BUILD / "cmd/noroshi", "join", "--home", again.path,
                            hub.invite("right")], text=True, env=ENV,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert quiet.returncode == 0 and "clock" not in quiet.stderr
