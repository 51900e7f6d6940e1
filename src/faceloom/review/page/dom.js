// Elements are made here and nowhere else, and texts become text: whatever a name or a note holds, it is shown as it is.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, traits, children) {
  for (const [name, value] of Object.entries(traits)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.setAttribute("class", value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function el(tag, traits = {}, ...children) {
  return filled(document.createElement(tag), traits, children);
}

export function svg(tag, traits = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), traits, children);
}

export function button(text, key, pressed, traits = {}) {
  return el(
    "button",
    { type: "button", title: key ? `${text} (${key})` : text, onclick: pressed, ...traits },
    text,
    key ? el("kbd", { "aria-hidden": "true" }, key) : null,
  );
}

export function choice(label, options, value, changed) {
  const select = el("select", { "aria-label": label, onchange: () => changed(select.value) });
  for (const [name, text] of options) select.append(el("option", { value: name, selected: name === value }, text));
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

export function timed(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60), String(whole % 60).padStart(2, "0")];
  return `${parts.join(":")}.${String(Math.floor((seconds - whole) * 1000)).padStart(3, "0")}`;
}
