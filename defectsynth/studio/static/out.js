/** What is taken away: YAML, the command, a ZIP, a rendered folder. */

import { $, copy, paused, save } from "./dom.js";
import * as api from "./api.js";
import { forServer } from "./grid.js";
import { followed } from "./truth.js";

export class Out {
  constructor(store, setup) {
    this.store = store;
    this.setup = setup;
    this.refresh = paused(250, () => this.load());
    $("yaml-copy").onclick = () => copy($("yaml").value, $("yaml-copy"));
    $("yaml-save").onclick = () => save(new Blob([$("yaml").value], { type: "application/yaml" }), "tuned.yaml");
    $("yaml-open").onchange = (event) => this.open(event.target);
    $("command-copy").onclick = () => copy($("command").textContent, $("command-copy"));
    $("bundle").onclick = () => this.bundle();
    $("count").oninput = (event) => this.setNumber("count", event.target);
    $("train").oninput = (event) => this.setNumber("train_fraction", event.target);
    $("render-go").onclick = () => this.render();
    $("render-cancel").onclick = () => this.run && api.post(`/api/runs/${encodeURIComponent(this.run.id)}/cancel`, {});
    $("render-note").textContent = `Goes into ${setup.out}`;
  }

  restore() {
    if (document.activeElement !== $("count")) $("count").value = this.store.state.count;
    if (document.activeElement !== $("train")) $("train").value = this.store.state.train_fraction;
  }

  setNumber(name, input) {
    const value = Number(input.value);
    if (input.value !== "" && Number.isFinite(value)) this.store.change({ [name]: value }, { key: name });
  }

  async load() {
    const state = forServer(this.store.state);
    const number = (this.asked = (this.asked ?? 0) + 1);
    const fresh = () => number === this.asked;
    try {
      const [yaml, told] = await Promise.all([api.post("/api/yaml", { state }), api.post("/api/command", { state })]);
      if (!fresh()) return;
      $("yaml").value = yaml.yaml;
      $("command").textContent = told.command;
      const files = told.files.join(", ");
      $("command-files").textContent = `Run it where ${files} ${told.files.length > 1 ? "lie" : "lies"}: it gives the pictures of this page, byte for byte.`;
      this.usable(true);
    } catch (error) {
      if (!fresh()) return;
      $("command").textContent = "";
      $("command-files").textContent = `No command yet: ${error.message}`;
      this.usable(false);
    }
  }

  usable(sound) {
    for (const name of ["yaml-copy", "yaml-save", "command-copy", "bundle", "render-go"]) $(name).disabled = !sound || (name === "render-go" && Boolean(this.run));
  }

  async open(input) {
    const [chosen] = input.files;
    input.value = "";
    if (!chosen) return;
    try {
      if (chosen.size > 1_000_000) throw new Error(`${chosen.name} has ${chosen.size} bytes: a recipe is a small text`);
      const { recipe } = await api.post("/api/open", { yaml: await chosen.text(), name: chosen.name });
      this.store.change({ recipe }, { rebuild: true });
      $("render-note").textContent = `Opened ${chosen.name}`;
    } catch (error) {
      $("render-note").textContent = error.message;
    }
  }

  async bundle() {
    try {
      const { blob } = await api.file("/api/bundle", { state: forServer(this.store.state) });
      save(blob, "tuned.zip");
    } catch (error) {
      $("render-note").textContent = error.message;
    }
  }

  async render() {
    const [note, bar] = [$("render-note"), $("render-progress")];
    $("render-go").disabled = true;
    try {
      const name = $("render-name").value;
      this.run = await api.post("/api/render", { state: forServer(this.store.state), name });
      $("render-cancel").hidden = bar.hidden = false;
      const told = await followed(this.run, ({ done, total }) => {
        bar.max = total || 1;
        bar.value = done;
        note.textContent = total ? `${done} of ${total} pictures` : "Starting…";
      });
      if (told.status === "failed") throw new Error(told.error);
      note.textContent =
        told.status === "cancelled"
          ? `Cancelled after ${told.done} pictures: what was written stays in ${this.setup.out}/${name}.`
          : `${told.result.pictures} pictures in ${told.result.out}` + (told.result.skipped ? `; ${told.result.skipped} were skipped: see skipped.jsonl` : "");
    } catch (error) {
      note.textContent = error.message;
    } finally {
      this.run = null;
      $("render-go").disabled = false;
      $("render-cancel").hidden = bar.hidden = true;
    }
  }
}
