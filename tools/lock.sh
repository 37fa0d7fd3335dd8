#!/usr/bin/env bash
# Compile requirements.lock: name==version per line, no addresses and no local paths, torch left out (its build is chosen
# at installation). Run by `make lock`; the diff is to be read before it is committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}
links=()
for folder in ${PIP_FIND_LINKS:-}; do [ -d "$folder" ] && links+=(--find-links "$folder"); done
[ ${#links[@]} -gt 0 ] || links=(--torch-backend cpu)
"$venv/bin/uv" pip compile --quiet --python-version 3.11 --extra embedded --extra ml --group dev \
    --no-emit-package torch --no-annotate --no-header --no-emit-index-url --no-emit-find-links "${links[@]}" \
    "$@" pyproject.toml -o requirements.lock
if grep -nE '://|@ ' requirements.lock; then
    echo "personalize: requirements.lock holds an address (above); it must not." >&2
    exit 1
fi
echo "requirements.lock: $(grep -c == requirements.lock) packages"
