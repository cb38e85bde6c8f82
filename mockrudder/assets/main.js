import * as address from "./address.js"
import * as api from "./api.js"
import { Detail } from "./detail.js"
import { $, problem, setText } from "./dom.js"
import { empty } from "./empty.js"
import { Faults } from "./faults.js"
import * as filtering from "./filters.js"
import { List } from "./list.js"
import { Live } from "./live.js"
import { setUpReset } from "./reset.js"
import { Rows } from "./rows.js"
import { chart, counters } from "./stats.js"

// The page: how its parts are connected.

const state = { paused: false, stats: { kept: 0, sources: {} }, sources: [] }

const kept = () => state.stats.kept ?? 0
const watching = () => address.live() && !state.paused
const failed = (error) => problem(error.message)

const rows = new Rows(changed, failed)
const list = new List(rows, {
  open: (event) => open(event.id),
  moved: (event) => address.opened() !== "" && open(event.id),
  newest: () => refresh(),
})
const detail = new Detail({ close, step, kindOf: (key) => state.sources.find((source) => source.key === key)?.kind ?? "http" })
const faults = new Faults({ sources: () => state.sources, failed })
const live = new Live({ message, refresh, state: tell })

function changed() {
  list.draw()
  const none = rows.loaded && rows.count === 0
  if (none) empty({ filtered: !rows.plain, sources: state.sources, clear: () => { filtering.clear(); restart() } })
  else $("empty").hidden = true
}

// refresh requests everything again and returns whether that succeeded. A call during
// another one has it repeated.
let running
let again = false
let seen = 0 // the newest message that is in the list or counted as missed

function refresh() {
  again = running !== undefined
  running ??= (async () => {
    let ok
    do {
      again = false
      ok = await refreshOnce()
    } while (again)
    running = undefined
    return ok
  })()
  return running
}

async function refreshOnce() {
  const { signal } = rows.stop
  const live = watching()
  try {
    const newest = await rows.newest()
    const stats = await api.stats() // after them, so that it counts no fewer
    // Meanwhile there were other filters, or a pause.
    if (signal.aborted || (live && !watching() && rows.loaded)) return false
    show(stats)
    seen = Number(newest.events[0]?.id ?? 0)
    // The list may have been scrolled meanwhile. Without messages there was a reset.
    if (list.atTop || seen === 0) {
      list.fresh = 0
      rows.fill(newest, kept())
    } else list.missed(Math.max(0, rows.newer(newest) - list.fresh))
    problem("")
    return true
  } catch (error) {
    if (error.name !== "AbortError") failed(error)
    return false
  }
}

function show(stats) {
  state.stats = stats
  counters(stats)
  setText($("glossary"), stats.glossary)
  filtering.choices(stats)
}

// message handles a message of the stream: summaries of the newest messages, the oldest
// first, how many were skipped, and the counts.
function message({ events, skipped, stats }) {
  if (!watching()) return
  // A response in flight can be older than this message.
  if (skipped > 0 || !rows.loaded || rows.loading.size > 0 || running !== undefined) return refresh()
  show(stats)
  const fresh = events.filter(({ id }) => Number(id) > seen).toReversed()
  if (fresh.length === 0) return
  seen = Number(fresh[0].id)
  if (list.atTop) rows.prepend(fresh, kept())
  else list.missed(fresh.length)
}

function open(id) {
  const already = address.opened() !== ""
  address.change({ open: String(id) }, !already) // the way back closes it
  follow()
}

function close() {
  address.change({ open: "" })
  follow()
  $("scroll").focus()
}

// follow shows the message in the address.
function follow() {
  const id = address.opened()
  list.select(id)
  if (id === "") detail.hide()
  else detail.show(id)
}

async function step(older) {
  const id = address.opened()
  try {
    const next = await api.neighbour(address.filters(), id, older)
    if (next === undefined || address.opened() !== id) return // or another is open, or none
    open(next.id)
    // In the list too, if it is near.
    const place = list.selected + (older ? 1 : -1)
    if (rows.at(place)?.id === next.id) list.move(place)
  } catch (error) {
    failed(error)
  }
}

// tell shows how the page gets its news.
function tell(how) {
  const texts = { live: "live", polling: "live, by polling", lost: "no connection", paused: "paused", off: "as it was when loaded" }
  document.body.dataset.state = how
  setText($("state-text"), texts[how])
  setText($("pause"), how === "off" ? "Go live" : how === "paused" ? "Resume" : "Pause")
}

function restart() {
  $("scroll").scrollTop = 0
  list.fresh = 0
  rows.clear(address.filters())
  list.draw()
  if (watching()) live.start(address.filters()) // asks for the rows when it is open
  else live.stop()
  refresh()
}

$("pause").addEventListener("click", () => {
  if (address.live()) state.paused = !state.paused
  else address.change({ live: "" })
  if (!watching()) {
    live.stop()
    again &&= !rows.loaded
    tell("paused")
    return
  }
  live.start(address.filters())
  rates()
  refresh()
})

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog")
  if (event.key === "Escape" && typing === null && address.opened() !== "") {
    event.preventDefault()
    close()
  } else if (event.key === "/" && typing === null && !event.ctrlKey && !event.metaKey) {
    event.preventDefault()
    $("filters").elements.q.focus()
    $("filters").elements.q.select()
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && event.target === document.body) {
    event.preventDefault()
    $("scroll").focus()
    list.key(event)
  }
})

window.addEventListener("popstate", () => {
  filtering.fill()
  follow()
  if (JSON.stringify(rows.filters) !== JSON.stringify(address.filters())) restart()
})

// rates draws the chart, once a second while the page is visible.
async function rates() {
  clearTimeout(rates.timer)
  try {
    if (!document.hidden) chart((await api.rates(120)).seconds)
  } catch {
    // The state of the connection is shown already.
  }
  if (watching()) rates.timer = setTimeout(rates, 1000)
}

async function start() {
  filtering.setUp(restart)
  setUpReset({ done: () => { list.toTop(); close(); refresh(); faults.refresh() }, failed })
  if (!address.live()) tell("off")
  try {
    state.sources = (await api.sources()).sources
  } catch (error) {
    failed(error)
  }
  restart()
  rates()
  faults.refresh()
  follow()
  await running
  if (address.opened() !== "") list.reveal(address.opened()) // a link: show where it stands
}

start()
