"""Who takes part in the demonstration, what they keep, and what happened.

Everything here is read or computed from share/demo/scenario-tick.json and the
size asked for; nothing depends on the clock or on chance.
"""

import datetime
import hashlib
import ipaddress
import json
import pathlib

from show import Failure

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "share/demo/scenario-tick.json"

LAST_DAY = datetime.date(2017, 8, 21)  # the demonstration's today
SOURCES = {
    "proxy": ["squid"],
    "dns": ["named", "dnsmasq"],
    "firewall": ["firewall"],
    "mail": ["mail"],
    "edr": ["winevt"],
    "ad": ["winevt"],
}
KINDS = ("ipv4", "domain", "sha256")  # of the scenario, that logs can show
DOCUMENTATION = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
# Decoys have no dates of their own: their harmless traffic stands here.
QUIET = (datetime.date(2016, 10, 1), datetime.date(2017, 6, 1))
LATE = 2  # organisations that are offline until later


def kind_of(value):
    try:
        ipaddress.IPv4Address(value)
        return "ipv4"
    except ValueError:
        pass
    if len(value) == 64 and all(c in "0123456789abcdef" for c in value):
        return "sha256"
    return "domain"


def is_documentation(value):
    address = ipaddress.ip_address(value)
    return any(address in ipaddress.ip_network(n) for n in DOCUMENTATION)


def is_hit(org):
    """Did the main campaign reach this organisation?"""
    return "tick" in (org["campaign"] or "")


def dates(org):
    """First and last day of what the organisation's logs show."""
    if not org.get("first_activity"):
        return QUIET
    first = datetime.date.fromisoformat(org["first_activity"])
    last = datetime.date.fromisoformat(org["last_activity"])
    return min(first, LAST_DAY), min(last, LAST_DAY)


def lines_of(org, value):
    """How many lines show it: 1 to 24, some with a single one."""
    digest = hashlib.sha256(f"{org['id']} {value}".encode()).digest()
    return 1 if digest[0] % 4 == 0 else 1 + digest[1] % 24


def indicators(scenario, orgs):
    """What the report names: the campaign's indicators and the addresses of
    its servers as the organisations hit saw them; with the window in which
    the cast saw each, or the campaign's when nobody did."""
    hit = [o for o in orgs if is_hit(o)]
    values = {}
    for i in scenario["indicators"]:
        if i["use_in_demo"] and i["kind"] in KINDS:
            values[i["value"]] = i["kind"]
    for o in hit:
        for v in o["observables"]:
            if kind_of(v) == "ipv4" and is_documentation(v):
                values[v] = "ipv4"
    whole = (min(dates(o)[0] for o in hit), max(dates(o)[1] for o in hit))
    out = []
    for value, kind in values.items():
        seen = [dates(o) for o in hit if value in o["observables"]] or [whole]
        out.append({
            "kind": kind, "value": value,
            "role": "malware" if kind == "sha256" else "c2",
            "first": min(d[0] for d in seen).isoformat(),
            "last": max(d[1] for d in seen).isoformat(),
        })
    return out


def discoverer(orgs):
    """The rule: the first organisation of the cast that was hit, shares its
    answers, keeps a year of logs or more and shows three observables."""
    for least in (3, 1):
        for o in orgs:
            if (is_hit(o) and o["share"] != "blind-only" and
                    o["log_retention_days"] >= 365 and
                    len(o["observables"]) >= least):
                return o["id"]
    raise Failure("nobody of this cast could discover anything; ORGS must be "
                  "larger")


def build(n_orgs, years, megabytes):
    scenario = json.loads(SCENARIO.read_text(encoding="utf-8"))
    rows = scenario["organisations"][:n_orgs]
    if len(rows) < n_orgs:
        raise Failure(f"ORGS={n_orgs}, but the scenario has only {len(rows)} "
                      "organisations")
    first_day = LAST_DAY.replace(year=LAST_DAY.year - years)
    first_day += datetime.timedelta(days=1)
    who = discoverer(rows)
    # Late are the last two that share their answers.
    open_ids = [o["id"] for o in rows
                if o["share"] != "blind-only" and o["id"] != who]
    late = open_ids[-LATE:]
    orgs = []
    for o in rows:
        kept = LAST_DAY - datetime.timedelta(days=o["log_retention_days"] - 1)
        first, last = dates(o)
        orgs.append({
            "id": o["id"], "name": o["name_en"], "name_ja": o["name_ja"],
            "sector": o["sector"], "size": o["size"],
            "share": "never" if o["share"] == "blind-only" else "auto",
            "late": o["id"] in late, "hit": is_hit(o),
            "sources": sorted({s for k in o["logs"] for s in SOURCES[k]}),
            "from": max(first_day, kept).isoformat(),
            "to": LAST_DAY.isoformat(),
            "plant": [[kind_of(v), v, first.isoformat(), last.isoformat(),
                       lines_of(o, v)] for v in o["observables"]],
        })
    return {
        "now": f"{LAST_DAY.isoformat()}T15:00:00Z", "years": years,
        "megabytes": megabytes, "discoverer": who, "late": late,
        "indicators": indicators(scenario, rows), "orgs": orgs,
    }
