// What the components of a page have in common. Streamlit gives each component its own copy of this file, so all state is kept on the window.
window.sparcode ??= { parts: new WeakMap(), plotly: new Map(), turns: [] };
const state = window.sparcode;

export const CHARTS = ".sparcode-chart";
export const TILES = ".sparcode-tiles";
// A component that is ended comes back within this time or not at all.
const BACK_MS = 100;
// Told on the document when what the server sent was drawn.
export const DRAWN = "sparcode-drawn";

// The object that owns a node; made at the first call.
export function part(node, make) {
  if (!state.parts.has(node)) state.parts.set(node, make(node));
  return state.parts.get(node);
}

// Give a node's owner what the server sent; returns the clean-up that Streamlit asks of a component.
//
// Streamlit loads a component anew for every call. A call that newer data has overtaken meanwhile is made all the same, maybe after the
// newer one, and cleaned up after at once: it must not count. It may also end a component and bring it back in the same place.
export function shown(node, make, give) {
  const call = { overtaken: false };
  setTimeout(() => {
    if (call.overtaken) return;
    const owner = part(node, make);
    owner.call = call;
    give(owner);
  });
  return () => {
    call.overtaken = true;
    setTimeout(() => {
      const owner = state.parts.get(node);
      if (owner?.call !== call) return;
      state.parts.delete(node);
      owner.leave?.();
    }, BACK_MS);
  };
}

// The owners of all nodes on the page that a selector finds.
export function partsOf(selector) {
  return [...document.querySelectorAll(selector)].map((node) => state.parts.get(node)).filter(Boolean);
}

// One of the studio's own copies of Plotly, see `app/server/plotly_asset.py`. A chart that one has drawn is updated by the same.
export function plotly(url) {
  const copies = state.plotly;
  if (!copies.has(url))
    copies.set(
      url,
      inDocument(url).then((found) => found ?? loaded(url)),
    );
  return copies.get(url);
}

// The copy that the document itself loads; nothing where it has another, or where that did not come.
function inDocument(url) {
  const script = [...document.scripts].find((one) => one.getAttribute("src") === url);
  if (!script) return Promise.resolve(null);
  if (window.Plotly || document.readyState === "complete") return Promise.resolve(window.Plotly);
  return new Promise((resolve) => {
    for (const end of ["load", "error"]) script.addEventListener(end, () => resolve(window.Plotly));
    window.addEventListener("load", () => resolve(window.Plotly));
  });
}

function loaded(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      // It would be taken for the document's own.
      script.remove();
      state.plotly.delete(url);
      reject(new Error("not served"));
    };
    document.head.appendChild(script);
  });
}

// Draw a chart for the first time: one chart a frame, those in the window first, so that the first is seen before the last is drawn.
export function drawInTurn(chart, draw) {
  state.turns.push({ chart, draw });
  if (state.turns.length === 1) requestAnimationFrame(takeTurn);
}

function takeTurn() {
  const seen = state.turns.findIndex(({ chart }) => chart.inView);
  const [turn] = state.turns.splice(Math.max(0, seen), 1);
  if (state.turns.length > 0) requestAnimationFrame(takeTurn);
  turn.draw();
}
