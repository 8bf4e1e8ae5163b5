/** Synthetic beside real: histograms, and the two-sample score. */

import { $, clear, h, paused, tidy, wasAborted } from "./dom.js";
import * as api from "./api.js";
import { forServer } from "./grid.js";

export class Truth {
  constructor(store, setup) {
    this.store = store;
    this.setup = setup;
    this.real = setup.real;
    const follow = $("truth-follow");
    follow.onchange = () => this.store.setView({ follow: follow.checked });
    $("truth-measure").onclick = () => this.measure();
    $("truth-score").onclick = () => this.score();
    $("truth-score").hidden = !this.real;
    if (!this.real) {
      $("truth-note").textContent = "No real defects were given: measured are the samples alone. Start with --real FOLDER to compare.";
    } else {
      $("truth-kinds").hidden = false;
      for (const [kind, count] of Object.entries(this.real))
        $("truth-kinds").append(h("label", { class: "chip small" },
          h("input", { type: "checkbox", value: kind, onchange: () => this.chooseKinds() }), `${kind} (${count})`));
    }
    this.later = paused(600, () => this.store.view.follow && this.measure());
  }

  restore() {
    $("truth-follow").checked = Boolean(this.store.view.follow);
    const chosen = new Set(this.store.view.real ?? []);
    for (const box of $("truth-kinds").querySelectorAll("input")) box.checked = chosen.has(box.value);
  }

  /** What was measured and scored belongs to another state now. */
  age() {
    for (const name of ["truth-panels", "truth-result"]) $(name).classList.add("aged");
  }

  kinds() {
    return [...$("truth-kinds").querySelectorAll("input:checked")].map((box) => box.value);
  }

  chooseKinds() {
    this.store.setView({ real: this.kinds() });
    if ($("truth-panels").children.length) this.measure();
  }

  async measure() {
    this.control?.abort();
    const control = (this.control = new AbortController());
    $("truth-note").textContent = "Measuring…";
    try {
      const found = await api.post("/api/stats", { state: forServer(this.store.state), kinds: this.kinds() }, control.signal);
      clear($("truth-panels"), found.panels.map(panel)).classList.remove("aged");
      $("truth-note").textContent =
        `${found.synthetic} synthetic defects` + (found.real ? ` over ${found.real} real ones` : "") +
        (found.failed ? `; ${found.failed} could not be painted` : "") + ". Bars are shares, triangles medians.";
    } catch (error) {
      if (!wasAborted(error)) $("truth-note").textContent = error.message;
    }
  }

  async score() {
    const note = $("truth-note");
    $("truth-score").disabled = true;
    try {
      const run = await api.post("/api/score", { state: forServer(this.store.state), kinds: this.kinds() });
      const told = await followed(run, ({ done, total }) => (note.textContent = `Scoring: ${done} of ${total || "…"}`));
      if (told.status !== "done") throw new Error(told.error ?? "The score was cancelled.");
      note.textContent = "Scored. An AUROC of 0.5 cannot be told apart from real defects, 1 always can.";
      clear($("truth-result"), scoreTable(told.result)).classList.remove("aged");
    } catch (error) {
      note.textContent = error.message;
    } finally {
      $("truth-score").disabled = false;
    }
  }
}

/** Asks for a run until it has ended. */
export async function followed(run, progress) {
  let told = run;
  while (told.status === "running") {
    progress(told);
    await new Promise((resolve) => setTimeout(resolve, 250));
    told = await api.get(`/api/runs/${encodeURIComponent(run.id)}`);
  }
  progress(told);
  return told;
}

function panel(data) {
  const [width, height, foot] = [300, 120, 18];
  const count = data.edges.length - 1;
  const tallest = Math.max(...data.synthetic, ...(data.real ?? []), 1e-9);
  const bars = (shares, name) =>
    shares.map((share, place) =>
      share > 0
        ? h("rect", {
            class: name, x: String((place * width) / count + 0.5), width: String(width / count - 1),
            y: String(height - (share / tallest) * (height - 8)), height: String((share / tallest) * (height - 8)),
          })
        : null);
  const medians = [["synthetic", data.summary.quantiles[2]], ...(data.real ? [["real", data.summary.against_quantiles[2]]] : [])];
  const marks = medians.map(([name, value]) => {
    const at = along(value, data) * width;
    return h("polygon", { class: name, points: `${at},${height + 1} ${at - 5},${height + 9} ${at + 5},${height + 9}` });
  });
  const label = (edge, anchor, x) => h("text", { x: String(x), y: String(height + foot + 6), "text-anchor": anchor }, tidy(Number(edge.toPrecision(2))));
  const text = medians.map(([name, value]) => `${name} ${tidy(Number(value.toPrecision(2)))}`).join(", ");
  return h("figure", { class: "panel" },
    h("figcaption", { title: data.meaning }, h("b", {}, data.name), h("span", { class: "muted" }, " (medians)"), h("br"),
      medians.map(([name, value]) => h("span", { class: `legend ${name}` }, `${name} ${tidy(Number(value.toPrecision(2)))}`))),
    h("svg", { viewBox: `0 0 ${width} ${height + foot + 10}`, role: "img", "aria-label": `${data.name}: median ${text}. ${data.meaning}` },
      bars(data.real ?? [], "real"), bars(data.synthetic, "synthetic"), h("line", { x1: "0", x2: String(width), y1: String(height), y2: String(height) }),
      marks, label(data.edges[0], "start", 0), label(data.edges.at(-1), "end", width)));
}

/** Where a value lies between the first and the last edge. */
function along(value, data) {
  const at = (one) => (data.log ? Math.log(Math.max(one, 1e-12)) : one);
  const [low, high] = [at(data.edges[0]), at(data.edges.at(-1))];
  return Math.min(1, Math.max(0, (at(value) - low) / (high - low || 1)));
}

function scoreTable(result) {
  const row = (name, test) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, test.auroc.toFixed(3)),
    h("td", {}, `${test.interval[0].toFixed(3)} to ${test.interval[1].toFixed(3)}`), h("td", {}, test.floor.mean.toFixed(3)));
  return h("div", {},
    h("table", {},
      h("caption", {}, `How well ${result.synthetic} synthetic defects are told from ${result.real} real ones`),
      h("thead", {}, h("tr", {}, ["what is looked at", "AUROC", "95 % interval", "real against real"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, row("shape of the mask", result.shape), row("appearance", result.appearance))),
    h("ul", { class: "muted" }, result.notes.map((note) => h("li", {}, note))));
}
