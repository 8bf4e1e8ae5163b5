/** Match: from dropped defect pictures with masks to a recipe. */

import { $, clear, h } from "./dom.js";
import * as api from "./api.js";

const MASK = /[._-]mask\.[^.]+$/i;

export class Match {
  constructor(store, setup, chooseKinds) {
    this.store = store;
    this.setup = setup;
    this.kinds = chooseKinds;
    this.dropped = { pictures: [], masks: [] };
    $("match-go").onclick = () => this.go();
    $("match-real").hidden = !setup.real;
    $("match-real").onclick = () => this.matchReal();
    for (const name of ["pictures", "masks"]) {
      $(`match-${name}`).onchange = (event) => {
        this.dropped[name] = [...event.target.files];
        this.say();
      };
    }
    const drop = $("drop");
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const files = [...event.dataTransfer.files];
      this.dropped = { pictures: files.filter((file) => !MASK.test(file.name)), masks: files.filter((file) => MASK.test(file.name)) };
      this.say();
    });
  }

  say() {
    const { pictures, masks } = this.dropped;
    $("match-note").textContent = `${pictures.length} pictures and ${masks.length} masks chosen`;
  }

  async go() {
    const form = new FormData();
    form.append("kind", $("match-kind").value);
    for (const name of ["pictures", "masks"]) for (const file of this.dropped[name]) form.append(name, file, file.name);
    const total = [...this.dropped.pictures, ...this.dropped.masks];
    const { files, bytes } = this.setup.limits;
    if (total.length > files) return this.tell(`${total.length} files: at most ${files}, pictures and masks together.`);
    const size = total.reduce((sum, file) => sum + file.size, 0);
    if (size > bytes) return this.tell(`${(size / 2 ** 20).toFixed(0)} MiB: at most ${(bytes / 2 ** 20).toFixed(0)} MiB at a time.`);
    return this.take(() => api.upload("/api/match", form));
  }

  matchReal() {
    return this.take(() => api.post("/api/match-real", { kinds: this.kinds() }));
  }

  tell(text) {
    $("match-note").textContent = text;
  }

  async take(ask) {
    this.tell("Matching…");
    $("match-go").disabled = $("match-real").disabled = true;
    try {
      const found = await ask();
      this.store.change({ recipe: found.recipe, defects: found.defects }, { rebuild: true });
      clear($("match-note"), `Matched to ${found.examples} defects: the recipe is in the controls. `, h("span", { class: "muted" }, found.notes.join("; ")));
    } catch (error) {
      this.tell(error.message);
    } finally {
      $("match-go").disabled = $("match-real").disabled = false;
    }
  }
}
