#!/usr/bin/env bash
# An engineer brings the bridge into production: write a configuration, check it,
# start the bridge, see events arrive, find a dead letter and replay it, survive a
# kill, back up. In place of Braze and RudderStack stand the two fakes.
# Run it from a checkout after `make build`. It leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/bin:$PATH"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
say() { printf '\n## %s\n' "$*"; }
eventually() { for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "timed out: $*" >&2; "$@"; }

say "RudderStack: in production your data plane; here a fake with one HTTP source"
mockrudder serve --listen 127.0.0.1:28090 --source wkProd=http >"$work/rudder.log" 2>&1 &
eventually mockrudder healthcheck --listen 127.0.0.1:28090

say "A configuration; secrets stand in files of their own"
(umask 077; openssl rand -hex 24 >"$work/braze-token" 2>/dev/null || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/braze-token")
echo wkProd >"$work/write-key"
cat >"$work/bridge.yaml" <<YAML
listen: 127.0.0.1:28080
admin: 127.0.0.1:29090
data_dir: $work/data
queue: {max_size: 1GiB}
connectors:
  - name: brand-a
    token_file: $work/braze-token
    rudder_url: http://127.0.0.1:28090
    write_key_file: $work/write-key
YAML
bridge check --config "$work/bridge.yaml" --connect

say "Start it; /readyz is 200 once batches can be stored"
bridge serve --config "$work/bridge.yaml" >"$work/bridge.log" 2>&1 &
bridge=$!
eventually bridge healthcheck --admin 127.0.0.1:29090

say "Braze: in production a Current of the kind Custom HTTP; here the fake sends 2,000 events"
MOCKBRAZE_TOKEN=$(cat "$work/braze-token") mockbraze load --url http://127.0.0.1:28080/currents/brand-a \
  --events 2000 --rate max --verify http://127.0.0.1:28090/_mock --threshold 'errors==0,lost==0'

say "The ledger: what was received is delivered, dead or pending"
bridge status --admin 127.0.0.1:29090

say "An event without a user can only become a dead letter; it never stops the others"
curl -sS -H "Authorization: Bearer $(cat "$work/braze-token")" -H 'Content-Type: application/json' http://127.0.0.1:28080/currents/brand-a \
  -d '{"events":[{"id":"e1","event_type":"users.behaviors.CustomEvent","user":{},"properties":{"name":"no user"}}]}'
echo
bridge dead summary --admin 127.0.0.1:29090
bridge dead list --admin 127.0.0.1:29090 --reason no_identity --type 'users.*'

say "RudderStack refuses one event; its neighbours arrive, and it waits as a suspect"
curl -sS -X PUT http://127.0.0.1:28090/_mock/faults -d '[{"status":403,"contains":"poison"}]' >/dev/null
post() {
  curl -sS -o /dev/null -H "Authorization: Bearer $(cat "$work/braze-token")" http://127.0.0.1:28080/currents/brand-a \
    -d '{"events":[{"id":"x-'"$1"'","event_type":"users.behaviors.CustomEvent","time":1790000000,"user":{"external_user_id":"u1"},"properties":{"name":"'"$1"'"}}]}'
}
post fine
post poison
# It is a suspect once another one has arrived after its failure.
suspected() { post "fine-$((n += 1))" && bridge pending list --admin 127.0.0.1:29090 | grep users.behaviors; }
n=0
eventually suspected
bridge pending list --admin 127.0.0.1:29090

say "Set it aside by hand: it becomes a dead letter, with the last answer in words"
read -r record index < <(bridge pending list --admin 127.0.0.1:29090 | awk '$3 ~ /^users/ {print $1, $2}')
bridge pending dead-letter "$record" "$index" --connector brand-a --admin 127.0.0.1:29090
bridge dead list --admin 127.0.0.1:29090 --reason set_aside

say "The firewall's rule is repaired: send the dead letter again"
curl -sS -X PUT http://127.0.0.1:28090/_mock/faults -d '[]' >/dev/null
bridge dead replay --admin 127.0.0.1:29090 --reason set_aside
eventually sh -c 'bridge status --admin 127.0.0.1:29090 --json | grep -Eq "\"pending\": ?0[,}]"'

say "SIGKILL and start again: nothing that was acknowledged is lost"
kill -9 $bridge
wait $bridge 2>/dev/null || true
bridge serve --config "$work/bridge.yaml" >>"$work/bridge.log" 2>&1 &
eventually bridge healthcheck --admin 127.0.0.1:29090
bridge status --admin 127.0.0.1:29090

say "Send the last hour again, look for what Braze added, and back up"
bridge replay --since 1h --type 'users.behaviors.*' --admin 127.0.0.1:29090
bridge drift --admin 127.0.0.1:29090
bridge backup "$work/queue-backup.db" --admin 127.0.0.1:29090
