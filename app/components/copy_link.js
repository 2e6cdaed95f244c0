const TOLD_MS = 2500;

// Browsers let pages write to the clipboard only over HTTPS and on the same machine; elsewhere a selected text can be copied.
async function copied(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

export default function ({ parentElement }) {
  const button = parentElement.querySelector(".sparcode-copy-link");
  const [label, told] = [button.querySelector("span"), parentElement.querySelector(".sparcode-copied")];
  let timer;
  // The button keeps its width, so that nothing beside it moves.
  button.onclick = () =>
    copied(window.location.href)
      .then(
        () => "Copied",
        () => "Not copied",
      )
      .then((said) => {
        label.textContent = said;
        told.textContent =
          said === "Copied" ? "The link is copied." : "The browser did not let the link be copied; it is in the address bar.";
        clearTimeout(timer);
        timer = setTimeout(() => {
          label.textContent = "Copy link";
          told.textContent = "";
        }, TOLD_MS);
      });
  return () => clearTimeout(timer);
}
