// What is new in Braze's events, and the configuration.

import * as api from "./api.js"
import { el, numberOf } from "./dom.js"
import { card, facts, table } from "./view.js"
import { ago } from "./words.js"

export const drift = {
  load: () => api.get("drift"),
  draw: ({ overview, data }) => card("Drift",
    el("p", { class: "hint" }, "Event types and fields that Braze sent since the start and that the glossary does not have. They are delivered like all others."),
    data.drift.length === 0 ? el("p", {}, "There are none.") : table(["Event type", "Field", "Events", "First seen", "Last seen"], data.drift.map((d) => ({
      cells: [el("b", {}, d.event_type), d.field ? el("code", {}, d.field) : "the type itself", numberOf(d.count), ago(d.first_seen, overview.now), ago(d.last_seen, overview.now)],
    })))),
}

export const settings = {
  load: () => api.get("config"),
  draw: ({ data }) => [
    card("This bridge", facts([["Version", data.version], ["Glossary", data.glossary]])),
    list("Settings", data.settings),
    data.connectors.map((c) => list(`Connector ${c.name}`, c.settings)),
  ],
}

const list = (title, settings) => el("section", { class: "card", "data-key": title }, el("h2", {}, title),
  el("dl", { class: "settings" }, settings.map((s) => el("div", { class: s.default ? "unset" : false }, el("dt", {}, s.key), el("dd", {}, s.value || "none")))))
