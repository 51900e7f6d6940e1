// A mask under the brush: it covers the square that the chip shows, and is painted there, by pointer or by keys.

import { button, choice, el } from "./dom.js";

const SHOWN_PX = 512;
const MOST_STEPS = 30;
const COLOUR = "255, 80, 40";
const NEW = "hand";

export class MaskBrush {
  constructor({ face, names, look, done, app }) {
    Object.assign(this, { face, done, app });
    this.names = names.length ? names : [NEW];
    this.name = this.names[0];
    this.brush = { size: 24, soft: 0.5, isErasing: false };
    this.steps = [];
    this.at = null;
    this.chip = el("img", { src: `chip/${face}?size=${SHOWN_PX}&look=${look}`, alt: "", draggable: "false" });
    this.mask = el("canvas", { width: "256", height: "256", class: "mask" });
    this.ring = el("div", { class: "ring", hidden: true });
    this.square = el(
      "div",
      { class: "square", tabindex: "0", role: "application", "aria-label": "Mask: arrows move the brush, Space paints" },
      this.chip,
      this.mask,
      this.ring,
    );
    this.square.addEventListener("pointerdown", (event) => this.pointed(event));
    this.square.addEventListener("pointermove", (event) => this.show(this.placeOf(event)));
    this.square.addEventListener("pointerleave", () => (this.ring.hidden = true));
    this.told = el("span", { class: "count", role: "status" });
    this.element = el(
      "div",
      { class: "masking" },
      this.square,
      el(
        "div",
        { class: "bar", role: "toolbar", "aria-label": "Brush" },
        this.names.length > 1 ? choice("Mask", this.names.map((one) => [one, one]), this.name, (one) => this.open(one)) : null,
        (this.erase = button("Erase", "E", () => this.toggle(), { "aria-pressed": "false" })),
        button("Smaller", "[", () => this.change(0.8)),
        button("Larger", "]", () => this.change(1.25)),
        button("Softer", "{", () => this.soften(0.25)),
        button("Harder", "}", () => this.soften(-0.25)),
        button("Step back", "Z", () => this.back()),
        this.told,
        button("Save", "Enter", () => this.keep(), { class: "main" }),
        button("Leave", "Esc", () => this.done(false)),
      ),
    );
    this.tell();
  }

  async start() {
    await this.open(this.name);
    this.square.focus({ preventScroll: true });
  }

  async open(name) {
    this.name = name;
    this.steps = [];
    const response = await fetch(`mask/${this.face}?${new URLSearchParams({ name })}`);
    const { canvas } = this.context;
    if (response.ok) {
      const picture = await createImageBitmap(await response.blob());
      canvas.width = canvas.height = picture.width;
      this.context.drawImage(picture, 0, 0);
      this.map((red) => [255, 80, 40, red]);
    } else {
      this.context.clearRect(0, 0, canvas.width, canvas.height);
    }
    this.brush.size = canvas.width / 10;
    this.at = [canvas.width / 2, canvas.height / 2];
    this.tell();
  }

  get context() {
    return this.mask.getContext("2d", { willReadFrequently: true });
  }

  map(colour) {
    const { width, height } = this.mask;
    const pixels = this.context.getImageData(0, 0, width, height);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set(colour(pixels.data[i], pixels.data[i + 3]), i);
    this.context.putImageData(pixels, 0, 0);
  }

  // The brush.

  change(factor) {
    this.brush.size = Math.min(this.mask.width, Math.max(1, this.brush.size * factor));
    this.tell();
  }

  soften(more) {
    this.brush.soft = Math.min(1, Math.max(0, this.brush.soft + more));
    this.tell();
  }

  toggle() {
    this.brush.isErasing = !this.brush.isErasing;
    this.erase.setAttribute("aria-pressed", this.brush.isErasing);
    this.tell();
  }

  tell() {
    const { size, soft, isErasing } = this.brush;
    this.told.textContent = `${this.name}: ${isErasing ? "erasing" : "painting"}, ${Math.round(size)} px, ${soft ? `soft ${soft}` : "hard"}`;
    if (this.at) this.show(this.at);
  }

  placeOf(event) {
    const box = this.square.getBoundingClientRect();
    const side = this.mask.width;
    return [((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side];
  }

  show(place) {
    this.at = place;
    const percent = (value) => `${(value / this.mask.width) * 100}%`;
    Object.assign(this.ring.style, {
      left: percent(place[0] - this.brush.size / 2),
      top: percent(place[1] - this.brush.size / 2),
      width: percent(this.brush.size),
      height: percent(this.brush.size),
    });
    this.ring.hidden = false;
  }

  remember() {
    this.steps.push(this.context.getImageData(0, 0, this.mask.width, this.mask.height));
    if (this.steps.length > MOST_STEPS) this.steps.shift();
  }

  back() {
    const step = this.steps.pop();
    if (step) this.context.putImageData(step, 0, 0);
  }

  dab([x, y]) {
    const { size, soft, isErasing } = this.brush;
    const radius = size / 2;
    const context = this.context;
    const inner = Math.min(1 - soft, 0.999) * radius; // a gradient between equal circles paints nothing
    const fill = context.createRadialGradient(x, y, inner, x, y, radius);
    fill.addColorStop(0, `rgba(${COLOUR}, 1)`);
    fill.addColorStop(1, `rgba(${COLOUR}, ${soft ? 0 : 1})`);
    context.globalCompositeOperation = isErasing ? "destination-out" : "source-over";
    context.fillStyle = fill;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.globalCompositeOperation = "source-over";
  }

  stroke([x0, y0], [x1, y1]) {
    const steps = Math.max(1, Math.ceil((Math.hypot(x1 - x0, y1 - y0) / this.brush.size) * 5));
    for (let i = 1; i <= steps; i += 1) this.dab([x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps]);
  }

  pointed(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.square.focus({ preventScroll: true });
    this.remember();
    let last = this.placeOf(event);
    this.dab(last);
    const move = (now) => {
      const next = this.placeOf(now);
      this.stroke(last, next);
      last = next;
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  }

  key(event) {
    const step = (event.shiftKey ? 1 : 0.25) * this.brush.size;
    const move = (x, y) => () => this.show([this.at[0] + x * step, this.at[1] + y * step]);
    return {
      e: () => this.toggle(),
      "[": () => this.change(0.8),
      "]": () => this.change(1.25),
      "{": () => this.soften(0.25),
      "}": () => this.soften(-0.25),
      z: () => this.back(),
      arrowleft: move(-1, 0),
      arrowright: move(1, 0),
      arrowup: move(0, -1),
      arrowdown: move(0, 1),
      " ": () => {
        this.remember();
        this.dab(this.at);
      },
      escape: () => this.done(false),
      ...(event.target.closest?.("button, select") ? {} : { enter: () => this.keep() }),
    }[event.key.toLowerCase()];
  }

  async keep() {
    const { width, height } = this.mask;
    const kept = this.context.getImageData(0, 0, width, height);
    this.map((_, alpha) => [alpha, alpha, alpha, 255]);
    const address = this.mask.toDataURL("image/png");
    this.context.putImageData(kept, 0, 0);
    const told = { verb: "mask", faces: [this.face], name: this.name, png_base64: address.split(",")[1] };
    if ((await this.app.say(told)) !== null) this.done(true);
  }
}
