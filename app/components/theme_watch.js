import { shown } from "./page.js";

function isDark() {
  const page = document.querySelector(".stApp") || document.body;
  const [red, green, blue] = getComputedStyle(page).backgroundColor.match(/\d+/g).map(Number);
  return red + green + blue < 384;
}

// Streamlit restyles its own elements in the browser and tells the script only when it runs again for another reason.
class ThemeWatch {
  constructor() {
    this.asked = null;
  }

  take(known, send) {
    this.leave();
    this.timer = setInterval(() => this.#look(known, send), 300);
  }

  #look(known, send) {
    const dark = isDark();
    // Asked once for each switch, should the server not see it.
    if (dark === known) this.asked = null;
    else if (this.asked !== dark) {
      this.asked = dark;
      send("theme", dark ? "dark" : "light");
    }
  }

  leave() {
    clearInterval(this.timer);
  }
}

export default function ({ data, setTriggerValue }) {
  return shown(
    document.body,
    () => new ThemeWatch(),
    (watch) => watch.take(data.dark, setTriggerValue),
  );
}
