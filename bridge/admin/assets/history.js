// History, and replays of it.

import * as api from "./api.js"
import { el, numberOf, toast } from "./dom.js"
import { act, badge, card, choice, confirmed, facts, field } from "./view.js"
import { ago, moment, rate } from "./words.js"

export const load = async () => (await api.get("config")).settings.filter((s) => s.key.startsWith("retain."))

export function draw({ overview, data }) {
  const { now, store, connectors } = overview
  const kept = Object.fromEntries(data.map((s) => [s.key, s.value]))
  const configured = connectors.filter((c) => c.configured)
  return [
    card("History", facts([
      ["Reaches back", store.oldest_history ? ago(store.oldest_history, now) : "there is none"],
      ["Kept for", kept["retain.age"]], ["At most", kept["retain.size"]],
    ])),
    card("Replays", connectors.filter((c) => c.replay).map((c) => replay(c.replay, overview)),
      connectors.every((c) => !c.replay) && el("p", { class: "hint" }, "There has been none.")),
    card("Deliver history again",
      el("p", { class: "hint" }, "Live events go first. RudderStack gets the same messageId again, so what it dedupes by that is not doubled."),
      el("form", { class: "filters", "data-do": "replay", autocomplete: "off" },
        choice("Connector", "connector", [...(configured.length > 1 ? [["", "all"]] : []), ...configured.map((c) => [c.name])]),
        field("Received since", "since", { placeholder: "2h, or a time", required: true }), field("until", "to", { placeholder: "now" }),
        field("Event type", "type", { placeholder: "users.messages.email.*" }), field("Events a second", "rate", { placeholder: "as fast as it goes", inputmode: "decimal" }),
        el("button", { class: "main" }, "Replay…"))),
  ]
}

function replay(r, { now, store }) {
  const from = Math.max(new Date(r.from), new Date(store.oldest_history ?? r.from))
  const till = Math.min(new Date(r.to), new Date(r.started_at))
  const part = r.position ? Math.min(1, Math.max(0, (new Date(r.position) - from) / (till - from || 1))) : r.active ? 1 : undefined
  return el("div", { class: "replay", "data-key": r.connector },
    el("div", { class: "head" }, el("h3", {}, `${r.connector}, replay ${r.number}`), badge(r.active ? "active" : "ended", r.active ? "warn" : "good"),
      r.active && act("end-replay", "End it", { connector: r.connector }, "danger")),
    r.active && el("progress", { max: 100, value: Math.round(part * 100), "aria-label": "Progress" }),
    facts([
      ["Received from", moment(r.from)], ["to", moment(r.to)], ["Types", (r.types ?? []).join(", ") || "all"], ["Events a second", r.rate > 0 && `at most ${rate(r.rate)}`],
      ["Delivered again", numberOf(r.replayed)], ["Refused", numberOf(r.refused)], ["Left out", numberOf(r.skipped)], ["Come to", r.position && moment(r.position)],
      ["Began", ago(r.started_at, now)], ["Ended", r.ended_at && ago(r.ended_at, now)],
    ]))
}

export async function start(values) {
  const what = [values.connector || "all connectors", `received since ${values.since}`, values.to && `until ${values.to}`, values.type].filter(Boolean).join(", ")
  if (!(await confirmed({ title: "Deliver history again?", text: `${what}. It can be ended at any time.`, verb: "Replay" }))) return
  await api.post("replay", values)
  toast("The replay has started")
}

export async function end({ connector }) {
  if (!(await confirmed({ title: `End the replay of ${connector}?`, text: "What was delivered again stays delivered.", verb: "End it", danger: true }))) return
  await api.post("replay/end", { connector })
}
