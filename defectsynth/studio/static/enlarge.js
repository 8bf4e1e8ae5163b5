/** One sample at full resolution: a slider between before and after, its mask, its defect map, its plan. */

import { $, clear, h, save, share, wasAborted } from "./dom.js";
import * as api from "./api.js";
import { forServer, keyOf } from "./grid.js";

export class Enlarge {
  constructor(store, places) {
    this.store = store;
    this.places = places;
    this.addresses = [];
    $("enlarge-close").onclick = () => $("enlarge").close();
    $("enlarge").addEventListener("close", () => this.closed());
    $("enlarge-back").onclick = () => this.step(-1);
    $("enlarge-on").onclick = () => this.step(1);
    $("enlarge-slide").oninput = () => this.slide();
    for (const name of ["map", "mask", "full"]) $(`enlarge-${name}`).onchange = () => this.layers();
    $("enlarge-save").onclick = () => this.saveFile();
    $("enlarge").addEventListener("keydown", (event) => {
      if (event.target.matches("input, pre, .stage")) return;
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    this.dragging();
  }

  open(place) {
    if (!$("enlarge").open) $("enlarge").showModal();
    this.show(place);
  }

  step(by) {
    const places = this.places();
    const now = places.findIndex((place) => keyOf(place) === keyOf(this.place));
    this.show(places[(now + by + places.length) % places.length]);
  }

  async show(place) {
    this.control?.abort();
    const control = (this.control = new AbortController());
    this.place = place;
    $("enlarge-title").textContent = `Sample ${place.index} of seed ${place.seed}`;
    $("enlarge-note").textContent = "Painting…";
    const state = forServer(this.store.state);
    const ask = (form) => api.file("/api/sample", { state, place, form }, control.signal);
    try {
      const [before, after, mask, map, plan] = await Promise.all(["normal", "view", "mask", "map", "plan"].map(ask));
      this.forget();
      this.addresses = [before, after, mask, map].map(({ blob }) => URL.createObjectURL(blob));
      const [first, second, third, fourth] = this.addresses;
      const picture = (source, name, text) => h("img", { src: source, class: name, alt: text, draggable: "false" });
      clear($("stage-inner"),
        picture(second, "after", "The anomalous picture"), picture(first, "before", "The normal picture"),
        picture(third, "mask-layer", ""), picture(fourth, "map-layer", ""), h("span", { class: "divider" }));
      const found = JSON.parse(await plan.blob.text());
      $("enlarge-plan").textContent = JSON.stringify(found, null, 2);
      await Promise.all([...$("stage-inner").querySelectorAll("img")].map((image) => image.decode().catch(() => {})));
      const picked = $("stage-inner").querySelector(".after");
      $("stage-inner").style.setProperty("--width", `${picked.naturalWidth}px`);
      $("stage-inner").style.aspectRatio = `${picked.naturalWidth} / ${picked.naturalHeight}`;
      $("stage-inner").style.setProperty("--ratio", String(picked.naturalWidth / picked.naturalHeight));
      const kinds = (found.anomalies ?? []).map((one) => one.kind).join(", ") || "good";
      $("enlarge-note").textContent = `${kinds}; ${picked.naturalWidth} × ${picked.naturalHeight} pixels`;
      this.layers();
      this.slide();
    } catch (error) {
      if (wasAborted(error)) return;
      this.forget();
      clear($("stage-inner"));
      $("enlarge-note").textContent = error.message;
    }
  }

  slide() {
    const share = Number($("enlarge-slide").value);
    $("stage-inner").style.setProperty("--before", `${100 - share}%`);
    $("enlarge-slide").setAttribute("aria-valuetext", `${share} % after`);
  }

  layers() {
    $("stage").classList.toggle("with-map", $("enlarge-map").checked);
    $("stage").classList.toggle("with-mask", $("enlarge-mask").checked);
    $("stage").classList.toggle("full", $("enlarge-full").checked);
  }

  /** The divider follows a pointer that drags over the picture. */
  dragging() {
    const move = (event) => {
      const box = $("stage-inner").getBoundingClientRect();
      $("enlarge-slide").value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
      this.slide();
    };
    $("stage").addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0 || event.target.matches(".stage")) return;
      this.held = true;
      move(event);
    });
    window.addEventListener("pointermove", (event) => this.held && move(event));
    window.addEventListener("pointerup", () => (this.held = false));
  }

  async saveFile() {
    try {
      const { blob, headers } = await api.file("/api/sample", { state: forServer(this.store.state), place: this.place, form: "file" });
      save(blob, (headers.get("x-file") ?? "sample.png").replaceAll("/", "_"));
    } catch (error) {
      $("enlarge-note").textContent = error.message;
    }
  }

  forget() {
    for (const address of this.addresses) URL.revokeObjectURL(address);
    this.addresses = [];
  }

  closed() {
    this.control?.abort();
    clear($("stage-inner"));
    this.forget();
  }
}
