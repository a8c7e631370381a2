#!/bin/sh
# Fail when a file includes a header of a layer above its own or beside it.
# tools/layers lists the folders of src/, lowest first, one layer a line.
# With --self-test: plant an upward and a sideways include in a copy of the
# tree's shape, and fail unless both are found.
set -eu
cd "$(dirname "$0")/.."

layers() { # ROOT
    (cd "$1" && awk '
    FILENAME == "tools/layers" { for (i = 1; i <= NF; i++) layer[$i] = FNR; next }
    match($0, /^#include "[a-z0-9_]+\//) {
        split(FILENAME, f, "/")
        to = substr($0, RSTART + 10, RLENGTH - 11)
        if (!(f[2] in layer) || !(to in layer)) {
            print FILENAME ": " to ": folder not in tools/layers"; bad = 1
        } else if (layer[to] > layer[f[2]] || (layer[to] == layer[f[2]] && to != f[2])) {
            print FILENAME ":" FNR ": " f[2] " may not include " to; bad = 1
        }
    }
    END { exit bad }
    ' tools/layers $(find src -name '*.[ch]'))
}

if [ "${1-}" = --self-test ]; then
    t=$(mktemp -d)
    trap 'rm -rf "$t"' EXIT
    mkdir -p "$t/tools" "$t/src/base" "$t/src/json" "$t/src/crypto"
    cp tools/layers "$t/tools/"
    echo '#include "base/err.h"' >"$t/src/json/good.c"
    layers "$t" >/dev/null || { echo "a downward include is refused"; exit 1; }
    echo '#include "json/json.h"' >"$t/src/base/up.c"
    if layers "$t" >/dev/null; then echo "an upward include passes"; exit 1; fi
    rm "$t/src/base/up.c"
    echo '#include "json/json.h"' >"$t/src/crypto/side.c"
    if layers "$t" >/dev/null; then echo "a sideways include passes"; exit 1; fi
    exit 0
fi
layers .
