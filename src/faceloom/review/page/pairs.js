// "Is this the same person?": two at a time, those first of whom an answer settles most.

import { ask } from "./api.js";
import { opened } from "./dialogs.js";
import { button, counted, el } from "./dom.js";

const COUNT = 20;

export async function askPairs(app) {
  const passed = new Set();
  let pairs = [];
  let at = null;
  let isBusy = false;
  const place = el("div", { class: "pair" });
  const told = el("p", { class: "hint", role: "status" });
  const nameOf = ({ one, other }) => JSON.stringify([one.name, other.name]);

  const side = (person) =>
    el(
      "figure",
      {},
      el("img", { src: `chip/${person.cover}?size=256`, alt: "", width: "220", height: "220" }),
      el("figcaption", {}, el("strong", {}, person.name), el("small", {}, counted(person.faces, "face"))),
    );

  const next = async () => {
    pairs = (await ask("api/pairs", { count: COUNT + passed.size })).pairs;
    at = pairs.find((pair) => !passed.has(nameOf(pair))) ?? null;
    place.replaceChildren(...(at ? [side(at.one), side(at.other)] : [el("p", {}, "Nobody else is alike.")]));
    told.textContent = at ? `cosine ${at.cosine.toFixed(3)}` : "";
    for (const one of answers) one.disabled = !at;
  };
  const answer = async (act) => {
    if (!at || isBusy) return;
    isBusy = true;
    try {
      passed.add(nameOf(at));
      await act(at);
      await next();
    } catch (error) {
      app.warn(error.message);
    } finally {
      isBusy = false;
    }
  };
  const same = () =>
    answer(({ one, other }) => {
      const [person, less] = one.faces >= other.faces ? [one, other] : [other, one];
      return app.say({ verb: "merge", person: person.name, persons: [less.name] });
    });
  const different = () =>
    answer(({ one, other }) => app.say({ verb: "different", faces: [one.cover, other.cover] }));
  const later = () => answer(() => undefined);
  const undo = async () => {
    passed.clear();
    await app.undo();
    await next();
  };
  const answers = [button("Same", "Y", same, { class: "main" }), button("Different", "N", different), button("Later", "Space", later)];
  const row = el("p", { class: "answers" }, ...answers, button("Undo", "Z", undo), button("Close", "Esc", () => close()));
  const { dialog, close } = opened("Is this the same person?", place, told, row);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  dialog.addEventListener("keydown", (event) => {
    const act = { y: same, n: different, " ": later, z: undo }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  answers[0].focus();
  await next();
}
