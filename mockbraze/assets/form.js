import * as api from "./api.js"
import { $, el, problem, setText } from "./dom.js"
import { Types } from "./types.js"

// The form that makes a Current, in Braze's own steps.

export class Form {
  constructor({ families, scenarios, glossary, string_fields: fields, made }) {
    this.made = made
    this.glossary = glossary
    this.fields = fields
    this.types = new Types(families)
    this.form = $("create")
    this.result = el("p", { class: "note", role: "status", id: "test-result", hidden: true })
    this.wrong = el("p", { class: "problem", role: "alert", id: "form-problem", hidden: true })
    this.form.append(
      el("h2", {}, "Create Current"),
      el("p", { class: "hint" }, "A Current sends what happens in this workspace to an endpoint, one event type in a request."),
      this.integration(), this.credentials(), this.events(), this.running(scenarios), this.wrong, this.actions())
    this.form.addEventListener("submit", (event) => {
      event.preventDefault()
      this.make(true)
    })
    this.form.addEventListener("input", () => { this.wrong.hidden = true })
    this.kindChanged()
  }

  integration() {
    const kind = (value, name, about, checked) => el("label", {},
      el("input", { type: "radio", name: "kind", value, checked, on: { change: () => this.kindChanged() } }), el("b", {}, name), el("small", {}, about))
    return step(1, "Integration",
      el("div", { class: "kinds", role: "radiogroup", "aria-label": "Kind" },
        kind("http", "Custom HTTP", "Every event, with an optional bearer token", true),
        kind("rudderstack", "RudderStack", "Only events of users with an external_user_id", false)),
      el("div", { class: "fields" },
        field("Integration name", { name: "integration_name", maxlength: 200, placeholder: "Bridge" }),
        field("Contact email", { name: "contact_email", type: "email", maxlength: 200, placeholder: "you@example.com" }, "Told when credentials fail or the Current is disabled.")))
  }

  credentials() {
    this.endpoint = field("Endpoint", { name: "url", type: "url", required: true, inputmode: "url" }, " ")
    this.endpoint.classList.add("wide")
    this.token = field("Bearer token", { name: "token", type: "password", autocomplete: "new-password" }, "Optional. Sent with every request; never shown again.")
    this.region = el("label", { class: "field" }, "RudderStack region", el("select", { name: "region" }, ["US", "EU"].map((name) => el("option", {}, name))))
    this.tester = el("button", { type: "button", id: "test-form", on: { click: () => this.test() } }, "Test credentials")
    return step(2, "Credentials",
      el("div", { class: "fields" }, this.endpoint, this.token, this.region),
      el("div", { class: "testing" }, this.tester, this.result))
  }

  events() {
    return step(3, "Events", el("p", { class: "hint" }, this.glossary), this.types.element, this.transformations())
  }

  // transformations lists string fields, each to be removed or hashed.
  transformations() {
    this.transforms = new Map()
    const list = el("ul", { class: "reasons", id: "transforms" })
    const name = el("input", { list: "string-fields", id: "transform-field", placeholder: "email_address", "aria-label": "Field to transform", spellcheck: "false" })
    const how = el("select", { id: "transform-how", "aria-label": "Transformation" }, el("option", { value: "remove" }, "Remove"), el("option", { value: "hash" }, "Hash"))
    const draw = () => list.replaceChildren(...[...this.transforms].map(([field, what]) => el("li", {}, el("b", {}, field), el("span", {}, what === "hash" ? "becomes its SHA-256" : "becomes [REDACTED]"),
      el("button", { type: "button", class: "plain", "aria-label": `Keep ${field}`, on: { click: () => { this.transforms.delete(field); draw() } } }, "Keep"))))
    const add = () => {
      if (!this.fields.includes(name.value.trim())) return this.say(`Field transformations: no event type has a string field "${name.value.trim()}".`)
      this.transforms.set(name.value.trim(), how.value)
      name.value = ""
      draw()
    }
    return el("details", { class: "more" }, el("summary", {}, "Field transformations"),
      el("p", { class: "hint" }, "For a string field, in every event that has it."),
      el("div", { class: "choosing" }, name, how, el("button", { type: "button", id: "add-transform", on: { click: add } }, "Add"),
        el("datalist", { id: "string-fields" }, this.fields.map((value) => el("option", { value })))), list)
  }

  running(scenarios) {
    const check = (name, text, about) => el("label", { class: "check" }, el("input", { type: "checkbox", name }), el("span", {}, text, el("small", {}, about)))
    return el("details", { class: "card more" }, el("summary", {}, "How this fake runs it"),
      el("div", { class: "fields" },
        el("label", { class: "field" }, "Scenario", el("select", { name: "scenario" }, scenarios.map((name) => el("option", {}, name))), el("small", {}, "Which events happen.")),
        field("Events a second", { name: "rate", type: "number", min: 0, max: 100000, step: "any", value: 0 }, "All the time; 0: only when you send."),
        field("Flush after (seconds)", { name: "flush_after_seconds", type: "number", min: 0.1, max: 86400, step: "any", value: 300 }, "How long a batch waits to fill. Braze: 5 to 30 minutes."),
        check("test_current", "Test Current", "At most 10, which send 1,500 events a day (UTC) together."),
        check("empty_probe", "Probe with an empty body", "Instead of one with zero events; Braze sends either.")))
  }

  actions() {
    this.launcher = el("button", { type: "submit", class: "main", id: "launch-form" }, "Launch Current")
    return el("div", { class: "launch" }, this.launcher,
      el("button", { type: "button", id: "save-form", on: { click: () => this.make(false) } }, "Save as draft"),
      el("span", { class: "hint" }, "Launching probes the credentials first."))
  }

  kindChanged() {
    const rudder = this.value("kind") === "rudderstack"
    setText(this.endpoint.firstChild, rudder ? "RudderStack webhook URL" : "Endpoint")
    this.endpoint.querySelector("input").placeholder = rudder ? "http://127.0.0.1:8090/v1/webhook?writeKey=wkBraze" : "http://127.0.0.1:8080/currents"
    setText(this.endpoint.querySelector("small"), rudder ? "With the write key of the source in it. It is masked from then on." : "Several Currents may share one: tell them apart by a query parameter.")
    this.token.hidden = rudder
    this.region.hidden = !rudder
    this.result.hidden = true
  }

  value(name) {
    return this.form.elements[name].value.trim()
  }

  // read is what the API takes; undefined where something is missing, which is
  // shown.
  read() {
    const number = (name) => Number(this.value(name) || 0)
    for (const input of this.form.querySelectorAll("input")) {
      if (input.name !== "type" && !input.checkValidity()) {
        const named = input.closest("label").firstChild.textContent
        this.say(`${named}: ${input.validationMessage}`)
        const details = input.closest("details")
        if (details) details.open = true
        input.focus()
        return undefined
      }
    }
    const events = this.types.chosen()
    if (events.length === 0) {
      this.say("Choose at least one event type.")
      this.types.search.focus()
      return undefined
    }
    const rudder = this.value("kind") === "rudderstack"
    return {
      kind: this.value("kind"), integration_name: this.value("integration_name"), contact_email: this.value("contact_email"),
      url: this.value("url"), token: rudder ? "" : this.value("token"), region: rudder ? this.value("region") : "", events,
      field_transformations: Object.fromEntries(this.transforms),
      scenario: this.value("scenario"), rate: number("rate"), flush_after_seconds: number("flush_after_seconds"),
      test_current: this.form.elements.test_current.checked, empty_probe: this.form.elements.empty_probe.checked,
    }
  }

  say(text) {
    setText(this.wrong, text)
    this.wrong.hidden = false
    this.wrong.scrollIntoView({ block: "nearest" })
  }

  async test() {
    const form = this.read()
    if (form === undefined) return
    this.tester.disabled = true
    try {
      showTested(this.result, await api.testForm(form))
    } catch (error) {
      this.say(error.message)
    } finally {
      this.tester.disabled = false
    }
  }

  async make(launch) {
    const form = this.read()
    if (form === undefined || this.launcher.disabled) return // or it is being made
    this.launcher.disabled = true
    try {
      const { id } = await api.create(form)
      let failure = ""
      if (launch) await api.launch(id).catch((error) => { failure = error.message })
      this.form.elements.token.value = ""
      this.result.hidden = true
      this.made(id, failure)
    } catch (error) {
      this.say(error.message)
    } finally {
      this.launcher.disabled = false
    }
  }

  show(on) {
    this.form.hidden = !on
    if (on) problem("")
  }
}

// showTested shows what a test of credentials gave.
export function showTested(place, { verdict, answer }) {
  const came = answer.status === 0 ? `There was no answer: ${answer.error}.` : `The endpoint answers ${answer.status}.`
  const means = {
    good: "The credentials are good.",
    denied: "Check the URL, the token and the certificate.",
    unsure: "That says nothing of the credentials: a launch goes through, and batches are tried until they are taken.",
  }[verdict]
  setText(place, `${came} ${means}${answer.body ? ` It says: ${answer.body}` : ""}`)
  place.className = `note ${{ good: "good", denied: "bad", unsure: "warn" }[verdict]}`
  place.hidden = false
}

function step(number, title, ...children) {
  return el("fieldset", { class: "card" }, el("legend", { class: "offscreen" }, title),
    el("p", { class: "step", "aria-hidden": "true" }, el("i", {}, String(number)), title), children)
}

export function field(label, properties, hint) {
  return el("label", { class: "field" }, el("span", {}, label), el("input", { spellcheck: "false", ...properties }), hint ? el("small", {}, hint) : null)
}
