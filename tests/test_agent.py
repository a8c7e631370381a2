"""The agent: answers once and only once, whatever happens to it, to the hub
or to the wire between them."""

import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from agent_home import (ENV, NOROSHI, Home, indicator, squid, wait_for)
from fakehub import FakeHub

KILLS = int(os.environ.get("KILLS", "5"))


def c2(name, **more):
    return indicator(f"[domain-name:value = '{name}']", **more)


LOGS = [squid(f"2017-{m:02d}-{d:02d}", "10.0.0.5", "http://news.example/")
        for m in range(5, 9) for d in range(1, 21)] + [
    squid("2017-07-03", "10.0.0.7", "http://evil.example/a"),
    squid("2017-07-05", "10.0.0.8", "http://www.evil.example/b"),
    squid("2017-07-06", "10.0.0.8", "http://blocked.example/",
          "TCP_DENIED/403"),
]


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


def standing(hub):
    """Indicator -> the newest sighting that the hub holds."""
    with hub.lock:
        return {max(v.values(), key=lambda s: s["modified"])["sighting_of_ref"]:
                max(v.values(), key=lambda s: s["modified"])
                for v in hub.answers.values()}


def test_answers_of_one_report_come_in_one_post(hub, home):
    home.archive(LOGS)
    home.start().connected()
    report = [c2("evil.example"), c2("blocked.example"), c2("never.example"),
              c2("old.example", first="2011-01-01", last="2011-02-01"),
              indicator("[file:hashes.MD5 = "
                        "'d41d8cd98f00b204e9800998ecf8427e']"),
              indicator("[process:command_line LIKE 'x%']")]
    hub.publish(report)
    got = wait_for("six answers", lambda: len(standing(hub)) == 6
                   and standing(hub))
    words = [got[i["id"]]["x_noroshi_answer"] for i in report]
    assert words == ["seen", "denied", "not-seen", "cannot-say", "cannot-say",
                     "cannot-say"]
    seen = got[report[0]["id"]]
    assert seen["count"] == 2
    assert seen["first_seen"] == "2017-07-03T00:00:00Z"
    assert seen["last_seen"] == "2017-07-05T00:00:00Z"
    assert got[report[1]["id"]]["x_noroshi_denied"] == 1
    assert got[report[2]["id"]]["count"] == 0
    assert hub.posts == 1
    assert len([r for r in hub.requests if "added_after" in r[1]
                or r[1].endswith("marking-definition")]) <= 3
    wait_for("sent", lambda: len(home.box("sent")) == 1)
    assert home.box("pending") == []
    assert "answers seen\t1" in home.run("status")
    assert (home.path / "watchlist/hub.nrw").exists()
    cover = seen["x_noroshi_coverage"]
    assert cover["notes"] == [] and cover["engine"].startswith("noroshi ")
    said = [x for x in home.log().splitlines() if "answered: " in x]
    assert len(said) == 2 and "5 件中 1 件の指標の痕跡がありました" in said[0]
    assert "traces of 1 of 5 indicators were found" in said[1]


def test_sealed_archive(hub, home):
    home.run("archive", "seal")
    home.archive(LOGS)
    home.start().connected()
    report = [c2("evil.example"), c2("never.example")]
    hub.publish(report)
    got = wait_for("answers", lambda: len(standing(hub)) == 2 and standing(hub))
    assert [got[i["id"]]["x_noroshi_answer"] for i in report] == [
        "seen", "not-seen"]
    for segment in (home.path / "archive").glob("*.seg"):
        assert segment.read_bytes()[:8] == b"\x89NRSEAL\n"


def test_every_process_is_confined(hub, home):
    home.start()
    for role in ("supervisor", "keeper", "courier"):
        text = pathlib.Path(f"/proc/{home.pid(role)}/status").read_text()
        assert "Seccomp:\t2" in text
        assert "NoNewPrivs:\t1" in text
    def niceness(role):
        text = pathlib.Path(f"/proc/{home.pid(role)}/stat").read_text()
        return int(text.rsplit(")", 1)[1].split()[16])
    assert niceness("keeper") >= 10
    fds = pathlib.Path(f"/proc/{home.pid('keeper')}/fd")
    assert not [f for f in fds.iterdir()
                if os.readlink(f).startswith("socket:")]


def test_policy_ask_never_and_dry_run(hub, home, tmp_path):
    home.archive(LOGS)
    home.configure("share = ask\n")
    home.start().connected()
    hub.publish([c2("evil.example")])
    held = wait_for("held", lambda: home.box("held"))
    assert hub.posts == 0
    shown = home.run("outbox", "show", held[0])
    body = json.loads(shown.split("\n\n", 1)[1])
    assert body["answers"][0]["x_noroshi_answer"] == "seen"
    assert f"held\t{held[0]}\tanswers" in home.run("outbox", "ls")
    home.run("outbox", "send", held[0])
    wait_for("the hub has it", lambda: standing(hub))
    wait_for("sent", lambda: home.box("sent") == held)
    with hub.lock:
        assert [list(v.values()) for v in hub.answers.values()] == [
            body["answers"]]
    hub.publish([c2("never.example")])
    held = wait_for("held", lambda: home.box("held"))
    home.run("outbox", "drop", held[0])
    assert home.box("dropped") == held
    home.run("outbox", "send", held[0], status=2)
    home.stop()
    home.configure("share = never\n")
    home.start().connected()
    x = c2("third.example")
    hub.publish([x])
    wait_for("answered at home", lambda: x["id"] in home.answers())
    home.stop()
    home.configure("share = auto\n")
    home.start("--dry-run").connected()
    y = c2("fourth.example")
    hub.publish([y])
    wait_for("held", lambda: len(home.box("held")) == 1)
    assert home.answers()[y["id"]]["answer"] == "not-seen"
    assert hub.posts == 1
    assert home.box("pending") == []


def test_paging_and_a_pull_cut_off(hub, home):
    hub.page = 7
    hub.cut_pull = 2
    hub.publish([c2(f"n{i}.example") for i in range(40)])
    home.start()
    wait_for("forty answers", lambda: len(standing(hub)) == 40)
    assert all(len(v) == 1 for v in hub.answers.values())


def test_acknowledgement_lost_is_sent_again_and_is_the_same(hub, home):
    hub.forget_ack = 2
    hub.publish([c2("evil.example")])
    home.start()
    wait_for("sent", lambda: home.box("sent"))
    assert hub.posts == 3
    assert [len(v) for v in hub.answers.values()] == [1]


@pytest.mark.parametrize("status, headers", [
    (503, ()), (429, (("Retry-After", "1"),)), (500, ())])
def test_hub_that_cannot_now_is_asked_again(hub, home, status, headers):
    hub.refuse, hub.refuse_with = 2, (status, headers)
    hub.publish([c2("evil.example")])
    home.start()
    wait_for("sent", lambda: home.box("sent"))
    assert [len(v) for v in hub.answers.values()] == [1]


def test_what_the_hub_refuses_for_good_is_held_and_named(hub, home):
    hub.refuse, hub.refuse_with = 1, (422, ())
    hub.publish([c2("evil.example")])
    home.start()
    wait_for("held", lambda: home.box("held"))
    assert "hub: refuses the request" in home.log()


def test_network_loss(hub, home):
    home.start().connected()
    hub.stop()
    objects = [c2("evil.example"), c2("other.example")]
    hub.publish(objects[:1])
    hub.start()
    wait_for("caught up", lambda: len(standing(hub)) == 1)
    hub.publish(objects[1:])
    wait_for("told again", lambda: len(standing(hub)) == 2)
    assert all(len(v) == 1 for v in hub.answers.values())


def test_new_version_and_revocation(hub, home):
    home.archive(LOGS)
    home.start().connected()
    x = c2("never.example")
    hub.publish([x])
    wait_for("answered", lambda: standing(hub))
    newer = {**x, "pattern": "[domain-name:value = 'evil.example']",
             "modified": "2017-08-20T01:00:00.000Z"}
    hub.publish([newer])
    wait_for("answered anew", lambda: standing(hub)[x["id"]]["count"] == 2)
    versions = sorted(list(hub.answers.values())[0].values(),
                      key=lambda s: s["modified"])
    assert len(versions) == 2
    assert versions[0]["created"] == versions[1]["created"]
    hub.publish([{**newer, "revoked": True,
                  "modified": "2017-08-20T02:00:00.000Z"}])
    wait_for("revoked", lambda: home.answers()[x["id"]]["answer"] == "revoked")
    assert hub.posts == 2
    assert b"evil" not in (home.path / "watchlist/hub.nrw").read_bytes()


def test_its_list_is_judged_anew(hub, home, tmp_path):
    """Under other warninglists what was flagged changes, and the log says so."""
    def judged_by(*names):
        lists = tmp_path / "lists"
        lists.mkdir(exist_ok=True)
        (lists / "own.json").write_text(json.dumps(
            {"name": "own", "type": "hostname", "version": 1, "list": names,
             "matching_attributes": ["domain"]}))
        home.configure(f"warninglists = {lists}\n")

    def flagged():
        rows = subprocess.run([NOROSHI, "watchlist", "ls", "--json",
                               home.path / "watchlist/hub.nrw"],
                              stdout=subprocess.PIPE, check=True).stdout
        return {x["value"] for x in map(json.loads, rows.splitlines())
                if "warninglist" in x}

    judged_by("one.example")
    home.start().connected()
    for n, name in enumerate(["one.example", "two.example"], 1):
        hub.publish([c2(name)])
        wait_for("answered", lambda n=n: len(home.answers()) == n)
    assert flagged() == {"one.example"}
    assert "other warninglists" not in home.log()
    home.stop()
    judged_by("two.example")
    home.start().connected()
    hub.publish([c2("three.example")])
    wait_for("answered", lambda: len(home.answers()) == 3)
    assert flagged() == {"two.example"}
    assert home.log().count("was judged by other warninglists") == 1


@pytest.mark.parametrize("inotify", [True, False])
def test_sources_are_followed(hub, home, tmp_path, inotify):
    logs = tmp_path / "logs"
    logs.mkdir()
    source = logs / "access.log"
    source.write_text("".join(LOGS[:10]))
    urls = "yes" if inotify else "no"
    home.configure(f"share = auto\ningest = 1\nsource = {logs}/*.log\n"
                   f"index-urls = {urls}\n")
    held = []
    if not inotify:
        held = exhaust_inotify()
    try:
        home.start().connected()
        x = c2("evil.example")
        hub.publish([x])
        wait_for("answered", lambda: standing(hub))
        assert standing(hub)[x["id"]]["x_noroshi_answer"] != "seen"
        assert ("looking every second" in home.log()) == (not inotify)
        with source.open("a") as f:
            f.write(LOGS[-3])
            f.write(LOGS[-2][:40])  # a line that is not whole yet
        wait_for("seen since", lambda:
                 standing(hub)[x["id"]]["x_noroshi_answer"] == "seen")
        assert standing(hub)[x["id"]]["count"] == 1
        with source.open("a") as f:
            f.write(LOGS[-2][40:])
        wait_for("no line lost", lambda: "1 lines of 1 files"
                 in home.log().splitlines()[-1])
        without = "without URLs in their index" in home.run("archive", "stat")
        assert without == (not inotify)
    finally:
        for fd in held:
            os.close(fd)


def exhaust_inotify():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    fds = []
    while (fd := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
        fds.append(fd)
        if len(fds) > 5000:
            pytest.skip("this user's inotify instances do not run out")
    return fds


def test_archive_add_beside_the_agent_supersedes(hub, home):
    home.start().connected()
    x = c2("evil.example")
    hub.publish([x])
    wait_for("answered", lambda: standing(hub))
    assert standing(hub)[x["id"]]["x_noroshi_answer"] == "cannot-say"
    home.archive(LOGS)
    wait_for("seen since", lambda:
             standing(hub)[x["id"]]["x_noroshi_answer"] == "seen")


def test_kill_9_anywhere_loses_and_doubles_nothing(hub, home):
    home.archive(LOGS)
    rng = random.Random(20170821)
    home.start()
    published = []
    for k in range(KILLS):
        role = rng.choice(["supervisor", "keeper", "courier"])
        batch = [c2(f"k{k}-{i}.example") for i in range(rng.randint(1, 30))]
        published += batch
        hub.publish(batch)
        time.sleep(rng.random() * 0.15)
        pid = home.pid(role)
        if pid:
            os.kill(pid, signal.SIGKILL)
        if role == "supervisor" and pid:
            home.agent.wait()
            home.agent.stderr.close()
            home.start()
    wait_for("every answer", lambda: len(standing(hub)) == len(published))
    wait_for("all sent", lambda: not home.box("pending"))
    assert set(standing(hub)) == {x["id"] for x in published}
    # One version of each: a second one would be a second answer.
    assert all(len(v) == 1 for v in hub.answers.values())
    assert len(home.answers()) == len(published)
    assert not list((home.path / "inbox").glob("*.json"))


def test_second_agent_on_one_home_is_told(hub, home):
    home.start()
    r = subprocess.run([NOROSHI, "agent", "--home", home.path], env=ENV,
                       text=True, stderr=subprocess.PIPE)
    assert r.returncode == 2
    assert "another one works on this home" in r.stderr


def test_wrong_certificate_is_refused(hub, tmp_path):
    home = Home(tmp_path / "other")
    address = hub.address()
    bad = address.replace("pin=" + hub.pin, "pin=" + "A" * 43)
    assert "not the pinned one" in home.run("join", bad, status=2)
    assert not (home.path / "hub/address").exists()


@pytest.mark.parametrize("text, says", [
    ("shares = never\n", "no such key"),
    ("share = nevr\n", "auto, ask or never"),
    ("source = relative.log\n", "absolute path"),
    ("index-urls = never\n", "index-urls is yes or no"),
])
def test_bad_configuration_is_named(hub, home, text, says):
    home.configure(text)
    assert says in home.run("agent", status=2)


def test_agent_without_a_hub_says_what_to_do(tmp_path):
    home = Home(tmp_path / "lone")
    assert "noroshi join" in home.run("agent", status=2)
    r = subprocess.run([NOROSHI, "agent", "--home", tmp_path / "none"],
                       text=True, stderr=subprocess.PIPE)
    assert r.returncode == 2 and "noroshi init" in r.stderr


def test_damaged_inbox_file_does_not_stop_the_rest(hub, home):
    (home.path / "inbox/000000000001-junk.json").write_bytes(b"\x00{\xff")
    home.start().connected()
    hub.publish([c2("evil.example")])
    wait_for("answered", lambda: standing(hub))
    assert "junk.json" in home.log()
