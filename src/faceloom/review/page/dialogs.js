// Questions: a text, a person, and the list of keys. Escape always leaves.

import { ask } from "./api.js";
import { el } from "./dom.js";

const home = () => document.getElementById("dialogs");
const SHOWN = 8;

export function opened(title, ...content) {
  const before = document.activeElement;
  const dialog = el("dialog", { "aria-label": title }, el("h2", {}, title), ...content);
  home().replaceChildren(dialog);
  dialog.showModal();
  const close = () => {
    dialog.close();
    dialog.remove();
    before?.focus({ preventScroll: true });
  };
  return { dialog, close };
}

export const isOpen = () => home().childElementCount > 0;

export function askText(title, { value = "", hint = "", isOptional = false } = {}) {
  return new Promise((resolve) => {
    const input = el("input", { type: "text", "aria-label": title, value, autocomplete: "off", maxlength: "2000" });
    const done = (answer) => {
      close();
      resolve(answer);
    };
    const good = () => (isOptional || input.value.trim() ? done(input.value.trim()) : input.focus());
    const { dialog, close } = opened(
      title,
      hint ? el("p", { class: "hint" }, hint) : null,
      input,
      el(
        "p",
        { class: "answers" },
        el("button", { type: "button", onclick: () => done(null) }, "Cancel"),
        el("button", { type: "button", class: "main", onclick: good }, "OK"),
      ),
    );
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      done(null);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") good();
    });
    input.focus();
    input.select();
  });
}

export function askPerson(title, { hint = "", nobody = false, without = null } = {}) {
  return new Promise((resolve) => {
    let people = [];
    let at = -1;
    let number = 0;
    const list = el("ul", { role: "listbox", id: "who", "aria-label": "Persons" });
    const input = el("input", {
      type: "text",
      role: "combobox",
      "aria-label": title,
      "aria-controls": "who",
      "aria-expanded": "true",
      autocomplete: "off",
      placeholder: "a name: known, or new",
    });
    const done = (answer) => {
      close();
      resolve(answer);
    };
    const show = () => {
      list.replaceChildren(
        ...people.map((person, i) =>
          el(
            "li",
            { role: "option", id: `who-${i}`, "aria-selected": i === at, onclick: () => done(person.name) },
            el("img", { src: `chip/${person.cover}?size=48`, alt: "", width: "32", height: "32" }),
            el("span", {}, person.name),
            el("small", {}, String(person.faces)),
          ),
        ),
      );
      input.setAttribute("aria-activedescendant", at < 0 ? "" : `who-${at}`);
    };
    const find = async () => {
      const mine = (number += 1);
      const answer = await ask("api/people", { search: input.value.trim(), sort: "size", count: SHOWN + 1 });
      if (mine !== number) return;
      people = answer.people.filter((person) => person.name !== without).slice(0, SHOWN);
      at = -1;
      show();
    };
    const good = () => {
      if (at >= 0) done(people[at].name);
      else if (input.value.trim()) done(input.value.trim());
    };
    const { dialog, close } = opened(
      title,
      hint ? el("p", { class: "hint" }, hint) : null,
      input,
      list,
      el(
        "p",
        { class: "answers" },
        nobody ? el("button", { type: "button", onclick: () => done("") }, "Nobody") : null,
        el("button", { type: "button", onclick: () => done(null) }, "Cancel"),
        el("button", { type: "button", class: "main", onclick: good }, "OK"),
      ),
    );
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      done(null);
    });
    input.addEventListener("input", find);
    input.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        at = Math.max(-1, Math.min(people.length - 1, at + step));
        show();
        event.preventDefault();
      } else if (event.key === "Enter") good();
    });
    input.focus();
    find();
  });
}

export function showKeys(groups) {
  const lists = groups.map(([title, keys]) =>
    el(
      "section",
      {},
      el("h3", {}, title),
      el("dl", {}, ...keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    ),
  );
  const shut = () => close();
  const { dialog, close } = opened(
    "Keys",
    el("div", { class: "keys" }, ...lists),
    el("p", { class: "answers" }, el("button", { type: "button", class: "main", onclick: shut }, "Close")),
  );
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  dialog.querySelector("button").focus();
}
