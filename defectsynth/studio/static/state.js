/** The state of the page: one value, every one of which is a link; undo and redo are a list of them. */

const MOST = 200;
const TOGETHER = 700; // milliseconds within which changes of one control are one step

export const VIEW = { normal: false, anomalous: true, map: false, outline: true };

export class Store extends EventTarget {
  constructor() {
    super();
    this.past = [];
    this.future = [];
    this.state = null;
    this.last = { key: null, time: 0 };
  }

  /** Puts a state in place of the present one, as a step that can be undone. */
  set(state, { key = null, rebuild = false } = {}) {
    const now = performance.now();
    const same = key !== null && key === this.last.key && now - this.last.time < TOGETHER;
    if (this.state && !same) {
      this.past.push(this.state);
      if (this.past.length > MOST) this.past.shift();
    }
    this.last = { key, time: now };
    this.future = [];
    this.#show(state, rebuild);
  }

  change(values, options) {
    this.set({ ...this.state, ...values }, options);
  }

  /** Sets a value of the recipe by its path; `undefined` takes it away. */
  setRecipe(path, value, options) {
    this.change({ recipe: replaced(this.state.recipe, path, value) }, { key: path.join("."), ...options });
  }

  setView(values) {
    this.change({ view: { ...this.view, ...values } }, { key: "view" });
  }

  get view() {
    return { ...VIEW, ...this.state.view };
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.state);
    this.#show(this.past.pop(), true);
    this.last = { key: null, time: 0 };
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.state);
    this.#show(this.future.pop(), true);
    this.last = { key: null, time: 0 };
  }

  #show(state, rebuild) {
    const before = this.state;
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: { before, rebuild } }));
  }
}

/** A copy of nested values with one of them replaced. */
export function replaced(values, path, value) {
  if (!path.length) return value;
  const [first, ...rest] = path;
  const copy = Array.isArray(values) ? [...values] : { ...values };
  if (!rest.length && value === undefined) delete copy[first];
  else copy[first] = replaced(copy[first] ?? {}, rest, value);
  return copy;
}

export function at(values, path) {
  return path.reduce((found, key) => found?.[key], values);
}

/** What samples follow from: a change of anything else paints nothing anew. */
export function painted(state) {
  const { view, count, pins, ...rest } = state;
  return JSON.stringify(rest);
}

export async function toLink(state) {
  const bytes = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(JSON.stringify(state)));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const LONGEST = 4_000_000; // characters of a state: a damaged link may claim anything

export async function fromLink(text) {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = await through(new DecompressionStream("deflate-raw"), Uint8Array.from(raw, (one) => one.charCodeAt(0)), LONGEST);
  const state = JSON.parse(new TextDecoder().decode(bytes));
  if (typeof state !== "object" || typeof state?.recipe !== "object") throw new Error("it holds no recipe");
  return state;
}

async function through(stream, bytes, most = Infinity) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > most) throw new Error("it is too long");
    parts.push(value);
  }
  const joined = new Uint8Array(length);
  let place = 0;
  for (const part of parts) {
    joined.set(part, place);
    place += part.length;
  }
  return joined;
}
