import { csvOf } from "./chart_table.js";

const FORMATS = {
  PNG: "picture, twice as sharp as on the screen",
  SVG: "drawing, sharp at any size",
  CSV: "numbers, for a spreadsheet",
};
const ICON =
  '<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">' +
  '<path d="M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11"/></svg>';
const SCALE = 2;
const REVOKE_MS = 60_000;

// The menu in the corner of a chart, which saves what is shown. All is made in the browser. The chart gives its `box`, saves a `picture`,
// and gives the rows of its `table`.
export class Corner {
  constructor(chart) {
    this.chart = chart;
    this.menu = document.createElement("details");
    this.menu.className = "sparcode-corner";
    this.menu.hidden = true;
    this.menu.innerHTML = `<summary>${ICON}</summary><div role="group"><p role="status"></p></div>`;
    this.opener = this.menu.querySelector("summary");
    this.note = this.menu.querySelector("p");
    this.buttons = Object.keys(FORMATS).map((kind) => this.#button(kind));
    this.note.before(...this.buttons);
    this.outside = ({ target }) => this.menu.contains(target) || this.#close();
    this.menu.addEventListener("toggle", () => {
      document[this.menu.open ? "addEventListener" : "removeEventListener"]("pointerdown", this.outside);
    });
    this.menu.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && this.outside({ target: relatedTarget }));
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.menu.open) return;
      event.stopPropagation();
      this.#close();
      this.opener.focus();
    });
    chart.box.after(this.menu);
  }

  // What the chart is called, and the settings it is of; a chart without points has nothing to save.
  take(title, setting, isEmpty) {
    this.menu.hidden = isEmpty;
    this.words = [pageName(), title.toLowerCase(), setting];
    this.opener.setAttribute("aria-label", `Save this chart: ${title}`);
    this.opener.title = "Save this chart: PNG, SVG, CSV";
    for (const button of this.buttons) button.setAttribute("aria-label", `${button.textContent} of “${title}”: ${button.title}`);
  }

  // With the share of scores kept where the threshold moves the chart; it ends the version, see `MeasuredIndex.version`.
  get name() {
    const kept = this.chart.follow ? this.chart.goal.split(" ").at(-1) : "";
    return fileName([...this.words, kept && `kept ${kept}`]);
  }

  leave() {
    this.#close();
    this.menu.remove();
  }

  #button(kind) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: kind, title: FORMATS[kind] });
    button.addEventListener("click", () => this.#save(kind.toLowerCase()));
    return button;
  }

  #save(kind) {
    this.note.textContent = "";
    const saved = kind === "csv" ? this.#saveTable() : this.chart.picture(kind, SCALE, this.name);
    return Promise.resolve(saved).then(
      () => {
        this.#close();
        this.opener.focus();
      },
      () => {
        this.note.textContent = `This browser could not make the ${kind.toUpperCase()}.`;
      },
    );
  }

  #saveTable() {
    saveAs(new Blob([csvOf(this.chart.table())], { type: "text/csv" }), `${this.name}.csv`);
  }

  #close() {
    this.menu.open = false;
    document.removeEventListener("pointerdown", this.outside);
  }
}

// Have the browser keep a file.
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
}

function pageName() {
  return window.location.pathname.split("/").filter(Boolean).pop() ?? "overview";
}

// "Recall against index size", "M=1 K=256" -> "recall-against-index-size-M1-K256".
export function fileName(words) {
  const text = words.filter(Boolean).join(" ").replaceAll("=", "");
  return text
    .replace(/[^\p{L}\p{N}.]+/gu, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 120);
}
