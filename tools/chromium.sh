#!/usr/bin/env bash
# A Chromium for the browser tests: found, or installed from Debian when root. Never fails: without it they are skipped.
set -uo pipefail

for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "… no Chromium: browser tests are skipped (Debian: sudo apt-get install chromium)"
    exit 0
fi
began=$SECONDS
export DEBIAN_FRONTEND=noninteractive
exec 9>/tmp/personalize-apt.lock
flock -w 300 9
command -v chromium >/dev/null && exit 0
if timeout 300 apt-get -qq update >/dev/null 2>&1 &&
    timeout 600 apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends chromium >/dev/null 2>&1; then
    echo "✓ Chromium for the browser tests  $((SECONDS - began)) s"
else
    echo "… Chromium could not be installed: browser tests are skipped"
fi
