// Cells of a list of any length: only those in view are elements, and only their rows are asked for.

import { el } from "./dom.js";

const PAGE = 36;
const MOST_PAGES = 40;
export const SHEET = 6; // tiles in a row of the picture of a page, and rows
const MOST_CELLS = 280;
const MOST_PX = 30_000_000; // browsers lay nothing out beyond about 33 million
const MARGIN = 1;
const MARGIN_MS = 400;

export class Ranges {
  // Places in a list, as ranges: all of a million are one.
  constructor() {
    this.parts = [];
  }

  get size() {
    return this.parts.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  has(place) {
    return this.parts.some(([first, last]) => first <= place && place <= last);
  }

  clear() {
    this.parts = [];
  }

  add(from, to) {
    let [first, last] = from <= to ? [from, to] : [to, from];
    const others = [];
    for (const [one, other] of this.parts) {
      if (other < first - 1 || last + 1 < one) others.push([one, other]);
      else [first, last] = [Math.min(first, one), Math.max(last, other)];
    }
    this.parts = [...others, [first, last]].sort((a, b) => a[0] - b[0]);
  }

  remove(place) {
    this.parts = this.parts.flatMap(([first, last]) => {
      if (place < first || last < place) return [[first, last]];
      return [
        [first, place - 1],
        [place + 1, last],
      ].filter(([one, other]) => one <= other);
    });
  }

  toggle(place) {
    if (this.has(place)) this.remove(place);
    else this.add(place, place);
  }
}

export class Cells {
  constructor({ label, width, height, fetchRows, fetchSheet, draw, open, changed, lasso = false, drop = null }) {
    Object.assign(this, { fetchRows, fetchSheet, draw, open, changed, drop });
    this.wanted = { width, height };
    this.total = 0;
    this.active = 0;
    this.anchor = 0;
    this.selected = new Ranges();
    this.pages = new Map();
    this.shown = new Map();
    this.free = [];
    this.space = el("div", { class: "space", role: "presentation" });
    this.element = el(
      "div",
      {
        class: "cells",
        role: "listbox",
        tabindex: "0",
        "aria-label": label,
        "aria-multiselectable": "true",
        onscroll: () => this.soon(),
        onkeydown: (event) => this.key(event),
        onfocus: () => this.lay(),
      },
      this.space,
    );
    this.element.addEventListener("pointerdown", (event) => this.pointed(event));
    this.element.addEventListener("click", (event) => {
      const place = this.placeOf(event.target);
      if (this.isTouched && place !== null) this.activate(place, { toggle: true });
    });
    this.element.addEventListener("dblclick", (event) => {
      const place = this.placeOf(event.target);
      if (place !== null) this.openSoon(place);
    });
    this.lasso = lasso ? el("div", { class: "lasso", hidden: true }) : null;
    if (this.lasso) this.space.append(this.lasso);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.element);
  }

  // What is shown.

  reset(total, { at = 0, keep = false } = {}) {
    this.total = total;
    if (!keep) {
      this.selected.clear();
      this.active = Math.max(0, Math.min(at, total - 1));
      this.anchor = this.active;
    }
    this.active = Math.max(0, Math.min(this.active, total - 1));
    if (keep) for (const page of this.pages.values()) page.isOld = true;
    else this.forget();
    this.resize();
    if (!keep) this.reveal(this.active, "start");
    this.changed?.();
  }

  close() {
    this.watch.disconnect();
    for (const number of [...this.pages.keys()]) this.dropPage(number);
  }

  dropPage(number) {
    const page = this.pages.get(number);
    page.abort?.abort();
    page.sheet?.then((address) => address && URL.revokeObjectURL(address)).catch(() => undefined);
    this.pages.delete(number);
  }

  forget() {
    for (const number of [...this.pages.keys()]) this.dropPage(number);
    for (const cell of this.shown.values()) cell.stamp = null;
  }

  // What was chosen is taken by whoever asks: what comes next is not said of it too. It comes back if that was in vain.
  takeChosen() {
    const taken = this.selected;
    this.selected = new Ranges();
    this.lay();
    this.changed?.();
    return () => {
      this.selected = taken;
      this.lay();
      this.changed?.();
    };
  }

  // Rows anew, cells where they are: nothing moves.
  renew() {
    for (const page of this.pages.values()) page.isOld = true;
    this.lay();
  }

  item(place) {
    return this.pages.get(Math.floor(place / PAGE))?.items?.[place % PAGE] ?? null;
  }

  resize() {
    const box = this.element.getBoundingClientRect();
    if (!box.width) return;
    const inner = this.element.clientWidth - 8;
    let { width, height } = this.wanted;
    const number = () => Math.max(1, Math.floor(inner / width)) * (Math.ceil(box.height / height) + 1 + 2 * MARGIN);
    while (number() > MOST_CELLS) {
      width *= 1.1;
      height *= 1.1;
    }
    const before = this.columns ? this.firstInView() : null;
    this.columns = Math.max(1, Math.floor(inner / width));
    this.cell = { width: Math.floor(inner / this.columns), height: Math.round(height) };
    this.rows = Math.ceil(this.total / this.columns);
    this.tall = this.rows * this.cell.height;
    this.space.style.height = `${Math.min(this.tall, MOST_PX)}px`;
    if (before !== null && before < this.total) this.element.scrollTop = this.scrollOf(before);
    this.lay();
  }

  // Lists that are taller than a page can be are scrolled through in larger steps.
  get stretch() {
    const room = Math.min(this.tall, MOST_PX) - this.element.clientHeight;
    return room > 0 ? Math.max(1, (this.tall - this.element.clientHeight) / room) : 1;
  }

  scrollOf(place) {
    return (Math.floor(place / this.columns) * this.cell.height) / this.stretch;
  }

  firstInView() {
    return Math.floor((this.element.scrollTop * this.stretch) / this.cell.height) * this.columns;
  }

  soon() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.lay();
    });
  }

  lay() {
    if (!this.cell) return;
    const top = this.element.scrollTop;
    const offset = top - top * this.stretch;
    const row = Math.floor((top * this.stretch) / this.cell.height);
    const screen = Math.ceil(this.element.clientHeight / this.cell.height) + 1;
    // After a jump what is in view comes first, and what lies above and below it a moment later.
    const isFar = Math.abs(row - (this.row ?? row)) > screen;
    const margin = isFar ? 0 : MARGIN;
    this.row = row;
    if (isFar) setTimeout(() => this.soon(), MARGIN_MS);
    const first = Math.max(0, row - margin) * this.columns;
    const rows = screen + 2 * margin;
    const last = Math.min(this.total, first + rows * this.columns);
    for (const [place, cell] of this.shown) {
      if (place < first || place >= last) {
        cell.hidden = true;
        this.free.push(cell);
        this.shown.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) {
      const cell = this.shown.get(place) ?? this.take(place);
      const x = (place % this.columns) * this.cell.width;
      const y = Math.floor(place / this.columns) * this.cell.height + offset;
      cell.style.transform = `translate(${x}px, ${y}px)`;
      cell.style.width = `${this.cell.width}px`;
      cell.style.height = `${this.cell.height}px`;
      this.fill(place, cell);
    }
    this.load(first, last);
    this.element.setAttribute("aria-activedescendant", this.total ? `cell-${this.active}` : "");
    this.scrolled?.(this.firstInView());
  }

  take(place) {
    const cell = this.free.pop() ?? this.space.appendChild(el("div", { class: "cell", role: "option" }));
    cell.hidden = false;
    cell.stamp = null;
    cell.place = place;
    cell.id = `cell-${place}`;
    cell.setAttribute("aria-setsize", this.total);
    cell.setAttribute("aria-posinset", place + 1);
    this.shown.set(place, cell);
    return cell;
  }

  fill(place, cell) {
    const item = this.item(place);
    const stamp = item === null ? "" : JSON.stringify(item);
    if (cell.stamp !== stamp) {
      if (item !== null || cell.stamp === null) this.draw(cell, item, place);
      cell.stamp = stamp;
      this.tile(place, cell);
    }
    const isSelected = this.selected.has(place);
    cell.setAttribute("aria-selected", isSelected);
    cell.classList.toggle("selected", isSelected);
    cell.classList.toggle("active", place === this.active);
  }

  load(first, last) {
    const from = Math.floor(first / PAGE);
    const to = Math.floor(Math.max(first, last - 1) / PAGE);
    for (const [number, page] of this.pages) {
      if (number < from || number > to) {
        if (page.abort) this.dropPage(number);
      }
    }
    for (const number of this.pages.keys()) {
      if (this.pages.size <= MOST_PAGES) break;
      if (number < from || number > to) this.dropPage(number);
    }
    for (let number = from; number <= to && last > first; number += 1) {
      const page = this.pages.get(number);
      if (!page || (page.isOld && !page.abort)) this.fetchPage(number, page);
    }
  }

  async fetchPage(number, before) {
    const abort = new AbortController();
    const page = { items: before?.items ?? null, sheet: before?.sheet, abort };
    this.pages.set(number, page);
    this.loadSheet(number, page);
    try {
      const items = await this.fetchRows(number * PAGE, PAGE, abort.signal);
      if (this.pages.get(number) !== page) return;
      const isStale = before?.items && items.some((item, i) => before.items[i]?.look && !item.look);
      page.items = items;
      page.abort = null;
      if (isStale) {
        page.sheet = undefined;
        this.loadSheet(number, page);
      }
      if (page.isOld) this.soon();
      for (const [place, cell] of this.shown) if (Math.floor(place / PAGE) === number) this.fill(place, cell);
      this.changed?.();
      if (this.awaited === this.active && this.item(this.active) !== null) this.openSoon(this.active);
    } catch (error) {
      if (this.pages.get(number) === page) this.pages.delete(number);
      if (error.name !== "AbortError") this.failed?.(error);
    }
  }

  // The pictures of a page are one: that is one request, and one picture to decode.
  loadSheet(number, page) {
    page.sheet ??= this.fetchSheet?.(number * PAGE, PAGE, page.abort?.signal);
    page.sheet?.then((address) => this.showSheet(number, page, address)).catch(() => (page.sheet = undefined));
  }

  showSheet(number, page, address) {
    page.address = address;
    const now = this.pages.get(number);
    if (now?.sheet !== page.sheet) return;
    now.address = address;
    for (const [place, cell] of this.shown) if (Math.floor(place / PAGE) === number) this.tile(place, cell);
  }

  // The part of its page's picture that is a cell's.
  tile(place, cell) {
    const picture = cell.querySelector(".tile");
    const address = this.pages.get(Math.floor(place / PAGE))?.address;
    if (!picture || !address || picture.dataset.from === address) return;
    const at = place % PAGE;
    picture.dataset.of = place;
    picture.dataset.from = address;
    picture.style.backgroundImage = `url(${address})`;
    picture.style.backgroundSize = `${SHEET * 100}%`;
    const part = (i) => `${(i * 100) / (SHEET - 1)}%`;
    picture.style.backgroundPosition = `${part(at % SHEET)} ${part(Math.floor(at / SHEET))}`;
  }

  // What is to be opened and is not there yet is opened when it is, unless one has gone on.
  openSoon(place) {
    const item = this.item(place);
    this.awaited = item === null ? place : null;
    if (item !== null) this.open(place, item);
  }

  // What is chosen.

  get chosen() {
    if (this.selected.size) return this.selected.parts;
    return this.total ? [[this.active, this.active]] : [];
  }

  get chosenItems() {
    return this.chosen.flatMap(([first, last]) => {
      const some = [];
      for (let place = first; place <= last; place += 1) some.push(this.item(place));
      return some;
    });
  }

  activate(place, { extend = false, toggle = false } = {}) {
    if (!this.total) return;
    this.active = Math.max(0, Math.min(place, this.total - 1));
    if (extend) {
      this.selected.clear();
      this.selected.add(this.anchor, this.active);
    } else {
      this.anchor = this.active;
      if (toggle) this.selected.toggle(this.active);
    }
    this.reveal(this.active);
    this.lay();
    this.changed?.();
  }

  reveal(place, where = "nearest") {
    if (!this.cell) return;
    const top = this.scrollOf(place);
    const room = this.element.clientHeight - this.cell.height;
    if (where === "start") this.element.scrollTop = top;
    else if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
  }

  selectAll() {
    if (this.total) this.selected.add(0, this.total - 1);
    this.lay();
    this.changed?.();
  }

  selectNone() {
    this.selected.clear();
    this.lay();
    this.changed?.();
  }

  key(event) {
    if (event.target !== this.element || event.altKey) return;
    const screen = Math.max(1, Math.floor(this.element.clientHeight / (this.cell?.height ?? 1))) * (this.columns ?? 1);
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns,
      PageUp: -screen,
      PageDown: screen,
      Home: -this.active,
      End: this.total - 1 - this.active,
    };
    if (event.key in steps) this.activate(this.active + steps[event.key], { extend: event.shiftKey });
    else if (event.key === " ") this.activate(this.active, { toggle: true });
    else if (event.key === "Enter") this.openSoon(this.active);
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) this.selectAll();
    else if (event.key === "Escape" && this.selected.size) this.selectNone();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The pointer.

  placeOf(target) {
    const cell = target.closest?.(".cell");
    return cell && !cell.hidden ? cell.place : null;
  }

  pointed(event) {
    this.isTouched = event.pointerType === "touch"; // which scrolls, and chooses only when it was a tap
    if (event.button !== 0 || event.target === this.element || this.isTouched) return;
    const place = this.placeOf(event.target);
    this.element.focus({ preventScroll: true });
    if (place !== null) {
      const isTick = Boolean(event.target.closest(".tick"));
      const toggle = isTick || event.ctrlKey || event.metaKey;
      const isDrag = this.drop && this.selected.has(place) && !event.shiftKey && !toggle;
      if (!event.shiftKey && !toggle && !isDrag) this.selected.clear();
      this.activate(place, { extend: event.shiftKey, toggle: toggle || !(event.shiftKey || isDrag) });
    }
    if (this.lasso) this.startLasso(event);
  }

  startLasso(event) {
    const origin = this.space.getBoundingClientRect();
    const [x0, y0] = [event.clientX - origin.left, event.clientY - origin.top];
    const before = event.ctrlKey || event.metaKey ? [...this.selected.parts] : [];
    let isDrawn = false;
    const move = (now) => {
      const place = this.space.getBoundingClientRect();
      const [x1, y1] = [now.clientX - place.left, now.clientY - place.top];
      isDrawn ||= Math.hypot(x1 - x0, y1 - y0) > 6;
      if (!isDrawn) return;
      const [left, top] = [Math.min(x0, x1), Math.min(y0, y1)];
      Object.assign(this.lasso.style, { left: `${left}px`, top: `${top}px` });
      Object.assign(this.lasso.style, { width: `${Math.abs(x1 - x0)}px`, height: `${Math.abs(y1 - y0)}px` });
      this.lasso.hidden = false;
      this.within(left, top, Math.max(x0, x1), Math.max(y0, y1), before);
    };
    const end = () => {
      this.lasso.hidden = true;
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      this.changed?.();
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  }

  within(left, top, right, bottom, before) {
    const offset = this.element.scrollTop - this.element.scrollTop * this.stretch;
    const column = (x) => Math.max(0, Math.min(this.columns - 1, Math.floor(x / this.cell.width)));
    const row = (y) => Math.max(0, Math.min(this.rows - 1, Math.floor((y - offset) / this.cell.height)));
    this.selected.parts = [];
    for (const [first, last] of before) this.selected.add(first, last);
    for (let at = row(top); at <= row(bottom); at += 1) {
      const start = at * this.columns;
      const from = start + column(left);
      const to = Math.min(this.total - 1, start + column(right));
      if (from <= to) this.selected.add(from, to);
    }
    this.lay();
  }
}
