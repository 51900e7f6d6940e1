// Faces: all of them, of a person, of a source, or with a problem. A list stays as it is while its faces are corrected.

import { ask, askPicture, Refused } from "./api.js";
import { Cells, SHEET } from "./cells.js";
import { askPerson, askText } from "./dialogs.js";
import { button, choice, counted, el, timed } from "./dom.js";
import { MOVING, OF_FACES } from "./keys.js";

const SORTS = [
  ["time", "source and time"],
  ["doubt", "outliers first"],
  ["-quality", "poorest first"],
  ["quality", "best first"],
  ["size", "largest first"],
  ["-size", "smallest first"],
  ["pose", "most frontal first"],
  ["-score", "least certain first"],
  ["score", "most certain first"],
  ["sharpness", "sharpest first"],
  ["-sharpness", "most blurred first"],
];
const TILE_PX = 128;
const VALUES = { quality: "quality", size: "size", score: "score", sharpness: "sharpness", doubt: "doubt" };

export class FacesPage {
  keys = [
    ["Faces", OF_FACES],
    ["Moving and choosing", MOVING],
  ];

  constructor(told, app) {
    this.app = app;
    this.told = { by: "all", sort: "time", rejected: "1", ...told };
    this.count = el("p", { class: "count", role: "status" });
    this.title = el("span", { class: "title" });
    this.cells = new Cells({
      label: "Faces",
      width: 124,
      height: 156,
      fetchRows: (first, count, signal) => this.fetch(first, count, signal),
      fetchSheet: (first, count, signal) =>
        askPicture(`sheet/${this.listing}`, { first, count, across: SHEET, size: TILE_PX }, signal),
      draw: (cell, item, place) => this.draw(cell, item, place),
      open: (_, item) => item?.source && this.app.go("frame", { face: item.id }),
      changed: () => this.tell(),
      lasso: true,
    });
    this.cells.failed = (error) => this.lost(error);
    this.cells.scrolled = (place) => this.scrolled(place);
    const rejected = el("input", { type: "checkbox", checked: this.told.rejected !== "0" });
    rejected.addEventListener("change", () => this.change({ rejected: rejected.checked ? "1" : "0" }));
    this.element = el(
      "section",
      { class: "page" },
      el(
        "div",
        { class: "bar" },
        this.title,
        button("Whose", "", () => this.choosePerson()),
        button("Source", "", () => this.chooseSource()),
        this.told.by === "all" && !this.told.ranges ? null : button("All", "", () => this.app.go("faces", { sort: this.told.sort })),
        choice("Sort", SORTS, this.told.sort, (sort) => this.change({ sort })),
        el("label", { class: "choice" }, rejected, el("span", {}, "rejected too")),
        this.count,
      ),
      el(
        "div",
        { class: "bar acts", role: "toolbar", "aria-label": "What is said of the chosen faces" },
        button("Reject", "X", () => this.act("reject")),
        button("Restore", "U", () => this.act("restore")),
        button("Whose it is", "M", () => this.move()),
        button("Split off", "S", () => this.act("split")),
        button("Same", "=", () => this.act("same")),
        button("Different", "D", () => this.act("different")),
        button("Note", "N", () => this.note()),
        el("span", { class: "gap" }),
        button("All", "Ctrl A", () => this.cells.selectAll()),
        button("None", "Esc", () => this.cells.selectNone()),
        button("Frame", "Enter", () => this.cells.openSoon(this.cells.active)),
      ),
      this.cells.element,
    );
  }

  async start() {
    this.title.textContent = this.said;
    await this.list({ at: Number(this.told.at ?? 0) });
    this.cells.element.focus({ preventScroll: true });
  }

  get said() {
    const { by, of } = this.told;
    if (by === "person") return of === undefined ? "Nobody's" : of;
    if (by === "source") return of;
    if (by === "problem") return `Problem: ${of}`;
    if (this.told.ranges) return `Faces of ${this.told.ranges.replace(/:/g, " ").replace(/,/g, ", ")}`;
    return "All faces";
  }

  async list({ at = 0 } = {}) {
    const { by, of, sort, rejected, ranges } = this.told;
    const answer = await ask("api/list", { by, of, sort, rejected, ranges });
    this.listing = answer.listing;
    this.cells.reset(answer.total, { at });
    this.tell();
  }

  async fetch(first, count, signal) {
    return (await ask("api/rows", { listing: this.listing, first, count }, signal)).faces;
  }

  async lost(error) {
    // After the server was started anew it knows no lists: the same is asked for again, at the same place.
    if (error instanceof Refused && error.status === 410) await this.list({ at: this.cells.firstInView() });
    else this.app.warn(error.message);
  }

  change(told) {
    Object.assign(this.told, told);
    delete this.told.at;
    this.app.remember("faces", this.told);
    this.list();
  }

  scrolled(place) {
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      this.told.at = String(place);
      this.app.remember("faces", this.told);
    }, 300);
  }

  draw(cell, face, place) {
    if (!face) {
      cell.removeAttribute("aria-label");
      cell.replaceChildren(el("div", { class: "card empty" }));
      return;
    }
    if (!face.source) {
      cell.setAttribute("aria-label", "a face that is gone");
      cell.replaceChildren(el("div", { class: "card empty" }, el("small", {}, "gone")));
      return;
    }
    const value = this.valueOf(face);
    const label = [
      face.person ?? "nobody",
      face.rejected === null ? null : `rejected: ${face.rejected}`,
      `${face.source}, frame ${face.frame}, face ${face.index}`,
      value,
      ...face.notes.map((note) => `note: ${note}`),
    ].filter(Boolean);
    cell.setAttribute("aria-label", label.join(", "));
    cell.title = label.join("\n");
    // The picture of a cell that is drawn anew stays the same element: nothing flickers.
    const isTile = face.chip && !face.look;
    const address = isTile ? null : `chip/${face.id}?size=128&look=${face.look}`;
    const before = cell.querySelector(isTile ? ".tile" : "img");
    const isSame = isTile ? before?.dataset.of === `${place}` : before?.getAttribute("src") === address;
    const image = isSame ? before : isTile ? el("div", { class: "tile" }) : el("img", { src: address, alt: "", draggable: "false" });
    const isOut = face.rejected !== null;
    cell.replaceChildren(
      el(
        "div",
        { class: `card face${isOut ? " out" : ""}` },
        el("div", { class: "crop" }, image),
        el("span", { class: "tick", "aria-hidden": "true" }),
        face.notes.length ? el("span", { class: "noted", title: face.notes.join("\n") }, "✎") : null,
        isOut ? el("span", { class: "mark" }, "rejected") : null,
        el("strong", {}, face.person ?? "–"),
        el("small", {}, value ?? ""),
      ),
    );
    cell.dataset.place = place;
  }

  valueOf(face) {
    const name = VALUES[this.told.sort.replace("-", "")];
    if (name && face[name] !== null) {
      return `${name} ${name === "size" ? Math.round(face.size) : face[name].toFixed(2)}`;
    }
    if (this.told.sort === "pose" && face.yaw !== null) return `${Math.round(face.yaw)}° ${Math.round(face.pitch)}°`;
    return face.time_s === null ? face.source.split("/").at(-1) : timed(face.time_s);
  }

  tell() {
    const number = this.cells.selected.size;
    const total = counted(this.cells.total, "face");
    this.count.textContent = number ? `${number.toLocaleString("en")} of ${total} chosen` : total;
  }

  async choosePerson() {
    const name = await askPerson("Faces of", { nobody: true });
    if (name !== null) this.app.go("faces", { by: "person", of: name || undefined, sort: this.told.sort });
  }

  async chooseSource() {
    const text = await askText("Faces of a source: a part of its name");
    if (!text) return;
    const { sources } = await ask("api/sources", { search: text, count: 1 });
    if (sources.length) this.app.go("faces", { by: "source", of: sources[0] });
    else this.app.warn(`no source with faces has ${text} in its name`);
  }

  get chosen() {
    return { listing: this.listing, ranges: this.cells.chosen };
  }

  async act(verb, told = {}) {
    if (!this.cells.total) return;
    const number = this.cells.selected.size || 1;
    if ((verb === "same" || verb === "different") && number < 2) {
      this.app.warn(`choose two faces or more to say that they are ${verb}`);
      return;
    }
    const chosen = this.chosen;
    this.shown(verb, told);
    const giveBack = this.cells.takeChosen();
    if ((await this.app.say({ verb, ...chosen, ...told })) === null) giveBack();
  }

  // What is said is seen at once; what the server makes of it comes a moment later.
  shown(verb, told) {
    for (const [place, cell] of this.cells.shown) {
      const face = this.cells.item(place);
      const isChosen = this.cells.chosen.some(([first, last]) => first <= place && place <= last);
      if (!face?.source || !isChosen) continue;
      if (verb === "reject") face.rejected = "hand";
      if (verb === "restore") face.rejected = null;
      if (verb === "assign") face.person = told.person || null;
      if (verb === "note") face.notes = [...face.notes, told.text];
      this.cells.fill(place, cell);
    }
  }

  async move() {
    if (!this.cells.total) return;
    const number = this.cells.selected.size || 1;
    const person = await askPerson(`${counted(number, "face")}: whose`, { nobody: true });
    if (person !== null) await this.act("assign", { person });
  }

  async note() {
    if (!this.cells.total) return;
    const text = await askText("Note");
    if (text) await this.act("note", { text });
  }

  async renew({ isAsked = false } = {}) {
    if (isAsked) await this.list({ at: this.cells.firstInView() });
    else this.cells.renew();
  }

  key(event) {
    const acts = {
      x: () => this.act("reject"),
      u: () => this.act("restore"),
      m: () => this.move(),
      s: () => this.act("split"),
      "=": () => this.act("same"),
      d: () => this.act("different"),
      n: () => this.note(),
    };
    return acts[event.key.toLowerCase()];
  }

  close() {
    clearTimeout(this.later);
    this.cells.close();
  }
}
