import * as api from "./api.js"
import { $, el, numberOf, setText, toast } from "./dom.js"
import { describe, faultOf, kinds, limits, over, presets } from "./fault.js"

// The dialog for faults of the gateway.

const span = "([0-9.]+(ms|s|m|h))+" // a duration as Go writes it

export class Faults {
  constructor({ sources, failed }) {
    Object.assign(this, { sources, failed, asked: 0, shown: 0 })
    this.dialog = $("faults")
    $("open-faults").addEventListener("click", () => this.open())
    // A click outside of the dialog closes it.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close()
    })
    this.dialog.addEventListener("close", () => clearInterval(this.timer))
  }

  open() {
    if (!this.dialog.hasChildNodes()) this.build()
    this.offer()
    this.complain("")
    this.dialog.showModal()
    this.refresh()
    this.timer = setInterval(() => this.refresh(), 1000) // for the hits
  }

  build() {
    this.list = el("ul", { class: "fault-list", "aria-label": "Faults in force" })
    this.note = el("p", { class: "wrong", role: "alert" })
    this.form = el("form", { class: "fault-form", autocomplete: "off", on: { submit: (event) => this.submit(event), input: () => this.fit() } },
      el("div", { class: "presets" }, Object.entries(presets).map(([name, values]) =>
        el("button", { type: "button", on: { click: () => this.preset(values) } }, name))),
      select("kind", "What", Object.entries(kinds).map(([value, kind]) => [value, kind.label])),
      field("status", "Status", { type: "number", min: 200, max: 599, value: 503, required: true }),
      field("retry_after", "Retry-After, seconds", { type: "number", min: 0, placeholder: "none" }),
      field("body", "Body", { placeholder: "empty" }),
      select("close", "When", [["before", "before reading the body"], ["after", "after reading, nothing stored"], ["stored", "when all is stored"], ["middle", "in the middle of the answer"], ["reset", "by a TCP reset"]]),
      field("hang", "For how long", { placeholder: "no end, or 30s", pattern: span }),
      select("wrong_body", "With", [["html", "the error page of a proxy"], ["json", "JSON: an error"], ["garbage", "bytes that are no text"], ["empty", "nothing"]]),
      field("trickle", "Spread over", { value: "5s", pattern: span, required: true }),
      select("transformer", "How", [["down", "it is down: 503"], ["error", "it fails: 500"], ["hang", "it hangs: closed after 30 s"]]),
      select("database", "How", [["down", "it is down: 500"], ["locked", "it is locked: closed after 10 s"]]),
      field("latency", "Wait first", { placeholder: "no wait, or 250ms", pattern: span }),
      field("latency_max", "Wait at most", { placeholder: "the same each time", pattern: span }),
      field("percent", "Chance, %", { type: "number", min: 0.1, max: 100, step: 0.1, value: 100, required: true }),
      field("every", "One in", { type: "number", min: 2, placeholder: "each request" }),
      field("requests", "For so many requests", { type: "number", min: 1, placeholder: "no end" }),
      field("path", "Path", { placeholder: "every path, or /v1/*", list: "fault-paths" }),
      el("datalist", { id: "fault-paths" }, ["/v1/batch", "/v1/webhook", "/v1/track", "/v1/*"].map((value) => el("option", { value }))),
      select("source", "Source", [["", "every source"]]),
      select("method", "Method", [["", "every method"], ["POST", "POST"], ["GET", "GET"]]),
      field("contains", "Body with", { placeholder: "any text" }),
      field("test_id", "Test id", { placeholder: "every test" }),
      this.note,
      el("button", { type: "submit", class: "main" }, "Switch it on"))
    this.dialog.append(el("div", { class: "box" },
      el("header", {}, el("h2", { id: "faults-title" }, "Faults"),
        el("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => this.dialog.close() } }, "✕")),
      el("p", { class: "hint" }, "Faults of the gateway, for tests. The first fault that fits a request hits it. This page is never hit."),
      this.list, el("h3", {}, "A new fault"), this.form))
    this.fit()
  }

  offer() {
    const place = this.form.elements.source
    const known = new Set([...place.options].map((option) => option.value))
    for (const { key } of this.sources()) {
      if (!known.has(key)) place.append(el("option", { value: key }, key))
    }
  }

  // fit shows the fields of this kind of fault.
  fit() {
    const { elements } = this.form
    const used = new Set(kinds[elements.kind.value].fields)
    for (const name of Object.values(kinds).flatMap((kind) => kind.fields)) {
      elements[name].closest("label").hidden = !used.has(name)
      elements[name].disabled = !used.has(name) // so that what is hidden is not checked
    }
    elements.latency.required = elements.kind.value === "latency"
  }

  preset(values) {
    this.form.reset()
    for (const [name, value] of Object.entries(values)) this.form.elements[name].value = value
    this.fit()
  }

  async submit(event) {
    event.preventDefault()
    try {
      await api.addFault(faultOf(this.form.elements))
      this.complain("")
      toast("The fault is in force")
      await this.refresh()
    } catch (error) {
      this.complain(error.message)
    }
  }

  complain(text) {
    setText(this.note, text)
    this.note.hidden = text === ""
  }

  // refresh shows the faults in force, in the dialog and on its button. An answer that
  // comes after that to a later question is not shown.
  async refresh() {
    const turn = ++this.asked
    try {
      const { faults } = await api.faults()
      if (turn < this.shown) return
      this.shown = turn
      setText($("fault-count"), String(faults.length))
      $("fault-count").hidden = faults.length === 0
      if (this.list) this.fill(faults)
    } catch (error) {
      this.failed(error)
    }
  }

  fill(faults) {
    const key = JSON.stringify(faults)
    if (this.key === key) return // the focus would be lost
    this.key = key
    this.list.replaceChildren(...(faults.length === 0 ? [el("li", { class: "none" }, "None is in force.")] : faults.map((fault) =>
      el("li", { class: over(fault) ? "over" : false },
        el("span", { class: "does" }, describe(fault), el("small", {}, limits(fault))),
        el("span", { class: "hits" }, `${numberOf(fault.hits)} ${fault.hits === 1 ? "hit" : "hits"}`),
        el("button", { type: "button", on: { click: () => this.remove(fault) }, "aria-label": `Remove: ${describe(fault)}` }, "Remove")))))
  }

  async remove(fault) {
    try {
      await api.removeFault(fault.id)
      toast("Removed")
    } catch (error) {
      if (error.status !== 404) this.complain(error.message) // 404: somebody else was faster
    }
    await this.refresh()
  }
}

const field = (name, label, properties) => el("label", {}, el("span", {}, label), el("input", { name, spellcheck: "false", ...properties }))

const select = (name, label, options) =>
  el("label", {}, el("span", {}, label), el("select", { name }, options.map(([value, text]) => el("option", { value }, text))))
