#!/usr/bin/env bash
# Counts the instructions that the sample plan costs for each board, and compares with the value kept in the tree.
#
#     crates/runner/benches/instructions.sh [--keep] [PROGRAM]
#
# The slope from 8 to 24 boards under a clock moved by hand, by callgrind: the host alone (everything outside of the
# simulator's turns) and both together. PROGRAM is the built `whole_flow`; without it, it is built. `--keep` writes what
# was counted into `instructions.kept`. Counts depend on compiler and processor family, so a value that was kept
# elsewhere may be off at once: keep a new one before a change, then measure the change.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kept=$here/instructions.kept
limit=5

keep=no
if [ "${1:-}" = --keep ]; then
    keep=yes
    shift
fi
for tool in valgrind callgrind_annotate; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        printf 'NOT MEASURED: instructions for each board: %s is missing (apt-get install valgrind)\n' "$tool"
        exit 0
    fi
done
program=${1:-}
if [ -z "$program" ]; then
    program=$(cd "$here" && cargo bench --locked -p lineside-runner --bench whole_flow --no-run --message-format=json |
        sed -n '/"name":"whole_flow"/s/.*"executable":"\([^"]*\)".*/\1/p')
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# count BOARDS: instructions of all, and of the simulator.
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$work/$1" "$program" --flow "$1" >"$work/$1.said"
    read -r boards passed _ <"$work/$1.said"
    if [ "$boards" != "$passed" ]; then
        printf 'VOID: %s of %s boards passed\n' "$passed" "$boards" >&2
        exit 1
    fi
    local all simulator
    all=$(awk '/^(summary|totals):/ { print $2; exit }' "$work/$1")
    callgrind_annotate --inclusive=yes --threshold=100 "$work/$1" >"$work/$1.text"
    simulator=$(awk '/simulators_turn/ { gsub(",", "", $1); print $1; exit }' "$work/$1.text")
    printf '%s %s\n' "$all" "${simulator:?the simulator is not among the functions: was the program stripped?}"
}

read -r all_few simulator_few < <(count 8)
read -r all_many simulator_many < <(count 24)
both=$(((all_many - all_few) / 16))
host=$((both - (simulator_many - simulator_few) / 16))

figure() {
    local name=$1 value=$2 was off verdict
    was=$(awk -v name="$name" '$1 == name { print $2 }' "$kept" 2>/dev/null || true)
    if [ -z "$was" ]; then
        printf '%-62s %14s  %-10s %s\n' "instructions for each board, $name" "$value" '' 'report (nothing kept)'
        return
    fi
    off=$(awk -v value="$value" -v was="$was" 'BEGIN { printf "%+.2f", (value / was - 1) * 100 }')
    verdict=$(awk -v off="$off" -v limit="$limit" 'BEGIN { print (off <= limit && off >= -limit) ? "met" : "NOT MET" }')
    printf '%-62s %14s  %-10s %s\n' "instructions for each board, $name" "$value" "± $limit %" "$verdict"
    printf '  %s %% beside the kept %s\n' "$off" "$was"
}

if [ "$keep" = yes ]; then
    {
        printf '# Instructions for each board of the sample plan, slope from 8 to 24 boards, by callgrind.\n'
        printf '# Written by instructions.sh --keep with %s on %s.\n' "$(rustc --version | cut -d' ' -f1,2)" "$(uname -m)"
        printf 'host %s\nhost+simulator %s\n' "$host" "$both"
    } >"$kept"
fi
figure host "$host"
figure host+simulator "$both"
