// The page around the pages: where one is, what was saved, keys that hold everywhere, and what others have changed.

import { ask, events, isWaiting, say } from "./api.js";
import { isOpen, showKeys } from "./dialogs.js";
import { counted, el } from "./dom.js";
import { FramePage } from "./frame.js";
import { FacesPage } from "./grid.js";
import { HistoryPage } from "./history.js";
import { EVERYWHERE } from "./keys.js";
import { LooksPage } from "./looks.js";
import { PeoplePage } from "./people.js";
import { ProblemsPage } from "./problems.js";

const PAGES = {
  people: ["People", PeoplePage],
  faces: ["Faces", FacesPage],
  frame: ["Frame", FramePage],
  problems: ["Problems", ProblemsPage],
  history: ["History", HistoryPage],
  looks: ["Looks", LooksPage],
};
const LOOK_MS = 4000;
const find = (id) => document.getElementById(id);

class App {
  constructor() {
    this.last = {};
    this.version = null;
  }

  address(page, told = {}) {
    const values = Object.entries(told).filter(([, value]) => value !== undefined && value !== null);
    const query = new URLSearchParams(values).toString();
    return `#${page}${query ? `?${query}` : ""}`;
  }

  go(page, told = {}) {
    const address = this.address(page, told);
    this.isLeaving = true; // until the page is there: where the one before was counts no more
    if (location.hash === address) this.show();
    else location.hash = address;
  }

  // Where one is stands in the address, so that a page that is loaded anew is where it was.
  remember(page, told) {
    if (this.isLeaving) return;
    this.last[page] = told;
    history.replaceState(null, "", this.address(page, told));
  }

  async show() {
    const [name, query] = location.hash.slice(1).split("?");
    const page = name in PAGES ? name : this.home;
    const told = Object.fromEntries(new URLSearchParams(query ?? ""));
    this.last[page] = told;
    this.page?.close();
    this.isLeaving = false;
    this.notice("");
    const [title, Page] = PAGES[page];
    document.title = `${title} · ${this.state.folder} · faceloom`;
    for (const tab of find("tabs").children) {
      if (tab.dataset.page === page) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    this.page = new Page(told, this);
    find("page").replaceChildren(this.page.element);
    try {
      await this.page.start();
    } catch (error) {
      this.warn(error.message);
    }
  }

  async start() {
    this.state = await ask("api/state");
    this.home = this.state.persons ? "people" : "faces";
    this.version = this.state.version;
    find("tabs").append(
      ...Object.entries(PAGES).map(([page, [title]], i) =>
        el(
          "a",
          {
            href: this.address(page),
            "data-page": page,
            title: `${title} (Alt ${i + 1})`,
            onclick: (event) => {
              event.preventDefault();
              this.go(page, this.last[page]);
            },
          },
          title,
        ),
      ),
    );
    find("undo").addEventListener("click", () => this.undo());
    find("help").addEventListener("click", () => this.help());
    find("theme").addEventListener("click", () => this.turn());
    this.tell();
    addEventListener("hashchange", () => this.show());
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("beforeunload", (event) => isWaiting() && event.preventDefault());
    for (const kind of ["saying", "said", "waiting", "failed"]) events.addEventListener(kind, (told) => this.saved(told));
    await this.show();
    setInterval(() => this.look(), LOOK_MS);
    document.addEventListener("visibilitychange", () => this.look());
  }

  saved({ type, detail }) {
    const texts = { saying: "saving …", said: "saved", waiting: "waiting for the run to let go …", failed: "not saved" };
    find("saved").textContent = detail.waiting && type === "said" ? "saving …" : texts[type];
    find("saved").className = type;
    if (type === "failed") this.warn(detail.message);
  }

  async say(told) {
    this.notice("");
    let done;
    try {
      done = await say(told);
    } catch {
      await this.changed(); // what was shown at once is taken back
      return null;
    }
    this.version = done.version;
    await this.changed();
    return done;
  }

  async changed() {
    try {
      this.state = await ask("api/state");
      this.version = this.state.version;
      this.tell();
      await this.page?.renew();
    } catch (error) {
      if (find("notice").hidden) this.warn(error.message);
    }
  }

  // What others have said or found: another tab, a command, a run.
  async look() {
    if (document.hidden || isWaiting() || this.isLooking) return;
    this.isLooking = true;
    try {
      const state = await ask("api/state");
      const isNew = state.version !== this.version || state.not_made !== this.state.not_made;
      this.state = state;
      this.version = state.version;
      this.tell();
      if (this.isAway) this.notice("");
      this.isAway = false;
      if (isNew && !isOpen()) await this.page?.renew();
    } catch {
      this.isAway = true;
      this.warn("The server does not answer. What was saved is kept; start faceloom review again.");
    } finally {
      this.isLooking = false;
    }
  }

  tell() {
    const { folder, faces, persons, running, undo, writable } = this.state;
    find("folder").textContent = folder;
    find("folder").title = `${counted(faces, "face")}, ${counted(persons, "person")}`;
    find("undo").disabled = undo === null;
    document.body.classList.toggle("running", running);
    if (running) find("saved").textContent ||= "a run is writing here; what it finds comes by itself";
    if (!writable) find("saved").textContent = "this folder cannot be written: look only";
  }

  notice(text) {
    find("notice").hidden = !text;
    find("notice").textContent = text;
  }

  warn(text) {
    this.notice(text);
  }

  undo() {
    return this.say({ verb: "undo" });
  }

  help() {
    showKeys([...(this.page?.keys ?? []), ["Everywhere", EVERYWHERE]]);
  }

  turn() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem("faceloom-theme", root.dataset.theme);
    } catch {
      // the next time it is as the system has it
    }
  }

  key(event) {
    if (isOpen()) return;
    const isTyping = event.target.matches?.("input:not([type=checkbox]), textarea, select");
    if (event.altKey && /^Digit[1-6]$/.test(event.code)) {
      const page = Object.keys(PAGES)[event.code.at(-1) - 1];
      this.go(page, this.last[page]);
      event.preventDefault();
      return;
    }
    if (isTyping) {
      if (event.key === "Escape") find("page").querySelector(".cells")?.focus();
      return;
    }
    const ours = {
      "?": () => this.help(),
      z: () => this.undo(),
      Z: () => this.say({ verb: "redo" }),
      t: () => this.turn(),
      r: () => this.page?.renew({ isAsked: true }),
    };
    const isPlain = !event.ctrlKey && !event.metaKey;
    const act = (isPlain && this.page?.key(event)) || (isPlain && !event.altKey && ours[event.key]);
    if (!act) return;
    event.preventDefault();
    act();
  }
}

try {
  const theme = localStorage.getItem("faceloom-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // as the system has it
}
new App().start().catch((error) => {
  find("notice").hidden = false;
  find("notice").textContent = error.message;
});
