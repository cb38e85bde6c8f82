#!/usr/bin/env bash
# A data engineer asks what changed in Braze's payloads, and what RudderStack's
# own Braze source would lose of them.
# Run it from a checkout after `make build`. It leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '\n## %s\n' "$*"; }

# expect CODE COMMAND…: the exit codes are for scripts, and are checked here.
expect() {
  local want=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" = "$want" ] || { echo "exit code $code instead of $want: $*" >&2; exit 1; }
}

say "Recorded batches; here ten events of each type from the fake"
mockbraze emit --events 1020 --seed 1 --format batches >"$work/recorded.ndjson"
wc -l <"$work/recorded.ndjson"

say "Do they fit the glossary? Exit code 0: all valid"
expect 0 mockrudder validate --as braze "$work/recorded.ndjson"

say "A wrong type is named with line, path and rule. Exit code 2"
echo '{"event_type":"users.messages.email.Open","id":"1","time":"soon","user":{"external_user_id":"u"},"properties":{"campaign_id":7}}' >"$work/wrong.ndjson"
expect 2 mockrudder validate --as braze "$work/wrong.ndjson"

say "A field that Braze added is reported, and passes"
echo '{"event_type":"users.messages.email.Open","id":"1","time":1790000000,"user":{"user_id":"64f0c3a1b2d4e5f6a7b8c9d0","external_user_id":"u"},"properties":{"app_group_id":"a","campaign_id":"c","dispatch_id":"d","email_address":"a@example.com","brand_new":true}}' >"$work/new.ndjson"
mockrudder validate --as braze "$work/new.ndjson" || test $? = 2

say "A tracking plan of your own"
echo '{"users.messages.email.Open":{"required":["campaign_name"]}}' >"$work/plan.json"
mockrudder validate --as braze --plan "$work/plan.json" --format junit "$work/recorded.ndjson" >"$work/junit.xml" || test $? = 2
grep -o '<testsuite [^>]*>' "$work/junit.xml" | head -1

say "What would RudderStack's own Braze source drop, change or refuse?"
mockrudder audit "$work/recorded.ndjson" | sed -n 1,20p

say "What does the glossary know of a type? What is new in what Braze publishes? Exit code 0: the same"
mockrudder glossary show users.messages.email.Open | sed -n 1,20p
mkdir "$work/published"
mockbraze emit --events 1 --types users.messages.email.Open --seed 1 >"$work/published/users.messages.email.Open.json"
mockrudder glossary diff "$work/published" || test $? = 2
