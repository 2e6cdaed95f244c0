import { DRAWN, shown, TILES } from "./page.js";

const PARTS = ["label", "value", "delta", "kind", "caption"];

// A group of figures; those that depend on the threshold follow the slider.
class Tiles {
  constructor(box) {
    this.box = box;
  }

  take(data) {
    this.data = data;
    const names = data.tiles.map((tile) => tile.name);
    for (const card of [...this.box.children]) if (!names.includes(card.dataset.tile)) card.remove();
    this.redraw();
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
    return this.box.appendChild(card);
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

export default function ({ data, parentElement }) {
  return shown(
    parentElement.querySelector(TILES),
    (box) => new Tiles(box),
    (tiles) => {
      tiles.take(data);
      document.dispatchEvent(new CustomEvent(DRAWN));
    },
  );
}
