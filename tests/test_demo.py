"""The demonstration in small: every answer of every home against the truth."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", ROOT / "build")).resolve()
RUN = ROOT / "tools/demo/run"
sys.path.insert(0, str(ROOT / "tools/demo"))
sys.dont_write_bytecode = True

import cast  # noqa: E402
import judge  # noqa: E402
import truth  # noqa: E402


def demo(folder, **env):
    return subprocess.run(
        [sys.executable, RUN], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "BUILD": str(BUILD), "DEMO_DIR": str(folder), **env})


def processes_of(folder):
    out = []
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                words = (p / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words:
                out.append(words)
    return out


def test_eight_organisations(tmp_path):
    r = demo(tmp_path / "run", ORGS="8", YEARS="2", MEGABYTES="1", KEEP="")
    assert r.returncode == 0, r.stdout
    assert re.search(r"^truth: [1-9][0-9]* right, 0 wrong$", r.stdout, re.M)
    # eight homes, and five of them at the hub
    n = (8 + 5) * len(cast.build(8, 2, 1)["indicators"])
    assert int(re.search(r"truth: (\d+) right", r.stdout).group(1)) > n
    for words in ("hub restarted", "Seccomp: 2", "Extent of damage",
                  "report to answer", "late ones", "memory of agents"):
        assert words in r.stdout
    assert not (tmp_path / "run").exists()
    assert not processes_of(tmp_path)


def test_kept_running_and_stopped(tmp_path):
    folder = tmp_path / "run"
    r = demo(folder, ORGS="8", YEARS="1", MEGABYTES="1", KEEP="1")
    try:
        assert r.returncode == 0, r.stdout
        port = int(re.search(r"Hub: https://127.0.0.1:(\d+)/", r.stdout)
                   .group(1))
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
        again = demo(folder, ORGS="8", MEGABYTES="1")
        assert again.returncode == 2
        assert "kept running" in again.stdout
    finally:
        subprocess.run([sys.executable, RUN, "--stop"], check=True,
                       env={**os.environ, "DEMO_DIR": str(folder)})
    assert not folder.exists()
    assert not processes_of(tmp_path)


@pytest.mark.parametrize("env, says", [
    ({"ORGS": "0"}, "ORGS=0"),
    ({"ORGS": "many"}, "ORGS=many"),
    ({"ORGS": "999"}, "only 248 organisations"),
    ({"ORGS": "1"}, "ORGS must be larger"),
    ({"YEARS": "-1"}, "YEARS=-1"),
    ({"BUILD": "/nonexistent"}, "run `make build` first"),
])
def test_bad_settings_are_named(env, says, tmp_path):
    r = demo(tmp_path / "run", **env)
    assert r.returncode == 2
    assert says in r.stdout
    assert not (tmp_path / "run").exists()


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "letter").write_text("mine")
    r = demo(tmp_path, ORGS="8")
    assert r.returncode == 2
    assert "not the demonstration's" in r.stdout
    assert (tmp_path / "letter").read_text() == "mine"


def test_cast_is_the_scenario():
    c = cast.build(200, 2, 25)
    assert sum(o["hit"] for o in c["orgs"]) == 161 + 3
    assert sum(o["share"] == "never" for o in c["orgs"]) == 45
    assert c["orgs"][0]["id"] == "org-090"
    assert len(c["late"]) == 2 and c["discoverer"] not in c["late"]


# The truth's own parts, on cases worked out by hand.

def days(first, last):
    return set(range(truth.day(first), truth.day(last) + 1))


@pytest.mark.parametrize("indicator, logs, share", [
    # the two examples of the handbook, section 7
    (("domain", "2016-11-03", "2016-12-15"),
     {"dns": days("2016-12-01", "2017-08-21")}, 45 / 103),
    (("domain", "2017-05-15", "2017-06-20"),
     {"proxy": days("2017-06-01", "2017-08-21")}, 50 / 97),
    (("sha256", "2017-05-15", "2017-06-20"),
     {"proxy": days("2015-06-01", "2017-08-21")}, 0),
    (("ipv4", "2017-05-15", "2017-06-20"),
     {"fw": days("2015-06-01", "2017-08-21")}, 1),
])
def test_coverage(indicator, logs, share):
    kind, first, last = indicator
    got, _ = truth.coverage({"kind": kind, "first": first, "last": last}, logs)
    assert got == pytest.approx(share)


@pytest.mark.parametrize("lines, denied, cov, word", [
    (3, 1, 0.9, "seen"), (2, 2, 0.9, "denied"), (2, 2, 0.0, "denied"),
    (0, 0, 0.9, "not-seen"), (0, 0, 0.0, "cannot-say"),
])
def test_answer(lines, denied, cov, word):
    i = {"kind": "ipv4", "value": "192.0.2.1",
         "first": "2017-05-15", "last": "2017-06-20"}
    key = ("ipv4", "192.0.2.1")
    logs = {"fw": days("2015-06-01", "2017-08-21")} if cov else {}
    got = truth.answer(i, logs, {key: (lines, 1, 2)} if lines else {},
                       {key: denied} if denied else {})
    assert got["answer"] == word


@pytest.mark.parametrize("source, line, iso", [
    ("squid", b"1483228800.123    45 10.0.0.1 TCP_MISS/200", "2017-01-01"),
    ("named", b"01-Jan-2017 08:59:59.999 queries: info", "2016-12-31"),
    ("named", b"01-Jan-2017 09:00:00.000 queries: info", "2017-01-01"),
    ("firewall", b"Jan  1 09:00:00 fw01 kernel: [1.0] DROP", "2017-01-01"),
    ("winevt", b'{"EventTime":"2017-01-01 08:00:00","Hostname', "2016-12-31"),
])
def test_stamp(source, line, iso):
    assert truth.stamp(source, line, 2017) // 86400 == truth.day(iso)


def test_judge_sees_what_is_wrong():
    want = {"answer": "seen", "lines": 3, "denied": 0, "first": 1, "last": 9}
    assert judge.differences(want, dict(want)) == ""
    assert judge.differences(want, None) == "no answer"
    for field in want:
        assert field in judge.differences(want, {**want, field: -1})


def test_judge_reads_single_answers():
    case = cast.build(8, 1, 1)
    case["indicators"] = case["indicators"][:1]
    value = case["indicators"][0]["value"]
    want = {"kind": "domain", "value": value, "answer": "seen", "lines": 2,
            "denied": 0, "first": 1483228800, "last": 1483315200}
    truths = {o["id"]: {"values": [want]} for o in case["orgs"]}
    members = {o["id"]: "identity--" + o["id"] for o in case["orgs"]}
    objects = [{"type": "indicator", "id": "indicator--1", "name": value}]
    shared = [o["id"] for o in case["orgs"] if o["share"] != "never"]
    for org_id in [o["id"] for o in case["orgs"]]:
        objects.append({
            "type": "sighting", "sighting_of_ref": "indicator--1", "count": 2,
            "where_sighted_refs": [members[org_id]], "x_noroshi_denied": 0,
            "x_noroshi_answer": "seen", "first_seen": "2017-01-01T00:00:00Z",
            "last_seen": "2017-01-02T00:00:00Z"})
    wrong = []
    right = judge.judge_sightings(case, truths, objects, members, wrong)
    assert right == len(shared) == 5
    assert len(wrong) == 3  # those who share nothing must not be there
    assert all("nobody may know" in w for w in wrong)
