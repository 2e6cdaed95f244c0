import { part } from "./page.js";

// Streamlit makes an entry in the browser's history of every change of the address. Here a page is one entry, whatever is set on it, so
// that Back leaves the page. Navigation goes to another path and makes an entry as before.
function replaceOnTheSamePage() {
  const push = window.history.pushState.bind(window.history);
  window.history.pushState = (state, title, url) => {
    const isSamePage = Boolean(url) && new URL(url, window.location.href).pathname === window.location.pathname;
    if (isSamePage) window.history.replaceState(state, title, url);
    else push(state, title, url);
  };
  return true;
}

export default function () {
  part(document.documentElement, replaceOnTheSamePage);
}
