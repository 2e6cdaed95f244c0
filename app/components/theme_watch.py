"""Charts are drawn for a light or a dark page; this has them drawn anew when the reader switches."""

from __future__ import annotations

from typing import Final

import streamlit as st

_KEY: Final = "theme-watch"

# Streamlit restyles its own elements in the browser and tells the script only when it runs again for another reason.
_JS: Final = """
function isDark() {
  const [red, green, blue] = getComputedStyle(document.querySelector(".stApp") || document.body).backgroundColor.match(/\\d+/g).map(Number);
  return red + green + blue < 384;
}

export default function ({ data, setTriggerValue }) {
  const look = () => {
    const dark = isDark();
    // Asked once for each switch, should the server not see it.
    if (dark === data.dark) window.sparcodeThemeAsked = undefined;
    else if (window.sparcodeThemeAsked !== dark) {
      window.sparcodeThemeAsked = dark;
      setTriggerValue("theme", dark ? "dark" : "light");
    }
  };
  const timer = setInterval(look, 300);
  return () => clearInterval(timer);
}
"""

_mount = st.components.v2.component("sparcode_theme_watch", html="<span hidden></span>", js=_JS)


def theme_watch() -> None:
    """Rerun the page when its background changes from light to dark or back; takes next to no room."""
    with st.container(key=f"{_KEY}-place", height=1, width=1, border=False):
        _mount(key=_KEY, data={"dark": st.context.theme.type == "dark"}, on_theme_change=_rerun)


def _rerun() -> None:
    """Having been called is enough: the script runs."""
