// What every page of the console does beyond links and forms. Without it all pages still work.
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => root.querySelectorAll(selector);
const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// Times: relative within a day, then local; UTC stays in the tooltip.
const UTC_TEXT = /^\s*(\d{1,2} [A-Z][a-z]{2,8} \d{4} \d\d:\d\d:\d\d UTC)\s*$/;
const relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto", style: "short" });
const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const UNITS = [["second", 60], ["minute", 60], ["hour", 24]];
const told = (moment) => {
  let away = (moment - Date.now()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(away) < size) return relative.format(Math.round(away), unit);
    away /= size;
  }
  return local.format(moment);
};
const showTimes = (root = document) => {
  for (const cell of all("td, th, .readonly, dd", root)) {
    const found = !cell.children.length && cell.textContent.match(UTC_TEXT);
    if (found) cell.replaceChildren(make("time", { dateTime: new Date(found[1]).toISOString() }, found[1]));
    else if (cell.firstElementChild?.matches("a:only-child") && UTC_TEXT.test(cell.textContent)) {
      const text = cell.textContent.trim();
      cell.firstElementChild.replaceChildren(make("time", { dateTime: new Date(text).toISOString() }, text));
    }
  }
  for (const time of all("time[datetime]", root)) {
    const moment = new Date(time.dateTime);
    const text = told(moment);
    time.title ||= `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    if (time.textContent !== text) time.textContent = text;
  }
};

// Theme: the server reads the cookie, so that no page flashes.
const THEMES = { "light dark": "light", light: "dark", dark: "light dark" };
const scheme = one("meta[name=color-scheme]");
const themeButton = one("[data-theme-switch]");
const nameTheme = () => {
  const name = scheme.content === "light dark" ? "automatic" : scheme.content;
  if (themeButton) themeButton.ariaLabel = themeButton.title = `Theme: ${name}`;
};
export const switchTheme = () => {
  scheme.content = THEMES[scheme.content];
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${scheme.content.split(" ").join("-")}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  nameTheme();
  document.dispatchEvent(new CustomEvent("ops:theme"));
};
themeButton?.addEventListener("click", switchTheme);
document.addEventListener("ops:switch-theme", switchTheme);
nameTheme();

// Toasts: the page's own messages stay; news of events go by themselves.
const toasts = one("#toasts");
const dismissable = (item) => {
  const close = make("button", { type: "button", className: "icon-button", ariaLabel: "Dismiss" }, "\u00d7");
  close.addEventListener("click", () => item.remove());
  item.append(close);
};
all(".messagelist li", toasts ?? make("div")).forEach(dismissable);
export const toast = (content, tone = "info", seconds = 0) => {
  const list = one(".messagelist", toasts) ?? toasts.appendChild(make("ul", { className: "messagelist" }));
  const item = make("li", { className: tone }, content);
  dismissable(item);
  list.append(item);
  const leave = () => (item.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : item.remove());
  if (seconds) setTimeout(leave, seconds * 1000);
};

// Dialogs: own ones by name, confirm pages fetched, the sidebar and filters as drawers.
const showing = (dialog) => {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
};
const ask = (html, address) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const body = one("[data-dialog-body]", page);
  if (!body) return false;
  const heading = make("h2", { id: "asked" }, one("h1", page).textContent);
  const dialog = make("dialog", {}, heading, document.adoptNode(body));
  dialog.setAttribute("aria-labelledby", "asked");
  const form = one("form", dialog);
  if (form && !form.getAttribute("action")) form.action = address;
  showing(dialog);
  const cancel = one("[data-cancel]", dialog);
  cancel?.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  cancel?.focus();
  const typed = one("[data-typed]", dialog);
  const submit = one("input[type=submit]", dialog);
  const check = () => { submit.disabled = typed.value !== typed.dataset.typed; };
  if (typed) { typed.addEventListener("input", check); check(); }
  return true;
};
const drawer = (content) => {
  const place = document.createComment("");
  content.before(place);
  const right = content.matches("#changelist-filter") ? " drawer-right" : "";
  const dialog = make("dialog", { className: `drawer-dialog${right}` }, content);
  dialog.ariaLabel = content.ariaLabel ?? "Filter";
  dialog.addEventListener("close", () => place.replaceWith(content));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".drawer-close")) { event.preventDefault(); dialog.close(); }
  });
  showing(dialog);
};
const fetched = async (url, options) => {
  const response = await fetch(url, { redirect: "manual", ...options });
  if (response.type === "opaqueredirect") { location.reload(); return; }
  const html = await response.text();
  if (!ask(html, url)) { document.open(); document.write(html); document.close(); }
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-confirm], [data-drawer], [data-dialog], [data-copy]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { drawer: name, dialog } = link.dataset;
  if (name) drawer(document.getElementById(name));
  else if (dialog) document.getElementById(dialog).showModal();
  else if (link.matches("[data-copy]")) {
    navigator.clipboard.writeText(one("pre", link.parentElement).textContent)
      .then(() => { link.textContent = "Copied"; }, () => { link.textContent = "Select and copy"; });
  } else fetched(link.href);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("form[data-confirm], #changelist-form") || event.submitter?.name === "_save") return;
  event.preventDefault();
  const url = form.getAttribute("action") ?? location.href;
  fetched(url, { method: "POST", body: new FormData(form, event.submitter) }).catch(() => form.submit());
});

// Menus: one open at a time; Escape and a click elsewhere close them.
const menus = all("details.menu");
document.addEventListener("click", (event) => {
  for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && one("details.menu[open]");
  if (open) { open.open = false; one("summary", open).focus(); }
});

// Live state, the bell, and toasts of what happens.
const live = one("#live");
const STATES = { live: "Live", reconnecting: "Reconnecting", polling: "Polling", off: "Not live" };
document.addEventListener("ops:state", ({ detail }) => {
  if (!live) return;
  live.dataset.state = detail.state;
  live.title = detail.reason ?? "";
  one("span", live).textContent = STATES[detail.state] ?? detail.state;
  if (detail.reason !== "signed-out") return;
  one("span", live).textContent = "Signed out";
  const again = make("a", { href: `${live.dataset.signIn}?next=${encodeURIComponent(location.pathname + location.search)}` }, "Sign in again");
  toast(make("span", {}, "Your session has ended. ", again), "warning");
});
const bell = one("#bell");
const ALERTS = "topic:alerts";
const TONES = { critical: "error", warning: "warning", info: "info" };
const at = { seq: 0, read: 0, shown: 0 };
const showUnread = () => {
  const unread = Math.max(0, at.seq - at.read);
  const count = one(".count", bell);
  count.hidden = !unread;
  count.textContent = unread > 99 ? "99+" : unread;
  one("summary", bell).ariaLabel = unread ? `Alerts, ${unread} unread` : "Alerts";
};
const linked = ({ title, url }) => (url?.startsWith("/") ? make("a", { href: url }, title) : make("span", {}, title));
const list = ({ seq, kind, data, at: moment }) => {
  if (kind !== "alert" || seq <= at.shown) return;
  at.shown = seq;
  const item = linked(data);
  item.append(make("time", { dateTime: moment }, moment));
  one(".alerts", bell).prepend(make("li", {}, item));
  one("[data-none]", bell).hidden = true;
  while (one(".alerts", bell).children.length > 20) one(".alerts", bell).lastChild.remove();
};
const read = () => {
  if (!bell.open || at.read >= at.seq) return;
  at.read = at.seq;
  showUnread();
  document.dispatchEvent(new CustomEvent("ops:read", { detail: { audience: ALERTS, seq: at.seq } }));
};
document.addEventListener("ops:hello", ({ detail }) => {
  const position = bell && detail.audiences[ALERTS];
  if (position) { Object.assign(at, position); showUnread(); }
});
document.addEventListener("ops:event", ({ detail }) => {
  const { audience, seq, kind, data } = detail;
  if (kind === "job.finished") toast(linked(data), data.ok ? "success" : "error", 12);
  if (audience !== ALERTS || !bell) return;
  at.seq = Math.max(at.seq, seq);
  if (bell.dataset.filled) list(detail);
  showUnread();
  read();
  if (Date.now() - new Date(detail.at) < 60000) toast(linked(data), data.status === "resolved" ? "success" : TONES[data.severity], 12);
});
bell?.addEventListener("toggle", async () => {
  if (!bell.open) return;
  if (!bell.dataset.filled && live) {
    bell.dataset.filled = "yes";
    const answer = await fetch(`${live.dataset.feedUrl}?audience=${ALERTS}&after=${Math.max(0, at.seq - 10)}`);
    if (answer.ok) (await answer.json()).entries?.forEach(list);
  }
  read();
});

// The palette is loaded when somebody first asks for it.
const opener = one("[data-palette]");
const openPalette = async () => (await import(opener.dataset.palette)).open(opener.dataset.url);
opener?.addEventListener("click", openPalette);
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
  const asked = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !isTyping);
  if (opener && asked && !one("dialog[open]")) { event.preventDefault(); openPalette(); }
});
if (!opener) sessionStorage.removeItem("recent");

// What scrolls sideways must be reached by keyboard, too.
const scrollers = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
all(".tabular fieldset.module, #change-history").forEach((box) => scrollers.observe(box));

// What arrives later is treated as what was there: times, copy buttons.
const prepare = () => {
  showTimes();
  for (const box of all(".select2-container [role=combobox]:not([aria-label]), .select2-container [role=textbox]:not([aria-label])")) {
    const select = box.closest(".select2-container").previousElementSibling;
    box.ariaLabel = one(`label[for="${select?.id}"]`)?.textContent ?? "Choice";
  }
  for (const wide of all(".results:not([tabindex]), .tabular fieldset")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
  if (navigator.clipboard) all("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
};
prepare();
setInterval(showTimes, 30000);
new MutationObserver((changes) => {
  if (changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === 1 && node.localName !== "time"))) prepare();
}).observe(document.body, { childList: true, subtree: true });
