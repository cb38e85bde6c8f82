import { copy } from "./copy.js"
import { $, el, toast } from "./dom.js"

// The text of an empty list.

export function empty({ filtered, sources, clear }) {
  const place = $("empty")
  const key = JSON.stringify([filtered, sources])
  place.hidden = false
  if (place.dataset.key === key) return // nothing new: leave a selection alone
  place.dataset.key = key
  place.replaceChildren(...(filtered ? nothing(clear) : first(sources)))
}

const nothing = (clear) => [
  el("h2", {}, "No message matches"),
  el("p", {}, "What comes from now on and matches will show up here."),
  el("button", { type: "button", on: { click: clear } }, "Clear the filters"),
]

function first(sources) {
  const commands = sources.filter((source) => !source.disabled).slice(0, 4).map((source) => [source, commandFor(source)])
  return [
    el("h2", {}, "Waiting for the first event"),
    el("p", {}, "This is a fake RudderStack data plane. Send it an event, and it shows up here with a verdict:"),
    ...commands.map(([source, command]) =>
      el("figure", {},
        el("figcaption", {}, source.kind === "braze" ? "As Braze sends it" : "By RudderStack's HTTP API", el("span", { class: "hint" }, ` source ${source.key}`),
          el("button", { type: "button", on: { click: () => copied(command) } }, "Copy")),
        el("pre", { class: "command" }, command))),
  ]
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`

function commandFor(source) {
  if (source.kind === "braze") {
    const event = {
      event_type: "users.behaviors.CustomEvent", id: "a1b2c3d4-0000-4000-8000-000000000001", time: Math.floor(Date.now() / 1000 / 3600) * 3600,
      user: { user_id: "5f2a91c04d1e", external_user_id: "ada" },
      properties: { app_id: "app-1", name: "first event", custom_properties: { by: "hand" } },
    }
    return `curl -X POST ${quoted(`${location.origin}/v1/webhook?writeKey=${encodeURIComponent(source.key)}`)} \\\n` +
      `  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify({ events: [event] }))}`
  }
  return `curl -X POST ${quoted(`${location.origin}/v1/track`)} -u ${quoted(source.key + ":")} \\\n` +
    `  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify({ userId: "ada", event: "First Event", properties: { by: "hand" } }))}`
}

async function copied(command) {
  try {
    await copy(command)
    toast("Copied")
  } catch (error) {
    toast(`Not copied: ${error.message}`)
  }
}
