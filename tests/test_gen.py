"""noroshi-gen writes, octet for octet, what the one-file original wrote."""

import hashlib
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build"))
GEN = BUILD / "tools/gen/noroshi-gen"
REFMATCH = pathlib.Path(__file__).with_name("refmatch.py")

MIX = ("ipv4=5,cidr=3,ipv6=3,domain=5,url=4,md5=2,sha1=2,sha256=2,email=2")
LIST = ["indicators", "--n", "2000", "--planted", "200", "--seed", "5",
        "--mix", MIX, "--out", "@/ioc.tsv", "--plant-out", "@/plant.tsv"]

# Options of a run, after LIST was run in the same folder, and the SHA-256 over
# standard output and every file written, as the original gave them.
CASES = {
    "list": (
        None,
        "bf9f52eb2c983566b22f9eabf839845e9741996cb7e9e31977825e236ba2d77b"),
    "planted": (
        ["logs", "--bytes", "3M", "--org", "alpha", "--seed", "3",
         "--indicators", "@/ioc.tsv", "--plant", "@/plant.tsv"],
        "28a3608d7cd9036f0dc5a829556615393d49ca92580436fb642f7e10228b8a30"),
    "days": (
        ["logs", "--bytes", "2M", "--split", "day", "--tz", "-0330",
         "--span", "2016-02-01..2016-03-05", "--hosts", "60", "--decoys", "9",
         "--sources", "squid,mail,winevt,eve", "--plant", "@/plant.tsv"],
        "da42fc45dba920d7fd7037e750b676e9012ef8068976537cbb0324a569b4c469"),
    "bare": (["logs", "--bytes", "1M", "--seed", "9"],
        "778d745362dde603df37ec5902484ee7fbed6401383f74008968b6b7b22b9ff8"),
}


def run(argv, folder):
    argv = [a.replace("@", str(folder)) for a in argv]
    if argv[0] == "logs":
        argv += ["--out", str(folder / "corpus")]
    return subprocess.run([GEN] + argv, check=True,
                          stdout=subprocess.PIPE).stdout


def digest(stdout, folder):
    h = hashlib.sha256(stdout)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        h.update(str(path.relative_to(folder)).encode() + b"\0")
        h.update(hashlib.sha256(path.read_bytes()).digest())
    return h.hexdigest()


@pytest.mark.parametrize("name", CASES)
def test_same_octets(name, tmp_path):
    argv, want = CASES[name]
    out = run(LIST, tmp_path)
    if argv:
        out += run(argv, tmp_path)
    assert digest(out, tmp_path) == want


def test_truth_is_what_the_reference_finds(tmp_path):
    run(LIST, tmp_path)
    run(["logs", "--bytes", "1M", "--plant", "@/plant.tsv",
         "--indicators", "@/ioc.tsv"], tmp_path)
    logs = tmp_path / "corpus/logs"
    files = sorted(p for p in logs.rglob("*") if p.is_file())
    found = subprocess.run([REFMATCH, tmp_path / "ioc.tsv"] + files, check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    got = {(kind, value, str(pathlib.Path(path).relative_to(logs)), line)
           for _, kind, value, path, line in
           (row.split("\t") for row in found.splitlines())}
    rows = (tmp_path / "corpus/truth.tsv").read_text().splitlines()[1:]
    want = {tuple(row.split("\t")[:4]) for row in rows}
    assert len(want) > 1000
    assert got == want


@pytest.mark.parametrize("argv, says", [
    (["logs"], "--out DIR is needed"),
    (["logs", "--frobnicate", "1"], "unknown option --frobnicate"),
    (["logs", "--out"], "--out needs a value"),
    (["logs", "--out", "x", "--hosts", "0"], "--hosts 1..60000"),
    (["logs", "--out", "x", "--sources", "paper"], "none of them is known"),
    (["logs", "--out", "x", "--span", "2016"], "--span FROM..TO"),
    (["indicators", "--n", "1"], "--n N --out FILE"),
])
def test_bad_options_are_named(argv, says, tmp_path):
    r = subprocess.run([GEN.resolve()] + argv, cwd=tmp_path, text=True,
                       stderr=subprocess.PIPE)
    assert r.returncode == 1
    assert re.search(re.escape(says), r.stderr)
    assert not list(tmp_path.iterdir())
