// Lets the button below a chart or a row of figures add it to the report: `toAdd` gives what is sent, null where there is nothing to add.
export function letAdd(parent, { name, toAdd, note }, send) {
  const button = parent.querySelector(".sparcode-add");
  button.hidden = !toAdd;
  button.setAttribute("aria-label", `Add to report: ${name}`);
  button.onclick = () => send("add", toAdd());
  letNote(parent, { name, note }, send, () => button.focus());
}

// Offers a note on what was just added: `note` has its number; null hides it. What is written is sent on Enter and when the field is left,
// Escape and the cross send nothing.
export function letNote(parent, { name, note }, send, goBack) {
  const form = parent.querySelector(".sparcode-note");
  const [field, close] = [form.querySelector("input"), form.querySelector("button")];
  const number = note ? String(note.number) : "";
  const end = (text) => {
    form.hidden = true;
    send("note", { number: note.number, text });
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    goBack();
    if (!form.hidden) end(field.value);
  };
  field.onchange = () => form.hidden || end(field.value);
  // Or the field would be left, and what is in it sent.
  close.onmousedown = (event) => event.preventDefault();
  close.onclick = () => {
    goBack();
    if (!form.hidden) end("");
  };
  form.onkeydown = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    field.value = "";
    close.click();
  };
  if (form.dataset.number === number) return;
  form.dataset.number = number;
  form.hidden = !note;
  field.value = "";
  field.maxLength = note?.longest ?? 0;
  field.setAttribute("aria-label", `Note on “${name}”, optional`);
}
