import { $, numberOf, setText, svg } from "./dom.js"
import { milliseconds } from "./words.js"

const WIDE = 240
const HIGH = 100

// chart draws the latency of two minutes: bars up to the slowest answer of each
// second, red where one failed, and a line of the means.
export function chart(seconds) {
  const busy = seconds.filter((second) => second.requests > 0)
  const top = scaleOf(Math.max(1, ...busy.map((second) => second.max_ms)))
  const step = WIDE / seconds.length
  const y = (ms) => HIGH - (ms / top) * HIGH
  const parts = [0.5, 1].map((share) => svg("line", { class: "grid", x1: 0, x2: WIDE, y1: HIGH - share * HIGH, y2: HIGH - share * HIGH }))
  const lines = [[]]
  seconds.forEach((second, i) => {
    if (second.requests === 0) {
      if (lines.at(-1).length > 0) lines.push([])
      return
    }
    const tall = Math.max(1.5, HIGH - y(second.max_ms))
    parts.push(svg("rect", { class: second.failed > 0 ? "bar failed" : "bar", x: i * step, y: HIGH - tall, width: step * 0.8, height: tall }))
    lines.at(-1).push(`${(i + 0.4) * step},${y(second.mean_ms)}`)
  })
  for (const line of lines) {
    if (line.length === 1) line.push(line[0]) // a point
    if (line.length > 0) parts.push(svg("polyline", { class: "mean", points: line.join(" ") }))
  }
  $("chart").replaceChildren(...parts)
  const marks = $("scale").children
  setText(marks[0], milliseconds(top))
  setText(marks[1], milliseconds(top / 2))
  const events = busy.reduce((sum, second) => sum + second.events, 0)
  const requests = busy.reduce((sum, second) => sum + second.requests, 0)
  setText($("chart-caption"), `${numberOf(requests)} requests, ${numberOf(events)} events taken`)
}

// scaleOf is the next of 1, 2, 5, 10, … that holds a number.
function scaleOf(n) {
  const ten = 10 ** Math.floor(Math.log10(n))
  return [1, 2, 5, 10].map((m) => m * ten).find((m) => m >= n)
}
