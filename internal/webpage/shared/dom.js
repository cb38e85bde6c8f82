// Helpers to make elements. Text goes in as text nodes alone: what the page
// shows was sent by anyone, and must never become markup.

export const $ = (id) => document.getElementById(id)

// el makes an element: properties (class, on for listeners, others as
// attributes; true sets an empty one, false and null leave it out), then
// children, which are elements or text.
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children)
}

// svg does the same for SVG.
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children)
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener)
    } else {
      element.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value))
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

// setText changes the text of an element where it differs, so that nothing is
// laid out again without need.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

let toastTimer

// toast tells for a moment what has been done.
export function toast(text) {
  const place = $("toast")
  place.textContent = text
  place.classList.add("shown")
  clearTimeout(toastTimer)
  toastTimer = setTimeout(() => place.classList.remove("shown"), 2500)
}

// problem shows what went wrong until it is over; "" is nothing.
export function problem(text) {
  setText($("problem"), text)
  $("problem").hidden = text === ""
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" })
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })

export const timeOf = (text) => clock.format(new Date(text))
export const dateOf = (text) => day.format(new Date(text))

const plain = new Intl.NumberFormat("en")

export const numberOf = (n) => plain.format(n)
