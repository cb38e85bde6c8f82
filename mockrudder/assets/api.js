// The query API.

const base = new URL("/_mock/", location.origin)

// Failure is an error response, with the text of the API.
export class Failure extends Error {
  constructor(text, status) {
    super(text)
    this.status = status
  }
}

async function call(path, { method = "GET", body, params, signal } = {}) {
  const url = new URL(path, base)
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value !== "" && value !== undefined && value !== null) url.searchParams.set(name, value)
  }
  let answer
  try {
    answer = await fetch(url, { method, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" })
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new Failure("mockrudder does not answer", 0)
  }
  const text = await answer.text()
  let value = {}
  try {
    value = text === "" ? {} : JSON.parse(text)
  } catch {
    throw new Failure(`${path}: the answer is no JSON`, answer.status)
  }
  if (!answer.ok) throw new Failure(value.error ?? `${path}: status ${answer.status}`, answer.status)
  return value
}

// page requests summaries of messages older than before, the newest first.
export const page = (filters, before, limit, signal) =>
  call("events", { params: { ...filters, before, limit, order: "desc", summary: 1 }, signal })

// neighbour requests the next older or newer message.
export async function neighbour(filters, id, older) {
  const range = older ? { before: id, order: "desc" } : { after: id, order: "asc" }
  const { events } = await call("events", { params: { ...filters, ...range, limit: 1, summary: 1 } })
  return events[0]
}

export const event = (id) => call(`events/${encodeURIComponent(id)}`)
export const stats = () => call("stats")
export const rates = (seconds) => call("rates", { params: { seconds } })
export const sources = () => call("sources")
export const faults = () => call("faults")
export const addFault = (fault) => call("faults", { method: "POST", body: fault })
export const removeFault = (id) => call(`faults/${encodeURIComponent(id)}`, { method: "DELETE" })
export const removeFaults = () => call("faults", { method: "PUT", body: [] })
export const reset = (keepFaults) => call("reset", { method: "POST", params: { keep: keepFaults ? "faults" : "" } })

// stream opens the live stream of the messages that match the filters.
export function stream(filters) {
  const url = new URL("stream", base)
  for (const [name, value] of Object.entries(filters)) url.searchParams.set(name, value)
  return new EventSource(url)
}
