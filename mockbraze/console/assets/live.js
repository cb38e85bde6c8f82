import * as api from "./api.js"

// Live brings news: by server-sent events, and where those do not come through,
// as with some proxies, by asking every other second.

const POLL = 2000
const RETRY = 20_000 // before events are tried again
const FAILURES = 3 // in a row, before asking begins

export class Live {
  // news is called with {currents, current}, state with "live", "polling" or
  // "lost".
  constructor({ news, state }) {
    Object.assign(this, { news, state })
  }

  // follow tells of all Currents, and everything of one, "" for none.
  follow(id) {
    this.stop()
    this.id = id
    this.failures = 0
    this.connect()
  }

  stop() {
    this.source?.close()
    this.source = undefined
    clearTimeout(this.poll)
    clearTimeout(this.retry)
  }

  connect() {
    this.source?.close()
    const source = (this.source = api.stream(this.id))
    source.addEventListener("open", () => {
      clearTimeout(this.poll)
      this.failures = 0
      this.state("live")
    })
    source.addEventListener("state", (event) => this.news(JSON.parse(event.data)))
    source.addEventListener("error", () => this.failed(source))
  }

  failed(source) {
    if (source !== this.source) return
    this.state("lost")
    if (++this.failures < FAILURES && source.readyState !== EventSource.CLOSED) return // the browser connects again
    source.close()
    this.retry = setTimeout(() => this.connect(), RETRY)
    this.ask()
  }

  async ask() {
    const id = this.id
    clearTimeout(this.poll)
    try {
      const { currents } = await api.list()
      if (id !== this.id || this.source?.readyState === EventSource.OPEN) return
      this.news({ currents, current: currents.find((current) => current.id === id) ?? null })
      this.state("polling")
    } catch {
      this.state("lost")
    }
    this.poll = setTimeout(() => this.ask(), POLL)
  }
}
