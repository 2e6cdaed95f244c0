// What the components of a page have in common. Streamlit gives each component its own copy of this file, so all state is kept on the window.
window.sparcode ??= { parts: new WeakMap(), plotly: null, turns: [] };
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

// The studio's own copy of Plotly, loaded once per document.
export function plotly(url) {
  state.plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      state.plotly = null;
      reject(new Error("not served"));
    };
    document.head.appendChild(script);
  });
  return state.plotly;
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
