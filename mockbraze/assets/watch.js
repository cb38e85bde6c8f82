import * as api from "./api.js"
import { $, el, numberOf, problem, setText, timeOf, toast } from "./dom.js"
import { field, showTested } from "./form.js"
import { REASONS, STATES, explain, lookOf, milliseconds, statusOf } from "./words.js"

// Watch is the view of one Current.
export class Watch {
  constructor({ families, scenarios, gone }) {
    this.gone = gone
    this.place = $("watch")
    this.result = el("p", { class: "note", role: "status", id: "watch-result", hidden: true })
    this.place.append(this.heading(), el("p", { class: "note", id: "state-note", role: "status", hidden: true }), this.result, this.credentials(),
      el("section", { class: "card", "aria-label": "Counted" }, el("dl", { class: "counters", id: "counters" })),
      el("div", { class: "pair" },
        el("div", {}, this.latency(), section("Event types", "by-type-card", el("div", { class: "scroll", tabindex: 0 }, table("by-type", ["Event type", "!Queued", "!Sent", "!Retried", "!Split", "!Dropped"])))),
        this.doing(families, scenarios)),
      section("Dropped", "reasons-card", el("ul", { class: "reasons", id: "reasons" })),
      section("Last answers", "answers-card", table("answers", ["Time", "Status", "!Latency", "!Events", "Event type", "Answer"]), el("p", { class: "none", id: "no-answers" }, "None yet.")),
      section("Emails to the contact", "mails-card", el("ul", { class: "mails", id: "mails" })))
  }

  heading() {
    const button = (id, text, click, look) => el("button", { type: "button", id, class: look, on: { click } }, text)
    return el("header", { class: "head" },
      el("div", {}, el("h2", {}, el("span", { id: "name" }), el("span", { class: "badge", id: "state" })), el("p", {}, el("span", { id: "kind" }), " → ", el("code", { id: "url" }))),
      el("div", { class: "actions" },
        button("launch", "Launch", () => this.act(() => api.launch(this.id), "Launched."), "main"),
        button("pause", "Pause", () => this.act(() => api.pause(this.id), "Paused.")),
        button("test", "Test credentials", () => this.act(async (id) => {
          const tested = await api.test(id)
          if (id === this.id) showTested(this.result, tested)
        })),
        button("test-events", "Send Test Events", () => this.act(async () => {
          const { events, accepted } = await api.testEvents(this.id)
          toast(`${numberOf(accepted)} of ${numberOf(events)} test events accepted.`)
        })),
        button("delete", "Delete", () => this.remove(), "danger")))
  }

  // credentials is shown where new credentials may help.
  credentials() {
    const form = el("form", { class: "relaunch", autocomplete: "off", on: { submit: (event) => {
      event.preventDefault()
      const { url, token } = form.elements
      const given = { url: url.value.trim(), token: token.value.trim() }
      this.act(() => api.launch(this.id, given), "Launched.").then((ok) => ok && form.reset())
    } } },
      field("New URL", { name: "url", type: "url", placeholder: "leave empty to keep it" }),
      field("New token", { name: "token", type: "password", autocomplete: "new-password", placeholder: "leave empty to keep it" }),
      el("div", { class: "actions" }, el("button", { class: "main", id: "relaunch" }, "Save and launch")))
    return section("Correct the credentials", "credentials-card", form)
  }

  latency() {
    const quantiles = ["p50", "p90", "p99", "max"].map((name) => el("div", {}, el("dt", {}, name), el("dd", { id: `latency-${name}` }, "–")))
    return section("Latency of answers", "latency-card", el("dl", { class: "quantiles" }, quantiles))
  }

  doing(families, scenarios) {
    const names = families.flatMap((family) => family.events.map((event) => event.name))
    const patterns = [...new Set(names.map((name) => `${name.slice(0, name.lastIndexOf("."))}.*`))]
    const several = scenarios.length > 1
    this.sender = el("button", { class: "main", id: "send" }, "Send")
    this.sending = el("form", { on: { submit: (event) => { event.preventDefault(); this.send() } } },
      el("div", { class: several ? "both three" : "both" },
        field("Events", { name: "events", type: "number", min: 1, max: 10000000, value: 100, required: true }),
        several ? el("label", { class: "field" }, "Scenario", el("select", { name: "scenario" }, el("option", { value: "" }, "as chosen"), scenarios.map((name) => el("option", {}, name)))) : null,
        field("Of types", { name: "types", list: "patterns", placeholder: "all chosen" })),
      this.sender, el("datalist", { id: "patterns" }, [...patterns, ...names].map((value) => el("option", { value }))))
    this.rate = field("Steady rate, events a second", { name: "rate", type: "number", min: 0, max: 100000, step: "any", value: 0, required: true })
    const rating = el("form", { on: { submit: (event) => {
      event.preventDefault()
      const rate = Number(rating.elements.rate.value)
      this.act(() => api.change(this.id, { rate }), `${numberOf(rate)} events a second.`)
    } } }, this.rate, el("button", { id: "set-rate" }, "Set rate"))
    return section("Send events", "do-card", el("div", { class: "does" }, this.sending, rating,
      el("form", { on: { submit: (event) => { event.preventDefault(); this.act(() => api.flush(this.id), "Flushed.") } } },
        el("p", { class: "hint", id: "flush-hint" }), el("button", { id: "flush" }, "Flush now"))))
  }

  // act does something and says that it worked, or what went wrong, unless another
  // Current is shown by then.
  async act(what, done) {
    const { id } = this
    problem("")
    this.result.hidden = true
    try {
      await what(id)
      if (done) toast(done)
      return true
    } catch (error) {
      if (id === this.id) problem(error.message)
      return false
    }
  }

  async send() {
    const { events, types, scenario } = this.sending.elements
    if (!this.sending.reportValidity()) return
    this.sender.disabled = true
    await this.act(async () => {
      const answer = await api.send(this.id, events.value, types.value.split(/[\s,]+/), scenario?.value)
      const dropped = Object.values(answer.dropped ?? {}).reduce((sum, n) => sum + n, 0)
      const parts = answer.acked === undefined ? ["It goes on by itself"] : [`${numberOf(answer.acked)} sent`]
      if (dropped > 0) parts.push(`${numberOf(dropped)} dropped`)
      if (answer.withheld > 0) parts.push(`${numberOf(answer.withheld)} withheld`)
      toast(`${parts.join(", ")}.`)
    })
    this.sender.disabled = false
  }

  async remove() {
    // Twice, as there is no way back.
    const button = $("delete")
    if (button.dataset.sure !== "yes") {
      button.dataset.sure = "yes"
      setText(button, "Really delete?")
      this.doubt = setTimeout(() => this.unsure(), 4000)
      return
    }
    const { id } = this
    if (!(await this.act(() => api.remove(id), "Deleted.")) || this.id !== id) return
    this.id = "" // nothing more may be asked of what is gone
    this.gone()
  }

  unsure() {
    clearTimeout(this.doubt)
    delete $("delete").dataset.sure
    setText($("delete"), "Delete")
  }

  // show begins with another Current; "" is none.
  show(id) {
    this.id = id
    this.place.hidden = true // until there is something to show
    this.result.hidden = true
    this.unsure()
  }

  // draw shows how the Current stands.
  draw(current) {
    if (this.place.hidden) this.rate.querySelector("input").value = current.rate
    this.place.hidden = false
    setText($("name"), current.integration_name || `Current ${current.id}`)
    $("name").title = current.integration_name // of which two lines are shown
    const [word, look] = STATES[current.state]
    setText($("state"), word)
    $("state").className = `badge ${look}`
    setText($("kind"), current.kind === "rudderstack" ? "RudderStack" : "Custom HTTP")
    setText($("url"), current.url)
    const [text, tone] = explain(current)
    setText($("state-note"), text)
    $("state-note").className = `note ${tone}`
    $("state-note").hidden = text === ""
    const running = current.state === "running"
    $("launch").hidden = running
    setText($("launch"), current.state === "paused" ? "Resume" : "Launch")
    $("pause").hidden = ["draft", "paused", "disabled"].includes(current.state)
    $("credentials-card").hidden = !["draft", "held", "disabled"].includes(current.state)
    setText($("flush-hint"), `A batch waits to fill for up to ${milliseconds(current.flush_after_seconds * 1000)}.`)
    this.counters(current)
    this.lists(current)
    for (const name of ["p50", "p90", "p99", "max"]) {
      setText($(`latency-${name}`), current.latency.count === 0 ? "–" : milliseconds(current.latency[`${name}_ms`]))
    }
  }

  counters({ counts, dropped, kind }) {
    const lost = Object.values(dropped).reduce((sum, n) => sum + n, 0)
    const list = [
      ["queued", counts.queued, ""], ["sent", counts.sent, "good"], ["retried", counts.retried, counts.retried > 0 ? "warn" : ""],
      ["split", counts.split_batches, counts.split_batches > 0 ? "warn" : ""], ["dropped", lost, lost > 0 ? "bad" : ""],
      ["requests", counts.requests, ""], ["probes", counts.probes, ""],
    ]
    if (kind === "rudderstack") list.push(["withheld", counts.withheld, ""])
    $("counters").replaceChildren(...list.map(([name, n, look]) => el("div", { class: look, "data-counter": name }, el("dt", {}, name), el("dd", {}, numberOf(n)))))
  }

  lists({ dropped, by_type: types, last_answers: answers, mails }) {
    const number = (n) => el("td", { class: "number" }, n === 0 ? "" : numberOf(n))
    const sum = (reasons) => Object.values(reasons).reduce((all, n) => all + n, 0)
    $("reasons-card").hidden = sum(dropped) === 0
    $("reasons").replaceChildren(...Object.entries(dropped).map(([reason, n]) => el("li", { "data-reason": reason }, el("b", {}, numberOf(n)), el("span", {}, REASONS[reason] ?? reason))))
    const names = Object.keys(types).sort()
    $("by-type-card").hidden = names.length === 0
    body("by-type").replaceChildren(...names.map((name) => el("tr", {}, el("td", { class: "name" }, name || "(none)"),
      number(types[name].queued), number(types[name].sent), number(types[name].retried), number(types[name].split_batches), number(sum(types[name].dropped)))))
    body("answers").replaceChildren(...answers.toReversed().map((answer) => el("tr", {},
      el("td", {}, timeOf(answer.at)), el("td", {}, el("span", { class: `badge ${lookOf(answer)}` }, statusOf(answer))),
      el("td", { class: "number" }, milliseconds(answer.took_ns / 1e6)), el("td", { class: "number" }, numberOf(answer.events)),
      el("td", { class: "name" }, answer.event_type || "probe"), el("td", { class: "body" }, answer.error || answer.body || ""))))
    $("answers").hidden = answers.length === 0
    $("no-answers").hidden = answers.length > 0
    $("mails-card").hidden = mails.length === 0
    $("mails").replaceChildren(...mails.toReversed().map((mail) => el("li", {}, el("time", {}, timeOf(mail.at)), el("span", {}, mail.subject, mail.to ? ` (to ${mail.to})` : ""))))
  }
}

function section(title, id, ...children) {
  return el("section", { class: "card", id }, el("h3", {}, title), children)
}

// table makes an empty table; a head that begins with ! is of numbers.
function table(id, heads) {
  return el("table", { class: id, id }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col", class: head.startsWith("!") ? "number" : null }, head.replace("!", ""))))), el("tbody", {}))
}

const body = (id) => $(id).tBodies[0]
