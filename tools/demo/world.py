"""The hub and the homes of the demonstration: made, filled, checked."""

import base64
import concurrent.futures
import ipaddress
import json
import os
import pathlib
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

from cast import DOCUMENTATION
from show import Failure

HERE = pathlib.Path(__file__).resolve().parent
COORDINATOR = "coordination-centre"
HUB_START_S = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Hub:
    def __init__(self, runner, folder):
        self.runner, self.home = runner, folder / "hub"
        self.log = folder / "hub.log"
        self.address = f"127.0.0.1:{free_port()}"
        self.password = secrets.token_urlsafe(16)
        runner.run(runner.hub, "init", "--home", self.home, "--title",
                   "Demonstration hub", "--address", self.address)
        runner.run(runner.hub, "account", "add", COORDINATOR, "--role",
                   "coordinator", "--password-stdin", "--home", self.home,
                   stdin=self.password + "\n")

    @property
    def port(self):
        return int(self.address.split(":")[1])

    def start(self):
        self.runner.start("hub", self.log, self.runner.hub, "serve", "--home",
                          self.home, "--listen", self.address)
        limit = time.monotonic() + HUB_START_S
        while time.monotonic() < limit:
            try:
                self.get("/v1/hub")
                return
            except OSError:
                self.runner.check_alive(lambda _: self.log)
                time.sleep(0.02)
        raise Failure(f"the hub does not answer at {self.address}; "
                      f"see {self.log}")

    def restart(self):
        self.runner.stop("hub")
        self.start()

    def invite(self, org):
        return self.runner.run(
            self.runner.hub, "member", "invite", org["id"], "--sector",
            org["sector"], "--size", org["size"], "--home",
            self.home).strip()

    def objects(self, collection, kinds):
        """All objects of these types, page by page (TAXII 2.1)."""
        path = (f"/taxii2/root/collections/{collection}/objects/?limit=1000&"
                f"match%5Btype%5D={kinds}")
        out, following = [], ""
        while True:
            page = self.get(path + following)
            out += page.get("objects", [])
            if not page.get("more"):
                return out
            following = f"&next={page['next']}"

    def get(self, path):
        """JSON of the hub as its coordinator, over TLS checked against the
        hub's own certificate."""
        tls = ssl.create_default_context(cafile=self.home / "hub.pem")
        word = f"{COORDINATOR}:{self.password}".encode()
        request = urllib.request.Request(
            f"https://{self.address}{path}",
            headers={"Authorization":
                     "Basic " + base64.b64encode(word).decode(),
                     "Accept": "application/taxii+json;version=2.1"
                     if path.startswith("/taxii2/") else "application/json"})
        with urllib.request.urlopen(request, context=tls, timeout=30) as r:
            return json.load(r)


def write_config(home, org):
    lines = [f"sector = {org['sector']}", f"size = {org['size']}",
             "tz = +0900", f"share = {org['share']}",
             "# the scenario's servers have addresses that a warninglist knows"]
    lines += [f"allow = {network}" for network in DOCUMENTATION]
    with open(home / "config", "a", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


class Maker:
    """Makes the homes, a few at a time: logs, truth, archive, membership."""

    def __init__(self, runner, hub, cast, folder, keep):
        self.runner, self.hub, self.cast = runner, hub, cast
        self.folder, self.keep = folder, keep
        self.lock = threading.Lock()
        self.made = self.logs = 0
        self.add_s = 0.0
        self.names = {}
        (folder / "truth").mkdir()
        (folder / "homes").mkdir()
        (folder / "logs").mkdir()
        with open(folder / "indicators.tsv", "w", encoding="utf-8") as f:
            every = {(i["kind"], i["value"]) for i in cast["indicators"]}
            every |= {(p[0], p[1]) for o in cast["orgs"] for p in o["plant"]}
            f.writelines(f"{k}\t{v}\n" for k, v in sorted(every))

    def generate(self, org, out):
        """The organisation's logs. The generator refuses names whose own
        network would hold an indicator: then the name is varied."""
        plant = self.folder / "logs" / f"{org['id']}.plant"
        with open(plant, "w", encoding="utf-8") as f:
            f.writelines("\t".join(str(x) for x in p) + "\n"
                         for p in org["plant"])
        for letter in ("", "a", "b", "c", "d", "e", "f", "g", "h"):
            argv = [self.runner.gen, "logs", "--out", out, "--org",
                    org["id"] + letter, "--bytes",
                    f"{self.cast['megabytes']}M", "--seed", "2017", "--span",
                    f"{org['from']}..{org['to']}", "--hosts", "300",
                    "--sources", ",".join(org["sources"]), "--indicators",
                    self.folder / "indicators.tsv", "--plant", plant]
            r = subprocess.run([str(a) for a in argv], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if r.returncode == 0:
                plant.unlink()
                return int(r.stdout.split("\n", 1)[0].split("\t")[1])
            if "own network" not in r.stderr:
                break
        raise Failure(f"{org['id']}: {r.stderr.strip()}")

    def make(self, org):
        run, noroshi = self.runner.run, self.runner.noroshi
        home = self.folder / "homes" / org["id"]
        out = self.folder / "logs" / org["id"]
        run(noroshi, "init", "--home", home)
        write_config(home, org)
        octets = self.generate(org, out)
        run(sys.executable, HERE / "truth.py", "org",
            self.folder / "cast.json", org["id"], out,
            self.folder / "truth" / f"{org['id']}.json")
        for source in (out / "logs").iterdir():
            if source.name not in org["sources"]:
                source.rmdir()
        began = time.monotonic()
        run(noroshi, "archive", "add", "--home", home, "--tz", "+0900", "-r",
            out / "logs")
        took = time.monotonic() - began
        run(noroshi, "join", "--home", home, self.hub.invite(org))
        member = json.loads((home / "hub/member.json").read_text())["member"]
        if not self.keep:
            shutil.rmtree(out)
        with self.lock:
            self.made += 1
            self.logs += octets
            self.add_s += took
            self.names[org["id"]] = member

    def make_all(self, progress):
        workers = max(2, os.cpu_count() or 2)
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            todo = {pool.submit(self.make, o) for o in self.cast["orgs"]}
            try:
                while todo:
                    done, todo = concurrent.futures.wait(
                        todo, 0.2, concurrent.futures.FIRST_COMPLETED)
                    for f in done:
                        f.result()
                    progress(self.made, self.logs)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        text = json.dumps(self.names, indent=1)
        (self.folder / "members.json").write_text(text + "\n")


def needles(cast):
    """Every indicator as text, and as the octets a compiled list holds."""
    out = []
    for i in cast["indicators"]:
        out.append((i["value"], i["value"].encode()))
        if i["kind"] == "sha256":
            out.append((i["value"], bytes.fromhex(i["value"])))
        if i["kind"] == "ipv4":
            out.append((i["value"],
                        ipaddress.IPv4Address(i["value"]).packed))
    return out


def check_innocent(folder, cast):
    """Nothing in any home but its own logs holds an indicator: watchlist,
    inbox, lists, outbox, answers, hub, log, octet by octet. Returns how many
    files were looked at."""
    looked, wanted = 0, needles(cast)
    for org in cast["orgs"]:
        home = folder / "homes" / org["id"]
        mine = 0
        for path in sorted(home.rglob("*")):
            if not path.is_file() or "archive" in path.relative_to(home).parts:
                continue
            mine += 1
            data = path.read_bytes()
            for value, needle in wanted:
                if needle in data:
                    raise Failure(f"{path} holds {value} before anything "
                                  "was reported")
        if mine == 0:
            raise Failure(f"{home} has no files to look at")
        looked += mine
    return looked


def archive_octets(folder, cast):
    return sum(p.stat().st_size for o in cast["orgs"]
               for p in (folder / "homes" / o["id"] / "archive").rglob("*")
               if p.is_file())
