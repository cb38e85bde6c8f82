import * as api from "./api.js"

// Rows is the list of messages by place, the newest at 0. It holds the few pages in view
// and requests others when they are needed, so that a hundred thousand messages take no
// more memory than fifty.
//
// The API pages by cursor. Without a filter the ids have no gaps, and the cursor of a
// place is computed. With a filter the list is read in large steps, and their cursors are
// kept.

const PAGE = 100
const STEP = 5000 // summaries in one step of a walk
const HELD = 3000 // rows held at most
const HEAD = 300 // of which at the top while new ones come in
const MOST = 500_000 // browsers cannot lay out endless heights

export class Rows {
  // changed is called when there are new rows, failed with an error.
  constructor(changed, failed) {
    this.changed = changed
    this.failed = failed
    this.stop = new AbortController()
    this.clear({})
  }

  clear(filters) {
    this.stop.abort()
    this.stop = new AbortController()
    this.filters = filters
    this.rows = []
    this.held = 0
    this.marks = new Map() // page → the id that its rows are older than
    this.loading = new Set()
    this.count = 0
    this.top = 0
    this.loaded = false
  }

  get plain() {
    return Object.keys(this.filters).length === 0
  }

  at(place) {
    return this.rows[place]
  }

  // placeOf returns the place of a message, undefined if it is not loaded.
  placeOf(id) {
    const place = this.plain ? this.top - Number(id) : this.rows.findIndex((row) => row?.id === id)
    return place >= 0 && place < this.count ? place : undefined
  }

  // newest requests the newest messages, an answer for fill.
  newest() {
    return api.page(this.filters, "", PAGE, this.stop.signal)
  }

  // fill begins anew with the newest. kept is how many messages the server still has: of
  // its total, which counts all, no more can be shown.
  fill({ events, total }, kept) {
    this.clear(this.filters)
    this.loaded = true
    this.count = events.length < PAGE ? events.length : Math.min(total, kept, MOST)
    this.top = Number(events[0]?.id ?? 0)
    this.put(0, events)
    this.changed()
  }

  // newer counts those of the newest messages that came after these rows.
  newer({ events }) {
    return this.plain && events.length > 0 ? Number(events[0].id) - this.top : events.filter(({ id }) => Number(id) > this.top).length
  }

  // prepend adds new messages, the newest first. It removes rows far from the top.
  prepend(fresh, kept) {
    const seen = []
    for (let i = 0; i < HEAD && this.rows[i] !== undefined; i++) seen.push(this.rows[i])
    this.rows = fresh.concat(seen).slice(0, HEAD)
    this.held = this.rows.length
    this.marks.clear()
    this.top = Number(fresh[0].id)
    this.count = Math.min(this.count + fresh.length, kept, MOST)
    this.changed()
  }

  put(place, events) {
    events.forEach((event, i) => {
      if (this.rows[place + i] === undefined) this.held++
      this.rows[place + i] = event
    })
  }

  // want requests the rows of these places.
  want(first, last) {
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) {
      const from = Math.max(first, page * PAGE)
      const to = Math.min(last, page * PAGE + PAGE - 1, this.count - 1)
      let missing = false
      for (let i = from; i <= to && !missing; i++) missing = this.rows[i] === undefined
      if (missing) this.load(page)
    }
  }

  async load(page) {
    if (this.loading.has(page)) return
    this.loading.add(page)
    const stop = this.stop
    try {
      const before = await this.cursor(page, stop.signal)
      const { events } = before === null ? {} : await api.page(this.filters, before, PAGE, stop.signal)
      if (stop.signal.aborted) return
      if (before === null) return this.changed() // the list ends before this page
      this.forget(page * PAGE)
      this.put(page * PAGE, events)
      // The server removes old messages for new ones: the list is shorter then.
      if (events.length < PAGE) this.count = page * PAGE + events.length
      this.changed()
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error)
    } finally {
      if (!stop.signal.aborted) this.loading.delete(page)
    }
  }

  // cursor returns the id that the rows of a page are older than, or null without any.
  async cursor(page, signal) {
    if (this.plain) return this.top - page * PAGE + 1
    if (page === 0) return this.top + 1
    const last = this.rows[page * PAGE - 1]
    if (last !== undefined) return last.id
    let known = page
    while (known > 0 && !this.marks.has(known)) known--
    let before = this.marks.get(known) ?? this.top + 1
    while (known < page) {
      const steps = Math.min(STEP / PAGE, page - known)
      const { events } = await api.page(this.filters, before, steps * PAGE, signal)
      for (let i = PAGE; i <= events.length; i += PAGE) this.marks.set(known + i / PAGE, events[i - 1].id)
      if (events.length < steps * PAGE) {
        this.count = known * PAGE + events.length
        return null
      }
      known += steps
      before = events.at(-1).id
    }
    return before
  }

  // forget removes rows that are far from a place.
  forget(place) {
    if (this.held < HELD) return
    const near = []
    for (let i = Math.max(0, place - PAGE); i < place + 2 * PAGE; i++) {
      if (this.rows[i] !== undefined) near[i] = this.rows[i]
    }
    this.rows = near
    this.held = Object.keys(near).length
  }
}
