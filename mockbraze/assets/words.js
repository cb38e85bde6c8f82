// What the API's words mean, for people.

export const STATES = {
  draft: ["draft", ""],
  running: ["launched", "good"],
  paused: ["paused", "warn"],
  held: ["holding", "bad"],
  disabled: ["disabled", "bad"],
  closed: ["closed", ""],
}

export const REASONS = {
  unauthorized: "answered 401, 403 or 404, after which Braze sends them no more",
  refused: "answered 400 alone, after their batch was split",
  too_large: "answered 413 alone: an event cannot be halved",
  oversized: "over 900 KB, which Braze never sends",
  disabled: "came while the Current was disabled",
  expired: "kept for 7 days in a disabled Current",
}

// explain says what a state means and what to do; "" where all is well.
export function explain(current) {
  const last = current.last_answers.findLast((answer) => [401, 403, 404].includes(answer.status))
  switch (current.state) {
    case "draft":
      return ["Not launched yet: nothing happens and nothing is sent.", "warn"]
    case "paused":
      return ["Paused: events wait in their queues until you resume.", "warn"]
    case "held":
      return [`Holding because of ${last?.status ?? "401, 403 or 404"}: the events of those requests are lost. The others wait until the credentials are right and the Current is launched again.`, "bad"]
    case "disabled":
      return ["Disabled after 5 days of errors: new events are lost, queued ones are kept for 7 days. Repair the endpoint and launch again.", "bad"]
    default:
      if (current.quota_until) return ["The Test Currents have sent their 1,500 events of today: the rest waits for midnight UTC.", "warn"]
      if (!current.trouble_since) return ["", ""]
      return ["Trouble: no batch has been taken since the last failure. It is tried again with a growing wait; after 5 days the Current is disabled.", "warn"]
  }
}

// milliseconds writes a duration so that it stays short.
export function milliseconds(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 10) return `${ms.toFixed(0)} ms`
  return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`
}

export const statusOf = (answer) => (answer.status === 0 ? "none" : String(answer.status))

export function lookOf(answer) {
  if (answer.status >= 200 && answer.status < 300) return "good"
  return answer.status === 429 ? "warn" : "bad"
}
