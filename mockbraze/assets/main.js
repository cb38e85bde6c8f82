import * as api from "./api.js"
import { $, el, numberOf, problem, setText } from "./dom.js"
import { Form } from "./form.js"
import { Live } from "./live.js"
import { STATES } from "./words.js"
import { Watch } from "./watch.js"

// The page as a whole: it opens on the form, and #current/ID watches one.

let form
let watch
let shown // the id of the Current that is watched, "" for the form
let failure = "" // of a launch, to be shown with the Current it made

const live = new Live({ news, state: tell })

function tell(how) {
  document.body.dataset.live = how
  setText($("live-text"), { live: "live", lost: "no connection" }[how])
}

function news(currents) {
  list(currents)
  if (shown === "") return
  const current = currents.find(({ id }) => id === shown)
  if (current === undefined) {
    problem("This Current is gone.")
    $("watch").hidden = true
  } else watch.draw(current)
}

// list shows all Currents. Links that are there stay, so that the focus does.
function list(currents) {
  const place = $("currents")
  const old = new Map([...place.children].map((item) => [item.dataset.id, item]))
  const items = currents.map((current) => {
    const item = old.get(current.id) ?? el("li", { "data-id": current.id }, el("a", { href: `#current/${current.id}` }, el("b", {}), el("span", {}), el("small", {})))
    const [name, badge, counts] = item.firstChild.children
    const [word, look] = STATES[current.state]
    setText(name, current.integration_name || `Current ${current.id}`)
    setText(badge, word)
    badge.className = `badge ${look}`
    setText(counts, `${numberOf(current.counts.sent)} sent · ${numberOf(current.counts.queued)} queued`)
    if (current.id === shown) item.firstChild.setAttribute("aria-current", "page")
    else item.firstChild.removeAttribute("aria-current")
    return item
  })
  if (items.length !== place.children.length || items.some((item, i) => item !== place.children[i])) place.replaceChildren(...items)
  $("no-currents").hidden = items.length > 0
}

function follow() {
  const id = /^#current\/(\w+)$/.exec(location.hash)?.[1] ?? ""
  if (id === shown) return
  shown = id
  problem(failure)
  failure = ""
  form.show(id === "")
  watch.show(id)
  $("go-create").hidden = id === ""
  live.ask()
  scrollTo(0, 0)
}

async function start() {
  try {
    const known = await api.eventTypes()
    const { families, scenarios } = known
    form = new Form({ ...known, made: (id, text) => { failure = text; location.hash = `current/${id}` } })
    watch = new Watch({ families, scenarios, gone: () => { location.hash = "new" } })
  } catch (error) {
    problem(error.message)
    setTimeout(start, 3000)
    return
  }
  problem("")
  window.addEventListener("hashchange", follow)
  follow()
}

start()
