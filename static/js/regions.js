// Keeps parts of a page up to date: on live events, after a gap, and each minute, the page is
// fetched again and the parts that changed are replaced. What a person is busy with stays.
const regions = () => [...document.querySelectorAll("[data-region]")];
const served = new Map();
// The names that wait, each with its moment, and the moments before which busy ones are left alone.
const waiting = new Map();
const held = new Map();
let timer = null;
let isFetching = false;
const HELD_MS = 5_000;

// The token of a form differs with each answer and says nothing new.
const plain = (html) => html.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
for (const region of regions()) served.set(region.dataset.region, plain(region.innerHTML));

function ask(names, delay = 300 + Math.random() * 700) {
  const at = performance.now() + delay;
  for (const name of names) waiting.set(name, Math.max(held.get(name) ?? 0, Math.min(waiting.get(name) ?? at, at)));
  plan();
}

function plan() {
  clearTimeout(timer);
  if (isFetching || !waiting.size) return;
  timer = setTimeout(fetchAll, Math.max(0, Math.min(...waiting.values()) - performance.now()));
}

async function fetchAll() {
  // One answer serves all that wait, but for those that somebody is busy with.
  const names = [...waiting.keys()].filter((name) => (held.get(name) ?? 0) <= performance.now());
  if (!names.length) return plan();
  names.forEach((name) => waiting.delete(name));
  isFetching = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Region": names.join(",") } });
    // A redirect leads to the sign-in page; the person finds out with the next click.
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const name of names) {
      const selector = `[data-region="${CSS.escape(name)}"]`;
      const fresh = page.querySelector(selector), old = document.querySelector(selector);
      if (fresh && old) replace(name, old, fresh);
    }
  } catch {
    // Offline; the next event or minute tries again.
  } finally {
    isFetching = false;
    plan();
  }
}

function replace(name, old, fresh) {
  const html = plain(fresh.innerHTML);
  if (served.get(name) === html) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const chosen = getSelection();
  const isBusy = focused?.matches("input:not([type=submit], [type=checkbox]), textarea, select")
    || old.querySelector("dialog[open]") || (!chosen.isCollapsed && chosen.containsNode(old, true));
  if (isBusy) {
    held.set(name, performance.now() + HELD_MS);
    ask([name], HELD_MS);
    return;
  }
  held.delete(name);
  const mark = focused && place(old, focused);
  const open = [...old.querySelectorAll("details")].map((details) => details.open);
  const scrolls = [...old.querySelectorAll("[tabindex]")].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
  old.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  old.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? details.open));
  old.querySelectorAll("[tabindex]").forEach((part, index) => scrolls[index] && part.scrollTo(...scrolls[index]));
  if (mark) find(old, mark)?.focus({ preventScroll: true });
  served.set(name, html);
  document.dispatchEvent(new CustomEvent("ops:region", { detail: { element: old } }));
}

// What was focused is found again by its id or address, else by its place among its kind.
function place(region, element) {
  const key = element.id ? `#${CSS.escape(element.id)}`
    : element.hasAttribute("href") ? `[href="${CSS.escape(element.getAttribute("href"))}"]` : element.localName;
  return { key, index: [...region.querySelectorAll(key)].indexOf(element) };
}

function find(region, { key, index }) {
  const found = region.querySelectorAll(key);
  return found[index] ?? found[0];
}

const all = () => regions().map(({ dataset }) => dataset.region);
document.addEventListener("ops:event", ({ detail }) => {
  ask(regions().filter(({ dataset }) => dataset.on.split(" ").includes(detail.kind)).map(({ dataset }) => dataset.region));
});
document.addEventListener("ops:resync", () => ask(all()));
setInterval(() => document.hidden || ask(all(), 0), 60_000);
// Work that is under way is followed more closely, also where no live events come.
setInterval(() => {
  const busy = regions().filter((region) => region.querySelector("[data-busy]"));
  if (!document.hidden) ask(busy.map(({ dataset }) => dataset.region), 0);
}, 2_000);
