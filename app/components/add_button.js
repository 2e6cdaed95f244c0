// Lets the button below a chart or a row of figures add it to the report; hidden where there is nothing to add.
export function letAdd(parent, name, add) {
  const button = parent.querySelector(".sparcode-add");
  button.hidden = !add;
  button.setAttribute("aria-label", `Add to report: ${name}`);
  button.onclick = add;
}
