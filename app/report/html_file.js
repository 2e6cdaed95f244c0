// Draws the charts of the file for the reader's light or dark background, and again when that changes.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function draw() {
  for (const box of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(box.nextElementSibling.textContent)[dark.matches ? "dark" : "light"];
    const layout = { ...figure.layout, autosize: true };
    window.Plotly.react(box, figure.data, layout, { responsive: true, displaylogo: false }).then(() => {
      box.dataset.drawn = "yes";
    });
  }
}

dark.addEventListener("change", draw);
draw();
