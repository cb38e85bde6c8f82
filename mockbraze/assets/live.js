import * as api from "./api.js"

// Live brings news by asking again and again.

const EVERY = 500

export class Live {
  // news is called with all Currents, state with "live" or "lost".
  constructor({ news, state }) {
    Object.assign(this, { news, state })
    this.turn = 0
  }

  // ask asks now; what an earlier question brings does not count any more.
  async ask() {
    clearTimeout(this.timer)
    const turn = ++this.turn
    let answer
    try {
      answer = await api.list()
    } catch {
      answer = null
    }
    if (turn !== this.turn) return
    if (answer !== null) this.news(answer.currents)
    this.state(answer === null ? "lost" : "live")
    this.timer = setTimeout(() => this.ask(), EVERY)
  }
}
