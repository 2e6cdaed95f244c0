// Settings are written to the address after the page was drawn, so the link is made when it is used.
function pointTo(link) {
  const address = new URL(window.location.href);
  address.searchParams.set("present", "1");
  link.href = address.href;
}

export default function ({ parentElement }) {
  const link = parentElement.querySelector(".sparcode-present-link");
  const point = () => pointTo(link);
  point();
  for (const event of ["pointerdown", "pointerenter", "focus", "keydown", "click"]) link.addEventListener(event, point);
  return () => {
    for (const event of ["pointerdown", "pointerenter", "focus", "keydown", "click"]) link.removeEventListener(event, point);
  };
}
