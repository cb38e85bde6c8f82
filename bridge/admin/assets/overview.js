// Connectors at a glance, and the store.

import * as api from "./api.js"
import { el, numberOf, svg } from "./dom.js"
import { act, badge, card, facts, link } from "./view.js"
import { ago, count, duration, lasted, looks, rate, short, size } from "./words.js"

const HOUR = 3600
const WIDE = 720
const HIGH = 90
const FRESH = 9000 // milliseconds that samples are not asked for again

let hour = { at: 0 }

export async function load() {
  if (Date.now() - hour.at > FRESH) hour = { at: Date.now(), ...(await api.get("samples")) }
  return hour
}

export const draw = ({ overview, data }) => [
  overview.connectors.map((c) => connector(c, overview.now, data.connectors.find((s) => s.name === c.name)?.samples ?? [])),
  overview.connectors.length === 0 && card("No connector", el("p", { class: "hint" }, "There is none in the configuration.")),
  store(overview),
]

function connector(c, now, samples) {
  const latest = c.latest
  const both = (l) => (l ? [short(l.p50), " ", el("small", {}, `p99 ${short(l.p99)}`)] : "–")
  return el("section", { class: "card connector", "data-key": c.name },
    el("div", { class: "head" },
      el("h2", {}, c.name), badge(c.configured ? c.destination.state : "not in the configuration", c.configured ? looks[c.destination.state] : "bad"),
      el("span", { class: "hint" }, c.since && ["for ", lasted(c.since, now)], c.next_try && [" · next try ", ago(c.next_try, now)]),
      c.configured && (c.destination.state !== "ok" || c.parked > 0) && act("resume", "Resume", { connector: c.name }, c.destination.state === "ok" ? "" : "main")),
    c.destination.last_error && el("p", { class: "note bad" }, c.destination.last_error),
    facts([
      ["In a second", latest ? rate(latest.in) : "…"],
      ["Out a second", latest ? rate(latest.out) : "…"],
      ["Pending", numberOf(c.pending)],
      ["Oldest", c.pending > 0 ? duration(c.oldest_pending_seconds) : "none"],
      ["Lag", c.lag_seconds === undefined ? (latest ? "stands still" : "…") : duration(c.lag_seconds), c.lag_seconds === undefined && latest ? "bad" : ""],
      ["Ack, median", both(latest?.ack)],
      ["Delivery, median", both(latest?.delivery)],
      ["Parked", c.parked > 0 ? el("a", { href: link("pending", { connector: c.name }) }, numberOf(c.parked)) : "0", c.parked > 0 ? "warn" : ""],
      ["Dead", c.dead > 0 ? el("a", { href: link("dead", { connector: c.name }) }, numberOf(c.dead)) : "0", c.dead > 0 ? "bad" : ""],
    ], "counters"),
    chart(samples, new Date(now) / 1000),
    el("details", { "data-key": "ledger" }, el("summary", {}, "Ledger"), facts([
      ...["received", "duplicates", "accepted", "filtered", "delivered", "dead", "purged", "pending", "replayed", "backfilled"]
        .filter((name) => c[name] !== undefined).map((name) => [name, numberOf(c[name])]),
    ], "facts ledger")))
}

// chart draws the last hour, or since the start: events in as an area, out as a line, and what is
// pending on a scale of its own.
function chart(samples, now) {
  const top = Math.max(1, ...samples.map((s) => Math.max(s.in, s.out)))
  const most = Math.max(1, ...samples.map((s) => s.pending))
  const span = Math.min(HOUR, Math.max(120, now - (samples[0]?.at ?? now))) // less than an hour after a start
  const x = (s) => (Math.max(0, (s.at - now + span) / span) * WIDE).toFixed(1)
  const points = (value, high) => samples.map((s) => `${x(s)},${(HIGH - (value(s) / high) * (HIGH - 4)).toFixed(1)}`).join(" ")
  const area = samples.length > 1 && `${x(samples[0])},${HIGH} ${points((s) => s.in, top)} ${x(samples.at(-1))},${HIGH}`
  return el("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": "Events a second and pending events in the last hour" },
      [1, 2, 3].map((i) => svg("line", { class: "axis", x1: (WIDE / 4) * i, x2: (WIDE / 4) * i, y1: 0, y2: HIGH })),
      svg("line", { class: "axis", x1: 0, x2: WIDE, y1: HIGH - 0.5, y2: HIGH - 0.5 }),
      area && [
        svg("polygon", { class: "in", points: area }),
        svg("polyline", { class: "pending", points: points((s) => s.pending, most) }),
        svg("polyline", { class: "out", points: points((s) => s.out, top) }),
      ]),
    el("figcaption", {}, el("span", {}, `${duration(span)} ago`),
      el("span", {}, el("i", { class: "in" }), "in", el("i", { class: "out" }), `out, peak ${rate(samples.length > 0 ? top : 0)} a second`,
        el("i", { class: "pending" }), `pending, peak ${numberOf(samples.length > 0 ? Math.max(...samples.map((s) => s.pending)) : 0)}`),
      el("span", {}, "now")))
}

function store({ store: s, now, version, glossary }) {
  return card("Store", facts([
    ["Size", size(s.bytes)],
    ["Free", s.free > 0 && size(s.free), s.full ? "bad" : ""],
    ["New batches", s.full ? "refused: there is no room" : "taken", s.full ? "bad" : ""],
    ["History reaches back", s.oldest_history ? ago(s.oldest_history, now) : "there is none"],
    ["Damage since the start", s.damaged > 0 ? count(s.damaged, "record") : "none", s.damaged > 0 ? "bad" : ""],
    ["Read from end to end", s.scrubbed_at ? ago(s.scrubbed_at, now) : "not since the start"],
    ["Version", version], ["Glossary", glossary],
  ]))
}
