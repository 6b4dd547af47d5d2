// Search and commands at a key: a combobox whose list the server fills as far as one may look.
const LIMIT = 8;
const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const recent = () => JSON.parse(sessionStorage.getItem("recent") ?? "[]");
const remember = (result) => {
  const others = recent().filter(({ url }) => url !== result.url);
  sessionStorage.setItem("recent", JSON.stringify([{ ...result, kind: "Recent" }, ...others].slice(0, LIMIT)));
};
const run = (result) => {
  if (result.act === "theme") document.dispatchEvent(new CustomEvent("ops:switch-theme"));
  else if (result.act === "sign-out") document.getElementById("logout-form").requestSubmit();
  else {
    remember(result);
    location.assign(result.url);
  }
};

export const open = (url) => {
  const input = make("input", { type: "text", role: "combobox", placeholder: "Search or run a command", autocomplete: "off", spellcheck: false, maxLength: 80 });
  const list = make("ul", { id: "palette-list", role: "listbox", ariaLabel: "Results" });
  const said = make("p", { role: "status" });
  const dialog = make("dialog", { className: "palette", ariaLabel: "Search or run a command" }, input, list, said);
  input.ariaLabel = "Search or run a command";
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "true");
  input.setAttribute("aria-autocomplete", "list");
  let results = [];
  let chosen = 0;
  let waiting;
  let asking;

  const mark = (index) => {
    chosen = Math.max(0, Math.min(index, results.length - 1));
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === chosen));
    const item = list.children[chosen];
    input.setAttribute("aria-activedescendant", item?.id ?? "");
    item?.scrollIntoView({ block: "nearest" });
  };
  const show = (found) => {
    results = found;
    list.replaceChildren(...found.map((result, at) => {
      const detail = [result.kind, result.detail].filter(Boolean).join(" \u00b7 ");
      const item = make("li", { id: `palette-${at}`, role: "option" }, make("span", {}, result.title), make("span", {}, detail));
      item.addEventListener("click", () => { dialog.close(); run(result); });
      item.addEventListener("pointermove", () => at !== chosen && mark(at));
      return item;
    }));
    said.textContent = found.length ? `${found.length} results. Enter opens, Escape closes.` : "Nothing found.";
    mark(0);
  };
  const search = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const response = await fetch(`${url}?q=${encodeURIComponent(input.value)}`, { signal: asking.signal, headers: { Accept: "application/json" } });
      if (!response.ok || response.redirected) throw new Error(response.status === 429 ? "Too many searches; wait a moment." : "The search does not answer.");
      const { results: found } = await response.json();
      const known = input.value ? [] : recent();
      show([...known, ...found.filter((result) => !result.url || !known.some((other) => other.url === result.url))]);
    } catch (error) {
      if (error.name !== "AbortError") said.textContent = error.message;
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
  input.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + LIMIT, PageUp: chosen - LIMIT };
    if (event.key in moves) mark(moves[event.key]);
    else if (event.key === "Enter" && results[chosen]) { dialog.close(); run(results[chosen]); }
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  search();
};
