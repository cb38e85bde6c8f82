// What is shown is in the address: the filters, the message that is open, and
// live=off. So a link shows the same to somebody else.

// names are the filters, as the query API calls them. The unseen
// ones have no field on the page, but work in a link.
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

// change sets parameters, "" takes one out. A step can be gone back to.
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
