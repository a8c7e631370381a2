#!/usr/bin/env python3
"""The reference matcher over many files, in slices on several processes.

    refslices.py REFMATCH LIST JOBS OUT < FILES    (one path a line)

Writes "line TAB kind TAB indicator" as `refmatch.py LIST FILES...` would, the
lines counted over all files; the matcher itself is tests/refmatch.py, loaded
and not changed. Runs under pypy3, too, which is twice as fast.
"""
import importlib.util
import multiprocessing
import os
import sys

SLICE = 8 << 20
matcher = None


def load(path, indicators):
    spec = importlib.util.spec_from_file_location("refmatch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Matcher(indicators)


def slices(paths):
    """Lists of (path, from, to) that end where a line does, ~SLICE octets."""
    batch, size = [], 0
    for path in paths:
        end, at = os.path.getsize(path), 0
        while at < end:
            to = min(end, at + SLICE - size)
            if to < end:
                with open(path, "rb") as f:
                    f.seek(to)
                    f.readline()
                    to = f.tell()
            batch.append((path, at, to))
            size += to - at
            at = to
            if size >= SLICE:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def run(batch):
    out, n = [], 0
    for path, at, to in batch:
        with open(path, "rb") as f:
            f.seek(at)
            text = f.read(to - at)
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            n += 1
            for kind, value in sorted(matcher.match(line)):
                out.append((n, kind.encode(), value))
    return n, out


def main():
    global matcher
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    matcher = load(sys.argv[1], sys.argv[2])
    paths = [os.fsencode(p.rstrip("\n")) for p in sys.stdin]
    base = 0
    context = multiprocessing.get_context("fork")
    with open(sys.argv[4], "wb") as f, context.Pool(int(sys.argv[3])) as pool:
        for n, found in pool.imap(run, slices(paths)):
            for line, kind, value in found:
                f.write(b"%d\t%s\t%s\n" % (base + line, kind, value))
            base += n
    print(base)


if __name__ == "__main__":
    main()
