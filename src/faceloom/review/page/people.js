// People: who there is, and that two of them are one.

import { ask, say } from "./api.js";
import { Cells } from "./cells.js";
import { askPerson, askText } from "./dialogs.js";
import { button, choice, counted, el } from "./dom.js";
import { MOVING, OF_PEOPLE } from "./keys.js";
import { askPairs } from "./pairs.js";

const SORTS = [
  ["size", "most faces"],
  ["name", "name"],
  ["doubt", "least alike"],
  ["time", "first seen"],
];

export class PeoplePage {
  keys = [
    ["People", OF_PEOPLE],
    ["Moving and choosing", MOVING],
  ];

  constructor(told, app) {
    this.app = app;
    this.told = { sort: "size", search: "", ...told };
    this.search = el("input", {
      type: "search",
      placeholder: "search (/)",
      "aria-label": "Search by name",
      value: this.told.search,
    });
    this.search.addEventListener("input", () => this.change({ search: this.search.value.trim() }));
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") this.cells.element.focus();
    });
    this.count = el("p", { class: "count", role: "status" });
    this.cells = new Cells({
      label: "People",
      width: 164,
      height: 214,
      fetchRows: (first, count, signal) => this.fetch(first, count, signal),
      draw: (cell, item) => this.draw(cell, item),
      open: (_, item) => item && this.app.go("faces", { by: "person", of: item.name, sort: "doubt" }),
      changed: () => this.tell(),
      drop: true,
    });
    this.cells.failed = (error) => app.warn(error.message);
    this.element = el(
      "section",
      { class: "page" },
      el(
        "div",
        { class: "bar" },
        this.search,
        choice("Sort", SORTS, this.told.sort, (sort) => this.change({ sort })),
        this.count,
        el("span", { class: "gap" }),
        button("Who is the same?", "Q", () => askPairs(this.app)),
        button("Name", "N", () => this.name()),
        button("Merge", "M", () => this.merge()),
      ),
      this.cells.element,
    );
  }

  async start() {
    await this.list();
    this.cells.element.focus({ preventScroll: true });
  }

  async list({ keep = false } = {}) {
    const { sort, search } = this.told;
    const mine = (this.asked = (this.asked ?? 0) + 1);
    const first = await ask("api/people", { sort, search, first: 0, count: 60 });
    if (mine !== this.asked) return; // something else has been typed since
    this.total = first.total;
    this.cells.reset(first.total, { keep });
    this.tell();
    if (!first.total && !search) this.app.notice("Nobody has a name yet: faceloom group names persons. All faces: Alt 2.");
  }

  change(told) {
    Object.assign(this.told, told);
    this.app.remember("people", this.told);
    this.list();
  }

  async fetch(first, count, signal) {
    const { sort, search } = this.told;
    const answer = await ask("api/people", { sort, search, first, count }, signal);
    if (answer.total !== this.cells.total) queueMicrotask(() => this.cells.reset(answer.total, { keep: true }));
    return answer.people;
  }

  draw(cell, person) {
    if (!person) {
      cell.replaceChildren(el("div", { class: "card empty" }));
      return;
    }
    const doubt = person.doubt === null ? "" : `, ${person.doubt.toFixed(2)} apart`;
    cell.setAttribute("aria-label", `${person.name}, ${counted(person.faces, "face")}${doubt}`);
    const card = el(
      "div",
      {
        class: "card person",
        draggable: "true",
        ondragstart: (event) => event.dataTransfer.setData("text/x-faceloom-person", person.name),
        ondragover: (event) => {
          if (event.dataTransfer.types.includes("text/x-faceloom-person")) event.preventDefault();
          card.classList.add("over");
        },
        ondragleave: () => card.classList.remove("over"),
        ondrop: (event) => {
          event.preventDefault();
          card.classList.remove("over");
          this.dropped(event.dataTransfer.getData("text/x-faceloom-person"), person.name);
        },
      },
      el("img", { src: `chip/${person.cover}?size=160`, alt: "", draggable: "false", loading: "eager" }),
      el("span", { class: "tick", "aria-hidden": "true" }),
      el("strong", { title: person.name }, person.name),
      el("small", {}, `${counted(person.faces, "face")}${doubt}`),
    );
    cell.replaceChildren(card);
  }

  tell() {
    const number = this.cells.selected.size;
    this.count.textContent = `${counted(this.cells.total, "person")}${number ? `, ${number} chosen` : ""}`;
  }

  get chosen() {
    return this.cells.chosenItems.filter(Boolean);
  }

  dropped(from, onto) {
    const chosen = this.chosen.map((person) => person.name);
    const others = chosen.includes(from) ? chosen : [from];
    return this.say({ verb: "merge", person: onto, persons: others.filter((name) => name !== onto) });
  }

  async name() {
    const [person] = this.chosen;
    if (!person) return;
    const name = await askText(`Name of ${person.name}`, { value: person.name });
    if (name && name !== person.name) await this.say({ verb: "name", person: person.name, name });
  }

  async merge() {
    const chosen = this.chosen;
    if (!chosen.length) return;
    if (chosen.length > 1) {
      const [person, ...others] = [...chosen].sort((a, b) => b.faces - a.faces);
      await this.say({ verb: "merge", person: person.name, persons: others.map((other) => other.name) });
      return;
    }
    const title = `${chosen[0].name} is the same person as`;
    const other = await askPerson(title, { without: chosen[0].name });
    if (other && other !== chosen[0].name) {
      await this.say({ verb: "merge", person: other, persons: [chosen[0].name] });
    }
  }

  async say(told) {
    if (told.persons && !told.persons.length) return;
    const giveBack = this.cells.takeChosen();
    if ((await this.app.say(told)) === null) giveBack();
  }

  renew() {
    return this.list({ keep: true });
  }

  key(event) {
    const acts = { "/": () => this.search.focus(), n: () => this.name(), m: () => this.merge(), q: () => askPairs(this.app) };
    return acts[event.key.toLowerCase()];
  }

  close() {
    this.cells.close();
  }
}
