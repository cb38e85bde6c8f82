// A fault in the form, in the API, and as text.

// kinds are the kinds of faults, with their fields.
export const kinds = {
  status: { label: "Answer a status", fields: ["status", "retry_after", "body"] },
  close: { label: "Close the connection", fields: ["close"] },
  hang: { label: "Hang without an answer", fields: ["hang"] },
  latency: { label: "Answer late", fields: [] },
  wrong_body: { label: "Spoil the answer", fields: ["wrong_body"] },
  trickle: { label: "Answer slowly, bit by bit", fields: ["trickle"] },
  transformer: { label: "Break the transformer", fields: ["transformer"] },
  database: { label: "Break the database", fields: ["database"] },
}

export const presets = {
  "503 always": { kind: "status", status: "503" },
  "429 for 10 requests": { kind: "status", status: "429", retry_after: "1", requests: "10" },
  "500 every other time": { kind: "status", status: "500", every: "2" },
  "Stored, no answer": { kind: "close", close: "stored" },
  "Slow by a second": { kind: "latency", latency: "1s" },
}

// faultOf reads the form.
export function faultOf(fields) {
  const fault = {}
  const kind = fields.kind.value
  if (kind === "status") {
    fault.status = Number(fields.status.value)
    if (fields.body.value !== "") fault.body = fields.body.value
    if (Number(fields.retry_after.value) > 0) fault.retry_after = Number(fields.retry_after.value)
  } else if (kind === "hang") {
    fault.hang = fields.hang.value === "" ? true : fields.hang.value
  } else if (kind !== "latency") {
    fault[kind] = fields[kind].value
  }
  if (Number(fields.percent.value) < 100) fault.probability = Number(fields.percent.value) / 100
  for (const name of ["requests", "every"]) {
    if (fields[name].value !== "") fault[name] = Number(fields[name].value)
  }
  for (const name of ["latency", "latency_max", "path", "method", "source", "test_id", "contains"]) {
    if (fields[name].value !== "") fault[name] = fields[name].value
  }
  return fault
}

const closes = {
  before: "closes before reading", after: "closes after reading", stored: "stores, then closes", middle: "closes in the middle of the answer", reset: "resets the connection",
}

const parts = {
  latency: (value, fault) => (fault.latency_max ? `waits ${value} to ${fault.latency_max}` : `waits ${value}`),
  close: (value) => closes[value] ?? `closes ${value}`,
  hang: (value) => (value === true ? "hangs until the client leaves" : `hangs for ${value}`),
  status: (value, fault) => `answers ${value}${fault.retry_after ? `, Retry-After ${fault.retry_after}` : ""}`,
  trickle: (value) => `spreads the answer over ${value}`,
  wrong_body: (value) => `answers with a wrong body: ${value}`,
  transformer: (value) => `transformer: ${value}`,
  database: (value) => `database: ${value}`,
}

// shown elsewhere, or not shown.
const aside = ["id", "hits", "latency_max", "retry_after", "body", "probability", "path", "method", "source", "test_id", "requests", "nth", "every", "contains"]

// describe says what a fault does. Unknown fields are shown as they are.
export function describe(fault) {
  const known = Object.keys(parts).filter((name) => fault[name]).map((name) => parts[name](fault[name], fault))
  const other = Object.keys(fault).filter((name) => !(name in parts) && !aside.includes(name) && fault[name])
    .map((name) => `${name}: ${JSON.stringify(fault[name])}`)
  if (known.length === 0 && fault.latency_max) known.push(`waits up to ${fault.latency_max}`)
  return [...known, ...other].join(", then ")
}

// limits says which requests a fault is for.
export function limits(fault) {
  const list = [[fault.method, fault.path || "every path"].filter(Boolean).join(" ")]
  if (fault.source) list.push(`source ${fault.source}`)
  if (fault.test_id) list.push(`test ${fault.test_id}`)
  if (fault.contains) list.push(`with ${JSON.stringify(fault.contains)}`)
  if (fault.nth > 0) list.push(`request ${fault.nth} alone`)
  if (fault.every > 1) list.push(`one in ${fault.every}`)
  if (fault.probability > 0 && fault.probability < 1) list.push(`${+(fault.probability * 100).toFixed(2)} % of requests`)
  if (fault.requests > 0) list.push(over(fault) ? `over after ${fault.requests}` : `${fault.requests - fault.hits} more`)
  return list.join(" · ")
}

// over says whether a fault has ended.
export const over = (fault) => fault.requests > 0 && fault.hits >= fault.requests
