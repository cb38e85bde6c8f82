import * as api from "./api.js"
import * as copying from "./copy.js"
import { $, dateOf, el, numberOf, timeOf, toast } from "./dom.js"
import { verdict } from "./list.js"
import { nearest, pretty } from "./pretty.js"

const LINES = 2000 // shown at once; more on demand

// Detail shows one message: the received text beside the stored message, with the
// findings marked.
export class Detail {
  // close is called when the user closes it, step with older true or false for the next
  // message; kindOf returns the kind of a source.
  constructor({ close, step, kindOf }) {
    Object.assign(this, { close, step, kindOf })
    this.place = $("detail")
    this.id = ""
  }

  hide() {
    this.id = ""
    this.place.hidden = true
    this.place.replaceChildren()
    document.body.classList.remove("with-detail")
  }

  // show requests a message and shows it when it has arrived, so that the change does not
  // flicker.
  async show(id) {
    if (this.id === String(id)) return
    this.id = String(id)
    let content
    try {
      const event = await api.event(id)
      content = this.content(event)
    } catch (error) {
      const text = error.status === 404 ? "This message is no longer kept: newer ones took its place, or there was a reset." : error.message
      content = [this.bar([]), el("p", { class: "gone" }, text)]
    }
    if (this.id !== String(id)) return // another was asked for meanwhile
    this.place.replaceChildren(...content)
    this.place.hidden = false
    this.place.scrollTop = 0
    document.body.classList.add("with-detail")
    this.place.querySelectorAll(".pane").forEach(toFirstMark)
  }

  content(event) {
    const kind = this.kindOf(event.source)
    const raw = new Pane(kind === "braze" ? "Braze event" : "Request", "as it was received", event.raw)
    const made = new Pane("Message", "as RudderStack stores it", textOf(event))
    const drift = (event.drift ?? []).map((f) => ({ ...f, drift: true }))
    const all = [...event.errors, ...drift]
    for (const finding of all) (finding.in === "event" ? raw : made).mark(finding)
    return [
      this.bar(this.copies(event, kind)),
      this.about(event),
      this.findings(event.errors, "errors", count(event.errors.length, "place breaks", "places break") + " the schema", { event: raw, message: made }),
      this.findings(drift, "drift", count(drift.length, "thing", "things") + " the glossary does not know", { event: raw, message: made }),
      el("div", { class: "panes" }, raw.draw(), made.draw()),
    ].filter((part) => part !== null)
  }

  bar(more) {
    const button = (text, label, action) => el("button", { type: "button", "aria-label": label, title: label, on: { click: action } }, text)
    return el("div", { class: "bar" },
      button("↑ Newer", "The next newer message", () => this.step(false)),
      button("↓ Older", "The next older message", () => this.step(true)),
      el("span", { class: "gap" }),
      more,
      el("button", { type: "button", class: "close", id: "close-detail", "aria-label": "Close", title: "Close (Esc)", on: { click: () => this.close() } }, "✕"))
  }

  copies(event, kind) {
    const made = { JSON: () => copying.asJSON(event), curl: () => copying.asCurl(event, kind), Go: () => copying.asGo(event) }
    const titles = { JSON: "The message", curl: "A command that sends it again", Go: "A fixture for a Go test" }
    return el("span", { class: "copies", role: "group", "aria-label": "Copy" }, el("span", {}, "Copy"),
      Object.keys(made).map((name) => el("button", {
        type: "button", "data-copy": name, title: titles[name],
        on: { click: (click) => copied(click.currentTarget, name, made[name]) },
      }, name)))
  }

  about(event) {
    const { message } = event
    const facts = [
      ["received", `${dateOf(event.received_at)} ${timeOf(event.received_at)}`],
      ["source", event.source],
      ["userId", message.userId],
      ["anonymousId", message.anonymousId],
      ["messageId", message.messageId],
      ["test id", event.test_id],
      ["size", `${numberOf(new Blob([event.raw]).size)} bytes`],
    ].filter(([, value]) => value !== undefined && value !== null && value !== "")
    return el("header", { class: "about" },
      el("h2", {}, el("span", { class: "kind" }, text(message.type) || "–"), text(message.event) || text(message.type) || "no name", verdict(event)),
      el("dl", {}, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, text(value))))))
  }

  findings(list, name, title, panes) {
    if (list.length === 0) return null
    return el("section", { class: `findings ${name}` }, el("h3", {}, title),
      el("ul", {}, list.map((f) => el("li", {}, el("button", { type: "button", on: { click: () => panes[f.in === "event" ? "event" : "message"].reveal(f) } },
        el("code", { class: "rule" }, f.rule),
        el("span", { class: "where" }, `${f.in === "event" ? "event" : "message"} `, el("code", {}, f.path || "/")),
        el("span", { class: "what" }, f.detail))))))
  }
}

// Pane is one JSON text with its findings.
class Pane {
  constructor(title, note, source) {
    Object.assign(this, { title, note })
    this.lines = pretty(source)
    this.marks = new Map() // line → findings
    this.shown = LINES
  }

  mark(finding) {
    const line = nearest(this.lines, finding.path)
    this.marks.set(line, [...(this.marks.get(line) ?? []), finding])
  }

  draw() {
    this.code = el("ol", { class: "code", tabindex: "0", "aria-label": this.title })
    this.more = el("button", { type: "button", class: "more", on: { click: () => this.fill(Infinity) } })
    this.fill(LINES)
    return el("section", { class: "pane" }, el("h3", {}, this.title, el("small", {}, ` ${this.note}`)), this.code, this.more)
  }

  fill(limit) {
    this.shown = Math.min(limit, this.lines.length)
    this.code.replaceChildren(...this.lines.slice(0, this.shown).map((line, i) => this.line(line, this.marks.get(i))))
    this.more.hidden = this.shown === this.lines.length
    this.more.textContent = `Show all ${numberOf(this.lines.length)} lines`
  }

  line(line, marks) {
    const wrong = marks?.some((f) => !f.drift)
    const item = el("li", { class: marks === undefined ? false : wrong ? "wrong" : "warn", "data-pointer": line.pointer },
      el("span", { class: "line" }, line.tokens.map(([kind, part]) => el("span", { class: `t-${kind}` }, part))),
      marks?.map((f) => el("span", { class: f.drift ? "note warn" : "note" }, el("b", {}, f.rule), ` ${f.detail}`)))
    // Deep nesting would move everything out of view.
    item.style.setProperty("--depth", String(Math.min(line.depth, 40)))
    return item
  }

  // reveal scrolls to the place of a finding.
  reveal(finding) {
    const at = nearest(this.lines, finding.path)
    if (at >= this.shown) this.fill(Infinity)
    const item = this.code.children[at]
    item.scrollIntoView({ block: "center" })
    item.classList.remove("flash")
    void item.offsetWidth // so that the animation starts anew
    item.classList.add("flash")
  }
}

// toFirstMark scrolls a pane to the first error, or else the first drift. If the whole
// page scrolls, as on a phone, it does nothing.
function toFirstMark(pane) {
  const mark = pane.querySelector(".wrong") ?? pane.querySelector("li.warn")
  if (mark !== null && pane.scrollHeight > pane.clientHeight) {
    pane.scrollTop = mark.offsetTop - pane.clientHeight / 3
  }
}

// textOf writes the message as text. Nesting can be too deep for the browser.
function textOf(event) {
  try {
    return JSON.stringify(event.message)
  } catch {
    return "(nested too deeply for this browser)"
  }
}

const text = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value))

const count = (n, one, many) => `${numberOf(n)} ${n === 1 ? one : many}`

async function copied(button, name, make) {
  try {
    await copying.copy(make())
    button.classList.add("done")
    setTimeout(() => button.classList.remove("done"), 1500)
    toast(`Copied as ${name}`)
  } catch (error) {
    toast(`Not copied: ${error.message}`)
  }
}
