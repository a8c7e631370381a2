"""The agent asks only what is new, keeps its archive small and young, and
answers as a hunt over everything does."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from agent_home import ENV, NOROSHI, Home, indicator, squid, wait_for
from fakehub import FakeHub


@pytest.fixture
def hub(tmp_path):
    h = FakeHub(tmp_path)
    yield h
    if h.running:
        h.stop()


@pytest.fixture
def home(tmp_path, hub):
    h = Home(tmp_path / "home")
    h.run("join", hub.address())
    yield h
    h.stop()


def c2(name, **more):
    return indicator(f"[domain-name:value = '{name}']", **more)


def status(home):
    return json.loads(home.run("status", "--json"))["standing"]


def whole_hunt(home, names, tmp_path):
    """Name -> (answer, lines, first, last, days) of a hunt over everything."""
    ioc = tmp_path / "ioc.tsv"
    ioc.write_text("".join(f"domain\t{n}\n" for n in names))
    r = subprocess.run([NOROSHI, "hunt", "--home", home.path, "-i", ioc,
                        "--all", "--format", "json"], text=True, env=ENV,
                       stdout=subprocess.PIPE)
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    return {x["indicator"]: (x["lines"], x["denied"], x["first"], x["last"],
                             x["days"]) for x in rows if "answer" in x}


def answered(home, published):
    """The same of the answers that stand."""
    answers = home.answers()
    return {name: tuple(answers[i["id"]][k] for k in (
        "lines", "denied", "first", "last", "days"))
        for name, i in published.items() if i["id"] in answers}


def test_new_logs_and_new_indicators(hub, home, tmp_path):
    """Logs and indicators come by turns, the keeper is killed between them;
    in the end all stands as a hunt over everything says."""
    rnd = random.Random(3)
    names = [f"h{i}.example" for i in range(12)]
    published = {}
    home.start().connected()
    for i in range(8):
        home.archive([squid(f"2017-07-{rnd.randrange(1, 28):02d}", "10.0.0.5",
                            f"http://{rnd.choice(names)}/{i}-{k}")
                      for k in range(6)], f"a{i}.log")
        if i % 2 == 0:
            new = {n: c2(n) for n in names[i:i + 3] if n not in published}
            hub.publish(list(new.values()))
            published.update(new)
        if i % 3 == 2:
            pid = home.pid("keeper")
            os.kill(pid, signal.SIGKILL)
    want = {k: v for k, v in whole_hunt(home, names, tmp_path).items()
            if k in published}

    def same():
        got = answered(home, published)
        # counts alone are refreshed once an hour: what was found is told
        return set(got) == set(want) and all(
            (got[k][0] > 0) == (want[k][0] > 0) for k in want)
    wait_for("all is answered", same)
    wait_for("nothing is behind", lambda: status(home)["segments"] >= 1
             and status(home)["behind"] == 0)
    assert status(home)["values"] == len(published)
    home.stop()
    # new versions of all are answered from the state: exact sums
    home.start().connected()
    again = {n: dict(i, modified="2017-08-20T12:00:00.000Z")
             for n, i in published.items()}
    hub.publish(list(again.values()))
    wait_for("exact", lambda: answered(home, again) == want)
    text = home.run("status")
    assert f"standing values\t{len(published)}\n" in text


def test_revoked_values_stand_no_longer(hub, home):
    home.archive([squid("2017-07-01", "10.0.0.5", "http://a.example/")])
    home.start().connected()
    a, b = c2("a.example"), c2("b.example")
    hub.publish([a, b])
    wait_for("both", lambda: len(home.answers()) == 2)
    hub.publish([dict(b, revoked=True, modified="2017-08-20T12:00:00.000Z")])
    wait_for("revoked", lambda: home.answers()[b["id"]]["answer"] == "revoked")
    home.archive([squid("2017-07-02", "10.0.0.5", "http://c.example/")],
                 "more.log")
    wait_for("one is left", lambda: status(home)["values"] == 1)


def test_a_damaged_state_is_made_anew(hub, home):
    home.archive([squid("2017-07-01", "10.0.0.5", "http://a.example/")])
    home.start().connected()
    a = c2("a.example")
    hub.publish([a])
    wait_for("seen", lambda: home.answers().get(a["id"], {}).get("lines") == 1)
    home.stop()
    state = home.path / "standing"
    for octets in (state.read_bytes()[:-3], b"no such file"):
        state.write_bytes(octets)
        home.start().connected()
        wait_for("asked anew", lambda: status(home)["values"] == 1
                 and status(home)["behind"] == 0
                 and status(home)["segments"] == 1)
        home.stop()
    assert home.answers()[a["id"]]["lines"] == 1
    assert "standing" in home.log()


def test_upkeep(hub, home):
    """Old logs go and do not come back, small segments become few, answers
    stay."""
    logs = home.path.parent / "logs"
    logs.mkdir()
    home.configure(f"source = {logs}\ningest = 1\nkeep = 60\n")
    (logs / "old.log").write_text(
        squid("2017-05-01", "10.0.0.5", "http://old.example/"))
    home.archive([squid("2017-05-02", "10.0.0.5", "http://old.example/")],
                 "old.log")
    for i in range(9):
        home.archive([squid(f"2017-08-1{i % 3}", "10.0.0.5",
                            f"http://new{i % 2}.example/{i}")], f"a{i}.log")
    home.start().connected()
    wait_for("dropped", lambda: "past their time" in home.log())
    wait_for("merged", lambda: "became one" in home.log())
    assert "proxy of 2017-05-0" in home.log()
    x, y = c2("new1.example"), c2("old.example")
    hub.publish([x, y])
    wait_for("answered", lambda: len(home.answers()) == 2)
    assert home.answers()[x["id"]]["lines"] == 4
    home.stop()
    home.start().connected()
    wait_for("a second look", lambda: home.log().count("started") >= 2)
    (logs / "more.log").write_text(
        squid("2017-08-20", "10.0.0.5", "http://new1.example/"))
    wait_for("more is in", lambda: "1 lines of 1 files" in home.log()
             .split("started")[-1])
    assert home.log().count("1 lines of 1 files") <= 2  # old.log at most once
