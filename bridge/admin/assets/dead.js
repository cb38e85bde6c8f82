// Dead letters: by reason and type, in a list, and one of them open.

import * as api from "./api.js"
import { el, numberOf, toast } from "./dom.js"
import { code } from "./event.js"
import { act, badge, card, choice, confirmed, facts, field, link, table } from "./view.js"
import { ago, count, meaning, moment } from "./words.js"

const PAGE = 50
const names = ["connector", "reason", "type", "since", "until"]
const chosen = (params) => Object.fromEntries(names.filter((name) => params[name]).map((name) => [name, params[name]]))

let last = {} // the letter that is open does not change

export async function load(params) {
  const filter = chosen(params)
  const limit = Math.min(Number(params.limit) || PAGE, 1000)
  const [all, { groups }, list] = await Promise.all([api.get("dead/summary"), api.get("dead/summary", filter), api.get("dead", { ...filter, limit, brief: true })])
  const key = params.open && `${params.of}/${params.open}`
  if (key && last.key !== key) {
    last = { key, ...(await api.event("dead/" + params.open, { connector: params.of }).catch((error) => ({ gone: error.message }))) }
  }
  return { all: all.groups, groups, ...list, limit, letter: key ? last : null }
}

export function draw({ overview, data, params }) {
  const filter = chosen(params)
  const narrow = Object.keys(filter).length > 0
  const letters = data.groups.reduce((sum, g) => sum + g.letters, 0)
  if (data.all.length === 0 && !data.letter) return card("Dead letters", el("p", { class: "hint" }, "There are none: every event was delivered, filtered, or still waits."))
  return [
    card("Dead letters", filters(filter, data.all, narrow),
      table(["Reason", "Event type", "Connector", "Letters", "Newest", ""], data.groups.map((g) => ({
        key: `${g.connector}/${g.reason}/${g.event_type}`, cells: [
          badge(g.reason, "bad"), el("b", {}, g.event_type || "no type"), g.connector, g.events === g.letters ? numberOf(g.letters) : `${numberOf(g.letters)}, ${count(g.events, "event")}`, ago(g.died_at, overview.now),
          el("a", { class: "button", href: link("dead", { ...filter, connector: g.connector, reason: g.reason, type: g.event_type }) }, "Choose"),
        ],
      }))),
      el("div", { class: "acts" }, letters > 0 && [
        act("move", `Replay ${narrow ? "these" : "all"} ${numberOf(letters)}…`, { verb: "replay", filter: JSON.stringify(filter) }),
        act("move", `Purge ${narrow ? "these" : "all"} ${numberOf(letters)}…`, { verb: "purge", filter: JSON.stringify(filter) }, "danger")], letters === 0 && el("p", { class: "hint" }, "None is chosen by this."))),
    el("div", { class: data.letter ? "beside" : "" },
      letters > 0 && el("section", { class: "card list" }, el("h2", {}, `Letters, the oldest first`),
        el("ul", { class: "rows" }, data.dead.map((l) => el("li", { "data-key": `${l.connector}/${l.number}` },
          el("a", { class: "row", href: link("dead", { ...filter, limit: params.limit, of: l.connector, open: String(l.number) }), "aria-current": params.open === String(l.number) && params.of === l.connector ? "true" : null },
            el("b", {}, l.event_type || "no type"), badge(l.status ? `${l.reason} ${l.status}` : l.reason, "bad"),
            el("code", {}, l.event_id || "no id"), el("span", { class: "hint" }, `${l.connector} ${l.number} · `, ago(l.died_at, overview.now)))))),
        data.next && data.limit < 1000 && el("a", { class: "button", href: link("dead", { ...params, limit: String(data.limit + PAGE * 4) }) }, "More"),
        data.next && data.limit >= 1000 && el("p", { class: "hint" }, "There are more; choose by reason, type or time to see them.")),
      data.letter && opened(data.letter, params, overview.now)),
  ]
}

function filters(filter, groups, narrow) {
  const among = (name) => [["", "all"], ...[...new Set(groups.map((g) => g[name]).concat(filter[name] ?? []))].filter(Boolean).sort().map((value) => [value])]
  return el("form", { class: "filters", "data-do": "choose", autocomplete: "off" },
    choice("Connector", "connector", among("connector"), filter.connector), choice("Reason", "reason", among("reason"), filter.reason),
    field("Event type", "type", { value: filter.type ?? "", placeholder: "users.messages.email.*" }),
    field("Died since", "since", { value: filter.since ?? "", placeholder: "24h" }), field("until", "until", { value: filter.until ?? "", placeholder: "1h" }),
    el("button", { class: "main" }, "Choose"), narrow && el("a", { class: "button", href: link("dead") }, "Clear"))
}

function opened(letter, params, now) {
  const back = link("dead", { ...chosen(params), limit: params.limit })
  if (letter.gone) return el("article", { class: "card detail" }, el("p", { class: "note" }, letter.gone), el("a", { class: "button close", href: back }, "Close"))
  const { value: l, text } = letter
  const one = JSON.stringify({ connector: l.connector, number: l.number })
  return el("article", { class: "card detail", "data-key": letter.key, tabindex: "-1" },
    el("div", { class: "head" }, el("h2", {}, l.event_type || "no event type"), badge(l.reason, "bad"),
      el("span", { class: "acts" }, !l.unfit && act("move", "Replay…", { verb: "replay", filter: one }, "main"), !l.unreadable && act("move", "Purge…", { verb: "purge", filter: one }, "danger"),
        el("a", { class: "button close", href: back }, "Close"))),
    el("p", { class: "note warn" }, meaning(l.reason)),
    facts([
      ["Letter", `${l.number} of ${l.connector}`], ["Status", l.status], ["Answer", l.answer], ["Attempts", l.attempts], ["Events", l.events > 1 && l.events],
      ["Event id", l.event_id], ["User id", l.user_id], ["External user id", l.external_user_id],
      ["Received", moment(l.received_at)], ["Died", ago(l.died_at, now)],
    ]),
    code(text))
}

// move replays or purges the letters that a filter chooses, after it has said how
// many there are. What dies meanwhile is not meant.
export async function move({ verb, filter: text }) {
  const filter = JSON.parse(text)
  const { groups } = await api.get("dead/summary", filter)
  const of = new Map()
  for (const g of groups) {
    const sum = of.get(g.connector) ?? { letters: 0, events: 0, last: 0 }
    of.set(g.connector, { letters: sum.letters + g.letters, events: sum.events + g.events, last: Math.max(sum.last, g.last) })
  }
  const total = [...of.values()].reduce((sum, one) => ({ letters: sum.letters + one.letters, events: sum.events + one.events }), { letters: 0, events: 0 })
  const many = count(total.letters, "dead letter")
  if (total.letters === 0) return confirmed({ title: "Nothing to do", text: "None is left of what was chosen." })
  const purge = verb === "purge"
  if (!(await confirmed({
    title: `${purge ? "Purge" : "Replay"} ${many}?`,
    text: [[...of].map(([name, one]) => `${name}: ${count(one.letters, "letter")}, ${count(one.events, "event")}. `).join(""),
      purge ? "They are removed for good." : "They are sent again by the same path. What no replay can help stays; what is refused again dies again."].join(""),
    verb: `${purge ? "Purge" : "Replay"} ${many}`, danger: purge,
  }))) return
  let moved = 0
  let unfit = 0
  let unreadable = 0
  for (const [connector, { last: until }] of of) {
    const answer = await api.post("dead/" + verb, { ...filter, connector, last: until, all: true })
    moved += answer.moved
    unfit += answer.unfit ?? 0
    unreadable += answer.unreadable ?? 0
  }
  if (filter.number) last = {}
  toast(`${count(moved, "dead letter")} ${purge ? "purged" : "replayed"}${unfit > 0 ? `, ${numberOf(unfit)} cannot be helped and stay` : ""}${unreadable > 0 ? `, ${numberOf(unreadable)} cannot be read from disk and stay until the bridge is restarted` : ""}`)
}
