import { $, el, numberOf, setText, svg } from "./dom.js"

const SECONDS = 120

// counters shows the counts since the last reset.
export function counters(stats) {
  const refused = new Map(Object.entries(stats.requests).filter(([status]) => !status.startsWith("2")))
  const all = [...refused.values()].reduce((sum, n) => sum + n, 0)
  const detail = [...refused].sort().map(([status, n]) => `${status}: ${numberOf(n)}`).join(" · ")
  const list = [
    ["stored", stats.stored, ""],
    ["valid", stats.valid, stats.valid > 0 ? "good" : ""],
    ["invalid", stats.invalid, stats.invalid > 0 ? "bad" : ""],
    ["drift", stats.drift, stats.drift > 0 ? "warn" : ""],
    ["refused", all, all > 0 ? "bad" : ""],
  ]
  const place = $("counters")
  if (place.childElementCount === 0) {
    place.append(...list.map(([name]) => el("div", { "data-counter": name }, el("dt", {}, name), el("dd", {}))))
  }
  list.forEach(([, n, look], i) => {
    const counter = place.children[i]
    counter.className = look
    setText(counter.lastChild, short(n))
    counter.title = i === 4 && detail !== "" ? `requests by status: ${detail}` : numberOf(n)
    if (i === 4) setText(counter.firstChild, refused.size === 1 ? `refused ${[...refused.keys()][0]}` : "refused")
  })
  byStatus(place, refused)
}

// byStatus lists the refused requests where there is more than one status.
function byStatus(place, refused) {
  let list = place.querySelector("[data-counter=statuses]")
  if (list === null) {
    list = el("div", { "data-counter": "statuses" }, el("dt", {}, "by status"), el("dd", {}))
    place.append(list)
  }
  list.hidden = refused.size < 2
  list.lastChild.replaceChildren(...[...refused].sort().map(([status, n]) =>
    el("span", {}, el("i", {}, status), short(n))))
}

// short writes large numbers in few characters.
function short(n) {
  return n < 1e6 ? numberOf(n) : `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M`
}

// chart draws messages a second: valid below, invalid on top of them.
export function chart(seconds) {
  const list = seconds.slice(-SECONDS)
  // Messages without a verdict are neither.
  const all = (s) => Math.max(s.stored ?? 0, s.valid + s.invalid)
  const high = Math.max(1, ...list.map(all))
  const bars = []
  list.forEach((second, i) => {
    const x = (SECONDS - list.length + i) * 2
    const bar = (n, below, look) => {
      if (n === 0) return
      const tall = Math.max(1, (n / high) * 38)
      bars.push(svg("rect", { x, y: 40 - below - tall, width: 1.6, height: tall, class: look }))
      return tall
    }
    const base = bar(second.valid, 0, "good") ?? 0
    const upper = base + (bar(second.invalid, base, "bad") ?? 0)
    bar(all(second) - second.valid - second.invalid, upper, "other")
  })
  bars.push(svg("rect", { x: 0, y: 39.5, width: 240, height: 0.5, class: "axis" }))
  $("chart").replaceChildren(...bars)
  const now = list.at(-2) ?? list.at(-1) ?? { valid: 0, invalid: 0 } // the last second is not over yet
  setText($("chart-caption"), `${numberOf(all(now))} a second · peak ${numberOf(Math.max(0, ...list.map((s) => s.valid + s.invalid)))} · 2 min`)
}
