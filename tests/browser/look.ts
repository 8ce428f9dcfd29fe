/**
 * Opens a page in Chromium and says what it is like: a program of its own, with an import map and a lock
 * file of its own, so that only tests of pages download Playwright. Arguments: Chromium's path, the
 * page's file. Writes a JSON array of looks, one per width and colour scheme, to standard output.
 * @module
 */
/// <reference lib="dom" />
import { pathToFileURL } from "node:url";

const [executablePath, file] = Deno.args;
// By variable: the project's own import map does not know this package, nor is it to.
const PLAYWRIGHT = "playwright-core";
const { chromium } = await import(PLAYWRIGHT);

/** Runs in the page: everything of it that a test judges. Colours as [r, g, b], 0 to 255. */
function look() {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {
    willReadFrequently: true,
  })!;
  const rgb = (colour: string): number[] => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element: Element): number[] => {
    for (let at: Element | null = element; at !== null; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const shown = (element: Element) => element.checkVisibility();
  const all = (selector: string) => [...document.querySelectorAll(selector)].filter(shown);
  const hasText = (element: Element) =>
    [...element.childNodes].some((n) =>
      n.nodeType === Node.TEXT_NODE && n.textContent!.trim() !== ""
    );
  const texts = all("body *").filter((element) =>
    hasText(element) && !element.closest("title, desc")
  )
    .map((element) => {
      const style = getComputedStyle(element);
      const colour = rgb(element.closest("svg") ? style.fill : style.color);
      return {
        text: element.textContent!.trim().slice(0, 40),
        colour,
        behind: behind(element),
      };
    });
  const painted = [...all("svg.plot path"), ...all(".swatch")].map(
    (element) => {
      const style = getComputedStyle(element);
      const fill = element.closest("svg") ? style.fill : style.backgroundColor;
      const stroke = element.closest("svg") ? style.stroke : "none";
      const paint = fill !== "none" ? fill : stroke;
      return {
        colour: paint === "none" ? null : rgb(paint),
        behind: behind(element.parentElement!),
      };
    },
  ).filter(({ colour }) => colour !== null);
  const inScroller = (element: Element) => element.closest(".scroll, pre") !== null;
  return {
    scrollWidth: document.documentElement.scrollWidth,
    clientWidth: document.documentElement.clientWidth,
    paper: rgb(getComputedStyle(document.body).backgroundColor),
    plots: all("svg.plot").length,
    unnamed: all("svg.plot").filter((svg) =>
      svg.getAttribute("aria-labelledby")!.split(" ")
        .some((id) => !document.getElementById(id)?.textContent)
    ).length,
    /** Texts of plots that reach beyond the page. */
    cut: all("svg.plot text").filter((text) => {
      const { left, right } = text.getBoundingClientRect();
      return left < -1 || right > document.documentElement.clientWidth + 1;
    }).map((text) => text.textContent),
    wide: all("body *").filter((element) =>
      !inScroller(element) &&
      element.getBoundingClientRect().right >
        document.documentElement.clientWidth + 1
    ).map((element) => element.tagName),
    texts,
    painted,
  };
}

/** Of each step, in ms: a busy machine takes its time. */
const PATIENCE = 300_000;
const browser = await chromium.launch({
  executablePath,
  timeout: PATIENCE,
  // Containers give little shared memory.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const looks: unknown[] = [];
  for (const width of [1280, 360]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await browser.newPage({
        viewport: { width, height: 900 },
        colorScheme,
      });
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on(
        "console",
        (message: { text(): string }) => complaints.push(message.text()),
      );
      page.on("pageerror", (error: Error) => complaints.push(error.message));
      page.on(
        "request",
        (request: { url(): string }) => requests.push(request.url()),
      );
      await page.goto(pathToFileURL(file).href, { timeout: PATIENCE });
      looks.push({
        width,
        colorScheme,
        complaints,
        requests,
        ...await page.evaluate(look),
      });
      if (width === 1280 && colorScheme === "dark") {
        await page.emulateMedia({ media: "print" });
        looks.push({
          width: 0,
          colorScheme,
          complaints,
          requests,
          ...await page.evaluate(look),
        });
      }
      await page.close();
    }
  }
  const bytes = new TextEncoder().encode(JSON.stringify(looks));
  for (let at = 0; at < bytes.length;) {
    at += await Deno.stdout.write(bytes.subarray(at));
  }
} finally {
  await browser.close();
}
