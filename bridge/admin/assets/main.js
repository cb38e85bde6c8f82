import * as api from "./api.js"
import * as dead from "./dead.js"
import { $, el, numberOf, problem, setText, toast } from "./dom.js"
import * as history from "./history.js"
import * as overview from "./overview.js"
import * as pending from "./pending.js"
import { drift, settings } from "./rest.js"
import { card, confirmed, field, link, render } from "./view.js"

// The page as a whole. What is shown is in the fragment of the address, which no
// server is sent: #dead?reason=refused.

const EVERY = 2000 // milliseconds between two questions while somebody looks

const views = {
  overview: { name: "Overview", ...overview, badge: () => 0 },
  pending: { name: "Pending", ...pending, badge: (o) => sum(o, "parked") },
  dead: { name: "Dead letters", ...dead, badge: (o) => sum(o, "dead") },
  history: { name: "History", ...history, badge: (o) => o.connectors.filter((c) => c.replay?.active).length },
  drift: { name: "Drift", ...drift, badge: (o) => o.drift },
  settings: { name: "Settings", ...settings, badge: () => 0 },
}
const sum = (o, name) => o.connectors.reduce((n, c) => n + c[name], 0)

function place() {
  const [name, query] = location.hash.slice(1).split("?")
  return { name: views[name] ? name : "overview", params: Object.fromEntries(new URLSearchParams(query ?? "")) }
}

const state = { round: 0, shown: "", session: { open: false } }
let timer

// refresh asks for what is shown, and draws it unless something else is by then.
async function refresh() {
  clearTimeout(timer)
  const round = ++state.round
  try {
    if (!state.session.open) state.session = await api.get("session")
    if (state.session.open) await show(round)
    else login()
    if (round === state.round) problem("")
  } catch (error) {
    if (error.status === 401) {
      state.session = { open: false }
      return refresh()
    }
    if (round === state.round) {
      problem(error.message)
      if (error.status === 0) tell("lost", "no connection")
    }
  }
  if (round === state.round && (state.session.open || document.body.dataset.state === "lost")) timer = setTimeout(tick, EVERY)
}

const tick = () => (document.hidden || $("ask").open ? (timer = setTimeout(tick, EVERY)) : refresh())

async function show(round) {
  const { name, params } = place()
  const [overview, data] = await Promise.all([api.get("overview"), views[name].load(params)])
  if (round !== state.round) return
  const first = state.shown !== name
  if (first) $("main").replaceChildren()
  state.shown = name
  render($("main"), views[name].draw({ overview, data, params }))
  const troubled = overview.connectors.filter((c) => c.destination.state !== "ok").length
  if (!overview.ready) tell("lost", `not ready: ${overview.reason}`)
  else if (troubled > 0) tell("warn", `${numberOf(troubled)} of ${numberOf(overview.connectors.length)} destinations in trouble`)
  else tell("live", "ready, all destinations well")
  tabs(name, overview)
}

function tell(how, text) {
  document.body.dataset.state = how
  setText($("state-text"), text)
}

function tabs(current, overview) {
  render($("tabs"), Object.entries(views).map(([name, view]) => {
    const n = view.badge(overview)
    return el("a", { href: link(name), "aria-current": name === current ? "page" : null }, view.name, n > 0 && el("span", { class: "count" }, numberOf(n)))
  }))
  if (state.tab !== current) $("tabs").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" })
  state.tab = current
  $("logout").hidden = !state.session.needed
}

function login() {
  tell("off", "log in")
  $("tabs").replaceChildren()
  $("logout").hidden = true
  if (state.shown === "login") return
  state.shown = "login"
  $("main").replaceChildren(el("form", { class: "card login", "data-do": "login" }, el("h2", {}, "Log in"),
    el("p", { class: "hint" }, "This bridge has an admin token. It is kept by the bridge alone; this browser gets a cookie that ends after twelve hours."),
    field("Admin token", "token", { type: "password", required: true, autocomplete: "current-password" }), el("button", { class: "main" }, "Log in")))
  document.querySelector("[name=token]").focus()
}

const actions = {
  async resume({ connector }) {
    await api.post("resume", { connector })
    toast(`${connector} is tried at once`)
  },
  async "dead-letter"({ connector, record, index, type }) {
    if (!(await confirmed({ title: "Move 1 event to the dead letters?", text: `${type} of ${connector}, record ${record}, event ${index}. A replay of the dead letter brings it back.`, verb: "Dead-letter it", danger: true }))) return
    await api.post("pending/dead-letter", { connector, record, index })
    toast("1 event is a dead letter")
  },
  move: dead.move,
  choose: (values) => void (location.hash = link("dead", values)),
  replay: history.start,
  "end-replay": history.end,
  async login({ token }) {
    state.session = await api.post("login", { token })
  },
  async logout() {
    await api.post("logout")
    state.session = { open: false }
  },
}

// run does what a button or a form is for, and shows what came of it.
async function run(what, values) {
  try {
    await actions[what](values)
    await refresh()
  } catch (error) {
    if (error.status === 401 && what !== "login") await refresh()
    else await confirmed({ title: "That did not work", text: error.message })
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]")
  if (button) run(button.dataset.do, button.dataset)
})
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return
  event.preventDefault()
  run(event.target.dataset.do, Object.fromEntries(new FormData(event.target)))
})
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === "Escape") document.querySelector("a.close")?.click()
  else if (event.key >= "1" && event.key <= "6" && state.session.open) location.hash = link(Object.keys(views)[event.key - 1])
  else if (event.key === "/") document.querySelector(".filters input")?.focus()
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const rows = [...document.querySelectorAll("a.row")]
    const at = rows.indexOf(document.activeElement)
    const next = rows[event.key === "ArrowDown" ? at + 1 : Math.max(at, 1) - 1]
    if (next === undefined) return
    next.focus()
  } else return
  event.preventDefault()
})
window.addEventListener("hashchange", async () => {
  const open = place().params.open
  await refresh()
  const top = open && document.querySelector(".detail")?.getBoundingClientRect().top
  if (top && (top < 60 || top > innerHeight / 2)) document.querySelector(".detail").scrollIntoView()
})
document.addEventListener("visibilitychange", () => document.hidden || refresh())

refresh()
