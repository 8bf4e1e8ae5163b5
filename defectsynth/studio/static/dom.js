/** Small helpers around the document. */

export const $ = (id) => document.getElementById(id);

/** An element with attributes, listeners (onclick: ...) and children. */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "line", "text", "polygon", "g", "title"].includes(tag) && attributes.svg !== false;
  const made = svg && tag !== "title" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false || name === "svg") continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") made.style.cssText = value; // as an attribute the page's policy refuses it
    else if (name in made && !svg && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function clear(element, ...children) {
  element.replaceChildren(...children.flat());
  return element;
}

/** Calls a function once its calls have paused. */
export function paused(milliseconds, work) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

/** A number as a person writes it. */
export function tidy(value) {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}

export function share(value) {
  const percent = 100 * value;
  return `${percent >= 10 ? percent.toFixed(0) : Number(percent.toPrecision(2))}%`;
}

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "visually-hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!button) return;
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1400);
}

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** A message at the top of the page; nothing takes it away. */
export function notice(text) {
  const place = $("notice");
  place.textContent = text ?? "";
  place.hidden = !text;
}

export const wasAborted = (error) => error?.name === "AbortError";
