import * as api from "./api.js"
import { $, el, toast } from "./dom.js"

// The dialog to confirm a reset.

export function setUpReset({ done, failed }) {
  const dialog = $("reset")
  const act = async (keep) => {
    dialog.close()
    try {
      await api.reset(keep)
      toast(keep ? "Messages and counts are gone, the faults stay" : "Messages, counts and faults are gone")
      done()
    } catch (error) {
      failed(error)
    }
  }
  const button = (text, id, action, look) => el("button", { type: "button", id, class: look ?? false, on: { click: action } }, text)
  dialog.append(el("div", { class: "box" },
    el("h2", { id: "reset-title" }, "Forget all messages?"),
    el("p", {}, "Everything received and counted goes, for all who use this server. It cannot be undone."),
    el("div", { class: "choices" },
      button("Cancel", "reset-cancel", () => dialog.close()),
      button("Keep the faults", "reset-keep", () => act(true), "danger"),
      button("Faults too", "reset-all", () => act(false), "danger"))))
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close()
  })
  $("open-reset").addEventListener("click", () => {
    dialog.showModal()
    $("reset-cancel").focus()
  })
}
