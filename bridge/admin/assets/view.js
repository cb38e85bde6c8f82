// What views are made with. A view is drawn anew from what the API says; render
// changes of the page only what differs, so that focus, scrolling and what was
// typed stay.

import { $, el } from "./dom.js"

// render makes the children of a place what they should be.
export function render(place, ...children) {
  const next = place.cloneNode(false)
  next.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  same(place, next)
}

function same(old, next) {
  const before = [...old.childNodes]
  const after = [...next.childNodes]
  after.forEach((node, i) => {
    const was = before[i]
    if (was === undefined) old.append(node)
    else if (was.nodeName !== node.nodeName || was.dataset?.key !== node.dataset?.key) was.replaceWith(node)
    else if (node.nodeType === Node.TEXT_NODE) {
      if (was.data !== node.data) was.data = node.data
    } else {
      attributes(was, node)
      same(was, node)
    }
  })
  before.slice(after.length).forEach((node) => node.remove())
}

function attributes(old, next) {
  for (const { name } of [...old.attributes]) {
    // People open and close details themselves.
    if (!next.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name)
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) === value) continue
    old.setAttribute(name, value)
    if (name === "value") old.value = value
    if (name === "selected") old.selected = true
  }
}

// link is an address within the page: a view and what of it is shown.
export function link(view, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value)).toString()
  return "#" + view + (query === "" ? "" : "?" + query)
}

// facts is a list of names and values. What has no value is left out.
export const facts = (list, look = "facts") =>
  el("dl", { class: look }, list.filter(([, value]) => value === 0 || value)
    .map(([name, value, mark]) => el("div", { class: mark ?? false }, el("dt", {}, name), el("dd", {}, value))))

export const badge = (text, look = "") => el("span", { class: `badge ${look}` }, text)

// table has a head for each column; on a phone a row becomes a card with them.
export const table = (heads, rows) =>
  el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map(({ key, open, cells }) =>
      el("tr", { "data-key": key ?? null, class: open ? "open" : false }, cells.map((cell, i) => el("td", { "data-head": heads[i] || null }, cell))))))

export const card = (title, ...children) => el("section", { class: "card" }, title && el("h2", {}, title), children)

export const act = (what, text, data = {}, look = "") =>
  el("button", { type: "button", class: look || false, "data-do": what, ...Object.fromEntries(Object.entries(data).map(([name, value]) => ["data-" + name, value])) }, text)

export const field = (label, name, properties) => el("label", {}, el("span", {}, label), el("input", { name, spellcheck: "false", autocomplete: "off", ...properties }))

export const choice = (label, name, options, chosen) =>
  el("label", {}, el("span", {}, label), el("select", { name }, options.map(([value, text]) =>
    el("option", { value, selected: value === (chosen ?? "") }, text ?? value))))

// confirmed asks whether to go on, in a dialog of its own. The answer is read from its
// form: the dialog's close event may come only when the next one is open.
export function confirmed({ title, text, verb, danger }) {
  const dialog = $("ask")
  const form = el("form", { method: "dialog", class: "box" },
    el("h2", { id: "ask-title" }, title), el("p", {}, text),
    el("div", { class: "choices" }, verb && el("button", { value: "yes", class: danger ? "danger" : "main" }, verb),
      el("button", { value: "", autofocus: true }, verb ? "Cancel" : "Close")))
  dialog.replaceChildren(form)
  dialog.showModal()
  return new Promise((done) => {
    form.addEventListener("submit", (event) => done(event.submitter?.value === "yes"))
    dialog.addEventListener("cancel", () => done(false), { once: true })
  })
}
