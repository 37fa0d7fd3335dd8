#!/usr/bin/env bash
# Delete the state folder and, for root, the servers' folder that it links to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
state=${STATE_DIR:-.run}
if [ -L "$state/servers" ]; then
    target=$(readlink -f "$state/servers")
    case $target in /var/lib/personalize/?*) rm -rf "$target" ;; esac
fi
rm -rf "$state" out
echo "Deleted $state and out."
