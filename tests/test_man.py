"""The examples of the manual pages do what they say."""
import os
import re
import subprocess

BUILD = os.environ.get("NOROSHI_BUILD", "build")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOW = "2017-08-21T00:00:00Z"
SQUID = "1500000000.123     85 10.0.0.9 TCP_MISS/200 4512 GET http://evil.example/a - HIER_DIRECT/192.0.2.7 text/html\n"


def examples(page):
    with open(os.path.join(ROOT, "man", page), encoding="utf-8") as f:
        text = f.read().split(".Sh EXAMPLES")[1].split(".Sh SEE ALSO")[0]
    return [line for line in re.findall(r"^(?:\.Dl )?\$ (noroshi .*)$", text, re.M)]


def test_every_example_runs(tmp_path):
    (tmp_path / "mail.txt").write_text("Click http://www.evil.com/a now\n")
    (tmp_path / "report.tsv").write_text("domain\tevil.example\n")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "access.log").write_text(SQUID)
    env = {**os.environ, "NOROSHI_NOW": NOW, "NOROSHI_HOME": str(tmp_path / "home"),
           "PATH": os.path.abspath(os.path.join(BUILD, "cmd")) + ":" + os.environ["PATH"]}
    found = examples("noroshi.1")
    assert len(found) >= 5
    said = {}
    for line in found:
        line = line.replace("report.json", "report.tsv").replace("/backup/logs", str(logs))
        line = line.replace("/var/log/squid", str(logs)).replace(" -f ", " ")
        r = subprocess.run(line, shell=True, cwd=tmp_path, env=env, timeout=60,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert r.returncode in (0, 1), (line, r.stderr)
        said[line.split()[1]] = r.stdout.decode()
    assert "www.evil.com" in said["extract"]
    assert "evil.example" in said["watch"]
    assert "seen" in said["hunt"] and "2017-07-14" in said["hunt"]
