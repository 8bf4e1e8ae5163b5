/** The grid of samples: asks for them, the visible ones first, and shows them as they come. */

import { $, clear, h, notice, share, wasAborted } from "./dom.js";
import * as api from "./api.js";
import { painted } from "./state.js";

const PATIENCE = 350; // milliseconds after which a newer change ends a request that is under way

export class Grid {
  constructor(store, setup, look) {
    this.store = store;
    this.setup = setup;
    this.look = look;
    this.tiles = new Map();
    this.under = null;
    this.waiting = false;
    this.shown = null;
    this.cell = 1;
    this.onPainted = () => {};
    new ResizeObserver(() => this.resized()).observe($("grid"));
  }

  /** The samples that are shown: pinned ones of other seeds first, then those of this seed. */
  places() {
    const { pins, seed } = this.store.state;
    const most = this.setup.limits.grid;
    const kept = pins.filter((pin) => pin.seed !== seed);
    const own = Array.from({ length: most }, (_, index) => ({ seed, index }));
    const pinned = new Set(pins.map(keyOf));
    const left = most - kept.length - own.filter((place) => pinned.has(keyOf(place))).length;
    let free = Math.max(0, left);
    return [...kept, ...own.filter((place) => pinned.has(keyOf(place)) || free-- > 0)];
  }

  views() {
    const view = this.store.view;
    const wanted = ["normal", "anomalous", "map"].filter((name) => view[name]);
    return wanted.length ? wanted : ["anomalous"];
  }

  /** Panes have one form: that of the pictures, or between them where they differ. */
  fit() {
    const ratios = [...this.tiles.values()].map((tile) => tile.ratio).filter(Boolean);
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / (ratios.length || 1));
    this.cell = Math.min(2, Math.max(0.6, mean));
    $("grid").style.setProperty("--cell", String(this.cell));
    for (const tile of this.tiles.values()) tile.fit();
  }

  resized() {
    const side = this.side();
    if (this.askedSide && side > 1.25 * this.askedSide) this.refresh();
  }

  /** Pixels of a picture's longer side on this screen. */
  side() {
    const pane = $("grid").querySelector(".pane");
    const width = pane?.clientWidth || 200;
    return Math.min(640, Math.max(64, Math.ceil((width * (window.devicePixelRatio || 1)) / 32) * 32));
  }

  /** Lays out the tiles and asks for what they show. */
  refresh() {
    this.layOut();
    if (this.under && performance.now() - this.under.since < PATIENCE) {
      this.waiting = true;
      return;
    }
    this.under?.control.abort();
    this.ask();
  }

  layOut() {
    const places = this.places();
    const kept = new Map();
    for (const place of places) {
      const key = keyOf(place);
      kept.set(key, this.tiles.get(key) ?? new Tile(place, this));
    }
    for (const [key, tile] of this.tiles) if (!kept.has(key)) tile.forget();
    const wanted = [...kept.values()].map((tile) => tile.element);
    const present = [...$("grid").children];
    if (wanted.length !== present.length || wanted.some((element, number) => element !== present[number])) {
      const focused = document.activeElement;
      clear($("grid"), wanted);
      if ($("grid").contains(focused)) focused.focus();
    }
    this.tiles = kept;
    const views = this.views();
    $("grid").dataset.panes = views.length;
    for (const tile of kept.values()) tile.layOut(views, this.store.view.outline, this.store.state.pins);
  }

  async ask() {
    const control = new AbortController();
    const under = (this.under = { control, since: performance.now() });
    this.waiting = false;
    const state = this.store.state;
    const places = seenFirst([...this.tiles.values()]).map((tile) => tile.place);
    this.askedSide = this.side();
    $("grid").setAttribute("aria-busy", "true");
    let done = 0;
    let failed = 0;
    let first = 0;
    try {
      const wanted = { state: forServer(state), places, tile: this.askedSide, views: this.views() };
      for await (const sample of api.samples(wanted, control.signal)) {
        first ||= performance.now() - under.since;
        done += 1;
        if (sample.error) failed += 1;
        this.tiles.get(keyOf(sample))?.show(sample);
      }
      const took = Math.round(performance.now() - under.since);
      this.shown = painted(state);
      notice("");
      $("status").textContent =
        `${done - failed} samples in ${took} ms` + (failed ? `; ${failed} could not be painted: the tile says why` : "");
      $("status").dataset.milliseconds = took;
      $("status").dataset.first = Math.round(first);
      $("status").classList.remove("bad");
    } catch (error) {
      if (wasAborted(error)) return;
      $("status").textContent = `Not painted: ${error.message}`;
      $("status").classList.add("bad");
      for (const tile of this.tiles.values()) tile.element.classList.add("stale");
    } finally {
      if (this.under === under) {
        this.under = null;
        $("grid").removeAttribute("aria-busy");
        if (this.waiting) this.ask();
        else {
          $("grid").dataset.turn = Number($("grid").dataset.turn ?? 0) + 1;
          this.onPainted();
        }
      }
    }
  }

  pin(place) {
    const key = keyOf(place);
    const pins = this.store.state.pins;
    const kept = pins.filter((one) => keyOf(one) !== key);
    if (kept.length === pins.length && pins.length >= this.setup.limits.pins) return;
    this.store.change({ pins: kept.length < pins.length ? kept : [...pins, { seed: place.seed, index: place.index }] });
  }
}

export const keyOf = (place) => `${place.seed}/${place.index}`;

/** The state as the studio takes it: the page's own part is left out. */
export function forServer(state) {
  return { ...state, view: {} };
}

function seenFirst(tiles) {
  const seen = (tile) => {
    const box = tile.element.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight && box.right > 0 && box.left < window.innerWidth;
  };
  return [...tiles.filter(seen), ...tiles.filter((tile) => !seen(tile))];
}

class Tile {
  constructor(place, grid) {
    this.place = place;
    this.grid = grid;
    this.addresses = {};
    this.sample = null;
    this.before = null;
    this.panes = h("span", { class: "panes" });
    this.open = h("button", { type: "button", class: "look", onclick: () => grid.look(this.place) }, this.panes);
    this.words = h("span", { class: "words" }, `#${place.index}`);
    this.pinButton = h("button", { type: "button", class: "icon pin", onclick: () => grid.pin(this.place) }, pinMark());
    this.problem = h("p", { class: "problem", hidden: true });
    this.element = h(
      "li",
      { class: "tile empty", "data-seed": String(place.seed), "data-index": String(place.index) },
      this.open,
      this.problem,
      h("div", { class: "caption" }, this.words, this.pinButton),
    );
  }

  layOut(views, withOutline, pins) {
    const pinned = pins.some((pin) => keyOf(pin) === keyOf(this.place));
    this.element.classList.toggle("pinned", pinned);
    this.element.classList.toggle("no-outline", !withOutline);
    this.pinButton.setAttribute("aria-pressed", String(pinned));
    this.pinButton.setAttribute("aria-label", `Pin sample ${this.place.index} of seed ${this.place.seed}`);
    this.pinButton.title = pinned ? "Unpin" : "Pin: keep this sample while the seed changes";
    if (this.panes.dataset.views === views.join()) return;
    this.panes.dataset.views = views.join();
    clear(
      this.panes,
      views.map((view) =>
        h("span", { class: "pane" },
          h("span", { class: "fit", "data-view": view },
            h("img", { alt: "", decoding: "async", draggable: "false", src: this.addresses[view] ?? null }))),
      ),
    );
    this.fit();
    this.drawOutline();
  }

  /** Keeps the picture's form inside the common form of the grid's panes. */
  fit() {
    if (!this.ratio) return;
    for (const one of this.panes.querySelectorAll(".fit")) {
      one.style.aspectRatio = String(this.ratio);
      one.classList.toggle("tall", this.ratio < this.grid.cell);
    }
  }

  show(sample) {
    this.sample = sample;
    this.element.classList.remove("empty", "stale");
    this.element.classList.toggle("failed", Boolean(sample.error));
    this.problem.hidden = !sample.error;
    this.problem.textContent = sample.error ?? "";
    const pinned = this.element.classList.contains("pinned") && this.place.seed !== this.grid.store.state.seed;
    const number = pinned ? `#${this.place.index} of seed ${this.place.seed}` : `#${this.place.index}`;
    if (sample.error) {
      this.words.textContent = `${number} not painted`;
      this.open.setAttribute("aria-label", `Sample ${this.place.index} could not be painted`);
      return;
    }
    this.ratio = sample.shape[1] / sample.shape[0];
    this.grid.fit();
    const area = sample.kind === "good" ? "" : share(sample.area);
    clear(this.words, `${number} `, h("b", {}, sample.kind), ` ${area}`);
    this.element.title = `${sample.name}, ${sample.shape[1]} × ${sample.shape[0]}, painted in ${sample.milliseconds} ms`;
    this.open.setAttribute("aria-label", `Enlarge sample ${this.place.index}: ${sample.kind} ${area}`);
    for (const [view, blob] of Object.entries(sample.pictures)) {
      const old = this.addresses[view];
      this.addresses[view] = URL.createObjectURL(blob);
      const image = this.panes.querySelector(`[data-view="${view}"] img`);
      if (image) image.src = this.addresses[view];
      if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
    }
    this.drawOutline();
  }

  /** The mask's outline over the anomalous picture, drawn just outside of it so that it hides nothing. */
  drawOutline() {
    this.panes.querySelectorAll("svg").forEach((svg) => svg.remove());
    const pane = this.panes.querySelector('[data-view="anomalous"]');
    const sample = this.sample;
    if (!pane || !sample?.outline?.length) return;
    const [height, width] = tileShape(sample.shape, this.grid.askedSide);
    const shape = sample.outline.map((points) => {
      let text = "";
      for (let at = 0; at < points.length; at += 2) text += `${at ? "L" : "M"}${points[at] + 0.5} ${points[at + 1] + 0.5}`;
      return `${text}Z`;
    });
    pane.append(
      h("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        h("path", { d: shape.join(""), class: "halo" }),
        h("path", { d: shape.join(""), class: "line" })),
    );
  }

  forget() {
    for (const address of Object.values(this.addresses)) URL.revokeObjectURL(address);
  }
}

function pinMark() {
  return h("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: "M6 1h4l-.6 4.2L12 8v1.5H8.7V15h-1.4V9.5H4V8l2.6-2.8z" }));
}

function tileShape(shape, side) {
  const scale = Math.min(1, side / Math.max(...shape));
  return shape.map((one) => Math.max(1, Math.round(one * scale)));
}
