#!/usr/bin/env bash
# Someone loads a staging source: a target, a rate, thresholds, a report, and the
# proof that all of it arrived. The target here is the bridge in front of a fake
# RudderStack; yours is a URL.
# Run it from a checkout after `make build`. It leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/bin:$PATH"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
say() { printf '\n## %s\n' "$*"; }
eventually() { for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "timed out: $*" >&2; "$@"; }

say "Something to load"
mockrudder serve --listen 127.0.0.1:28091 --source wkStaging=http --source wkBraze=braze >"$work/rudder.log" 2>&1 &
bridge serve --listen 127.0.0.1:28081 --admin 127.0.0.1:29091 --data-dir "$work/data" \
  --braze-token staging --rudder-url http://127.0.0.1:28091 --write-key wkStaging >"$work/bridge.log" 2>&1 &
eventually mockrudder healthcheck --listen 127.0.0.1:28091
eventually bridge healthcheck --admin 127.0.0.1:29091

say "500 events a second for five seconds, with conditions, a report, and a look at the far end"
mockbraze load --url http://127.0.0.1:28081/currents --token staging --rate 500 --duration 5s --seed 7 \
  --verify http://127.0.0.1:28091/_mock --threshold 'errors==0,lost==0,p99<10s' \
  --report "$work/report.html" --report "$work/report.json"
grep -o '"acked": *[0-9]*' "$work/report.json" | head -1
ls -l "$work/report.html"

say "A threshold that fails ends with exit code 99, so that CI can tell it from an error"
code=0
mockbraze load --url http://127.0.0.1:28081/currents --token staging --rate max --events 1000 --threshold 'p50<1ns' || code=$?
test "$code" = 99

say "RudderStack's own Braze source, loaded directly"
mockbraze load --url 'http://127.0.0.1:28091/v1/webhook?writeKey=wkBraze' --types 'users.messages.*' --rate max --events 2000

say "A wrong token: what was refused is told by event type, in the words of the target"
mockbraze load --url http://127.0.0.1:28081/currents --token not-the-token --rate max --events 200 --threshold 'errors==100%' || true
