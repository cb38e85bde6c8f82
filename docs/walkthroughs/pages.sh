#!/usr/bin/env bash
# Runs the commands of the pages: every ```sh block of a page in its order, in one
# empty directory with the programs beside it. Above a block that cannot run here
# stands, in a comment of HTML, what runs it instead or why nothing does.
# What a page takes for granted is made first (see stage). Minutes of load become
# seconds, and paths below / become paths below the directory.
# Run it from a checkout after `make build`: pages.sh [PAGE…]. The default ports
# must be free. It leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
command -v sqlite3 >/dev/null || { echo "sqlite3 is missing: install sqlite3" >&2; exit 1; }
work=$(mktemp -d)
end_page() {
  for pid in "$work"/run/*.pid; do [ -e "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true; done
  wait
}
trap 'end_page; rm -rf "$work"' EXIT
mkdir "$work/programs"
cat >"$work/programs/bridge" <<'PROGRAM'
#!/usr/bin/env bash
# A server stays until the page ends or it is started again, as in a terminal of
# its own. Exit codes 2 and 99 are findings where the command looks for findings.
name=$(basename "$0")
if [ "${1-}" = serve ]; then
  if [ -e "$RUN/$name.pid" ]; then
    former=$(cat "$RUN/$name.pid")
    kill "$former" 2>/dev/null
    while kill -0 "$former" 2>/dev/null; do sleep 0.05; done
  fi
  : >"$RUN/$name.log"
  setsid "$ROOT/bin/$name" "$@" >"$RUN/$name.log" 2>&1 &
  echo $! >"$RUN/$name.pid"
  for _ in $(seq 600); do
    grep -q '^ready' "$RUN/$name.log" && exit 0
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  cat "$RUN/$name.log" >&2
  exit 1
fi
"$ROOT/bin/$name" "$@"
code=$?
case "$name $1 ${2-}" in
"mockrudder audit "* | "mockrudder glossary diff") [ $code != 2 ] || code=0 ;;
"mockbraze load "*) [ $code != 99 ] || code=0 ;; # a threshold, on a machine of any speed
esac
exit $code
PROGRAM
chmod +x "$work/programs/bridge"
for name in mockbraze mockrudder harness; do ln -s bridge "$work/programs/$name"; done

# commands PAGE: its blocks as one script; what is not run goes to not-run.
commands() {
  awk -v page="$1" -v skipped="$work/not-run" '
    /^<!-- (run by|not run): .* -->$/ { reason = substr($0, 6, length($0) - 9); next }
    /^```/ {
      if (inside) { inside = 0; reason = ""; next }
      inside = 1
      shell = $0 == "```sh"
      if (shell && reason != "") { print page ":" NR ": " reason >>skipped; shell = 0 }
      else if (shell) { print "echo \"+ " page ":" NR "\" >&3" }
      else if (reason != "") { print page ":" NR ": a reason without commands" >"/dev/stderr"; exit 1 }
      else { plain = 1 }
      next
    }
    inside && shell
    inside && plain && /^(make|git|curl|docker|bin\/[a-z]+|bridge|mockbraze|mockrudder|harness) / { print page ":" NR ": commands in a block that is not ```sh" >"/dev/stderr"; exit 1 }
    !inside { plain = 0 }
    /^[^<]/ && !inside { reason = "" }
  ' "$1"
}

# shorter: what takes minutes takes seconds, and nothing is written elsewhere.
shorter() {
  sed -E 's/--(duration) [0-9a-z]+/--\1 3s/; s/--warm-up [0-9a-z]+/--warm-up 1s/; s/--events [0-9]{6}/--events 3000/
    s#(^|[ ="])/(var|etc)/#\1'"$work/page"'/\2/#g'
}

# stage PAGE: what its commands take for granted.
stage() {
  mkdir -p recorded var/backups var/lib etc/bridge
  mockbraze emit --events 204 --format batches >recorded/a.ndjson
  cp recorded/a.ndjson recorded.ndjson
  case $1 in
  docs/mockrudder.md)
    echo '{"users.messages.email.Open":"Email Opened"}' >names.json
    echo '{"Order Placed":{"required":["total"]}}' >plan.json
    cp "$ROOT/schemas/glossary.json" newer.json ;;
  docs/load.md) servers TOKEN ;;
  docs/backfill.md)
    mockbraze emit --events 1000 --format avro --out export
    servers s3cret ;;
  docs/operations.md)
    servers s3cret
    troubles ;;
  esac
}

# servers TOKEN: RudderStack, and a bridge of two connectors in front of it.
servers() {
  mockrudder serve --source wk=http
  cat >bridge.yaml <<YAML
data_dir: $PWD/data
connectors:
  - {name: brand-a, token: $1, rudder_url: "http://127.0.0.1:8090", write_key: wk}
  - {name: brand-b, token: $1-b, rudder_url: "http://127.0.0.1:8090", write_key: wk}
YAML
  bridge serve --config bridge.yaml
  export MOCKBRAZE_TOKEN=$1
}

# troubles: dead letters, and an event that RudderStack refuses and that waits.
troubles() {
  curl -sS -X PUT http://127.0.0.1:8090/_mock/faults -d '[{"status":403,"contains":"poison"}]' >/dev/null
  post() { curl -fsS -o /dev/null -H 'Authorization: Bearer s3cret' http://127.0.0.1:8080/currents/brand-a -d "{\"events\":[$1]}"; }
  local i
  for i in 1 2 3 4 5 6 7; do post '{"id":"dead'"$i"'","event_type":"users.behaviors.CustomEvent","user":{},"properties":{"name":"n"}}'; done
  for i in fine poison $(seq 150); do # it is a suspect once another one has arrived after its failure
    post '{"id":"'$i'","event_type":"users.behaviors.CustomEvent","time":1790000000,"user":{"external_user_id":"u1"},"properties":{"name":"'$i'"}}'
    [ $i != fine ] || continue
    suspect=$(bridge pending list --json | sed -nE 's/.*"record": ?"?([0-9]+)"?.*/\1/p' | head -1)
    [ -n "$suspect" ] && break
    sleep 0.2
  done
  bridge backup queue.db
  cp queue.db queue.db.20260102-030405.damaged
}

run() {
  local page=$1
  mkdir "$work/page" "$work/run"
  commands "$page" | shorter >"$work/commands"
  (
    export ROOT=$root RUN=$work/run PATH="$work/programs:$PATH" BRIDGE_SALT=salt
    cd "$work/page"
    ln -s ../programs bin
    stage "$page"
    sed -i -E "s/ 71 3 / ${suspect:-71} 0 /" "$work/commands"
    { echo 'set -euo pipefail; sudo() { "$@"; }; make() { test "$1" = build; }'; cat "$work/commands"; } >"$work/script"
    bash "$work/script" >"$work/out" 3>"$work/at" 2>&1 || {
      echo "$page: failed in the block of $(tail -1 "$work/at"):" >&2
      tail -20 "$work/out" >&2
      exit 1
    }
    [ ! -s "$work/at" ] || echo "$page: $(wc -l <"$work/at") blocks ran"
  )
  end_page
  rm -rf "$work/page" "$work/run" "$work/at"
}

pages=("$@")
[ $# -gt 0 ] || pages=(README.md CONTRIBUTING.md SECURITY.md examples/README.md docs/*.md)
: >"$work/not-run"
for page in "${pages[@]}"; do
  if grep -q '^```sh$' "$page"; then run "$page"; else commands "$page" >/dev/null; fi
done
echo "Not run here:"
cat "$work/not-run"
