import { letNote } from "./add_button.js";

export default function ({ data, parentElement, setTriggerValue }) {
  // The note goes when it is sent; the button before it stays.
  const button = parentElement.closest("[data-testid=stHorizontalBlock], [data-testid=stLayoutWrapper]")?.querySelector("button");
  letNote(parentElement, data, setTriggerValue, () => button?.focus());
}
