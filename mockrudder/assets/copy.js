// Forms in which a message can be copied.

import { pretty, plain } from "./pretty.js"

// copy puts text on the clipboard. Browsers allow that only on localhost and over TLS;
// elsewhere a selected field is copied.
export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text)
    return
  }
  const field = document.createElement("textarea")
  field.value = text
  field.className = "offscreen"
  // With a modal dialog, nothing outside of it can be selected.
  const place = document.querySelector("dialog[open]") ?? document.body
  place.append(field)
  field.select()
  const done = document.execCommand("copy")
  field.remove()
  if (!done) throw new Error("the browser does not allow it")
}

// asJSON is the message as RudderStack would store it.
export const asJSON = (event) => plain(pretty(JSON.stringify(event.message))) + "\n"

const singles = ["track", "identify", "page", "screen", "group", "alias", "merge", "audiencelist"]

// call is the request that sends the received text again.
function call(event, kind) {
  if (kind === "braze") {
    return { url: `/v1/webhook?writeKey=${encodeURIComponent(event.source)}`, body: `{"events":[${event.raw}]}` }
  }
  if (singles.includes(event.message.type)) return { url: `/v1/${event.message.type}`, user: event.source, body: event.raw }
  return { url: "/v1/batch", user: event.source, body: `{"batch":[${event.raw}]}` }
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`

// asCurl is that request as a command.
export function asCurl(event, kind) {
  const { url, user, body } = call(event, kind)
  const parts = [`curl -X POST ${quoted(location.origin + url)}`]
  if (user !== undefined) parts.push(`-u ${quoted(user + ":")}`)
  parts.push(`-H 'Content-Type: application/json'`, `--data-binary ${quoted(body)}`)
  return parts.join(" \\\n  ") + "\n"
}

// escaped writes text as ASCII in quotes, as both Go and JSON read it.
const escaped = (text) =>
  JSON.stringify(text).replace(/[^ -~]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"))

// rawString writes text as Go source: a raw string, with quoted strings for characters
// that it cannot have.
export function rawString(text) {
  return text
    .split(/([`\r\u0000\ufeff]+)/)
    .map((part, i) => (part === "" ? "" : i % 2 === 0 ? `\`${part}\`` : escaped(part)))
    .filter((part) => part !== "")
    .join(" + ")
}

// asGo is a fixture for a Go test: the received text as a constant.
export function asGo(event) {
  const words = String(event.message.event || event.message.type || "message").match(/[A-Za-z0-9]+/g) ?? ["message"]
  const name = "raw" + words.slice(-4).map((word) => word[0].toUpperCase() + word.slice(1)).join("")
  return `// ${name} came in on ${event.received_at} with the messageId\n` +
    `// ${escaped(String(event.message.messageId))}.\nconst ${name} = ${rawString(event.raw)}\n`
}
