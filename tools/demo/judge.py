"""Compare what the homes and the hub answered with the truth.

Reads RUN/cast.json, RUN/truth/ID.json, RUN/homes/ID/answers.jsonl, and of the
coordinator's view RUN/extent.json (totals and organisations), RUN/objects.json
(single answers) and RUN/members.json ({organisation: pseudonym}). Shares no code with the product.
"""

import datetime
import json

SHOWN = 12  # differences printed


def answers_of(path):
    """{(kind, value): answer}: of several lines about one, the last counts."""
    out = {}
    if not path.exists():
        return out
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        for v in entry["values"]:
            out[(v["kind"], v["value"])] = v
    return out


def differences(want, got):
    """What is wrong about one answer, in words; empty when nothing is."""
    if got is None:
        return "no answer"
    words = []
    for field in ("answer", "lines", "denied", "first", "last"):
        if got.get(field) != want[field]:
            words.append(f"{field} {got.get(field)} instead of {want[field]}")
    return ", ".join(words)


def judge_homes(run, cast, truth, wrong):
    right = 0
    for org in cast["orgs"]:
        got = answers_of(run / "homes" / org["id"] / "answers.jsonl")
        for want in truth[org["id"]]["values"]:
            key = (want["kind"], want["value"])
            fault = differences(want, got.pop(key, None))
            if fault:
                wrong.append(f"{org['id']} {key[0]} {key[1]}: {fault}")
            else:
                right += 1
        wrong += [f"{org['id']} {k} {v}: nobody asked" for k, v in got]
    return right


def expected_extent(cast, truth):
    """The rows that a coordinator must see: {organisation: answer}."""
    return {o["id"]: truth[o["id"]]["answer"] if o["share"] != "never"
            else "unanswered" for o in cast["orgs"]}


def judge_hub(cast, truth, extent, members, wrong):
    """The hub's list of organisations and its totals."""
    right = 0
    rows = {m["member"]: m for m in extent["members"]}
    want = expected_extent(cast, truth)
    for org_id, word in want.items():
        row = rows.get(members[org_id])
        got = row["answer"] if row else "not listed"
        if row and got == "denied":  # noted so, counted by its coverage
            got = word if word in ("not-seen", "cannot-say") else got
        if got == word:
            right += 1
        else:
            wrong.append(f"hub: {org_id}: {got} instead of {word}")
    words = list(want.values())
    totals = {"asked": len(words),
              "answered": len(words) - words.count("unanswered"),
              "seen": words.count("seen"),
              "not_seen": words.count("not-seen"),
              "cannot_say": words.count("cannot-say")}
    for name, n in totals.items():
        if extent[name] == n:
            right += 1
        else:
            wrong.append(f"hub: {name}: {extent[name]} instead of {n}")
    return right


def seconds(text):
    """Seconds since the epoch of an RFC 3339 time, None of None."""
    if text is None:
        return None
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(when.timestamp())


def judge_sightings(cast, truth, objects, members, wrong):
    """Every single answer as the coordinator reads it, and none of those
    who share nothing."""
    named = {o["id"]: o["name"] for o in objects if o["type"] == "indicator"}
    by_name = {v: k for k, v in members.items()}
    got, right = {}, 0
    for o in objects:
        if o["type"] == "sighting":
            who = by_name.get(o["where_sighted_refs"][0])
            got[(who, named.get(o["sighting_of_ref"]))] = {
                "answer": o["x_noroshi_answer"], "lines": o["count"],
                "denied": o["x_noroshi_denied"],
                "first": seconds(o.get("first_seen")),
                "last": seconds(o.get("last_seen"))}
    for org in cast["orgs"]:
        for want in truth[org["id"]]["values"]:
            if org["share"] == "never":
                continue
            answer = got.pop((org["id"], want["value"]), None)
            fault = differences(want, answer)
            if fault:
                wrong.append(f"hub: {org['id']} {want['value']}: {fault}")
            else:
                right += 1
    wrong += [f"hub: {who} {value}: nobody may know" for who, value in got]
    return right


def judge(run):
    """(right, wrong as a list of sentences)"""
    cast = json.loads((run / "cast.json").read_text(encoding="utf-8"))
    truth = {o["id"]: json.loads((run / "truth" / f"{o['id']}.json")
                                 .read_text(encoding="utf-8"))
             for o in cast["orgs"]}
    wrong = []
    right = judge_homes(run, cast, truth, wrong)
    extent = json.loads((run / "extent.json").read_text(encoding="utf-8"))
    members = json.loads((run / "members.json").read_text(encoding="utf-8"))
    right += judge_hub(cast, truth, extent, members, wrong)
    objects = json.loads((run / "objects.json").read_text(encoding="utf-8"))
    right += judge_sightings(cast, truth, objects, members, wrong)
    return right, wrong


def main(run):
    right, wrong = judge(run)
    for sentence in wrong[:SHOWN]:
        print("  wrong:", sentence)
    if len(wrong) > SHOWN:
        print(f"  ... and {len(wrong) - SHOWN} more")
    print(f"truth: {right} right, {len(wrong)} wrong")
    return 1 if wrong or not right else 0
