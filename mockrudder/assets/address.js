// The address holds the filters, the open message and live=off, so that a link shows the
// same.

// names are the filters by their names in the query API. The unseen ones have no field on
// the page, but work in a link.
export const names = ["q", "valid", "type", "event", "source", "userId", "test", "anonymousId", "messageId", "rule", "since", "until"]
export const unseen = ["anonymousId", "messageId", "rule", "since", "until"]

const params = () => new URLSearchParams(location.search)

// filters returns those that are set.
export function filters() {
  const given = params()
  return Object.fromEntries(names.map((name) => [name, given.get(name) ?? ""]).filter(([, value]) => value !== ""))
}

export const opened = () => params().get("open") ?? ""
export const live = () => params().get("live") !== "off"

// change sets parameters; "" removes one. The browser can go back to the state before.
export function change(values, step = false) {
  const next = params()
  for (const [name, value] of Object.entries(values)) {
    if (value === "") next.delete(name)
    else next.set(name, value)
  }
  const query = next.toString()
  const url = location.pathname + (query === "" ? "" : "?" + query)
  if (step) history.pushState(null, "", url)
  else history.replaceState(null, "", url)
}
