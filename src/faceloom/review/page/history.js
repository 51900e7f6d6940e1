// History: what was said, and that it was not so.

import { ask } from "./api.js";
import { counted, el } from "./dom.js";

export class HistoryPage {
  keys = [["History", [["Tab, Enter", "go to what was said, and undo it or say it again"]]]];

  constructor(_, app) {
    this.app = app;
    this.list = el("ol", { class: "history", "aria-label": "What was said, the last first" });
    this.element = el("section", { class: "page text" }, this.list);
  }

  async start() {
    await this.renew();
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  async renew() {
    const place = [...this.list.children].indexOf(document.activeElement?.closest?.("li"));
    const { corrections } = await ask("api/history");
    this.list.replaceChildren(
      ...(corrections.length ? corrections.map((one) => this.row(one)) : [el("li", {}, "Nothing has been corrected.")]),
    );
    this.list.children[place]?.querySelector("button")?.focus({ preventScroll: true });
  }

  row({ id, at, verb, persons, after, faces, undone }) {
    const what = [persons.length ? persons.join(", ") : counted(faces, "face"), after === null ? "" : `→ ${after}`];
    const act = () => this.app.say({ verb: undone ? "redo" : "undo", numbers: [id] });
    return el(
      "li",
      { class: undone ? "undone" : "" },
      el("small", {}, `${id}`),
      el("time", { datetime: at }, new Date(at).toLocaleString()),
      el("strong", {}, verb),
      el("span", {}, what.join(" ")),
      el("button", { type: "button", onclick: act, "aria-label": `${undone ? "Redo" : "Undo"} ${id}: ${verb}` }, undone ? "Redo" : "Undo"),
    );
  }

  key() {
    return undefined;
  }

  close() {}
}
