#!/bin/sh
# mutate.sh EDIT FILE: FILE with the sed script EDIT done; an error if that
# changes nothing, as when the code has moved on.
set -eu
out=$(sed -e "$1" "$2"; echo .)
[ "$out" != "$(cat "$2"; echo .)" ] || {
    echo "mutate.sh: $1 changes nothing" >&2
    exit 1
}
printf '%s' "${out%.}"
