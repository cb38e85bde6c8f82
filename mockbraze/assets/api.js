// The control API beside the page.

const base = new URL("/api/", location.origin)

// Failure is an answer that says no, with the text of the API.
export class Failure extends Error {
  constructor(text, status) {
    super(text)
    this.status = status
  }
}

async function call(method, path, { body, params, signal } = {}) {
  const url = new URL(path, base)
  for (const [name, value] of Object.entries(params ?? {})) {
    for (const one of [value].flat()) {
      if (one !== "" && one !== undefined && one !== null) url.searchParams.append(name, one)
    }
  }
  let answer
  try {
    answer = await fetch(url, { method, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", signal })
  } catch (error) {
    if (error.name === "TimeoutError") return {}
    throw new Failure("mockbraze does not answer", 0)
  }
  let value
  try {
    value = await answer.json()
  } catch {
    throw new Failure(`${path}: the answer is no JSON`, answer.status)
  }
  if (!answer.ok) throw new Failure(value.error ?? `${path}: status ${answer.status}`, answer.status)
  return value
}

const one = (id, what = "") => `currents/${encodeURIComponent(id)}${what}`

export const eventTypes = () => call("GET", "event-types")
export const list = () => call("GET", "currents")
export const show = (id) => call("GET", one(id))
export const create = (form) => call("POST", "currents", { body: form })
export const testForm = (form) => call("POST", "currents/test", { body: form })
export const test = (id) => call("POST", one(id, "/test"))
export const testEvents = (id) => call("POST", one(id, "/test-events"))
export const launch = (id, given = {}) => call("POST", one(id, "/launch"), { body: given })
export const pause = (id) => call("POST", one(id, "/pause"))
export const flush = (id) => call("POST", one(id, "/flush"))
export const change = (id, changes) => call("PATCH", one(id), { body: changes })
export const remove = (id) => call("DELETE", one(id))
export const send = (id, events, types, scenario) => call("POST", one(id, "/send"), { params: { events, types, scenario }, signal: AbortSignal.timeout(20_000) })
