"""Fuzz a running server by its own description: no server error, every answer as described.

    make fuzz                                         (or: python benchmarks/fuzz_api.py --examples 50)

Starts gunicorn over a database of its own that is made and dropped (DATABASE_URL names the server), takes the
description from it and has schemathesis call every operation: with the examples, at the edges of each field, at random,
with fields that are wrong on purpose, and in sequences of calls. Ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from api_support import Server, serving

# Refused input is tested field by field elsewhere: what a schema cannot say (an id that does not exist, a name that is
# taken) is rightly refused although it fits, and an odd text may be taken where it is harmless.
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "missing_required_header", "ignored_auth",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--examples", type=int, default=25, metavar="N", help="random calls of each operation (25)"
    )
    parser.add_argument(
        "--phases", default="examples,coverage,fuzzing,stateful", help="phases of schemathesis"
    )
    parser.add_argument("--seconds", type=int, metavar="N", help="spend at most so long")
    parser.add_argument("--seed", type=int, metavar="N", help="the same calls again")
    parser.add_argument("--only", metavar="REGEX", help="operations whose id matches")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as server:
        schema = Path(scratch) / "openapi.json"
        request = urllib.request.Request(f"{server.url}/api/schema", headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            schema.write_text(json.dumps(json.load(answer)))
        done = subprocess.run(command(server, schema, given), cwd=scratch, check=False)
        failures = [line for line in server.log.read_text().splitlines() if "api_failed" in line]
    print(f"{len(failures)} server errors in the server's own log", *failures[:20], sep="\n")
    return 1 if done.returncode or failures else 0


def command(server: Server, schema: Path, given: argparse.Namespace) -> list[str]:
    words = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(schema), "--url", server.url),
        *(
            "-H",
            f"Authorization: Bearer {server.key}",
            "--checks",
            ",".join(CHECKS),
            "--phases",
            given.phases,
        ),
        *("--max-examples", str(given.examples), "--workers", "4", "--request-timeout", "60"),
        *("--continue-on-failure", "--suppress-health-check", "all"),
    ]
    words += ["--max-time", str(given.seconds)] if given.seconds else []
    words += ["--seed", str(given.seed)] if given.seed is not None else []
    words += ["--include-operation-id-regex", given.only] if given.only else []
    return words


if __name__ == "__main__":
    sys.exit(main())
