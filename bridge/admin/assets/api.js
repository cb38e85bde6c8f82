// The API beside the page. What changes something is a POST.

// Failure is an answer that says no, with the text of the API.
export class Failure extends Error {
  constructor(text, status) {
    super(text)
    this.status = status
  }
}

async function call(path, options) {
  let answer
  try {
    answer = await fetch(path, { cache: "no-store", ...options })
  } catch {
    throw new Failure("the bridge does not answer", 0)
  }
  const text = await answer.text()
  let value
  try {
    value = JSON.parse(text)
  } catch {
    throw new Failure(`${path}: the answer is no JSON`, answer.status)
  }
  if (!answer.ok) throw new Failure(value.error ?? `${path}: status ${answer.status}`, answer.status)
  return { value, text }
}

// set leaves out what is empty.
const set = (params) => Object.entries(params).filter(([, value]) => value !== "" && value !== undefined && value !== null)

const at = (path, params) => {
  const query = new URLSearchParams(set(params)).toString()
  return "/api/" + path + (query === "" ? "" : "?" + query)
}

export const get = async (path, params = {}) => (await call(at(path, params))).value

// event asks for one event: what is known of it, and the text of the answer, in
// which it stands as Braze sent it. JSON.parse would change big numbers.
export const event = (path, params) => call(at(path, params))

export const post = async (path, params = {}) =>
  (await call("/api/" + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(set(params))),
  })).value
