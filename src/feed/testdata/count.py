#!/usr/bin/python3
"""Count the indicators of the files in real/ without any code of the product:
one reader per file, written with the file in view. Prints expected.tsv:
file, distinct indicators. Run by hand when a file is added."""
import csv, ipaddress, json, os, re

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "real")


def path(name):
    return os.path.join(here, name)


def refang(s):
    s = s.strip().replace("[.]", ".").replace("[.", ".").replace(".]", ".")
    return re.sub(r"^hxxp", "http", s, flags=re.I)


def kind(v):
    v = refang(v).strip()
    if re.fullmatch(r"[0-9A-Fa-f]+", v) and len(v) in (32, 40, 64, 128):
        return {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}[len(v)], v.lower()
    m = re.fullmatch(r"(\d+\.\d+\.\d+\.\d+)(:\d+)?", v)
    if m:
        try:
            return "ipv4", str(ipaddress.ip_address(m.group(1)))
        except ValueError:
            return None
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+/\d+", v):
        return "cidr", v
    if "://" in v:
        scheme, rest = v.split("://", 1)
        host, slash, tail = rest.partition("/")
        return "url", scheme.lower() + "://" + host.lower() + "/" + tail
    if "/" in v:
        host, slash, tail = v.partition("/")
        return ("url", "//" + host.lower() + slash + tail) if "." in host else None
    if "@" in v:
        return "email", v.lower()
    v = re.sub(r":\d+$", "", v)
    if ".." not in v and re.fullmatch(r"[A-Za-z0-9_.-]+\.[A-Za-z][A-Za-z0-9-]+\.?", v):
        return "domain", v.lower().rstrip(".")
    return None


def lines(name):
    with open(path(name), encoding="utf-8") as f:
        return f.read().split("\n")


def maltrail(name):
    return {kind(l) for l in lines(name) if l.strip() and not l.startswith("#")} - {None}


def table(name, column, header=True, named=None):
    with open(path(name), encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    out = set()
    for r in rows[1 if header else 0:]:
        if not r:
            continue
        if named is not None and r[named].lower() == "filename":
            out.add(("filename", r[column]))
        else:
            out.add(kind(r[column]))
    return out - {None}


def misp(name):
    d = json.load(open(path(name), encoding="utf-8"))
    out = set()
    for e in d["response"] if "response" in d else [d]:
        e = e["Event"]
        attrs = e.get("Attribute", []) + [a for o in e.get("Object", []) for a in o["Attribute"]]
        for a in attrs:
            t, v = a["type"], a["value"]
            if t in ("md5", "sha1", "sha256", "url", "domain", "hostname", "ip-dst",
                     "email-src", "email-dst"):
                out.add(kind(v))
            elif t.startswith("filename|") and t.split("|")[1] in ("md5", "sha1", "sha256"):
                out.add(kind(v.split("|")[1]))
            elif t == "filename" and not re.search(r"[/\\\\]", v):
                out.add(("filename", v))  # a path is not a file's name
    return out - {None}


def stix(name):
    d = json.load(open(path(name), encoding="utf-8"))
    out = set()
    for o in d["objects"] if isinstance(d, dict) else d:
        if o["type"] != "indicator" or " AND " in o["pattern"] or "FOLLOWEDBY" in o["pattern"]:
            continue
        for p, v in re.findall(r"([a-z0-9-]+:[a-zA-Z0-9_.'-]+) = '([^']*)'", o["pattern"]):
            if p in ("ipv4-addr:value", "domain-name:value", "url:value", "email-addr:value",
                     "ipv6-addr:value") or p.startswith("file:hashes."):
                out.add(kind(v))
            elif p == "file:name":
                out.add(("filename", v))
            elif p == "email-message:sender_ref.value" or p == "email-message:from_ref.value":
                out.add(kind(v))
    return out - {None}


def page(name, *patterns):
    text = open(path(name), encoding="utf-8").read()
    return {kind(m) for p in patterns for m in re.findall(p, text)} - {None}


DEFANGED = r"[A-Za-z0-9.-]+\[\.\][A-Za-z0-9.-]*[A-Za-z0-9]"
HEX = r"\b(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})\b"
files = {
    "eset-tick-README.adoc": lambda n: page(n, DEFANGED, HEX),
    "unit42-ta551.txt": lambda n: page(n, DEFANGED, HEX),
    "unit42-oilrig.csv": lambda n: table(n, 1, named=0),
    "unit42-squirtdanger-c2.csv": lambda n: table(n, 1),
    "volexity-3cx.csv": lambda n: table(n, 0),
    "volexity-apt29.csv": lambda n: table(n, 0),
    "volexity-powerduke.csv": lambda n: table(n, 0),
    "tick.csv": lambda n: table(n, 1),
}
for name in sorted(os.listdir(here)):
    if name in files:
        got = files[name](name)
    elif name.startswith("maltrail") or name.startswith("unit42-lotus"):
        got = maltrail(name)
    else:
        text = open(path(name), encoding="utf-8").read(3000)
        got = misp(name) if '"Event"' in text else stix(name)
    print(name, len(got), sep="\t")
