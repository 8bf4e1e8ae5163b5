/** Controls for every field of the recipe, made from its own schema. */

import { $, clear, h, share, tidy } from "./dom.js";
import { at } from "./state.js";

const STEPS = 1000;
const SIDES = [["mask", "Where"], ["source", "What"], ["blend", "How"]];

export class Controls {
  constructor(store, schema) {
    this.store = store;
    this.schema = schema;
    this.open = new Set();
    this.weights = new Map(); // of kinds that were switched off
    this.places = new Map(); // by path: where a complaint is shown
  }

  /** Builds everything anew for the present recipe. */
  build() {
    const focused = document.activeElement?.dataset?.path;
    this.places.clear();
    const recipe = this.store.state.recipe;
    $("recipe-text").textContent = recipe.description ?? "";
    clear($("controls"), this.mixture(recipe), this.whole(recipe));
    if (focused) document.querySelector(`[data-path="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  /** Shows what is wrong, each beside its field; what has no field stands on top. */
  complain(complaints) {
    for (const place of this.places.values()) {
      place.textContent = "";
      place.closest(".field, .kind, .part")?.classList.remove("wrong");
    }
    const left = [];
    for (const { path, message } of complaints) {
      const place = this.findPlace(path);
      if (!place) {
        left.push(path.length ? `${path.join(".")}: ${message}` : message);
        continue;
      }
      place.textContent = message;
      place.closest(".field, .kind, .part")?.classList.add("wrong");
      if (!place.checkVisibility?.()) left.push(`${path.join(".")}: ${message}`);
    }
    clear($("complaints"), left.map((text) => h("p", {}, text)));
  }

  findPlace(path) {
    for (let length = path.length; length > 0; length -= 1) {
      const place = this.places.get(path.slice(0, length).join("."));
      if (place) return place;
    }
    return null;
  }

  set(path, value, options) {
    this.store.setRecipe(path, value, options);
  }

  // --- the mixture of kinds ------------------------------------------------------------------------------------------

  mixture(recipe) {
    const kinds = Object.keys(recipe.kinds ?? {});
    const list = h("div", { class: "mixture" });
    for (const name of kinds) list.append(this.kind(name, recipe.kinds[name]));
    this.shares(list);
    const all = (on) => () => {
      const changed = Object.fromEntries(kinds.map((name) => [name, { ...recipe.kinds[name], weight: on ? this.remembered(name) : 0 }]));
      this.set(["kinds"], changed, { rebuild: true, key: null });
    };
    return h(
      "section", { class: "block" },
      h("div", { class: "row" }, h("h3", {}, "Kinds"), h("span", { class: "grow" }),
        kinds.length > 1 ? h("button", { type: "button", class: "small", onclick: all(true) }, "All on") : null),
      list, this.place(["kinds"]),
    );
  }

  remembered(name) {
    return this.store.state.recipe.kinds[name]?.weight || this.weights.get(name) || 1;
  }

  kind(name, kind) {
    const path = ["kinds", name];
    const weightField = this.schema.kind.fields.find((field) => field.name === "weight");
    const weights = Object.values(this.store.state.recipe.kinds).map((one) => one.weight ?? 1);
    const largest = Math.max(weightField.slider[1], ...weights.filter(Number.isFinite));
    const number = h("input", {
      type: "number", class: "number", min: 0, step: "any", value: tidy(kind.weight ?? 1), "aria-label": `Weight of ${name}`,
      "data-path": [...path, "weight"].join("."),
      oninput: (event) => weigh(parsed(event.target)),
    });
    const slider = h("input", {
      type: "range", min: 0, max: largest, step: 0.1, value: String(kind.weight ?? 1), "aria-label": `Weight of ${name}, slider`,
      title: weightField.doc, oninput: (event) => weigh(Number(event.target.value)),
    });
    const on = h("input", {
      type: "checkbox", role: "switch", checked: (kind.weight ?? 1) > 0, "aria-label": `Draw ${name}`,
      onchange: (event) => {
        if (!event.target.checked) this.weights.set(name, this.store.state.recipe.kinds[name].weight);
        weigh(event.target.checked ? this.remembered(name) : 0, null);
      },
    });
    const weigh = (value, key) => {
      on.checked = value > 0;
      if (document.activeElement !== number) number.value = tidy(value);
      slider.value = String(value);
      box.classList.toggle("off", !(value > 0));
      this.set([...path, "weight"], value, key === null ? { key } : {});
      this.shares(box.parentElement);
    };
    const body = h("div", { class: "kind-body" });
    const details = h(
      "details", { class: "kind-details", open: this.open.has(name), ontoggle: () => this.toggled(details, name, body, path) },
      h("summary", {}, h("span", { class: "kind-name" }, name), h("span", { class: "portion" })),
      body,
    );
    const box = h(
      "div", { class: `kind${(kind.weight ?? 1) > 0 ? "" : " off"}`, "data-kind": name },
      h("div", { class: "kind-head" }, h("label", { class: "switch" }, on, h("span", { class: "track" })), details),
      h("div", { class: "weight" }, slider, number),
      this.place([...path, "weight"]), this.place(path),
    );
    if (this.open.has(name)) this.fill(body, path);
    return box;
  }

  toggled(details, name, body, path) {
    if (details.open) this.open.add(name);
    else this.open.delete(name);
    if (details.open && !body.children.length) this.fill(body, path);
    this.onOpened?.();
  }

  shares(list) {
    const kinds = this.store.state.recipe.kinds ?? {};
    const total = Object.values(kinds).reduce((sum, kind) => sum + Math.max(0, kind.weight ?? 1), 0);
    for (const box of list?.querySelectorAll?.(".kind") ?? []) {
      const weight = Math.max(0, kinds[box.dataset.kind]?.weight ?? 1);
      box.querySelector(".portion").textContent = weight > 0 ? share(weight / total) : "off";
    }
  }

  fill(body, path) {
    const kind = at(this.store.state.recipe, path);
    clear(
      body,
      SIDES.map(([side, title]) => this.part(side, title, [...path, side], kind[side])),
      h("fieldset", { class: "part" }, h("legend", {}, "This kind"),
        this.schema.kind.fields.filter((field) => ["name", "halo_range"].includes(field.name)).map((field) => this.field(field, [...path, field.name]))),
    );
  }

  /** One of where, what, how: its kind, and that kind's fields. */
  part(side, title, path, value) {
    const kinds = this.schema[side.replace(/s$/, "")];
    const name = value?.kind ?? (side === "source" ? "product" : "");
    const model = kinds[name];
    const select = h(
      "select", {
        "data-path": [...path, "kind"].join("."), "aria-label": `${title}: kind`,
        onchange: (event) => {
          const carried = {};
          const known = new Set(kinds[event.target.value].fields.map((field) => field.name));
          for (const key of ["area_range", "components_range", "rotation_range", "opacity_range", "edge_range"])
            if (known.has(key) && value?.[key] !== undefined) carried[key] = value[key];
          this.set(path, { kind: event.target.value, ...this.required(kinds[event.target.value]), ...carried }, { rebuild: true, key: null });
        },
      },
      Object.keys(kinds).map((one) => h("option", { value: one, selected: one === name }, one)),
    );
    return h(
      "fieldset", { class: "part" }, h("legend", {}, title),
      h("div", { class: "field choice" }, select, this.place(path)),
      model ? h("p", { class: "muted small" }, model.summary) : null,
      (model?.fields ?? []).map((field) =>
        field.name === "masks"
          ? (value.masks ?? []).map((one, number) => this.part("masks", `Mask ${number + 1}`, [...path, "masks", number], one))
          : this.field(field, [...path, field.name])),
    );
  }

  required(model) {
    const values = {};
    for (const field of model.fields) if (field.name === "masks") values.masks = [{ kind: "perlin" }, { kind: "ellipse" }];
    return values;
  }

  // --- the recipe as a whole ----------------------------------------------------------------------------------------

  whole() {
    const left = this.schema.recipe.fields.filter((field) => field.name !== "kinds");
    const body = h("div", {});
    const details = h(
      "details", { class: "block", open: this.open.has("*"), ontoggle: () => this.toggledWhole(details) },
      h("summary", {}, h("h3", {}, "Whole recipe")), body,
      );
    clear(body, left.map((field) => this.field(field, [field.name])));
    return details;
  }

  toggledWhole(details) {
    if (details.open) this.open.add("*");
    else this.open.delete("*");
    this.onOpened?.();
  }

  // --- fields ---------------------------------------------------------------------------------------------------------

  place(path) {
    const key = path.join(".");
    const made = h("p", { class: "error", id: `wrong-${key}`, role: "alert" });
    this.places.set(key, made);
    return made;
  }

  field(field, path) {
    const value = at(this.store.state.recipe, path) ?? (field.optional ? null : field.default);
    if (field.type === "group") {
      return h("fieldset", { class: "group" }, h("legend", { title: field.doc }, field.name),
        field.fields.map((inner) => this.field(inner, [...path, inner.name])), this.place(path));
    }
    const key = path.join(".");
    const makers = { range: "range", number: "number", switch: "toggle", choice: "choice", choices: "choices", text: "text", value: "value" };
    const control = this[makers[field.type]](field, path, value);
    const help = h("p", { class: "help", id: `help-${key}`, hidden: true }, field.doc);
    const about = field.doc
      ? h("button", {
          type: "button", class: "about", "aria-label": `About ${field.name}`, "aria-expanded": "false", "aria-controls": `help-${key}`, title: field.doc,
          onclick: (event) => {
            help.hidden = !help.hidden;
            event.target.setAttribute("aria-expanded", String(!help.hidden));
          },
        }, "?")
      : null;
    const unit = field.unit ? h("span", { class: "unit" }, field.unit) : null;
    return h("div", { class: `field ${field.type}`, "data-field": key },
      h("div", { class: "field-head" }, h("span", { class: "field-name", id: `name-${key}` }, field.name), unit, about),
      control, help, this.place(path));
  }

  /** A range that may be unset: a switch gives it a value or takes it away. */
  optional(field, path, value, inner, fresh) {
    if (!field.optional) return inner;
    const on = h("input", {
      type: "checkbox", checked: value !== null, "aria-label": `Set ${field.name}`, "data-path": `${path.join(".")}?`,
      onchange: (event) => this.set(path, event.target.checked ? fresh : null, { rebuild: true, key: null }),
    });
    return h("div", { class: "optional" }, on, value === null ? h("span", { class: "muted small" }, "not set") : inner);
  }

  range(field, path, value) {
    const fresh = field.default ?? suggested(field);
    const [low, high] = Array.isArray(value) ? value : fresh;
    const scale = scaleOf(field);
    const ends = [low, high].map(Number);
    const send = (moved) => {
      this.set(path, [...ends]);
      draw(moved);
    };
    const sliders = ["low", "high"].map((name, place) =>
      h("input", {
        type: "range", min: 0, max: STEPS, step: 1, value: String(scale.to(ends[place])), class: `end-${name}`,
        "aria-label": `${field.name}, ${name} end`, "data-path": `${path.join(".")}.${name}.slider`,
        oninput: (event) => {
          ends[place] = scale.from(Number(event.target.value));
          if (ends[0] > ends[1]) ends[1 - place] = ends[place];
          send(event.target);
        },
      }));
    const numbers = ["low", "high"].map((name, place) =>
      h("input", {
        type: "number", class: "number", step: "any", value: tidy(ends[place]), "aria-label": `${field.name}, ${name} end, number`,
        "aria-describedby": `wrong-${path.join(".")}`, "data-path": `${path.join(".")}.${name}`,
        oninput: (event) => {
          ends[place] = parsed(event.target);
          send(event.target);
        },
      }));
    const fill = h("span", { class: "fill" });
    const draw = (moved) => {
      sliders.forEach((slider, place) => {
        slider.value = String(scale.to(ends[place]));
        slider.setAttribute("aria-valuetext", `${tidy(ends[place])} ${field.unit ?? ""}`);
        if (numbers[place] !== moved) numbers[place].value = tidy(ends[place]);
      });
      const [left, right] = ends.map((end) => (100 * scale.to(end)) / STEPS);
      fill.style.left = `${Math.min(left, right)}%`;
      fill.style.width = `${Math.abs(right - left)}%`;
      sliders[0].style.zIndex = left > 50 ? "3" : "2";
    };
    draw(null);
    const inner = h("div", { class: "range-inner" }, numbers[0],
      h("div", { class: "dual" }, h("span", { class: "rail" }), fill, sliders), numbers[1]);
    return this.optional(field, path, value, inner, fresh);
  }

  number(field, path, value) {
    const scale = scaleOf(field);
    const present = Number(value ?? field.default ?? field.slider[0]);
    const slider = h("input", {
      type: "range", min: 0, max: STEPS, step: 1, value: String(scale.to(present)), "aria-label": `${field.name}, slider`,
      oninput: (event) => {
        const moved = scale.from(Number(event.target.value));
        number.value = tidy(moved);
        this.set(path, moved);
      },
    });
    const number = h("input", {
      type: "number", class: "number", step: "any", value: tidy(present), "aria-label": field.name, "data-path": path.join("."),
      "aria-describedby": `wrong-${path.join(".")}`,
      oninput: (event) => {
        const typed = parsed(event.target);
        slider.value = String(scale.to(typed));
        this.set(path, typed);
      },
    });
    return this.optional(field, path, value, h("div", { class: "range-inner one" }, slider, number), present);
  }

  toggle(field, path, value) {
    return h("label", { class: "switch" },
      h("input", { type: "checkbox", role: "switch", checked: Boolean(value), "aria-label": field.name, "data-path": path.join("."),
        onchange: (event) => this.set(path, event.target.checked, { key: null }) }),
      h("span", { class: "track" }));
  }

  choice(field, path, value) {
    return h("select", { "aria-label": field.name, "data-path": path.join("."), onchange: (event) => this.set(path, event.target.value, { key: null }) },
      field.choices.map((one) => h("option", { value: one, selected: one === value }, one)));
  }

  choices(field, path, value) {
    const chosen = new Set(value ?? []);
    const inner = h("div", { class: "chips", role: "group", "aria-label": field.name }, field.choices.map((one) =>
      h("label", { class: "chip small" }, h("input", {
        type: "checkbox", checked: chosen.has(one),
        onchange: (event) => {
          if (event.target.checked) chosen.add(one);
          else chosen.delete(one);
          this.set(path, field.choices.filter((each) => chosen.has(each)), { key: null });
        },
      }), one)));
    return this.optional(field, path, value, inner, field.default ?? [field.choices[0]]);
  }

  text(field, path, value) {
    return h("input", {
      type: "text", value: value ?? "", "aria-label": field.name, "data-path": path.join("."), autocomplete: "off",
      oninput: (event) => this.set(path, event.target.value === "" && field.optional ? null : event.target.value),
    });
  }

  /** What has no control of its own is typed as JSON. */
  value(field, path, value) {
    const wrong = h("span", { class: "error" });
    return h("div", {}, h("input", {
      type: "text", value: JSON.stringify(value), class: "code", "aria-label": `${field.name}, as JSON`, "data-path": path.join("."), autocomplete: "off",
      onchange: (event) => {
        try {
          this.set(path, JSON.parse(event.target.value === "" ? "null" : event.target.value));
          wrong.textContent = "";
        } catch {
          wrong.textContent = 'not JSON: write null, 3, "word" or [1, 2]';
        }
      },
    }), wrong);
  }
}

/** What is typed; text that is no number goes to the studio as it is, which says why it cannot be used. */
function parsed(input) {
  return input.value === "" || Number.isNaN(Number(input.value)) ? input.value : Number(input.value);
}

function suggested(field) {
  const [low, high] = field.slider;
  if (field.whole) return [Math.max(low, 1), Math.max(low, 1)];
  return field.log ? [round(10 * low), round(Math.min(high, 200 * low))] : [low, high];
}

/** Between a value and a place on the slider. */
function scaleOf(field) {
  const [low, high] = field.slider;
  const bounded = (value) => Math.min(high, Math.max(low, Number(value) || 0));
  if (field.log) {
    const span = Math.log(high / low);
    return {
      to: (value) => Math.round((STEPS * Math.log(bounded(value) / low)) / span),
      from: (place) => round(low * Math.exp((span * place) / STEPS)),
    };
  }
  return {
    to: (value) => Math.round((STEPS * (bounded(value) - low)) / (high - low)),
    from: (place) => (field.whole ? Math.round(low + ((high - low) * place) / STEPS) : round(low + ((high - low) * place) / STEPS)),
  };
}

const round = (value) => Number(value.toPrecision(3));
