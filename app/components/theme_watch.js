import { part } from "./page.js";

function isDark() {
  const page = document.querySelector(".stApp") || document.body;
  const [red, green, blue] = getComputedStyle(page).backgroundColor.match(/\d+/g).map(Number);
  return red + green + blue < 384;
}

// Streamlit restyles its own elements in the browser and tells the script only when it runs again for another reason.
export default function ({ data, setTriggerValue }) {
  const page = part(document.body, () => ({ asked: null }));
  const look = () => {
    const dark = isDark();
    // Asked once for each switch, should the server not see it.
    if (dark === data.dark) page.asked = null;
    else if (page.asked !== dark) {
      page.asked = dark;
      setTriggerValue("theme", dark ? "dark" : "light");
    }
  };
  const timer = setInterval(look, 300);
  return () => clearInterval(timer);
}
