"""import and feed: lists of others from files and from a web server that says
when nothing changed; report: what is refused before anything leaves."""

import functools
import http.server
import json
import os
import random
import shutil
import subprocess
import threading

import pytest

from agent_home import ENV, NOROSHI, ROOT

REAL = ROOT / "src/feed/testdata/real"
EVENT = "5bbde3a5-0e50-4b4f-8f8d-4d2e0a010101"


def run(*args, status=0, text=None):
    r = subprocess.run([NOROSHI, *args], text=True, input=text, env=ENV,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == status, (args, r.stdout, r.stderr)
    return r.stdout, r.stderr


def stats(out):
    return {k: int(v) for k, v in
            (l.split("\t") for l in out.splitlines() if l.count("\t") == 1)
            if v.isdigit()}


@pytest.fixture
def home(tmp_path):
    run("init", "--home", tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "web"
    (root / "misp").mkdir(parents=True)
    shutil.copy(REAL / "tick.csv", root)
    shutil.copy(REAL / "telebots.json", root / "misp" / f"{EVENT}.json")
    (root / "misp/manifest.json").write_text(json.dumps({EVENT: {}}))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_import_flags_and_compiles(tmp_path):
    out, err = run("import", "--warninglists", ROOT / "share/warninglists",
                   "-o", tmp_path / "a.nrw", REAL / "telebots.json",
                   REAL / "tick.csv")
    got = stats(out)
    assert got["taken"] == got["indicators"] == 123
    assert got["flagged"] == 2 and "api.telegram.org" in err
    # The compiled list is a list again; the flags stay.
    out, _ = run("import", "--warninglists", "none", "-o",
                 tmp_path / "b.nrw", tmp_path / "a.nrw")
    assert stats(out)["indicators"] == 123 and stats(out)["flagged"] == 2


@pytest.mark.parametrize("name,content,says", [
    ("junk", random.Random(1).randbytes(4096), "binary data"),
    ("empty", b"", "no indicator found"),
    ("cut.json", (REAL / "telebots.json").read_bytes()[:5000], "ends early"),
    ("twice.json", b'{"objects":[],"objects":[]}', "at octet"),
    ("nul.txt", b"\0" * 4096, "binary data"),
], ids=["junk", "empty", "cut", "twice", "nul"])
def test_import_refuses(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "old.nrw").write_bytes(b"old")
    _, err = run("import", "--warninglists", "none", "-o",
                 tmp_path / "old.nrw", tmp_path / name, status=2)
    assert says in err and name in err
    assert (tmp_path / "old.nrw").read_bytes() == b"old"


def test_import_usage(tmp_path):
    assert "usage" in run("import", REAL / "tick.csv", status=2)[1]
    assert "--format" in run("import", "--format", "xml", "-o", "x",
                             REAL / "tick.csv", status=2)[1]
    assert "/nonexistent" in run("import", "-o", tmp_path / "x",
                                 "/nonexistent", status=2)[1]


def test_feeds(home, web, tmp_path):
    root, url = web
    quiet = ("--warninglists", "none", "--home", home)
    run("feed", "add", "tick", f"{url}/tick.csv", "--home", home)
    run("feed", "add", "event", f"{url}/misp/", "--home", home)
    run("feed", "add", "folder", root / "misp", "--home", home)
    out, _ = run("feed", "pull", *quiet)
    assert "indicators\t45" in out and out.count("indicators\t78") == 2
    out, _ = run("feed", "pull", "tick", "event", *quiet)
    assert out.splitlines() == ["feed\ttick\tnot changed",
                                "feed\tevent\tnot changed"]
    # A list that is gone is fetched whole, changed or not.
    (home / "lists/tick.nrw").unlink()
    assert "indicators\t45" in run("feed", "pull", "tick", *quiet)[0]
    rows = [l.split("\t") for l in
            run("feed", "ls", "--home", home)[0].splitlines()]
    assert [(r[0], r[4]) for r in rows] == [
        ("event", "78"), ("folder", "78"), ("tick", "45")]


def test_feed_faults(home, web):
    root, url = web
    quiet = ("--warninglists", "none", "--home", home)
    for name, at, says in [("bad/name", "x", "name"), ("ftp", "ftp://x/y",
                           "http"), ("none", "/nonexistent", "no such file")]:
        assert says in run("feed", "add", name, at, "--home", home,
                           status=2)[1]
    run("feed", "add", "tick", root / "tick.csv", "--home", home)
    run("feed", "add", "gone", f"{url}/gone", "--home", home)
    run("feed", "add", "dead", "http://127.0.0.1:1/", "--home", home)
    _, err = run("feed", "pull", *quiet, status=3)  # the others are pulled
    assert "not on the server" in err and "cannot fetch" in err
    before = (home / "lists/tick.nrw").read_bytes()
    (root / "tick.csv").write_text("nothing,here\nat,all\n")
    run("feed", "pull", "tick", *quiet, status=2)
    assert (home / "lists/tick.nrw").read_bytes() == before
    # A manifest that points out of its folder is refused.
    (root / "misp/manifest.json").write_text(json.dumps({"../../etc/x": {}}))
    run("feed", "add", "event", root / "misp", "--home", home)
    assert "no UUID" in run("feed", "pull", "event", *quiet, status=2)[1]


def test_report_needs_a_hub(home, tmp_path):
    form = tmp_path / "form.json"
    form.write_text('{"summary":"x","observables":[{"value":"a.example"}]}')
    assert "join" in run("report", "new", "--from", form, "--home", home,
                         status=2)[1]
    assert "join" in run("picture", "extent", "--home", home, status=2)[1]
    assert "ja or en" in run("report", "new", "--lang", "fr", "--home", home,
                             status=2)[1]
