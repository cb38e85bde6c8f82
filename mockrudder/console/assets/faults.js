import * as api from "./api.js"
import { $, el, numberOf, setText, toast } from "./dom.js"

// The dialog in which the gateway is told to misbehave.

// kinds are what a fault can do, with the fields that each has.
const kinds = {
  status: { label: "Answer a status", fields: ["status", "retry_after", "body"] },
  close: { label: "Close the connection", fields: ["close"] },
  hang: { label: "Hang without an answer", fields: ["hang"] },
  latency: { label: "Answer late", fields: [] },
  transformer: { label: "Break the transformer", fields: ["transformer"] },
}

const presets = {
  "503 always": { kind: "status", status: "503" },
  "429 for 10 requests": { kind: "status", status: "429", retry_after: "1", requests: "10" },
  "500 every other time": { kind: "status", status: "500", percent: "50" },
  "Stored, no answer": { kind: "close", close: "stored" },
  "Slow by a second": { kind: "latency", latency: "1s" },
}

export class Faults {
  constructor({ sources, failed }) {
    Object.assign(this, { sources, failed })
    this.dialog = $("faults")
    $("open-faults").addEventListener("click", () => this.open())
    // A click beside the dialog closes it, as people expect.
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
      select("close", "When", [["before", "before reading the body"], ["after", "after reading, nothing stored"], ["stored", "when all is stored"]]),
      field("hang", "For how long", { placeholder: "until the client leaves, or 30s", pattern: "[0-9.]+(ms|s|m|h)" }),
      select("transformer", "How", [["down", "it is down: 503"], ["hang", "it hangs: closed after 30 s"]]),
      field("latency", "Wait before", { placeholder: "no wait, or 250ms", pattern: "[0-9.]+(ms|s|m|h)" }),
      field("percent", "Chance, %", { type: "number", min: 0.1, max: 100, step: 0.1, value: 100, required: true }),
      field("requests", "For so many requests", { type: "number", min: 1, placeholder: "no end" }),
      field("path", "Path", { placeholder: "every path; /v1/* for what begins so", list: "fault-paths" }),
      el("datalist", { id: "fault-paths" }, ["/v1/batch", "/v1/webhook", "/v1/track", "/v1/*"].map((value) => el("option", { value }))),
      select("source", "Source", [["", "every source"]]),
      this.note,
      el("button", { type: "submit", class: "main" }, "Switch it on"))
    this.dialog.append(el("div", { class: "box" },
      el("header", {}, el("h2", { id: "faults-title" }, "Faults"),
        el("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => this.dialog.close() } }, "✕")),
      el("p", { class: "hint" }, "The gateway misbehaves as told here. The first fault that fits a request strikes. This page is never hit."),
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

  // fit shows the fields that this kind of fault has.
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

  // refresh shows the faults in force, in the dialog and on its button.
  async refresh() {
    try {
      const { faults } = await api.faults()
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
      el("li", { class: fault.requests > 0 && fault.hits >= fault.requests ? "over" : false },
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

// faultOf reads the form as the API takes it.
function faultOf(fields) {
  const fault = {}
  const kind = fields.kind.value
  if (kind === "status") {
    fault.status = Number(fields.status.value)
    if (fields.body.value !== "") fault.body = fields.body.value
    if (Number(fields.retry_after.value) > 0) fault.retry_after = Number(fields.retry_after.value)
  } else if (kind === "hang") {
    fault.hang = fields.hang.value === "" ? true : fields.hang.value
  } else if (kind !== "latency") {
    fault[kind] = fields[kind].value
  }
  if (fields.latency.value !== "") fault.latency = fields.latency.value
  if (Number(fields.percent.value) < 100) fault.probability = Number(fields.percent.value) / 100
  if (fields.requests.value !== "") fault.requests = Number(fields.requests.value)
  for (const name of ["path", "source"]) {
    if (fields[name].value !== "") fault[name] = fields[name].value
  }
  return fault
}

// describe says in words what a fault does.
function describe(fault) {
  const parts = []
  if (fault.latency) parts.push(`waits ${fault.latency === true ? "for ever" : fault.latency}`)
  if (fault.close) parts.push({ before: "closes before reading", after: "closes after reading", stored: "stores, then closes" }[fault.close] ?? `closes ${fault.close}`)
  if (fault.hang) parts.push(fault.hang === true ? "hangs until the client leaves" : `hangs for ${fault.hang}`)
  if (fault.status) parts.push(`answers ${fault.status}${fault.retry_after ? `, Retry-After ${fault.retry_after}` : ""}`)
  if (fault.transformer) parts.push(`transformer: ${fault.transformer}`)
  // What a fault set by code can do beyond this form is shown as it is.
  const known = ["id", "latency", "close", "hang", "status", "retry_after", "body", "transformer", "probability", "path", "source", "requests", "hits"]
  for (const [name, value] of Object.entries(fault)) {
    if (!known.includes(name) && value) parts.push(`${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
  }
  return parts.join(", then ")
}

function limits(fault) {
  const parts = [fault.path || "every path"]
  if (fault.source) parts.push(`source ${fault.source}`)
  if (fault.probability > 0 && fault.probability < 1) parts.push(`${+(fault.probability * 100).toFixed(2)} % of requests`)
  if (fault.requests > 0) parts.push(fault.hits >= fault.requests ? `over after ${fault.requests}` : `${numberOf(fault.requests - fault.hits)} more`)
  return parts.join(" · ")
}

const field = (name, label, properties) => el("label", {}, el("span", {}, label), el("input", { name, spellcheck: "false", ...properties }))

const select = (name, label, options) =>
  el("label", {}, el("span", {}, label), el("select", { name }, options.map(([value, text]) => el("option", { value }, text))))
