import { $, el, numberOf, setText, timeOf } from "./dom.js"

// List shows Rows: only rows in view, and some around them, have elements. While the user
// is at the top, new rows are added; further down the list does not move, and a button
// shows the number of new messages.

const AROUND = 8 // rows beyond the edges

export class List {
  // open is called with the chosen row, moved with the row selected by a key, newest when
  // the user goes back to the top.
  constructor(rows, { open, moved, newest }) {
    Object.assign(this, { rows, open, moved, newest })
    this.scroller = $("scroll")
    this.place = $("rows")
    this.pool = new Map() // place → element
    this.selected = -1
    this.fresh = 0
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true })
    this.scroller.addEventListener("keydown", (event) => this.key(event))
    this.place.addEventListener("click", (event) => this.clicked(event))
    $("fresh").addEventListener("click", () => this.toTop())
    new ResizeObserver(() => this.draw()).observe(this.scroller)
  }

  get height() {
    return parseFloat(getComputedStyle(this.scroller).getPropertyValue("--row")) || 32
  }

  get atTop() {
    return this.scroller.scrollTop < this.height
  }

  scrolled() {
    if (this.atTop && this.fresh > 0) {
      this.fresh = 0
      this.newest()
    }
    this.draw()
  }

  toTop() {
    this.scroller.scrollTop = 0
    this.scrolled()
  }

  // missed counts new messages that are not in the list.
  missed(n) {
    this.fresh += n
    this.draw()
  }

  // draw makes the elements of the rows in view. It is cheap, and called for every change.
  draw() {
    if (this.drawing) return
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0
      this.paint()
    })
  }

  // fit gives the scrolled area its height. Where rows have got another one, as beside an
  // open message, the same rows and the selected one stay in view.
  fit() {
    const { scroller, height, was = height } = this
    $("spacer").style.height = `${this.rows.count * height}px`
    this.was = height
    if (was === height) return
    scroller.scrollTop = (scroller.scrollTop / was) * height
    if (this.selected >= 0) this.uncover(this.selected)
  }

  // track finds the selected message, which new ones have moved.
  track() {
    if (this.selectedID !== undefined) this.selected = this.rows.placeOf(this.selectedID) ?? this.selected
  }

  // uncover scrolls no further than it must for a place to be in view.
  uncover(place) {
    const { scroller, height } = this
    const top = place * height
    if (top < scroller.scrollTop) scroller.scrollTop = top
    else if (top + height > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + height - scroller.clientHeight
  }

  paint() {
    const { rows, scroller, height } = this
    this.track()
    this.fit()
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - AROUND)
    const last = Math.min(rows.count, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + AROUND) - 1
    scroller.setAttribute("aria-rowcount", String(rows.count))
    this.sweep(first, last)
    for (let i = first; i <= last; i++) this.row(i, height)
    this.point()
    this.tell(scroller, height)
    rows.want(first, last)
  }

  // sweep removes the elements of rows that are out of view.
  sweep(first, last) {
    for (const [i, element] of this.pool) {
      if (i < first || i > last) {
        element.remove()
        this.pool.delete(i)
      }
    }
  }

  row(i, height) {
    const event = this.rows.at(i)
    const id = event === undefined ? "" : String(event.id)
    let element = this.pool.get(i)
    if (element === undefined || element.dataset.id !== id) {
      const fresh = event === undefined ? waiting() : render(event)
      fresh.dataset.id = id
      fresh.id = `row-${i}`
      fresh.setAttribute("aria-rowindex", String(i + 1))
      if (element === undefined) this.place.append(fresh)
      else element.replaceWith(fresh)
      this.pool.set(i, fresh)
      element = fresh
    }
    element.style.transform = `translateY(${i * height}px)`
  }

  // point marks the row that is selected.
  point() {
    for (const [i, element] of this.pool) {
      const chosen = element.dataset.id !== "" && element.dataset.id === this.selectedID
      element.classList.toggle("selected", chosen)
      element.setAttribute("aria-selected", String(chosen))
    }
    if (this.pool.has(this.selected)) this.scroller.setAttribute("aria-activedescendant", `row-${this.selected}`)
    else this.scroller.removeAttribute("aria-activedescendant")
  }

  tell(scroller, height) {
    const { rows } = this
    $("fresh").hidden = this.fresh === 0
    setText($("fresh"), `↑ ${numberOf(this.fresh)} new`)
    const from = Math.min(rows.count, Math.floor(scroller.scrollTop / height) + 1)
    const to = Math.min(rows.count, Math.floor((scroller.scrollTop + scroller.clientHeight) / height))
    setText($("position"), rows.count === 0 ? "" : `${numberOf(from)}–${numberOf(Math.max(from, to))} of ${numberOf(rows.count)}`)
  }

  // select marks the row of a message, wherever it is in the list.
  select(id) {
    this.selectedID = id === "" ? undefined : String(id)
    if (id === "") this.selected = -1
    this.draw()
  }

  // reveal scrolls to the row of a message, if its place is known.
  reveal(id) {
    const place = this.rows.placeOf(id)
    if (place === undefined) return
    this.move(place)
    this.select(id) // its row may have yet to come
  }

  clicked(event) {
    const id = event.target.closest("[data-id]")?.dataset.id
    if (!id) return
    this.reveal(id)
    this.open({ id })
  }

  // move selects a place and scrolls to it.
  move(to) {
    if (this.rows.count === 0) return
    this.fit()
    this.selected = Math.max(0, Math.min(this.rows.count - 1, to))
    this.uncover(this.selected)
    const row = this.rows.at(this.selected)
    this.selectedID = row === undefined ? undefined : String(row.id)
    this.draw()
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    this.track()
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.height) - 1)
    const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }
    if (event.key === "Enter") {
      const row = this.rows.at(this.selected)
      if (row !== undefined) this.open(row)
    } else if (event.key in steps) {
      this.move(this.selected < 0 && steps[event.key] === 1 ? 0 : this.selected + steps[event.key])
      if (this.rows.at(this.selected) !== undefined) this.moved(this.rows.at(this.selected))
    } else return
    event.preventDefault()
  }
}

// waiting takes the place of a row that is not loaded.
const waiting = () => el("div", { class: "row waiting", role: "row" }, el("span", { role: "gridcell" }, "…"))

function render(event) {
  const cell = (name, text, title = text) => el("span", { class: name, role: "gridcell", title: title ?? false }, text ?? "")
  return el("div", { class: "row", role: "row" },
    cell("time", timeOf(event.received_at), event.received_at),
    cell("type", event.type),
    cell("event", el("bdi", {}, event.event || "–"), event.event || "–"),
    cell("user", event.userId || event.anonymousId, event.userId ? `userId ${event.userId}` : `anonymousId ${event.anonymousId}`),
    cell("message-id", event.messageId),
    cell("source", event.source),
    el("span", { class: "verdict", role: "gridcell" }, verdict(event)))
}

// verdict makes the badges of a message or of its summary.
export function verdict(event) {
  const errors = Array.isArray(event.errors) ? event.errors.length : event.errors
  const drift = Array.isArray(event.drift) ? event.drift.length : event.drift ?? 0
  const badges = []
  if (event.valid === true) badges.push(el("b", { class: "badge good" }, "valid"))
  else if (event.valid === false) badges.push(el("b", { class: "badge bad" }, errors > 1 ? `${numberOf(errors)} errors` : "invalid"))
  else badges.push(el("b", { class: "badge" }, "not judged"))
  if (drift > 0) badges.push(el("b", { class: "badge warn", title: "has what the glossary does not know" }, drift > 1 ? `drift ${drift}` : "drift"))
  return badges
}
