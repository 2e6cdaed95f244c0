// What the components of a page have in common. Streamlit gives each component its own copy of this file, so all state is kept on the window.
window.sparcode ??= { parts: new WeakMap(), plotly: null };
const state = window.sparcode;

export const CHARTS = ".sparcode-chart";
export const TILES = ".sparcode-tiles";
// Told on the document when what the server sent was drawn.
export const DRAWN = "sparcode-drawn";

// The object that owns a node; made at the first call.
export function part(node, make) {
  if (!state.parts.has(node)) state.parts.set(node, make(node));
  return state.parts.get(node);
}

// The owner must be made anew if the node comes back.
export function forget(node) {
  state.parts.delete(node);
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
