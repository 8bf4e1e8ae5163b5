/** The ROI: painted on a picture with a brush, over nothing, the whole picture or the foreground. */

import { $, h, wasAborted } from "./dom.js";
import * as api from "./api.js";
import { forServer } from "./grid.js";

const NEAR = 0.004; // of the picture's side: points that are closer say nothing new
const KEY_STEP = 0.02;

export class RoiEditor {
  constructor(store, places) {
    this.store = store;
    this.places = places;
    this.strokes = [];
    this.base = null; // a canvas with the foreground
    this.cursor = [0.5, 0.5];
    $("roi-open").onclick = () => this.open();
    $("roi-close").onclick = () => $("roi").close();
    $("roi-undo").onclick = () => this.edit(() => this.strokes.pop());
    $("roi-clear").onclick = () => this.edit(() => (this.strokes = []));
    $("roi-base").onchange = () => this.loadBase();
    $("roi-radius").oninput = () => this.draw();
    $("roi-none").onclick = () => this.done(null);
    $("roi-apply").onclick = () => this.done({ base: $("roi-base").value, strokes: this.strokes });
    this.listen($("roi-canvas"));
  }

  async open() {
    const roi = this.store.state.roi;
    this.strokes = roi ? [...roi.strokes] : [];
    $("roi-base").value = roi?.base ?? "nothing";
    $("roi-note").textContent = "Loading…";
    $("roi").showModal();
    const place = this.places()[0];
    try {
      const state = { ...forServer(this.store.state), roi: null };
      const { blob } = await api.file("/api/sample", { state, place, form: "normal" });
      this.picture = await createImageBitmap(blob);
    } catch (error) {
      $("roi-note").textContent = error.message;
      return;
    }
    const canvas = $("roi-canvas");
    canvas.width = this.picture.width;
    canvas.height = this.picture.height;
    canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    canvas.style.setProperty("--ratio", String(canvas.width / canvas.height));
    await this.loadBase();
  }

  async loadBase() {
    this.base = null;
    $("roi-note").textContent = "The same strokes hold for every picture of the folder.";
    if ($("roi-base").value === "foreground") {
      try {
        const place = this.places()[0];
        const method = this.store.state.recipe.foreground?.method ?? "auto";
        const { blob, headers } = await api.file("/api/foreground", { state: forServer(this.store.state), place, method });
        const told = JSON.parse(headers.get("x-foreground"));
        this.base = await createImageBitmap(blob);
        $("roi-note").textContent =
          `Foreground by method ${told.method}, confidence ${told.confidence}${told.fills_frame ? ": the product fills the picture" : ""}. ` +
          "Each picture begins with its own; the strokes hold for all.";
      } catch (error) {
        if (!wasAborted(error)) $("roi-note").textContent = error.message;
      }
    }
    this.draw();
  }

  edit(change) {
    change();
    this.draw();
  }

  done(roi) {
    if (roi && roi.base === "nothing" && !roi.strokes.some((stroke) => stroke.mode === "add")) {
      $("roi-note").textContent = "Nothing is allowed yet: paint where a defect may lie, or begin with the whole picture.";
      return;
    }
    $("roi").close();
    this.store.change({ roi });
  }

  listen(canvas) {
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(rounded);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.cursor = place(event);
      this.begin();
      this.draw();
      event.preventDefault();
      canvas.focus();
    });
    canvas.addEventListener("pointermove", (event) => {
      this.cursor = place(event);
      if (this.stroke) this.extend();
      this.draw();
    });
    const end = () => (this.stroke = null);
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (steps) this.cursor = this.cursor.map((one, axis) => rounded(Math.min(1, Math.max(0, one + KEY_STEP * steps[axis]))));
      else if (event.key === " " || event.key === "Enter") {
        this.begin();
        this.stroke = null;
      } else return;
      event.preventDefault();
      this.draw();
    });
  }

  begin() {
    const mode = document.querySelector('input[name="roi-mode"]:checked').value;
    this.stroke = { mode, radius: Number($("roi-radius").value), points: [this.cursor] };
    this.strokes = [...this.strokes, this.stroke];
  }

  extend() {
    const last = this.stroke.points.at(-1);
    if (Math.hypot(last[0] - this.cursor[0], last[1] - this.cursor[1]) < NEAR || this.stroke.points.length >= 2000) return;
    this.stroke.points.push(this.cursor);
  }

  draw() {
    const canvas = $("roi-canvas");
    if (!this.picture) return;
    const { width, height } = canvas;
    const side = Math.sqrt(width * height);
    const mask = h("canvas", { width, height });
    const pen = mask.getContext("2d");
    pen.fillStyle = pen.strokeStyle = "#fff";
    pen.lineCap = pen.lineJoin = "round";
    if ($("roi-base").value === "everything") pen.fillRect(0, 0, width, height);
    if (this.base) this.drawBase(pen, width, height);
    for (const stroke of this.strokes) {
      pen.globalCompositeOperation = stroke.mode === "add" ? "source-over" : "destination-out";
      pen.lineWidth = 2 * stroke.radius * side;
      pen.beginPath();
      pen.moveTo(stroke.points[0][0] * width, stroke.points[0][1] * height);
      for (const [x, y] of stroke.points) pen.lineTo(x * width + 0.01, y * height);
      pen.stroke();
    }
    const view = canvas.getContext("2d");
    view.globalAlpha = 1;
    view.drawImage(this.picture, 0, 0);
    const shade = h("canvas", { width, height });
    const dark = shade.getContext("2d");
    dark.fillStyle = "rgba(8, 18, 34, 0.62)";
    dark.fillRect(0, 0, width, height);
    dark.globalCompositeOperation = "destination-out";
    dark.drawImage(mask, 0, 0);
    view.drawImage(shade, 0, 0);
    view.lineWidth = Math.max(1.5, side / 250);
    view.strokeStyle = "#ffd166";
    view.beginPath();
    view.arc(this.cursor[0] * width, this.cursor[1] * height, Number($("roi-radius").value) * side, 0, 2 * Math.PI);
    view.stroke();
  }

  /** A mask's white as opaque, its black as clear. */
  drawBase(pen, width, height) {
    const part = h("canvas", { width, height });
    const inner = part.getContext("2d");
    inner.drawImage(this.base, 0, 0, width, height);
    const pixels = inner.getImageData(0, 0, width, height);
    for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at + 3] = pixels.data[at];
    inner.putImageData(pixels, 0, 0);
    pen.drawImage(part, 0, 0);
  }
}

const rounded = (value) => Math.round(value * 10000) / 10000;
