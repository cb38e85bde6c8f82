import { el, numberOf, setText } from "./dom.js"

// Types is the list of event types by family, with search.
export class Types {
  constructor(families) {
    this.entries = []
    this.families = families.filter((family) => family.events.length > 0).map((family) => this.family(family))
    this.search = el("input", {
      type: "search", id: "type-search", placeholder: "Search event types, such as email.Open", "aria-label": "Search event types", spellcheck: "false",
      on: { input: () => this.filter(), keydown: (event) => event.key === "Enter" && event.preventDefault() },
    })
    this.count = el("output", { id: "type-count" })
    this.nothing = el("p", { class: "hint", hidden: true }, "No event type matches.")
    this.element = el("div", { id: "types" },
      el("div", { class: "choosing" }, this.search, this.count,
        button("Select all", "all-types", () => this.set(this.entries, true)),
        button("Select none", "no-types", () => this.set(this.entries, false))),
      this.nothing, this.families.map((family) => family.element))
    this.set(this.entries.filter((entry) => !entry.retired), true)
  }

  family({ family, title, events }) {
    const groups = Map.groupBy(events, (event) => event.group)
    const mine = []
    const lines = [...groups].map(([name, list]) => {
      const entries = list.map((event) => this.entry(event))
      mine.push(...entries)
      const line = el("div", { class: "group" }, el("h4", {}, name), el("div", { class: "types" }, entries.map((entry) => entry.label)))
      return { line, entries }
    })
    const count = el("span", { class: "hint" })
    const element = el("section", { class: "family", "data-family": family },
      el("header", {}, el("h3", {}, title), count,
        button("All", `all-${family}`, () => this.set(mine, true), `All ${title}`),
        button("None", `none-${family}`, () => this.set(mine, false), `No ${title}`)),
      lines.map(({ line }) => line))
    return { element, entries: mine, lines, count }
  }

  entry({ name, readable_name: readable, retired, beta }) {
    const box = el("input", { type: "checkbox", name: "type", value: name, on: { change: () => this.changed() } })
    const mark = retired ? " retired" : beta ? " beta" : ""
    const short = name.split(".").at(-1)
    const label = el("label", { title: name }, box, el("span", {}, short, el("em", {}, mark)))
    const entry = { name, box, label, retired, words: `${name} ${readable}`.toLowerCase() }
    this.entries.push(entry)
    return entry
  }

  // set chooses or not, among what the search shows.
  set(entries, on) {
    for (const entry of entries) if (!entry.label.hidden) entry.box.checked = on
    this.changed()
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/)
    for (const entry of this.entries) entry.label.hidden = !words.every((word) => entry.words.includes(word))
    const none = (entries) => entries.every((entry) => entry.label.hidden)
    for (const family of this.families) {
      family.element.hidden = none(family.entries)
      for (const { line, entries } of family.lines) line.hidden = none(entries)
    }
    this.nothing.hidden = !none(this.entries)
  }

  chosen() {
    return this.entries.filter((entry) => entry.box.checked).map((entry) => entry.name)
  }

  changed() {
    const text = (entries) => `${numberOf(entries.filter((entry) => entry.box.checked).length)} of ${numberOf(entries.length)}`
    setText(this.count, `${text(this.entries)} chosen`)
    for (const family of this.families) setText(family.count, text(family.entries))
  }
}

function button(text, id, click, label) {
  return el("button", { type: "button", class: "plain", id, "aria-label": label, on: { click } }, text)
}
