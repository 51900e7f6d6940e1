// Looks: what faces are like, as plots; a part of one is chosen, and the others show what is left.

import { ask } from "./api.js";
import { button, counted, el, svg } from "./dom.js";
import { OF_LOOKS } from "./keys.js";

const [WIDTH, HEIGHT] = [300, 120];
const short = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

export class LooksPage {
  keys = [["Looks", OF_LOOKS]];

  constructor(told, app) {
    this.app = app;
    this.ranges = {}; // bins by name: the first and the last
    this.told = told;
    this.count = el("p", { class: "count", role: "status" });
    this.plots = el("div", { class: "plots" });
    this.element = el(
      "section",
      { class: "page text" },
      el(
        "div",
        { class: "bar" },
        button("Show these faces", "Enter", () => this.show(), { class: "main" }),
        button("All", "", () => this.choose({})),
        this.count,
      ),
      this.plots,
    );
  }

  async start() {
    await this.load();
    for (const part of (this.told.ranges ?? "").split(",").filter(Boolean)) this.take(part.split(":"));
    if (this.told.ranges) await this.load();
    this.plots.querySelector("svg")?.focus({ preventScroll: true });
  }

  // A range as the address has it, in bins.
  take([name, low, high]) {
    const plot = this.found.find((one) => one.name === name);
    if (!plot) return;
    const last = plot.all.length - 1;
    const bin = (value, edge) => plot.edges.findIndex((one, i) => i >= edge && one >= value - Math.abs(value) * 1e-6) - edge;
    const clamp = (i) => Math.max(0, Math.min(last, i < 0 ? last : i));
    this.ranges[name] = [clamp(bin(Number(low), 0)), clamp(bin(Number(high), 1))];
  }

  get written() {
    return Object.entries(this.ranges)
      .map(([name, [first, last]]) => {
        const { edges } = this.found.find((one) => one.name === name);
        return `${name}:${edges[first]}:${edges[last + 1]}`;
      })
      .join(",");
  }

  async load() {
    const mine = (this.asked = (this.asked ?? 0) + 1);
    const ranges = this.found ? this.written : "";
    const answer = await ask("api/looks", { ranges });
    if (mine !== this.asked) return;
    this.found = answer.plots;
    this.count.textContent = counted(answer.total, "face");
    const focused = this.plots.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    this.plots.replaceChildren(...this.found.map((plot) => this.draw(plot)));
    if (focused) this.plots.querySelector(`[data-name="${focused}"]`)?.focus({ preventScroll: true });
    if (ranges !== (this.told.ranges ?? "")) {
      this.told.ranges = ranges;
      this.app.remember("looks", { ranges: ranges || undefined });
    }
  }

  draw(plot) {
    const { name, title, unit, edges, all, now } = plot;
    const most = Math.max(1, ...all);
    const width = WIDTH / all.length;
    const [first, last] = this.ranges[name] ?? [0, all.length - 1];
    const bar = (kind) => (count, i) =>
      svg("rect", {
        class: kind + (i < first || i > last ? " beyond" : ""),
        x: i * width + 0.5,
        y: HEIGHT - (HEIGHT * count) / most,
        width: width - 1,
        height: (HEIGHT * count) / most,
      });
    const brush = { x: first * width, y: 0, width: (last - first + 1) * width, height: HEIGHT };
    const told = `${title}: ${short(edges[first])} to ${short(edges[last + 1])}${unit}`;
    const drawn = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: "0", role: "img", "aria-label": told, "data-name": name },
      ...(name in this.ranges ? [svg("rect", { class: "brush", ...brush })] : []),
      ...all.map(bar("all")),
      ...now.map(bar("now")),
    );
    drawn.addEventListener("pointerdown", (event) => this.pointed(event, plot, drawn));
    drawn.addEventListener("keydown", (event) => this.moved(event, plot));
    return el("figure", {}, el("figcaption", {}, told), drawn);
  }

  choose(ranges) {
    this.ranges = ranges;
    return this.load().catch((error) => this.app.warn(error.message));
  }

  pointed(event, plot, drawn) {
    const box = drawn.getBoundingClientRect();
    const bin = (now) => {
      const share = (now.clientX - box.left) / box.width;
      return Math.max(0, Math.min(plot.all.length - 1, Math.floor(share * plot.all.length)));
    };
    const from = bin(event);
    const choose = (to) => this.choose({ ...this.ranges, [plot.name]: [Math.min(from, to), Math.max(from, to)] });
    const move = (now) => choose(bin(now));
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    choose(from);
  }

  moved(event, { name, all }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    let [first, last] = this.ranges[name] ?? [0, all.length - 1];
    if (event.key === "Delete" || event.key === "Backspace") {
      const { [name]: _, ...others } = this.ranges;
      this.choose(others);
    } else if (step) {
      if (event.shiftKey) last = Math.max(first, Math.min(all.length - 1, last + step));
      else first = Math.min(last, Math.max(0, first + step));
      this.choose({ ...this.ranges, [name]: [first, last] });
    } else return;
    event.preventDefault();
  }

  show() {
    this.app.go("faces", { ranges: this.written || undefined, rejected: "0" });
  }

  renew() {
    return this.load();
  }

  key(event) {
    return event.key === "Enter" && !event.target.closest?.("button, a") ? () => this.show() : undefined;
  }

  close() {}
}
