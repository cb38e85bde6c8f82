// What waits, and why.

import * as api from "./api.js"
import { el, numberOf } from "./dom.js"
import { code } from "./event.js"
import { act, badge, card, facts, link, table } from "./view.js"
import { ago, count, duration, lasted, looks, size } from "./words.js"

export async function load({ connector, open }) {
  const list = await api.get("pending", { connector })
  return { ...list, event: open ? await api.event("pending/" + open, { connector }).catch((error) => ({ gone: error.message })) : null }
}

export const draw = ({ overview, data, params }) => [
  params.connector && el("p", { class: "crumbs" }, el("a", { href: link("pending") }, "All connectors")),
  data.event && opened(data.event, params, overview.now),
  data.connectors.map((c) => connector(c, overview, params)),
]

function connector(c, { now, connectors }, params) {
  const state = connectors.find((one) => one.name === c.connector)
  return el("section", { class: "card", "data-key": c.connector },
    el("div", { class: "head" }, el("h2", {}, c.connector), badge(c.destination.state, looks[c.destination.state]),
      c.parked > 0 && act("resume", "Try all now", { connector: c.connector })),
    facts([["Pending", count(c.pending, "event")], ["Oldest", c.pending > 0 && duration(c.oldest_pending_seconds)], ["Parked", count(c.parked, "event")]]),
    el("p", { class: c.destination.state === "ok" ? "hint" : "note bad" }, why(c, state, now)),
    c.suspects.length > 0 && table(["Event type", "Id", "Failed", "Last answer", "Next try", ""], c.suspects.map((s) => ({
      key: `${s.record}/${s.index}`, open: params.open === `${s.record}/${s.index}`, cells: [
        el("b", {}, s.event_type || "no type"), el("code", {}, s.id || "none"),
        [count(s.failures, "time"), s.failures > 0 && [" in ", lasted(s.first_failure, now)], s.with > 1 && `, with ${s.with - 1} others`],
        [s.status > 0 ? `${s.status} ` : "no answer ", s.last_answer], ago(s.next_try, now),
        el("span", { class: "acts" }, el("a", { class: "button", href: link("pending", { connector: c.connector, open: `${s.record}/${s.index}` }) }, "Open"),
          act("dead-letter", "Dead-letter", { connector: c.connector, record: s.record, index: s.index, type: s.event_type }, "danger")),
      ],
    }))),
    c.parked > c.suspects.length && el("p", { class: "hint" }, `${numberOf(c.parked - c.suspects.length)} more are parked; the first ones are shown.`))
}

// why says in a sentence what pending events wait for.
function why(c, state, now) {
  if (c.pending === 0) return "Nothing waits."
  if (c.destination.state !== "ok") return ["The destination is in trouble: ", c.destination.last_error, state?.since && [" (for ", lasted(state.since, now), ")"]]
  if (c.parked === c.pending) return "Each failed while others were accepted, and is tried again in between."
  return c.parked > 0 ? "They wait for their turn; the parked ones failed while others were accepted, and are tried again in between." : "They wait for their turn."
}

function opened(event, params, now) {
  if (event.gone) return card("This event", el("p", { class: "note" }, event.gone), el("a", { class: "button", href: link("pending", { connector: params.connector }) }, "Close"))
  const { value, text } = event
  const s = value.suspect
  return el("article", { class: "card detail", "data-key": "open" },
    el("div", { class: "head" }, el("h2", {}, s?.event_type || "A pending event"), el("a", { class: "button close", href: link("pending", { connector: params.connector }) }, "Close")),
    facts([["Connector", value.connector], ["Record", `${value.record}, event ${value.index}`], ["Size", s && size(s.size)], ["Why it waits", s ? `${s.status || "no answer"} ${s.last_answer}` : "for its turn"], ["Next try", s && ago(s.next_try, now)]]),
    code(text))
}
