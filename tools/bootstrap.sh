#!/usr/bin/env bash
# Make .venv ready, or find it ready: `tools/bootstrap.sh run` (what the product needs) or `dev` (also its tests and tools).
#
# Needs Python 3.11 and nothing else. Idempotent; a second call takes a fraction of a second. One line per stage.
# Variables: PYTHON (interpreter), VENV (folder), PIP_FIND_LINKS (folders with wheels, such as torch's CPU build),
# TORCH_BACKEND (cpu, cu128, …; default cpu).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH # every start would compile everything anew

group=${1:-run}
venv=${VENV:-.venv}
needed_kib=$((5 * 1024 * 1024)) # the environment takes 2.4 GiB, its downloads and their cache as much again

fail() {
    printf 'personalize: %s\n' "$*" >&2
    exit 1
}

stage() { # stage TITLE COMMAND…: one line when done; a person sees the output, else it is shown if the command fails
    local title=$1 began=$SECONDS output
    shift
    if [ -t 2 ]; then
        "$@" || fail "$title failed; its output is above."
    elif ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" >&2
        fail "$title failed; its output is above."
    fi
    printf '✓ %s  %s s\n' "$title" $((SECONDS - began))
}

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

find_python() {
    local candidate found
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON names no program."
        is_311 "$PYTHON" || fail "Python 3.11 is needed, $PYTHON is $("$PYTHON" --version 2>&1). Set PYTHON to a Python 3.11."
        python=$PYTHON
        return
    fi
    for candidate in python3.11 python3 python; do
        if command -v "$candidate" >/dev/null && is_311 "$candidate"; then
            python=$candidate
            return
        fi
    done
    found="no Python"
    if command -v python3 >/dev/null; then found=$(python3 --version 2>&1); fi
    fail "Python 3.11 is needed, and $found is what this system has." \
        "Install it (Debian 12: apt-get install python3 python3-venv), or set PYTHON to it."
}

make_venv() {
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv --clear "$venv"
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -q update && apt-get -q install -y --no-install-recommends python3-venv && "$python" -m venv --clear "$venv"
    else
        echo "$python cannot make virtual environments. On Debian: sudo apt-get install python3-venv"
        return 1
    fi
}

locked() { sed -n "s/^$1==//p" requirements.lock; }

# Folders with wheels that pip would look into; uv does not read pip's configuration.
wheel_folders() {
    local folder
    for folder in ${PIP_FIND_LINKS:-} $("$venv/bin/python" -m pip config get global.find-links 2>/dev/null || true); do
        [ -d "$folder" ] && printf '%s\n' "$folder"
    done | sort -u
}

install() {
    local extras=(--extra embedded --extra ml) folder quiet=(--quiet)
    local -a torch=(--torch-backend "${TORCH_BACKEND:-cpu}") links=() uv
    [ "$group" = dev ] && extras+=(--group dev)
    [ -t 2 ] && quiet=() # a person sees the downloads move
    while IFS= read -r folder; do
        links+=(--find-links "$folder")
        # The CPU build lies there: take it rather than ask an index.
        if compgen -G "$folder/torch-*+cpu-*.whl" >/dev/null; then torch=(); fi
    done < <(wheel_folders)
    uv=("$venv/bin/uv" pip install "${quiet[@]}" --python "$venv/bin/python" "${links[@]}")
    # The lock as constraints: exactly its versions, and of those only what this group needs.
    local packages=(--constraint requirements.lock -r pyproject.toml "${extras[@]}")
    "${uv[@]}" "${torch[@]}" "${packages[@]}" ||
        { [ ${#torch[@]} -gt 0 ] && [ -z "${TORCH_BACKEND:-}" ] && plain_torch; } || return 1
    "${uv[@]}" --no-deps -r tools/models.txt # no `set -e` in here: the caller looks at the exit code
}

# Where PyTorch's own index cannot be reached, PyPI has a build that also runs on a CPU; it brings 3 GB of CUDA along.
plain_torch() {
    echo "… torch's CPU build cannot be fetched; taking PyPI's build instead (3 GB more)"
    "${uv[@]}" "${packages[@]}"
}

fingerprint() { cat requirements.lock pyproject.toml tools/models.txt tools/bootstrap.sh | cksum; }

ready() { # ready GROUP: installed from these very files
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.ready-$1" 2>/dev/null)" = "$(fingerprint)" ]
}

is_ready() { ready dev || { [ "$group" = run ] && ready run; }; }

[ "$group" = run ] || [ "$group" = dev ] || fail "bootstrap.sh takes 'run' or 'dev', not '$group'."
is_ready && exit 0

mkdir -p "$(dirname "$venv")"
if command -v flock >/dev/null; then
    exec 9>"$venv.lock"
    flock -n 9 || { echo "… another process installs into $venv; waiting for it" && flock 9; }
    is_ready && exit 0
fi

if [ ! -x "$venv/bin/python" ] || ! is_311 "$venv/bin/python"; then
    find_python
    free_kib=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -ge "$needed_kib" ] ||
        fail "Only $((free_kib / 1024)) MiB are free in $PWD; the virtual environment needs $((needed_kib / 1024)) MiB."
    stage "Virtual environment ($("$python" --version 2>&1))" make_venv
fi
if [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" != "$(locked uv)" ]; then
    stage "Installer (uv $(locked uv))" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$(locked uv)"
fi
echo "… Dependencies: about 600 MB to download the first time"
stage "Dependencies ($group)" install
fingerprint >"$venv/.ready-$group"
