import * as api from "./api.js"

// Live receives updates: by server-sent events, or, if a proxy does not let them through,
// by polling every two seconds.

const POLL = 2000
const RETRY = 20_000 // before events are tried again
const FAILURES = 3 // in a row, before asking begins

export class Live {
  // message is called with a message of the stream, refresh when everything should be
  // requested again, state with "live", "polling", "lost" or "off".
  constructor({ message, refresh, state }) {
    Object.assign(this, { message, refresh, state })
    this.filters = {}
  }

  start(filters) {
    this.stop()
    this.filters = filters
    this.failures = 0
    this.connect()
  }

  stop() {
    this.source?.close()
    this.source = undefined
    clearTimeout(this.poll)
    clearTimeout(this.retry)
    this.poll = undefined
  }

  connect() {
    this.source?.close()
    const source = (this.source = api.stream(this.filters))
    source.addEventListener("open", () => {
      clearTimeout(this.poll)
      this.poll = undefined
      this.failures = 0
      this.state("live")
      this.refresh() // what came while there was no stream
    })
    source.addEventListener("message", (event) => this.message(JSON.parse(event.data)))
    source.addEventListener("reset", () => this.refresh())
    source.addEventListener("error", () => this.failed(source))
  }

  failed(source) {
    if (source !== this.source) return
    this.failures++
    if (this.failures < FAILURES && source.readyState !== EventSource.CLOSED) {
      this.state("lost")
      return // the browser connects again by itself
    }
    source.close()
    this.retry = setTimeout(() => this.connect(), RETRY)
    if (this.poll === undefined) this.ask()
  }

  async ask() {
    const asking = (this.poll = {})
    const ok = await this.refresh()
    if (this.poll !== asking) return // stopped, begun anew, or the stream is back
    this.state(ok ? "polling" : "lost")
    this.poll = setTimeout(() => this.ask(), POLL)
  }
}
