import { letAdd } from "./add_button.js";
import { DRAWN, shown, TILES } from "./page.js";

const PARTS = ["label", "value", "delta", "kind", "caption"];

let groups = 0;

// A group of figures; those that depend on the threshold follow the slider. What a figure is stands in one box below the group, as wide as
// the group, so that it is cut off nowhere.
class Tiles {
  constructor(box) {
    this.box = box;
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.tip.setAttribute("role", "tooltip");
    groups += 1;
    this.tip.id = `sparcode-tip-${groups}`;
    this.escape = (event) => {
      if (event.key === "Escape") this.#hide();
    };
  }

  take(data) {
    this.data = data;
    this.box.classList.toggle("of-one-kind", !data.kinds);
    const names = data.tiles.map((tile) => tile.name);
    const gone = [...this.box.children].filter((child) => child !== this.tip && !names.includes(child.dataset.tile));
    if (gone.length) this.#hide();
    for (const card of gone) card.remove();
    this.redraw();
    // Last, and not moved while it is read.
    if (this.box.lastChild !== this.tip) this.box.appendChild(this.tip);
  }

  leave() {
    this.#hide();
  }

  // Put the figures back that the server sent.
  redraw() {
    for (const tile of this.data.tiles) write(this.card(tile.name) || this.#newCard(tile), tile);
    this.box.dataset.version = this.data.version;
  }

  // Put one row of the measured texts there.
  move(tiles, row, version) {
    for (const [name, columns] of Object.entries(tiles)) {
      const card = this.card(name);
      if (card) write(card, Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, column[row]])));
    }
    this.box.dataset.version = version;
  }

  card(name) {
    return this.box.querySelector(`[data-tile="${name}"]`);
  }

  #newCard(tile) {
    const card = document.createElement("div");
    card.className = "sparcode-tile";
    card.dataset.tile = tile.name;
    card.setAttribute("role", "group");
    for (const name of PARTS) card.appendChild(document.createElement("div")).className = name;
    if (tile.tip) this.#explain(card, tile.tip);
    return this.box.appendChild(card);
  }

  #hide() {
    this.tip.hidden = true;
    document.removeEventListener("keydown", this.escape);
  }

  #explain(card, text) {
    card.tabIndex = 0;
    const show = () => {
      this.tip.textContent = text;
      this.tip.hidden = false;
      card.setAttribute("aria-describedby", this.tip.id);
      document.addEventListener("keydown", this.escape);
    };
    const hide = () => {
      this.#hide();
      card.removeAttribute("aria-describedby");
    };
    for (const name of ["pointerenter", "focus"]) card.addEventListener(name, show);
    for (const name of ["pointerleave", "blur"]) card.addEventListener(name, hide);
  }
}

function write(card, texts) {
  for (const name of PARTS.filter((one) => one in texts)) {
    const place = card.querySelector(`.${name}`);
    if (place.textContent !== texts[name]) place.textContent = texts[name];
  }
  if ("label" in texts) card.setAttribute("aria-label", texts.label);
  card.querySelector(".value").style.setProperty("--chars", texts.value.length);
  card.querySelector(".delta").dataset.tone = texts.tone;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const name = data.tiles.map((tile) => tile.label).join(", ");
  letAdd(parentElement, { name, toAdd: data.adds ? () => true : null, note: data.note }, setTriggerValue);
  return shown(
    parentElement.querySelector(TILES),
    (box) => new Tiles(box),
    (tiles) => {
      tiles.take(data);
      document.dispatchEvent(new CustomEvent(DRAWN));
    },
  );
}
