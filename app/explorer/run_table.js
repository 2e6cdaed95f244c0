import { shown } from "../components/page.js";

class RunTable {
  constructor(box) {
    this.box = box;
  }

  // Rows are built anew only when they changed, so that a focused button stays focused while the page looks for news.
  take(data, send) {
    this.send = send;
    const text = JSON.stringify(data);
    if (this.text === text) return;
    this.text = text;
    const table = document.createElement("table");
    table.setAttribute("aria-label", "Runs looked at");
    const head = table.appendChild(document.createElement("thead")).appendChild(document.createElement("tr"));
    data.head.forEach((name, at) => {
      const made = cell(head, "th", name);
      made.scope = "col";
      made.title = data.tips[at];
      if (at === 1) made.className = "words";
    });
    const body = table.appendChild(document.createElement("tbody"));
    for (const run of data.runs) this.#addRow(body, run);
    this.box.replaceChildren(table);
  }

  #addRow(body, run) {
    const row = body.appendChild(document.createElement("tr"));
    if (run.current) row.setAttribute("aria-current", "true");
    cell(row, "td", String(run.number));
    cell(row, "td", run.label, run.change).className = "words";
    for (const [value, change] of run.figures) cell(row, "td", value, change);
    const go = () => this.send("go", run.number);
    const pin = () => this.send("pin", run.number);
    button(row, run.current ? "shown" : "Go back", `Go back to run ${run.number}`, run.current, go);
    button(row, run.pinned ? "pinned" : "Pin", `Pin run ${run.number}`, run.pinned, pin);
  }
}

function cell(row, kind, text, small) {
  const made = row.appendChild(document.createElement(kind));
  made.textContent = text;
  if (small) made.appendChild(document.createElement("small")).textContent = small;
  return made;
}

function button(row, text, name, disabled, onclick) {
  const made = cell(row, "td", "").appendChild(document.createElement("button"));
  Object.assign(made, { type: "button", textContent: text, disabled, onclick });
  made.setAttribute("aria-label", name);
}

export default function ({ data, parentElement, setTriggerValue }) {
  return shown(
    parentElement.querySelector(".sparcode-runs"),
    (box) => new RunTable(box),
    (table) => table.take(data, setTriggerValue),
  );
}
