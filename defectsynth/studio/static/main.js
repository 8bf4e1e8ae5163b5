/** Puts the page together: the state, and all that follows it. */

import { $, clear, copy, h, notice, paused, wasAborted } from "./dom.js";
import * as api from "./api.js";
import { Store, fromLink, painted, toLink, VIEW } from "./state.js";
import { Controls } from "./controls.js";
import { Enlarge } from "./enlarge.js";
import { Grid } from "./grid.js";
import { Match } from "./match.js";
import { Out } from "./out.js";
import { RoiEditor } from "./roi.js";
import { Truth } from "./truth.js";

const SIZES = [128, 256, 320, 512, 768, 1024];
const LARGEST_SEED = Number.MAX_SAFE_INTEGER;

theme();
start().catch((error) => notice(error.message));

async function start() {
  const [setup, schema] = await Promise.all([api.get("/api/setup"), api.get("/api/schema")]);
  const store = new Store();
  const controls = new Controls(store, schema);
  const enlarge = new Enlarge(store, () => grid.places());
  const grid = new Grid(store, setup, (place) => enlarge.open(place));
  new RoiEditor(store, () => grid.places());
  const truth = new Truth(store, setup);
  const out = new Out(store, setup);
  new Match(store, setup, () => truth.kinds());
  choosers(store, setup, schema);
  const check = checker(store, controls);
  const remember = paused(120, async () => {
    ownLink = await toLink(store.state);
    history.replaceState(null, "", `#${ownLink}`);
  });
  let ownLink = "";

  store.addEventListener("change", ({ detail: { before, rebuild } }) => {
    const anew = !before || painted(before) !== painted(store.state);
    restore(store, setup);
    out.restore();
    truth.restore();
    if (rebuild || !before) controls.build();
    if (anew || rebuild) check();
    if (anew) truth.age();
    grid.refresh();
    if (anew || before.count !== store.state.count) out.refresh();
    remember();
  });
  grid.onPainted = () => truth.later();
  controls.onOpened = check;

  window.addEventListener("hashchange", async () => {
    if (location.hash.slice(1) === ownLink) return;
    const state = await linked(setup);
    if (state) store.set(state, { rebuild: true });
  });
  $("undo").onclick = () => store.undo();
  $("redo").onclick = () => store.redo();
  $("link").onclick = async () => {
    ownLink = await toLink(store.state);
    history.replaceState(null, "", `#${ownLink}`);
    await copy(location.href, $("link"));
  };
  window.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (event.shiftKey) store.redo();
    else store.undo();
  });
  for (const button of document.querySelectorAll("[data-target]"))
    button.addEventListener("click", (event) => {
      event.preventDefault();
      $(button.dataset.target).focus({ preventScroll: true });
      $(button.dataset.target).scrollIntoView({ behavior: "smooth", block: "start" });
    });
  store.set((await linked(setup)) ?? setup.start, { rebuild: true });
  document.documentElement.dataset.ready = "yes";
}

/** The state of the page's own address, or null. */
async function linked(setup) {
  const text = location.hash.slice(1);
  if (!text) return null;
  try {
    return { ...setup.start, ...(await fromLink(text)) };
  } catch (error) {
    notice(`This link cannot be restored (${error.message}): the page opened as it was started.`);
    return null;
  }
}

function choosers(store, setup, schema) {
  const option = (value, text) => h("option", { value }, text);
  clear($("preset"), option("", "(changed or your own)"), schema.presets.map(({ name, needs }) => option(name, needs.length ? `${name} (needs ${needs.join(", ")})` : name)));
  $("preset").onchange = async (event) => {
    if (!event.target.value) return;
    try {
      const { recipe } = await api.get(`/api/preset/${encodeURIComponent(event.target.value)}`);
      store.change({ recipe }, { rebuild: true });
    } catch (error) {
      notice(error.message);
    }
  };
  clear($("images"), setup.images.map(({ key, label }) => option(key, short(label))));
  $("images").onchange = (event) => store.change({ images: event.target.value, roi: null, pins: [] }, { rebuild: true });
  $("size").onchange = (event) => {
    const side = Number(event.target.value);
    store.change({ size: side ? [side, side] : null });
  };
  clear($("sources"), sourceChoosers(store, setup));
  const step = (by) => () => store.change({ seed: Math.min(LARGEST_SEED, Math.max(0, store.state.seed + by)) });
  $("seed-back").onclick = step(-1);
  $("seed-on").onclick = step(1);
  $("seed").onchange = (event) => store.change({ seed: Math.min(LARGEST_SEED, Math.max(0, Math.floor(Number(event.target.value) || 0))) });
  for (const name of Object.keys(VIEW)) $(`show-${name}`).onchange = (event) => store.setView({ [name]: event.target.checked });
}

/** Textures, defects and masks that recipes may draw from. */
function sourceChoosers(store, setup) {
  const select = (name, entries) =>
    h("label", {}, `${name[0].toUpperCase()}${name.slice(1)} `, h("select", {
      id: name,
      onchange: (event) => store.change({ [name]: event.target.value || null }),
    }, [h("option", { value: "" }, "none"), ...entries.map(({ key, label }) => h("option", { value: key }, short(label)))]));
  return h("details", { class: "block" }, h("summary", {}, h("h3", {}, "Anomaly sources")),
    h("div", { class: "stack" }, select("textures", setup.textures), select("defects", setup.defects),
      h("p", { class: "muted small" }, setup.masks ? "Masks: the folder of --masks." : "Masks: start with --masks FOLDER for recipes that need them.")));
}

function restore(store, setup) {
  const { state, view } = store;
  $("images").value = state.images;
  sizes(state.size);
  if (document.activeElement !== $("seed")) $("seed").value = state.seed;
  for (const name of Object.keys(VIEW)) $(`show-${name}`).checked = Boolean(view[name]);
  $("preset").value = [...$("preset").options].some((one) => one.value === state.recipe.name) ? state.recipe.name : "";
  $("textures").value = state.textures ?? "";
  const defects = $("defects");
  if (state.defects && ![...defects.options].some((one) => one.value === state.defects)) defects.append(h("option", { value: state.defects }, "dropped pictures"));
  defects.value = state.defects ?? "";
  $("roi-open").textContent = state.roi ? "ROI: drawn…" : setup.roi && state.images === "given" ? "ROI: given…" : "ROI…";
  $("undo").disabled = !store.past.length;
  $("redo").disabled = !store.future.length;
}

function sizes(size) {
  const wanted = [["", "own"], ...SIZES.map((side) => [String(side), `${side} × ${side}`])];
  const value = size === null ? "" : size[0] === size[1] ? String(size[0]) : size.join();
  if (!wanted.some(([key]) => key === value)) wanted.push([value, `${size[1]} × ${size[0]}`]);
  if ($("size").options.length !== wanted.length) clear($("size"), wanted.map(([key, text]) => h("option", { value: key }, text)));
  $("size").value = value;
}

/** Asks what is wrong with the recipe, and shows it beside the fields. */
function checker(store, controls) {
  let control = null;
  return async () => {
    control?.abort();
    control = new AbortController();
    try {
      const { complaints } = await api.post("/api/check", { recipe: store.state.recipe }, control.signal);
      controls.complain(complaints);
    } catch (error) {
      if (!wasAborted(error)) notice(error.message);
    }
  };
}

function theme() {
  let chosen = null;
  try {
    chosen = localStorage.getItem("defectsynth-theme");
  } catch {
    // a browser that keeps nothing still has its own preference
  }
  if (chosen) document.documentElement.dataset.theme = chosen;
  $("theme").onclick = () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("defectsynth-theme", document.documentElement.dataset.theme);
    } catch {
      // as above
    }
  };
}

/** The end of a path, which says more than its beginning. */
const short = (label) => (label.startsWith("/") || label.includes("\\") ? label.split(/[\\/]/).filter(Boolean).slice(-3).join("/") : label);
