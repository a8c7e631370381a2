"""bench/soak for some seconds: rotations, swaps and kills lose no line."""

import os
import pathlib
import re
import subprocess
import sys

BUILD = pathlib.Path(os.environ.get("NOROSHI_BUILD", "build")).resolve()
SOAK = pathlib.Path(__file__).resolve().parent.parent / "bench/soak"


def soak(build, dir, **settings):
    settings = {k: str(v) for k, v in settings.items()}
    return subprocess.run([sys.executable, SOAK], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, BUILD=str(build), DIR=str(dir),
                                   NOISE="2000", **settings))


def test_no_line_is_lost(tmp_path):
    r = soak(BUILD, tmp_path, SECONDS=9, RATE=3, ROTATE=1.3, SWAP=0.7,
             KILLS=3, HITS=50, SEED=2)
    assert r.returncode == 0, r.stdout
    assert r.stdout.endswith("soak: passed\n")
    count = int(re.search(r"planted (\d+), rows", r.stdout)[1])
    assert count > 100
    for way in ("rename", "copytruncate", "gzip"):
        assert f"'{way}'" in r.stdout
    assert "kills 3" in r.stdout


# A watch that forgets every hundredth hit.
FORGETS = """#!%s
import os, signal, subprocess, sys
real, argv = %r, sys.argv[1:]
if "--output-file" not in argv:
    os.execv(real, [real, *argv])
at = argv.index("--output-file")
out, argv[at + 1] = argv[at + 1], argv[at + 1] + ".all"
open(argv[at + 1], "w").close()
p = subprocess.Popen([real, *argv])
signal.signal(signal.SIGTERM, lambda *_: p.terminate())
with open(argv[at + 1], "rb") as f, open(out, "wb", 0) as o:
    n = 0
    while True:
        over = p.poll() is not None
        for row in f.read().splitlines(True):
            n += 1
            if n %% 100:
                o.write(row)
        if over:
            sys.exit(p.returncode)
"""


def test_a_lost_hit_is_told(tmp_path):
    (tmp_path / "cmd").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/gen").symlink_to(BUILD / "tools/gen")
    fake = tmp_path / "cmd/noroshi"
    fake.write_text(FORGETS % (sys.executable, str(BUILD / "cmd/noroshi")))
    fake.chmod(0o755)
    r = soak(tmp_path, tmp_path, SECONDS=3, RATE=1, ROTATE=9, KILLS=0,
             HITS=100, SETTLE=2)
    assert r.returncode == 1, r.stdout
    assert re.search(r": missing [1-9]", r.stdout)
