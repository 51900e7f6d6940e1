// Problems: faces to look at, by what is wrong with them, and frames of which something is missing.

import { ask } from "./api.js";
import { counted, el } from "./dom.js";

const MORE = 100;

export class ProblemsPage {
  keys = [["Problems", [["Tab, Enter", "go to a problem, and open it"]]]];

  constructor(_, app) {
    this.app = app;
    this.faces = el("ul", { class: "problems" });
    this.rows = el("tbody", {});
    this.count = el("h2", {});
    this.more = el("button", { type: "button", onclick: () => this.load() }, "More");
    this.element = el(
      "section",
      { class: "page text" },
      el("h2", {}, "Faces"),
      this.faces,
      this.count,
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, el("th", {}, "frame"), el("th", {}, "state"), el("th", {}, "reason"))),
        this.rows,
      ),
      this.more,
    );
  }

  async start() {
    this.rows.replaceChildren();
    await this.load();
    this.faces.querySelector("button")?.focus({ preventScroll: true });
  }

  async load() {
    const first = this.rows.childElementCount;
    const answer = await ask("api/problems", { first, count: MORE });
    this.faces.replaceChildren(...answer.faces.map((problem) => this.problem(problem)));
    this.rows.append(...answer.frames.map((frame) => this.frame(frame)));
    const total = answer.total;
    this.count.textContent = total ? `${counted(total, "frame")} that failed, or of which something was lost` : "No frame failed";
    this.rows.parentElement.hidden = !total;
    this.more.hidden = this.rows.childElementCount >= total;
  }

  problem({ name, about, count }) {
    const open = () => this.app.go("faces", { by: "problem", of: name, sort: this.sortOf(name) });
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", onclick: open, disabled: !count },
        el("strong", {}, count.toLocaleString("en")),
        el("span", {}, name),
        el("small", {}, about),
      ),
    );
  }

  sortOf(name) {
    return { score: "-score", quality: "-quality", far: "doubt" }[name] ?? "time";
  }

  frame({ source_id, source, frame, status, reason }) {
    const address = this.app.address("frame", { source: source_id, frame });
    return el(
      "tr",
      {},
      el("td", {}, el("a", { href: address }, `${source}#${frame}`)),
      el("td", {}, status),
      el("td", {}, reason ?? ""),
    );
  }

  async renew() {
    const answer = await ask("api/problems", { first: 0, count: 1 });
    const at = document.activeElement?.closest?.("li");
    const place = at ? [...this.faces.children].indexOf(at) : -1;
    this.faces.replaceChildren(...answer.faces.map((problem) => this.problem(problem)));
    this.faces.children[place]?.querySelector("button")?.focus({ preventScroll: true });
  }

  key() {
    return undefined;
  }

  close() {}
}
