import * as address from "./address.js"
import { $, el, setText } from "./dom.js"

// The filters: fields above the list, kept in the address.

const DELAY = 250 // after the last key, so that not every letter is asked for

// setUp fills the fields and calls changed when the user changes one.
export function setUp(changed) {
  const form = $("filters")
  let timer
  const apply = () => {
    clearTimeout(timer)
    const values = {}
    for (const name of address.names) {
      if (form.elements[name]) values[name] = form.elements[name].value.trim()
    }
    address.change(values)
    tell()
    changed()
  }
  form.addEventListener("input", (event) => {
    clearTimeout(timer)
    timer = setTimeout(apply, event.target.tagName === "SELECT" ? 0 : DELAY)
  })
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    apply()
  })
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target.tagName !== "INPUT") return
    event.stopPropagation()
    if (event.target.value === "") $("scroll").focus()
    event.target.value = ""
    apply()
  })
  $("clear-filters").addEventListener("click", () => {
    clear()
    changed()
  })
  $("chips").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.filter
    if (name === undefined) return
    address.change({ [name]: "" })
    tell()
    changed()
  })
  $("more-filters").addEventListener("click", (event) => {
    const open = form.classList.toggle("open")
    event.currentTarget.setAttribute("aria-expanded", String(open))
  })
  fill()
}

// fill copies the filters of the address into the fields.
export function fill() {
  const given = address.filters()
  const form = $("filters")
  for (const name of address.names) {
    const field = form.elements[name]
    if (!field) continue
    const value = given[name] ?? ""
    if (field.tagName === "SELECT" && value !== "") offer(field, [value])
    field.value = value
  }
  tell()
}

export function clear() {
  address.change(Object.fromEntries(address.names.map((name) => [name, ""])))
  fill()
}

// tell shows which filters are set.
function tell() {
  const given = address.filters()
  const n = Object.keys(given).filter((name) => name !== "q").length
  setText($("filter-count"), String(n))
  $("filter-count").hidden = n === 0
  $("clear-filters").hidden = Object.keys(given).length === 0
  $("chips").replaceChildren(...address.unseen.filter((name) => name in given).map((name) =>
    el("button", { type: "button", class: "chip", "data-filter": name, "aria-label": `Remove the filter ${name}` }, `${name}: ${given[name]} ✕`)))
  for (const field of $("filters").elements) {
    if (field.name) field.classList.toggle("set", field.value !== "")
  }
}

// offer adds choices to a select and keeps the selection.
function offer(select, values) {
  const known = new Set([...select.options].map((option) => option.value))
  for (const value of values) {
    if (value !== "" && !known.has(value)) select.append(el("option", { value }, value))
  }
}

// choices offers the names that were counted so far.
export function choices(stats) {
  offer($("filters").elements.type, Object.keys(stats.by_type).sort())
  offer($("filters").elements.source, Object.keys(stats.sources).sort())
  const list = $("event-names")
  const known = new Set([...list.options].map((option) => option.value))
  for (const event of Object.keys(stats.by_event).sort().slice(0, 1000)) {
    if (event !== "" && !known.has(event)) list.append(el("option", { value: event }))
  }
}
