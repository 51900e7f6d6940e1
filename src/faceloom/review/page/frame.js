// A frame: boxes and landmarks over its pixels, moved by point, by part of the face, or as a whole.

import { ask, post } from "./api.js";
import { askPerson, askText } from "./dialogs.js";
import { button, el, svg, timed } from "./dom.js";
import { OF_FRAME, OF_MASK } from "./keys.js";
import { MaskBrush } from "./mask.js";

const PARTS = { jaw: [0, 17], brows: [17, 27], nose: [27, 36], eyes: [36, 48], mouth: [48, 68] };
const LINES = [
  [0, 17],
  [17, 22],
  [22, 27],
  [27, 31],
  [31, 36],
  [36, 42, true],
  [42, 48, true],
  [48, 60, true],
  [60, 68, true],
];
const HALF = 0.5; // a pixel's place is that of its centre
const SHOWN_PX = 1600;
const DETAIL_MS = 180;
const partOf = (i) => Object.keys(PARTS).find((name) => i < PARTS[name][1]);

export class FramePage {
  keys = [
    ["Frame", OF_FRAME],
    ["Mask", OF_MASK],
  ];

  constructor(told, app) {
    this.app = app;
    this.told = told;
    this.view = { scale: 1, x: 0, y: 0 };
    this.chosen = new Set();
    this.picture = el("img", { class: "picture", alt: "", draggable: "false" });
    this.detail = el("img", { class: "picture detail", alt: "", draggable: "false", hidden: true });
    this.onion = el("img", { class: "picture onion", alt: "", draggable: "false", hidden: true });
    this.drawn = svg("g", {});
    this.overlay = svg("svg", { class: "overlay", role: "img" }, this.drawn);
    this.stage = el("div", { class: "stage", tabindex: "0", "aria-label": "Frame" }, this.picture, this.detail, this.onion, this.overlay);
    this.stage.addEventListener("pointerdown", (event) => this.pointed(event));
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.place = el("span", { class: "title" });
    this.chip = el("img", { class: "chip", alt: "The chip", width: "256", height: "256" });
    this.facts = el("dl", { class: "facts" });
    this.list = el("div", { class: "faces", role: "radiogroup", "aria-label": "Faces of this frame" });
    this.state = el("p", { class: "count", role: "status" });
    this.element = el("section", { class: "page" }, this.bar(), el("div", { class: "split" }, this.stage, this.side()));
    this.watch = new ResizeObserver(() => this.lay());
    this.watch.observe(this.stage);
  }

  bar() {
    return el(
      "div",
      { class: "bar" },
      button("Before", ",", () => this.step("before")),
      button("After", ".", () => this.step("after")),
      this.place,
      this.state,
      el("span", { class: "gap" }),
      button("Nearer", "+", () => this.zoom(1.25)),
      button("Farther", "-", () => this.zoom(0.8)),
      button("Face", "F", () => this.fitFace()),
      button("Whole", "0", () => this.fit()),
      button("Onion", "O", () => this.peel()),
      button("Doubtful", "D", () => this.doubtful()),
    );
  }

  side() {
    const parts = [...Object.keys(PARTS), "all", "box"];
    const keys = ["1", "2", "3", "4", "5", "A", "B"];
    return el(
      "aside",
      { class: "side", "aria-label": "The face" },
      this.chip,
      this.facts,
      el(
        "div",
        { class: "parts", role: "toolbar", "aria-label": "What is moved" },
        ...parts.map((name, i) => button(name, keys[i], () => this.choose(name), { "data-part": name })),
      ),
      el(
        "div",
        { class: "parts", role: "toolbar", "aria-label": "What is said of the face" },
        (this.save = button("Save", "Enter", () => this.keep(), { class: "main" })),
        (this.back = button("As it was", "Esc", () => this.revert())),
        button("Reject", "X", () => this.act("reject")),
        button("Restore", "U", () => this.act("restore")),
        button("Whose it is", "M", () => this.move()),
        button("Note", "N", () => this.note()),
        button("Mask", "P", () => this.paint()),
        button("New face", "C", () => this.begin()),
        button("As last", "L", () => this.copyLast()),
        button("Between", "I", () => this.between()),
      ),
      this.list,
    );
  }

  async start() {
    if (this.told.face === undefined && this.told.source === undefined) {
      const { listing, total } = await ask("api/list", { by: "all", sort: "time" });
      if (!total) {
        this.app.notice("There are no faces here.");
        return;
      }
      this.told = { face: (await ask("api/rows", { listing, first: 0, count: 1 })).faces[0].id };
      this.app.remember("frame", this.told);
    }
    await this.load(this.told);
    this.stage.focus({ preventScroll: true });
  }

  async load(told) {
    this.frame = await ask("api/frame", told);
    const { source, frame, time_s: time, source_id: id, reason } = this.frame;
    const at = time === null ? "" : ` at ${timed(time)}`;
    this.place.textContent = `${source} · frame ${frame}${at}`;
    this.place.title = this.place.textContent;
    const wanted = Number(told.face ?? -1);
    this.active = Math.max(0, this.frame.faces.findIndex((face) => face.id === wanted));
    if (reason) this.app.notice(reason);
    this.isNew = false;
    this.showOnion();
    this.picture.onerror = () => this.unreadable();
    this.picture.src = `frame/${id}/${frame}?size=${SHOWN_PX}`;
    this.detail.hidden = true;
    await this.picture.decode().catch(() => undefined);
    this.size();
    this.take();
    if (told.face === undefined) this.fit();
    else this.fitFace();
  }

  async unreadable() {
    const response = await fetch(this.picture.src);
    const told = await response.json().catch(() => ({ error: "the frame cannot be read" }));
    if (told.error) this.app.warn(`This frame cannot be shown: ${told.error}`);
  }

  size() {
    this.width = this.frame.width || this.picture.naturalWidth || 640;
    this.height = this.frame.height || this.picture.naturalHeight || 480;
  }

  get face() {
    return this.frame?.faces[this.active] ?? null;
  }

  // The face as it is being moved.
  take() {
    const face = this.face;
    this.isNew = false;
    this.points = face?.landmarks?.map((point) => [...point]) ?? null;
    this.box = face ? [...face.box] : null;
    this.isMoved = { landmarks: false, box: false };
    this.chosen = new Set();
    this.isBox = false;
    this.showChip();
    this.showFacts();
    this.draw();
  }

  showChip() {
    if (!this.face) this.chip.removeAttribute("src");
    else this.chip.src = `chip/${this.face.id}?size=256&look=${this.app.version}`;
  }

  showFacts() {
    const face = this.face;
    const rows = face
      ? [
          ["whose", face.person ?? "nobody"],
          ["score", face.score?.toFixed(2)],
          ["quality", face.quality?.toFixed(2)],
          ["pose", face.pose && `${face.pose.map((angle) => Math.round(angle)).join("°, ")}°`],
          ["rejected", face.rejected],
          ["added", face.added ? "by hand" : null],
          ["", face.added && !face.landmarks ? this.app.state.not_made || "is being looked at" : null],
        ]
      : [["", "no face in this frame"]];
    const known = rows.filter(([, value]) => value !== null && value !== undefined);
    this.facts.replaceChildren(...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
    this.list.replaceChildren(
      ...(this.frame?.faces ?? []).map((one, i) =>
        el(
          "button",
          {
            type: "button",
            role: "radio",
            "aria-checked": i === this.active,
            "aria-label": `face ${one.index}: ${one.person ?? "nobody"}`,
            class: one.rejected === null ? "" : "out",
            onclick: () => this.turnTo(i),
          },
          el("img", { src: `chip/${one.id}?size=64&look=${this.app.version}`, alt: "", width: "44", height: "44" }),
        ),
      ),
    );
    this.tell();
  }

  tell() {
    const isMoved = this.isMoved?.landmarks || this.isMoved?.box;
    this.save.disabled = !isMoved;
    this.back.disabled = !isMoved;
    const news = this.isNew ? "a new face: draw its box, Enter saves, Esc leaves it" : "";
    this.state.textContent = news || (isMoved ? "moved, not saved" : "");
    for (const one of this.element.querySelectorAll("[data-part]")) {
      const range = PARTS[one.dataset.part] ?? [0, 68];
      const isOn = one.dataset.part === "box" ? this.isBox : this.chosen.size > 0 && this.covers(range);
      one.setAttribute("aria-pressed", Boolean(isOn));
    }
  }

  covers([first, end]) {
    return this.chosen.size === end - first && [...this.chosen].every((i) => i >= first && i < end);
  }

  // Where things are on the screen.

  get room() {
    return [this.stage.clientWidth, this.stage.clientHeight];
  }

  fit() {
    const [width, height] = this.room;
    const scale = Math.min(width / this.width, height / this.height) * 0.98;
    this.view = { scale, x: (width - scale * this.width) / 2, y: (height - scale * this.height) / 2 };
    this.lay();
  }

  fitFace() {
    if (!this.box) {
      this.fit();
      return;
    }
    const [width, height] = this.room;
    const [x0, y0, x1, y1] = this.box;
    const scale = Math.min(width / (x1 - x0), height / (y1 - y0)) * 0.55;
    const middle = [(x0 + x1) / 2 + HALF, (y0 + y1) / 2 + HALF];
    this.view = { scale, x: width / 2 - scale * middle[0], y: height / 2 - scale * middle[1] };
    this.lay();
  }

  zoom(factor, at = this.room.map((side) => side / 2)) {
    const { scale, x, y } = this.view;
    const next = Math.min(64, Math.max(0.02, scale * factor));
    this.view = { scale: next, x: at[0] - ((at[0] - x) / scale) * next, y: at[1] - ((at[1] - y) / scale) * next };
    this.lay();
  }

  lay() {
    if (!this.frame || this.box === undefined) return; // the frame is known, and its size a moment later
    const { scale, x, y } = this.view;
    const factor = (scale * this.width) / (this.picture.naturalWidth || this.width);
    this.picture.style.transform = `translate(${x}px, ${y}px) scale(${factor})`;
    this.drawn.setAttribute("transform", `translate(${x} ${y}) scale(${scale}) translate(${HALF} ${HALF})`);
    this.layDetail();
    this.onion.style.transform = `translate(${x}px, ${y}px) scale(${(scale * this.width) / (this.onion.naturalWidth || this.width)})`;
    this.draw();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.sharpen(), DETAIL_MS);
  }

  // Near by, what is in view is shown in the frame's own pixels.
  sharpen() {
    const { scale, x, y } = this.view;
    const shown = (this.picture.naturalWidth || 1) / this.width;
    if (!this.frame || shown >= 1 || scale <= shown) {
      this.detail.hidden = true;
      return;
    }
    const [width, height] = this.room;
    const part = [-x / scale, -y / scale, (width - x) / scale, (height - y) / scale];
    const bounds = [
      Math.max(0, Math.floor(part[0])),
      Math.max(0, Math.floor(part[1])),
      Math.min(this.width, Math.ceil(part[2])),
      Math.min(this.height, Math.ceil(part[3])),
    ];
    if (bounds[0] >= bounds[2] || bounds[1] >= bounds[3]) return;
    const { source_id: id, frame } = this.frame;
    const address = `frame/${id}/${frame}?size=2048&part=${bounds.join(",")}`;
    if (this.detail.getAttribute("src") === address) return;
    this.detail.onload = () => {
      this.bounds = bounds;
      this.detail.hidden = false;
      this.layDetail();
    };
    this.detail.hidden = true;
    this.detail.setAttribute("src", address);
  }

  layDetail() {
    if (this.detail.hidden || !this.bounds) return;
    const { scale, x, y } = this.view;
    const [x0, y0, x1] = this.bounds;
    const factor = (scale * (x1 - x0)) / (this.detail.naturalWidth || 1);
    this.detail.style.transform = `translate(${x + scale * x0}px, ${y + scale * y0}px) scale(${factor})`;
  }

  draw() {
    if (!this.frame || this.box === undefined) return; // the face is taken up a moment later
    const size = 1 / this.view.scale;
    const faces = this.frame.faces.flatMap((face, i) => {
      const isActive = i === this.active && !this.isNew;
      const box = (isActive && this.box) || face.box;
      const names = ["box", isActive ? "active" : "", face.rejected === null ? "" : "out"];
      const traits = { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] };
      return [svg("rect", { class: names.join(" ").trim(), "data-face": i, ...traits })];
    });
    if (this.isNew && this.box) {
      const [x0, y0, x1, y1] = this.box;
      faces.push(svg("rect", { class: "box active", "data-new": "", x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
    }
    this.drawn.replaceChildren(...faces, ...this.corners(size), ...this.marks(size));
    this.overlay.setAttribute("aria-label", `${this.frame.faces.length} faces`);
  }

  corners(size) {
    if (!this.isBox || !this.box) return [];
    const [x0, y0, x1, y1] = this.box;
    const places = { "0 1": [x0, y0], "2 1": [x1, y0], "2 3": [x1, y1], "0 3": [x0, y1] };
    return Object.entries(places).map(([sides, [x, y]]) =>
      svg("rect", { class: "corner", "data-corner": sides, x: x - 5 * size, y: y - 5 * size, width: 10 * size, height: 10 * size }),
    );
  }

  marks(size) {
    if (!this.points) return [];
    const lines = LINES.map(([first, end, isRound]) => {
      const some = this.points.slice(first, end).map((point) => point.join(","));
      return svg(isRound ? "polygon" : "polyline", { class: "line", points: some.join(" ") });
    });
    const r = Math.max(1.2 * size, Math.min(3.5 * size, (this.box[2] - this.box[0]) / 40)); // of faces that are far less
    const dots = this.points.map(([x, y], i) =>
      svg("circle", { class: this.chosen.has(i) ? "dot chosen" : "dot", "data-point": i, cx: x, cy: y, r }),
    );
    return [...lines, ...dots];
  }

  // Moving.

  choose(name) {
    this.isBox = name === "box";
    const [first, end] = name === "all" ? [0, 68] : (PARTS[name] ?? [0, 0]);
    this.chosen = new Set(this.points ? Array.from({ length: end - first }, (_, i) => first + i) : []);
    this.tell();
    this.draw();
  }

  changed(what) {
    this.isMoved[what] = true;
    this.tell();
    this.draw();
    if (what === "landmarks") this.preview();
  }

  shift(dx, dy, sides = [0, 1, 2, 3]) {
    if (this.isBox && this.box) {
      for (const side of sides) this.box[side] += side % 2 ? dy : dx;
      this.changed("box");
    } else if (this.chosen.size && this.points) {
      for (const i of this.chosen) this.points[i] = [this.points[i][0] + dx, this.points[i][1] + dy];
      this.changed("landmarks");
    }
  }

  turn(degrees, factor) {
    if (this.isBox && this.box) {
      const [x0, y0, x1, y1] = this.box;
      const [dx, dy] = [((x1 - x0) * (factor - 1)) / 2, ((y1 - y0) * (factor - 1)) / 2];
      this.box = [x0 - dx, y0 - dy, x1 + dx, y1 + dy];
      this.changed("box");
      return;
    }
    if (!this.points) return;
    if (!this.chosen.size) this.choose("all");
    const some = [...this.chosen].map((i) => this.points[i]);
    const mean = [0, 1].map((axis) => some.reduce((sum, point) => sum + point[axis], 0) / some.length);
    const [cos, sin] = [Math.cos((degrees * Math.PI) / 180) * factor, Math.sin((degrees * Math.PI) / 180) * factor];
    for (const i of this.chosen) {
      const [x, y] = [this.points[i][0] - mean[0], this.points[i][1] - mean[1]];
      this.points[i] = [mean[0] + cos * x - sin * y, mean[1] + sin * x + cos * y];
    }
    this.changed("landmarks");
  }

  pointed(event) {
    if (event.button !== 0 || !this.frame) return;
    this.stage.focus({ preventScroll: true });
    event.preventDefault();
    const { point, corner, face } = event.target.dataset;
    if (this.isNew && corner === undefined) {
      this.outline(event);
      return;
    }
    let act = (dx, dy) => this.pan(dx, dy);
    if (point !== undefined) act = this.holdPoint(Number(point), event);
    else if (corner !== undefined) act = (dx, dy) => this.shift(dx, dy, corner.split(" ").map(Number));
    else if (face !== undefined && Number(face) !== this.active) {
      if (!this.isMoved.landmarks && !this.isMoved.box) this.turnTo(Number(face));
    } else if (face !== undefined && (this.isBox || this.chosen.size === 68)) act = (dx, dy) => this.shift(dx, dy);
    let [x, y] = [event.clientX, event.clientY];
    const move = (now) => {
      act((now.clientX - x) / this.view.scale, (now.clientY - y) / this.view.scale);
      [x, y] = [now.clientX, now.clientY];
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  }

  // A point that is among those chosen takes them with it; another is chosen alone, or with Shift too.
  holdPoint(i, event) {
    this.isBox = false;
    if (event.shiftKey) this.chosen.add(i);
    else if (event.detail > 1) this.choose(partOf(i));
    else if (!this.chosen.has(i)) this.chosen = new Set([i]);
    this.tell();
    this.draw();
    return (dx, dy) => this.shift(dx, dy);
  }

  pan(dx, dy) {
    const { scale, x, y } = this.view;
    this.view = { scale, x: x + dx * scale, y: y + dy * scale };
    this.lay();
  }

  wheel(event) {
    event.preventDefault();
    const step = Math.sign(event.deltaY);
    if (event.shiftKey) this.turn(step, 1);
    else {
      const place = this.stage.getBoundingClientRect();
      this.zoom(step > 0 ? 1 / 1.15 : 1.15, [event.clientX - place.left, event.clientY - place.top]);
    }
  }

  // The chip as it would be: one is asked for at a time, and the last counts.
  async preview() {
    if (this.isAsking) {
      this.isDue = true;
      return;
    }
    this.isAsking = true;
    try {
      const { source_id: id, frame } = this.frame;
      const response = await post("api/preview", { source_id: id, frame, landmarks: this.points, size: 256 });
      const address = URL.createObjectURL(await response.blob());
      this.chip.onload = () => URL.revokeObjectURL(address);
      if (this.isMoved.landmarks) this.chip.src = address;
    } catch (error) {
      this.app.warn(error.message);
    } finally {
      this.isAsking = false;
    }
    if (this.isDue) {
      this.isDue = false;
      this.preview();
    }
  }

  // Saying.

  async keep() {
    const face = this.face;
    if (this.isNew) {
      await this.add();
      return;
    }
    if (!face) return;
    const { landmarks, box } = this.isMoved;
    this.isMoved = { landmarks: false, box: false };
    const moved = { points: this.points, box: this.box };
    this.tell();
    if (landmarks && (await this.app.say({ verb: "landmarks", faces: [face.id], landmarks: moved.points })) === null) {
      this.isMoved.landmarks = true;
    }
    if (box && (await this.app.say({ verb: "box", faces: [face.id], box: moved.box })) === null) this.isMoved.box = true;
    this.tell();
  }

  revert() {
    this.isNew = false;
    this.take();
  }

  // A face that nobody found: its box is drawn, or moved from the middle of what is in view.

  begin() {
    if (!this.frame || this.isMoved.landmarks || this.isMoved.box) return;
    const { scale, x, y } = this.view;
    const [width, height] = this.room;
    const half = Math.min(width, height) / scale / 8;
    const middle = [(width / 2 - x) / scale - HALF, (height / 2 - y) / scale - HALF];
    this.isNew = true;
    this.points = null;
    this.chosen = new Set();
    this.isBox = true;
    this.box = [middle[0] - half, middle[1] - half * 1.25, middle[0] + half, middle[1] + half * 1.25];
    this.changed("box");
  }

  outline(event) {
    const place = this.stage.getBoundingClientRect();
    const at = (one) => {
      const { scale, x, y } = this.view;
      return [(one.clientX - place.left - x) / scale - HALF, (one.clientY - place.top - y) / scale - HALF];
    };
    const [x, y] = at(event);
    const move = (now) => {
      const [nx, ny] = at(now);
      this.box = [Math.min(x, nx), Math.min(y, ny), Math.max(x, nx), Math.max(y, ny)];
      this.changed("box");
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  }

  async add() {
    const { source, frame, source_id: id } = this.frame;
    const box = this.box;
    const there = new Set(this.frame.faces.map((face) => face.id));
    this.isMoved.box = false;
    if ((await this.app.say({ verb: "add", source, frame, box })) === null) {
      this.isMoved.box = true;
      return;
    }
    this.isNew = false;
    this.frame = await ask("api/frame", { source: id, frame });
    const made = this.frame.faces.findIndex((face) => !there.has(face.id));
    this.active = Math.max(0, made);
    this.take();
  }

  // What the frames beside tell.

  peel() {
    const skins = ["", "before", "after"];
    this.skin = skins[(skins.indexOf(this.skin ?? "") + 1) % skins.length];
    this.showOnion();
    this.app.notice(this.skin && this.onion.hidden ? `There is no frame ${this.skin} this one.` : "");
  }

  showOnion() {
    const beside = this.frame?.beside?.[{ before: 0, after: 1 }[this.skin]] ?? null;
    this.onion.hidden = beside === null;
    this.stage.dataset.onion = beside === null ? "" : this.skin;
    if (beside === null) return;
    this.onion.onload = () => this.lay();
    this.onion.src = `frame/${this.frame.source_id}/${beside}?size=${SHOWN_PX}`;
  }

  async copyLast() {
    if (!this.face || this.isNew) return;
    const { last } = await ask("api/beside", { face: this.face.id });
    if (!last?.landmarks) {
      this.app.notice("No frame before this one has this face.");
      return;
    }
    this.put(last.landmarks);
  }

  async between() {
    if (!this.face || this.isNew) return;
    const { before, after, here } = await ask("api/beside", { face: this.face.id });
    if (!before || !after) {
      this.app.notice("This takes landmarks of this face that were put right in a frame before and in one after.");
      return;
    }
    const at = (one) => one.time_s ?? one.frame;
    const part = (at(here) - at(before)) / (at(after) - at(before));
    this.put(before.landmarks.map((point, i) => point.map((value, axis) => value + part * (after.landmarks[i][axis] - value))));
  }

  put(points) {
    this.points = points.map((point) => [...point]);
    this.changed("landmarks");
  }

  async doubtful() {
    if (!this.frame) return;
    if (this.isMoved.landmarks || this.isMoved.box) await this.keep();
    const { source_id: source, frame } = this.frame;
    const { face } = await ask("api/doubtful", { source, frame });
    if (face === null) {
      this.app.notice("Nothing speaks against any face after this frame.");
      return;
    }
    this.told = { face };
    this.app.remember("frame", this.told);
    await this.load(this.told);
  }

  async act(verb, told = {}) {
    if (this.face) await this.app.say({ verb, faces: [this.face.id], ...told });
  }

  async move() {
    if (!this.face) return;
    const person = await askPerson("Whose face this is", { nobody: true });
    if (person !== null) await this.act("assign", { person });
  }

  async note() {
    const text = this.face && (await askText("Note"));
    if (text) await this.act("note", { text });
  }

  // The mask lies over the square of the chip, and is painted there.
  async paint() {
    if (!this.face?.landmarks || this.brush) return;
    if (this.isMoved.landmarks || this.isMoved.box) await this.keep();
    const { masks } = await ask("api/masks", { face: this.face.id });
    const done = () => {
      this.brush?.element.remove();
      this.brush = null;
      this.stage.focus({ preventScroll: true });
    };
    this.brush = new MaskBrush({ face: this.face.id, names: masks, look: this.app.version, done, app: this.app });
    this.stage.parentElement.prepend(this.brush.element);
    await this.brush.start();
  }

  turnTo(i) {
    if (!this.frame?.faces.length) return;
    this.brush?.done();
    this.active = (i + this.frame.faces.length) % this.frame.faces.length;
    this.take();
    this.app.remember("frame", { face: this.face.id });
    this.fitFace();
  }

  async step(way) {
    const next = this.frame?.[way];
    if (!next) {
      this.app.notice(way === "after" ? "This is the last frame with faces." : "This is the first frame with faces.");
      return;
    }
    if (this.isMoved.landmarks || this.isMoved.box) await this.keep();
    this.told = { source: next[0], frame: next[1] };
    this.app.remember("frame", this.told);
    this.app.notice("");
    await this.load(this.told);
  }

  // What others have said is shown, unless something is being moved.
  async renew() {
    if (!this.frame || this.isNew || this.isMoved.landmarks || this.isMoved.box) return;
    const { source_id: source, frame } = this.frame;
    const now = await ask("api/frame", { source, frame });
    if (this.isNew || this.isMoved.landmarks || this.isMoved.box) return;
    const kept = { chosen: this.chosen, isBox: this.isBox, id: this.face?.id };
    this.frame = now;
    this.active = Math.max(0, now.faces.findIndex((face) => face.id === kept.id));
    this.take();
    this.chosen = new Set(kept.chosen);
    this.isBox = kept.isBox;
    this.tell();
    this.draw();
  }

  key(event) {
    if (this.brush) return this.brush.key(event) ?? (/^[?t]$/i.test(event.key) ? undefined : () => undefined);
    const step = event.shiftKey ? 5 : event.altKey ? 0.2 : 1;
    const acts = {
      ",": () => this.step("before"),
      ".": () => this.step("after"),
      j: () => this.turnTo(this.active + 1),
      k: () => this.turnTo(this.active - 1),
      f: () => this.fitFace(),
      0: () => this.fit(),
      "+": () => this.zoom(1.25),
      "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      1: () => this.choose("jaw"),
      2: () => this.choose("brows"),
      3: () => this.choose("nose"),
      4: () => this.choose("eyes"),
      5: () => this.choose("mouth"),
      a: () => this.choose("all"),
      b: () => this.choose("box"),
      "[": () => this.turn(-1, 1),
      "]": () => this.turn(1, 1),
      "{": () => this.turn(0, 1 / 1.02),
      "}": () => this.turn(0, 1.02),
      arrowleft: () => this.shift(-step, 0),
      arrowright: () => this.shift(step, 0),
      arrowup: () => this.shift(0, -step),
      arrowdown: () => this.shift(0, step),
      escape: () => this.revert(),
      x: () => this.act("reject"),
      u: () => this.act("restore"),
      m: () => this.move(),
      n: () => this.note(),
      p: () => this.paint(),
      c: () => this.begin(),
      o: () => this.peel(),
      l: () => this.copyLast(),
      i: () => this.between(),
      d: () => this.doubtful(),
      g: () => this.app.go("faces", this.app.last.faces),
      ...(event.target.closest?.("button, a") ? {} : { enter: () => this.keep() }),
    };
    return acts[event.key.toLowerCase()];
  }

  close() {
    this.watch.disconnect();
    clearTimeout(this.later);
  }
}
