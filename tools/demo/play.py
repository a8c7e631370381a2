"""The scenes: agents up, the report, the hub's restart, the late ones."""

import json
import time

import judge
from procs import established, status, with_children
from show import Failure

AGENTS_S = 120   # until every agent is up and connected
ANSWERS_S = 180  # until every online organisation has answered
POLL_S = 0.02


class Play:
    def __init__(self, runner, hub, cast, folder, screen):
        self.runner, self.hub, self.cast = runner, hub, cast
        self.folder, self.screen = folder, screen
        self.at_home, self.at_hub = {}, {}  # id -> time, in seconds
        self.sizes, self.words = {}, {}
        self.pseudonyms = json.loads((folder / "members.json").read_text())
        self.orgs = {o["id"]: o for o in cast["orgs"]}
        self.online = [i for i, o in self.orgs.items() if not o["late"]]
        self.report = None

    def home(self, org_id):
        return self.folder / "homes" / org_id

    def log_of(self, name):
        return self.hub.log if name == "hub" \
            else self.folder / "homes" / f"{name}.log"

    def confined(self, org_id):
        """Pids of an agent once all of its processes are confined."""
        pids = []
        for role in ("supervisor", "keeper", "courier"):
            try:
                text = (self.home(org_id) / "run" / f"{role}.pid").read_text()
            except OSError:
                return None
            if not text.strip():
                return None
            pids.append(int(text.split()[0]))
        return pids

    def start_agents(self, ids):
        """Start them; returns pids of all their processes, all confined."""
        for n, org_id in enumerate(ids):
            self.runner.start(org_id, self.log_of(org_id),
                              self.runner.noroshi, "agent", "--home",
                              self.home(org_id))
            self.screen.moving(f"agents: {n + 1} of {len(ids)} started")
        limit, left, pids = time.monotonic() + AGENTS_S, list(ids), []
        while left:
            if time.monotonic() > limit:
                raise Failure(f"{len(left)} agents are not up, among them "
                              f"{left[0]}; see {self.log_of(left[0])}")
            for org_id in left[:]:
                got = self.confined(org_id)
                if got:
                    pids += got
                    left.remove(org_id)
            self.runner.check_alive(self.log_of)
            self.screen.moving(f"agents: {len(ids) - len(left)} of {len(ids)} "
                               "confined")
            time.sleep(POLL_S)
        return pids

    def check_confined(self, pids):
        """Seccomp of every process of every agent must be 2 (a filter)."""
        every = with_children(
            [p.pid for n, p in self.runner.children.items() if n != "hub"])
        for pid in set(every) | set(pids):
            state = status(pid)
            if state and state.get("Seccomp", "").strip() != "2":
                raise Failure(f"pid {pid} ({state.get('Name', '?').strip()}) "
                              "runs without a system call filter")
        return len(every)

    def wait_connected(self, n):
        limit = time.monotonic() + AGENTS_S
        while established(self.hub.port) < n:
            if time.monotonic() > limit:
                raise Failure(f"only {established(self.hub.port)} of {n} "
                              "agents are connected to the hub")
            self.runner.check_alive(self.log_of)
            self.screen.moving(f"agents: {established(self.hub.port)} of {n} "
                               "connected")
            time.sleep(POLL_S)

    def write_report(self):
        """What the discoverer's people write down: the five questions."""
        org = self.orgs[self.cast["discoverer"]]
        first = min(p[2] for p in org["plant"])
        path = self.folder / "report.json"
        path.write_text(json.dumps(report_form(self.cast, org, first),
                                   indent=1) + "\n")
        return path

    def discover(self):
        """The discoverer reports; the clock starts."""
        home = self.home(self.cast["discoverer"])
        path = self.write_report()
        name = self.runner.run(self.runner.noroshi, "report", "new", "--home",
                               home, "--from", path).split()[-1]
        began = time.time()
        out = self.runner.run(self.runner.noroshi, "report", "send", name,
                              "--home", home)
        self.screen.say(f"{self.cast['discoverer']} reports "
                        f"{len(self.cast['indicators'])} indicators: "
                        f"{' '.join(out.split())[:100]}")
        return began

    def look_home(self, org_id):
        """Has it answered every indicator, in its own home?"""
        path = self.home(org_id) / "answers.jsonl"
        try:
            state = path.stat()
        except OSError:
            return
        if state.st_size == self.sizes.get(org_id):
            return
        self.sizes[org_id] = state.st_size
        try:
            got = judge.answers_of(path)
        except ValueError:  # a line in the middle of being written
            self.sizes.pop(org_id)
            return
        if len(got) >= len(self.cast["indicators"]):
            self.at_home[org_id] = state.st_mtime
            words = {v["answer"] for v in got.values()}
            self.words[org_id] = next(
                w for w in ("seen", "denied", "not-seen", "cannot-say")
                if w in words)

    def look_hub(self):
        try:
            extent = self.hub.get("/v1/extent")["reports"]
        except OSError:
            return
        if not extent:
            return
        now = time.time()
        by_name = {v: k for k, v in self.pseudonyms.items()}
        for row in extent[0].get("members", []):
            org_id = by_name.get(row["member"])
            if org_id and row["answer"] != "unanswered":
                self.at_hub.setdefault(org_id, now)

    def begun(self, org_id):
        try:
            return (self.home(org_id) / "answers.jsonl").stat().st_size > 0
        except OSError:
            return False

    def restart_in_the_middle(self, ids):
        """Restart the hub as soon as a quarter of IDS begins to answer."""
        limit = time.time() + ANSWERS_S
        while True:
            n = sum(self.begun(i) for i in ids)
            self.look_hub()
            if n * 4 >= len(ids):
                self.hub.restart()
                self.screen.say(f"hub restarted when {n} of {len(ids)} had "
                                "begun to answer")
                return
            if time.time() > limit:
                raise Failure(f"only {n} of {len(ids)} organisations "
                              f"answered in {ANSWERS_S} s")
            self.runner.check_alive(self.log_of)
            time.sleep(POLL_S)

    def wait_answers(self, ids, began):
        """Until all of IDS answered in their homes, and those that share at
        the hub."""
        shared = [i for i in ids if self.orgs[i]["share"] != "never"]
        looked = 0.0
        while True:
            for org_id in ids:
                if org_id not in self.at_home:
                    self.look_home(org_id)
            home = sum(i in self.at_home for i in ids)
            if time.monotonic() - looked > 0.2 or home == len(ids):
                looked = time.monotonic()
                self.look_hub()
            hub = sum(i in self.at_hub for i in shared)
            passed = time.time() - began
            counts = [sum(w == x for w in self.words.values())
                      for x in ("seen", "denied", "not-seen", "cannot-say")]
            self.screen.moving(
                f"{passed:6.2f} s  answered at home {home}/{len(ids)}, at the "
                f"hub {hub}/{len(shared)}  seen {counts[0]}  denied "
                f"{counts[1]}  not seen {counts[2]}  cannot say {counts[3]}")
            if home == len(ids) and hub == len(shared):
                return
            if passed > ANSWERS_S:
                missing = [i for i in ids if i not in self.at_home] or \
                    [i for i in shared if i not in self.at_hub]
                raise Failure(f"{len(missing)} organisations gave no answer "
                              f"in {ANSWERS_S} s, among them {missing[0]}; "
                              f"see {self.log_of(missing[0])}")
            self.runner.check_alive(self.log_of)
            time.sleep(POLL_S)

    def coordinator_view(self):
        """The extent as the coordinator sees it, kept for the judge."""
        extent = self.hub.get("/v1/extent")["reports"][0]
        text = json.dumps(extent, indent=1, ensure_ascii=False)
        (self.folder / "extent.json").write_text(text + "\n")
        objects = self.hub.objects(extent["collection"],
                                   "indicator,sighting")
        (self.folder / "objects.json").write_text(json.dumps(objects) + "\n")
        return extent

    def member_view(self):
        """The extent as the discoverer sees it: no cell of fewer than five
        organisations."""
        text = self.runner.run(self.runner.noroshi, "picture", "extent",
                               "--json", "--home",
                               self.home(self.cast["discoverer"]))
        return json.loads(text)["reports"][0]


def report_form(cast, org, first):
    """The short form. Its technical half names nobody; its damage half goes
    to coordinators and authorities only."""
    return {
        "title": "Command and control of a campaign against research and "
                 "industry, with the servers it rented",
        "summary": f"{org['name']}: workstations spoke with servers of a "
                   f"known campaign since {first}; found by log review.",
        "discovered": cast["now"], "running": "unknown",
        "tlp_tech": "green", "tlp_damage": "amber+strict", "pap": "green",
        "identity_scope": "hub", "org": org["name"],
        "observables": [
            {"type": i["kind"], "value": i["value"], "role": i["role"],
             "first_seen": i["first"] + "T00:00:00Z",
             "last_seen": i["last"] + "T00:00:00Z"}
            for i in cast["indicators"]],
    }
