// One event, open: the only place that shows what people are in.

import { el } from "./dom.js"
import { pretty } from "./pretty.js"

const MAX_LINES = 2000

// eventLines cuts the event out of the text of an answer, line by line.
export function eventLines(text) {
  const lines = pretty(text)
  const first = lines.findIndex((line) => line.pointer === "/event")
  if (first < 0) return []
  const depth = lines[first].depth
  let end = first + 1
  while (end < lines.length && lines[end].depth > depth) end++
  if (lines[end]?.pointer === null && lines[end].depth === depth) end++ // the closing bracket
  const cut = lines.slice(first, end).map((line) => ({ ...line, depth: line.depth - depth }))
  cut[0] = { ...cut[0], tokens: cut[0].tokens.slice(2) } // the key and its colon
  const last = cut.at(-1)
  if (last.tokens.at(-1)?.[1] === ",") cut[cut.length - 1] = { ...last, tokens: last.tokens.slice(0, -1) }
  return cut
}

export function code(text) {
  const lines = eventLines(text)
  return [
    el("ol", { class: "code" }, lines.slice(0, MAX_LINES).map((line) =>
      // A style attribute is not allowed; the depth is a class, and beyond 12 all is as deep.
      el("li", { class: `d${Math.min(line.depth, 12)}` }, line.tokens.map(([kind, part]) => el("span", { class: `t-${kind}` }, part))))),
    lines.length > MAX_LINES && el("p", { class: "hint" }, `${lines.length - MAX_LINES} more lines: bridge dead show, or the API, has all of them.`),
  ]
}
