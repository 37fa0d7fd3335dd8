#!/usr/bin/env bash
# Every check and the tests, against a real PostgreSQL and Valkey: run by `make test` inside the embedded stack.
# All of them run even if one fails; pytest comes last, so its summary is the closing line of a good run.
# Arguments go to pytest. TEST_WORKERS sets how many processes it uses (default 2).
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=.venv/bin
[ -n "${VENV:-}" ] && bin=$VENV/bin
failed=()

check() { # check TITLE COMMAND…
    local title=$1 began=$SECONDS output
    shift
    if output=$("$@" 2>&1); then
        printf '✓ %s  %s s\n' "$title" $((SECONDS - began))
    else
        printf '✗ %s\n%s\n' "$title" "$output"
        failed+=("$title")
    fi
}

check "ruff check" "$bin/ruff" check .
check "ruff format" "$bin/ruff" format --check .
check "mypy" "$bin/mypy"
check "import-linter" "$bin/lint-imports" --no-logo
check "migrations match the models" "$bin/python" manage.py makemigrations --check --dry-run
[ "${CHECKS_ONLY:-}" = 1 ] || "$bin/python" -m pytest -n "${TEST_WORKERS:-2}" "$@" || failed+=(pytest)

if [ ${#failed[@]} -gt 0 ]; then
    printf 'Failed: %s\n' "${failed[*]}"
    exit 1
fi
