// Search and commands at a key: a combobox whose list the server fills as far as one may look.
const LIMIT = 8;
const recent = () => {
  try {
    return JSON.parse(sessionStorage.getItem("recent") ?? "[]");
  } catch {
    return [];
  }
};
const remember = (result) => {
  const others = recent().filter(({ url }) => url !== result.url);
  try {
    sessionStorage.setItem("recent", JSON.stringify([{ ...result, kind: "Recent" }, ...others].slice(0, LIMIT)));
  } catch {
    // A tab without storage remembers nothing.
  }
};
const run = (result) => {
  if (result.act === "theme") document.dispatchEvent(new CustomEvent("ops:switch-theme"));
  else if (result.act === "sign-out") document.getElementById("logout-form").requestSubmit();
  else {
    remember(result);
    location.assign(result.url);
  }
};

export const open = (url, make, unanswered) => {
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
  // The text that the rows answer, the text that is being asked for, and the one that Enter was pressed on.
  let answered = null;
  let asked = null;
  let entered = null;

  const mark = (index) => {
    chosen = Math.max(0, Math.min(index, results.length - 1));
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === chosen));
    const item = list.children[chosen];
    input.setAttribute("aria-activedescendant", item?.id ?? "");
    item?.scrollIntoView({ block: "nearest" });
  };
  const choose = (result) => { dialog.close(); run(result); };
  const show = (found, told) => {
    results = found;
    list.replaceChildren(...found.map((result, at) => {
      const detail = [result.kind, result.detail].filter(Boolean).join(" \u00b7 ");
      const item = make("li", { id: `palette-${at}`, role: "option" }, make("span", {}, result.title), make("span", {}, detail));
      item.addEventListener("click", () => choose(result));
      item.addEventListener("pointermove", () => at !== chosen && mark(at));
      return item;
    }));
    said.textContent = told ?? (found.length ? `${found.length} results. Enter opens, Escape closes.` : "Nothing found.");
    mark(0);
  };
  const search = async () => {
    clearTimeout(waiting);
    asking?.abort();
    const own = asking = new AbortController();
    const query = asked = input.value;
    try {
      const response = await fetch(`${url}?q=${encodeURIComponent(query)}`, { signal: own.signal, headers: { Accept: "application/json" } });
      if (response.status === 429) throw new Error("Too many searches; wait a moment.");
      if (!response.ok || response.redirected) throw new Error(unanswered);
      const { results: found } = await response.json();
      if (own !== asking) return;
      const known = query ? [] : recent();
      answered = query;
      show([...known, ...found.filter((result) => !result.url || !known.some((other) => other.url === result.url))]);
      if (entered === query && results.length) choose(results[0]);
    } catch (error) {
      if (own !== asking) return;
      answered = asked = entered = null;
      show([], error instanceof TypeError || error instanceof SyntaxError ? unanswered : error.message);
    }
  };
  // What stands in the list answers an earlier text until the server has spoken.
  const enter = () => {
    if (answered !== input.value) {
      entered = input.value;
      if (asked !== entered) search();
    } else if (results[chosen]) choose(results[chosen]);
  };
  input.addEventListener("input", () => {
    entered = null;
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
  input.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + LIMIT, PageUp: chosen - LIMIT };
    if (event.key in moves) mark(moves[event.key]);
    else if (event.key === "Enter") enter();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => { clearTimeout(waiting); asking = null; dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
  search();
};
