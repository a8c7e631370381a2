"""bench/agree: a small campaign agrees, and a difference is found and shown."""

import os
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
AGREE = pathlib.Path(__file__).resolve().parent.parent / "bench/agree"

# A watch that is blind to one name at the end of a line.
BLIND = """#!%s
import subprocess, sys
lines = open(sys.argv[-1], "rb").read().split(b"\\n")
p = subprocess.run([%r, *sys.argv[1:]], stdout=subprocess.PIPE)
for row in p.stdout.splitlines(True):
    line, kind, value = row.split(b"\\t")[:3]
    if value != b"evil.com" or not lines[int(line) - 1].endswith(value):
        sys.stdout.buffer.write(row)
sys.exit(p.returncode)
"""


def agree(build, **settings):
    settings = {k: str(v) for k, v in settings.items()}
    return subprocess.run([sys.executable, AGREE], stdout=subprocess.PIPE,
                          text=True, env=dict(os.environ, BUILD=str(build),
                                              **settings))


def test_no_difference(tmp_path):
    r = agree(BUILD, LINES=20000, SEEDS="11 12", HOSTILE=600000, SPARSE=400000,
              DIR=tmp_path)
    assert r.returncode == 0, r.stdout
    assert r.stdout.endswith(": 0 differences\n")
    lines, pairs = (int(r.stdout.splitlines()[-1].split()[i]) for i in (1, 5))
    assert lines > 20000 and pairs > 5000


def test_difference_is_cut_down(tmp_path):
    (tmp_path / "cmd").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/gen").symlink_to(BUILD / "tools/gen")
    blind = tmp_path / "cmd/noroshi"
    blind.write_text(BLIND % (sys.executable, str(BUILD / "cmd/noroshi")))
    blind.chmod(0o755)
    r = agree(tmp_path, LINES=0, HOSTILE=100000, SPARSE=0, CPUS="scalar",
              DIR=tmp_path)
    assert r.returncode == 1, r.stdout
    shown = [row for row in r.stdout.splitlines() if " in b'" in row]
    assert shown and shown[0].strip() == "in b'evil.com'"


def test_nothing_compared_is_no_success(tmp_path):
    assert agree(BUILD, LINES=0, HOSTILE=0, SPARSE=0, DIR=tmp_path).returncode == 2
