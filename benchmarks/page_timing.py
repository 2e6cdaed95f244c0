"""Times in the page of the Index Explorer, from an input to what is painted, by the browser's clock.

A time is taken one frame after the page holds the expected version of tiles and charts (`app.components.live_chart`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from playwright.sync_api import Page

PATIENCE_MS: Final = 120_000

_PROBE: Final = """() => {
  const boxes = () => [...document.querySelectorAll(".sparcode-chart")];
  const follows = (box) => box.layout && box.layout.meta && box.layout.meta.follow;
  const inView = (box) => { const at = box.getBoundingClientRect(); return at.bottom >= 0 && at.top <= innerHeight; };
  const version = (box) => box.dataset.version || "";
  const tiles = () => [...document.querySelectorAll(".sparcode-tiles")];
  const text = (tile, part) => document.querySelector(`[data-tile="${tile}"] .${part}`)?.textContent || "";

  // Calls back one frame after each of the named conditions first holds.
  function watch(conditions, started) {
    const times = (window.sparcodeTimes = {}), open = new Map(Object.entries(conditions));
    const look = () => {
      for (const [name, holds] of [...open]) {
        if (!holds()) continue;
        open.delete(name);
        requestAnimationFrame(() => { times[name] = performance.now() - started; times.done = open.size === 0; });
      }
      if (open.size) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  window.sparcodeProbe = {
    threshold() {
      window.sparcodeTimes = {};
      document.addEventListener("change", (event) => {
        const root = event.target.closest(".sparcode-threshold"), stop = window.sparcode.parts.get(root).percent;
        const at = (box) => version(box).endsWith(" " + stop);
        watch({
          tiles: () => tiles().every(at),
          in_view: () => boxes().filter((box) => follows(box) && inView(box)).every(at),
          charts: () => boxes().filter(follows).every(at),
          answer: () => boxes().every(at) && text("p50_ms", "value") !== "…" &&
            document.querySelector(".sparcode-runs tr[aria-current]")?.innerText.includes(stop + " % kept"),
        }, performance.now());
      }, { capture: true, once: true });
    },

    setting() {
      window.sparcodeTimes = {};
      const before = version(tiles()[0]).split(" ")[0];
      const fresh = (kind) => version(tiles()[0]).split(" ")[0] !== before && text("recall", "kind").startsWith(kind);
      document.addEventListener("keydown", () => {
        watch({ preview: () => fresh(""), tuned: () => fresh("fine-tuned") }, performance.now());
      }, { capture: true, once: true });
    },

    // Draws from now on of each chart in the window that depends on the threshold.
    draws() {
      window.sparcodeDraws = boxes().filter((box) => follows(box) && inView(box)).map((box) => {
        const count = { draws: 0 };
        for (const event of ["plotly_afterplot", "plotly_transitioned"]) box.on(event, () => { count.draws += 1; });
        return count;
      });
    },

    mark() {
      for (const box of boxes()) box.sparcodeMarked = true;
      const training = boxes().find((box) => box.layout.title.text === "Fine-tuning");
      window.sparcodeStreamed = [];
      if (training !== window.sparcodeTraining) training.on("plotly_afterplot", () => window.sparcodeStreamed.push(performance.now()));
      window.sparcodeTraining = training;
    },

    streamed() {
      const times = window.sparcodeStreamed, spent = (times.at(-1) - times[0]) / 1000;
      return {
        per_second: times.length > 1 && spent > 0 ? (times.length - 1) / spent : 0,
        remounted: boxes().filter((box) => !box.sparcodeMarked).length,
      };
    },
  };
}"""
_ZOOM: Final = """() => { const { xaxis, yaxis } = document.querySelector(".sparcode-chart").layout;
  return [...xaxis.range, ...yaxis.range]; }"""


class ThresholdTimes(NamedTuple):
    """Milliseconds from the release of the threshold's slider.

    Attributes
    ----------
    tiles
        To the figures.
    in_view, charts
        To the charts in the window, and to all that depend on the threshold.
    answer
        To the end of the server's answer, with the latency measured at this stop.
    """

    tiles: float
    in_view: float
    charts: float
    answer: float


class SettingTimes(NamedTuple):
    """What follows a key press on the slider of M or K.

    Attributes
    ----------
    preview, tuned
        Milliseconds to the first figures, and to those of the fine-tuned model.
    updates_per_second
        Of the training curve while it streams.
    remounted
        Charts that were replaced meanwhile.
    zoom_kept
        Whether a zoomed chart stayed as it was.
    """

    preview: float
    tuned: float
    updates_per_second: float
    remounted: int
    zoom_kept: bool


def install(page: Page) -> None:
    """Install the probe that the functions below need; again after each load."""
    page.evaluate(_PROBE)


def at_rest(page: Page) -> None:
    """Wait until every threshold is measured, the page's script has ended and its timer is off."""
    page.get_by_text("thresholds measured", exact=False).first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("() => /^all \\d+ thresholds/.test(document.querySelector('.sparcode-threshold .note').textContent)")
    # Latencies at some thresholds are measured after the curve; the page looks for them twice a second until then.
    page.wait_for_function(
        """() => {
          const idle = document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning";
          window.sparcodeIdle = idle ? window.sparcodeIdle || performance.now() : 0;
          return window.sparcodeIdle && performance.now() - window.sparcodeIdle > 1500;
        }""",
        timeout=PATIENCE_MS,
    )


def move_threshold(page: Page, share: float) -> ThresholdTimes | None:
    """Press on the slider's track at a share of its width; None if that is where it stands."""
    slider = page.locator(".sparcode-threshold").get_by_role("slider")
    box, before = slider.bounding_box(), slider.input_value()
    page.evaluate("() => window.sparcodeProbe.threshold()")
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    if slider.input_value() == before:
        return None
    return ThresholdTimes(**_times(page))


def drag_threshold(page: Page, seconds: float) -> float:
    """Redraws per second of the slowest chart while the slider is dragged to and fro, a mouse move per frame."""
    box = page.locator(".sparcode-threshold").get_by_role("slider").bounding_box()
    middle, steps = box["y"] + box["height"] / 2, int(seconds * 60)
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.evaluate("() => window.sparcodeProbe.draws()")
    started = page.evaluate("() => performance.now()")
    for step in range(steps):
        share = abs((step / steps * 2) % 2 - 1)
        page.mouse.move(box["x"] + (0.2 + 0.6 * share) * box["width"], middle)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    draws, ended = page.evaluate("() => [Math.min(...window.sparcodeDraws.map(count => count.draws)), performance.now()]")
    page.evaluate("() => window.sparcodeProbe.threshold()")
    page.mouse.up()
    _times(page)
    return draws / (ended - started) * 1000


def change_setting(page: Page, slider: str, key: str) -> SettingTimes:
    """Press a key on the slider of M or K; once there is a preview, zoom into the first chart and watch the fine-tuning."""
    page.get_by_role("slider", name=slider).focus()
    page.evaluate("() => window.sparcodeProbe.setting()")
    page.keyboard.press(key)
    page.wait_for_function("() => window.sparcodeTimes.preview", timeout=PATIENCE_MS)
    page.wait_for_function("() => [...document.querySelectorAll('.sparcode-chart')].every(box => box.dataset.drawn)", timeout=PATIENCE_MS)
    page.evaluate("() => window.sparcodeProbe.mark()")
    zoomed = _zoom(page)
    times = _times(page)
    streamed = page.evaluate("() => window.sparcodeProbe.streamed()")
    kept = page.evaluate(_ZOOM) == zoomed
    return SettingTimes(times["preview"], times["tuned"], streamed["per_second"], streamed["remounted"], kept)


def _zoom(page: Page) -> list[float]:
    plot = page.locator(".sparcode-chart .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box, before = plot.bounding_box(), page.evaluate(_ZOOM)
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_function(f"before => JSON.stringify(({_ZOOM})()) !== JSON.stringify(before)", arg=before, timeout=PATIENCE_MS)
    return page.evaluate(_ZOOM)


def _times(page: Page) -> dict[str, float]:
    page.wait_for_function("() => window.sparcodeTimes.done", timeout=PATIENCE_MS)
    return {name: value for name, value in page.evaluate("() => window.sparcodeTimes").items() if name != "done"}
