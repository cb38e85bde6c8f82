// Numbers, times and sizes for people, and what the bridge's own words mean.

import { el, numberOf } from "./dom.js"

// duration writes seconds as the two largest units.
export function duration(seconds) {
  if (seconds < 60) return `${+seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]
  const first = units.findIndex(([, size]) => seconds >= size)
  return units.slice(first, first + 2)
    .map(([name, size], i) => [name, i === 0 ? Math.floor(seconds / size) : Math.floor((seconds % units[first][1]) / size)])
    .filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name}`).join(" ")
}

// short writes the time of an answer.
export const short = (seconds) =>
  seconds < 1 ? `${+(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : seconds < 60 ? `${+seconds.toFixed(1)} s` : duration(seconds)

export function size(bytes) {
  let n = bytes
  for (const unit of ["bytes", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return `${n < 10 && unit !== "bytes" ? n.toFixed(1) : numberOf(Math.round(n))} ${unit}`
    n /= 1024
  }
  return `${n.toFixed(1)} TiB`
}

// rate writes events a second.
export const rate = (n) => (n === 0 || n >= 10 ? numberOf(Math.round(n)) : n.toFixed(1))

export const count = (n, one, many = one + "s") => `${numberOf(n)} ${n === 1 ? one : many}`

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })

// ago is a time as how long ago it was, with the time itself on hover. Times to
// come are "in 3 s".
export function ago(text, now) {
  if (!text) return "never"
  const at = new Date(text)
  const seconds = (new Date(now) - at) / 1000
  const words = seconds < -0.5 ? `in ${duration(-seconds)}` : seconds < 1 ? "now" : `${duration(seconds)} ago`
  return el("time", { datetime: text, title: exact.format(at) }, words)
}

// lasted is how long something has been so.
export const lasted = (text, now) =>
  el("time", { datetime: text, title: exact.format(new Date(text)) }, duration(Math.max(0, (new Date(now) - new Date(text)) / 1000)))

export const moment = (text) => el("time", { datetime: text }, exact.format(new Date(text)))

// looks are the colours of a destination's states.
export const looks = { ok: "good", "backing-off": "warn", paused: "bad", misdirected: "bad" }

// meanings say what became of a dead letter and what can be done.
const meanings = {
  refused: "RudderStack, or what stands before it, refused this event alone. Repair the cause there, then replay.",
  too_large: "The request with this event alone was too large (413). Raise the limit of what stands before RudderStack, then replay; else purge.",
  server_error: "Requests with this event alone got 5XX while others were accepted. Look at RudderStack's log; replay once that is repaired.",
  no_answer: "Requests with this event alone got no answer while others did. Replay once the cause is found.",
  misdirected: "The answer was 2XX, but not RudderStack's. See what stands before it, or set accept_any_2xx; then replay.",
  set_aside: "Somebody moved it here by hand. Replay brings it back.",
  damaged: "It cannot be read from disk any more, or it is not what was written. Look at what is left of it, then purge; replay where that is offered.",
  no_external_user_id: "The setting missing_external_user_id says so. Change it and replay, or purge.",
  no_identity: "Nobody is in it, so that RudderStack would lose it. It can only be purged.",
  no_event_type: "It has no event type, so that RudderStack would lose it. It can only be purged.",
  not_an_object: "It is no JSON object, so that RudderStack would lose it. It can only be purged.",
}
export const meaning = (reason) => meanings[reason] ??
  "RudderStack's Braze source would lose it or choke on it. Mode events delivers it: change mode and replay, or purge."
