// What every page of the console does beyond links and forms. Without it all pages still work.
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => root.querySelectorAll(selector);
const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const UNANSWERED = "The server does not answer.";

// The page says what time it was when the server wrote it: a browser's own clock may be hours away.
const written = Number(one("[data-server-time]")?.dataset.serverTime) * 1000;
const received = performance.timeOrigin + (performance.getEntriesByType("navigation")[0]?.responseStart ?? 0);
const now = () => Date.now() + (written ? written - received : 0);
const AT_ONCE = 3;

// Times: relative within a day, then local; UTC stays in the tooltip.
const UTC_TEXT = /^\s*(\d{1,2} [A-Z][a-z]{2,8} \d{4} \d\d:\d\d:\d\d UTC)\s*$/;
const relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto", style: "short" });
const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const UNITS = [["second", 60], ["minute", 60], ["hour", 24]];
const told = (moment) => {
  let away = (moment - now()) / 1000;
  if (Math.abs(away) < AT_ONCE) return "now";
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
const switchTheme = () => {
  scheme.content = THEMES[scheme.content];
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${scheme.content.split(" ").join("-")}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  nameTheme();
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
const leaving = (item, seconds) => {
  const leave = () => (item.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : item.remove());
  return setTimeout(leave, seconds * 1000);
};
const toast = (content, tone = "info", seconds = 12) => {
  const list = one(".messagelist", toasts) ?? toasts.appendChild(make("ul", { className: "messagelist" }));
  const item = make("li", { className: tone }, content);
  if (seconds) {
    item.classList.add("news");
    leaving(item, seconds);
  }
  dismissable(item);
  list.append(item);
};
// One complaint at a time is enough.
const complain = () => {
  one("#toasts .unanswered")?.closest("li").remove();
  toast(make("span", { className: "unanswered" }, UNANSWERED), "error");
};

// Dialogs and drawers are loaded when somebody first asks for one.
const toolbox = { one, make, complain };
const dialogs = async (name, ...given) => {
  try {
    (await import(toasts.dataset.dialogs))[name](toolbox, ...given);
  } catch {
    complain();
  }
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-confirm], [data-drawer], [data-dialog], [data-copy]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { drawer: name, dialog } = link.dataset;
  if (name) dialogs("drawer", document.getElementById(name));
  else if (dialog) document.getElementById(dialog).showModal();
  else if (link.matches("[data-copy]")) {
    navigator.clipboard.writeText(one("pre", link.parentElement).textContent)
      .then(() => { link.textContent = "Copied"; }, () => { link.textContent = "Select and copy"; });
  } else dialogs("fetched", link, link.href);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("form[data-confirm], #changelist-form") || event.submitter?.name === "_save") return;
  event.preventDefault();
  const url = form.getAttribute("action") ?? location.href;
  dialogs("fetched", form, url, { method: "POST", body: new FormData(form, event.submitter) });
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
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SAID_AFTER = 5000;
const away = { since: null, timer: 0 };
const describe = ({ state, reason }) => {
  if (state === "live") return "News arrive as they happen.";
  if (state === "polling") return "The connection does not hold. News are asked for every 15 seconds.";
  if (state === "off") return reason === "signed-out" ? "Your session has ended." : "News do not arrive by themselves. Reload to see them.";
  return away.since ? `Reconnecting since ${clock.format(away.since)}. What you see may be old.` : "Connecting.";
};
document.addEventListener("ops:state", ({ detail }) => {
  if (!live) return;
  const { state, reason } = detail;
  const [word, said] = live.children;
  const isAway = state === "reconnecting";
  const began = isAway && reason === "starting";
  if (isAway && !began) away.since ??= now();
  if (!isAway) away.since = null;
  live.dataset.state = state;
  live.title = describe(detail);
  word.textContent = began ? "Connecting" : STATES[state] ?? state;
  // A short loss is not worth a word to those who listen; a long one is, and its end.
  clearTimeout(away.timer);
  const wait = isAway ? SAID_AFTER - (now() - (away.since ?? now())) : 0;
  const isNew = said.textContent !== live.title && (isAway || said.textContent);
  if (isNew) away.timer = setTimeout(() => { said.textContent = live.title; }, wait);
  if (reason !== "signed-out") return;
  word.textContent = "Signed out";
  const again = make("a", { href: `${live.dataset.signIn}?next=${encodeURIComponent(location.pathname + location.search)}` }, "Sign in again");
  toast(make("span", {}, "Your session has ended. ", again), "warning", 0);
});
// Alerts, and what was sent to the person: each feed with its newest number and the last one read.
const bell = one("#bell");
const isNews = (audience) => audience === "topic:alerts" || audience.startsWith("user:");
const feeds = {};
const showUnread = () => {
  if (!bell) return;
  const unread = Object.values(feeds).reduce((sum, { seq, read }) => sum + Math.max(0, seq - read), 0);
  const count = one(".count", bell);
  count.hidden = !unread;
  count.textContent = unread > 99 ? "99+" : unread;
  one("summary", bell).ariaLabel = unread ? `Notifications, ${unread} unread` : "Notifications";
};
const linked = ({ title, url }) => (url?.startsWith("/") ? make("a", { href: url }, title) : make("span", {}, title));
// Adds news to those under the bell, once these were read.
let list = null;
// Other tabs of this browser learn what was read in this one.
const tabs = new BroadcastChannel("ops.read");
const haveRead = (audience, seq) => {
  const feed = feeds[audience];
  if (feed) feed.read = Math.max(feed.read, seq);
  showUnread();
};
tabs.onmessage = ({ data: [audience, seq] }) => haveRead(audience, seq);
const read = () => {
  if (!bell?.open || !list) return;
  for (const [audience, { seq, read: last }] of Object.entries(feeds)) {
    if (last >= seq) continue;
    haveRead(audience, seq);
    tabs.postMessage([audience, seq]);
    document.dispatchEvent(new CustomEvent("ops:read", { detail: { audience, seq } }));
  }
};
document.addEventListener("ops:hello", ({ detail }) => {
  for (const [audience, position] of Object.entries(detail.audiences)) {
    if (!isNews(audience)) continue;
    feeds[audience] = { ...position };
    // What was read on another page of this browser is read in all its tabs.
    tabs.postMessage([audience, position.read]);
  }
  showUnread();
});
// What tells of news in toasts is loaded with the first of them.
let news;
document.addEventListener("ops:event", ({ detail }) => {
  const { audience, seq, at } = detail;
  if (!isNews(audience)) return;
  const feed = (feeds[audience] ??= { seq: 0, read: 0 });
  feed.seq = Math.max(feed.seq, seq);
  // What a person may no longer read has a number alone.
  if (detail.data.title) list?.(detail);
  showUnread();
  read();
  if (!detail.data.title) return;
  // What a tab catches up with is old news.
  if (now() - new Date(at) > 60000) return;
  news ??= import(toasts.dataset.news);
  news.then(({ tell }) => tell(detail, { one, all, make, linked, toasts, toast, dismissable, leaving }), () => { news = null; });
});
bell?.addEventListener("toggle", async () => {
  if (!bell.open) return;
  try {
    list ??= await (await import(bell.dataset.latest)).read(bell, { one, make, linked });
    read();
  } catch {
    Object.assign(one("[data-none]", bell), { hidden: false, textContent: "The notifications cannot be read now." });
  }
});
// After a gap the list under the bell is read anew.
document.addEventListener("ops:resync", ({ detail: { audience, seq } }) => {
  if (!feeds[audience]) return;
  feeds[audience].seq = seq;
  list = null;
  showUnread();
});

// The palette is loaded when somebody first asks for it.
const opener = one("[data-palette]");
const openPalette = async () => {
  try {
    (await import(opener.dataset.palette)).open(opener.dataset.url, make, UNANSWERED);
  } catch {
    complain();
  }
};
opener?.addEventListener("click", openPalette);
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
  const asked = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !isTyping);
  if (opener && asked && !one("dialog[open]")) { event.preventDefault(); openPalette(); }
});
try {
  if (!opener) sessionStorage.removeItem("recent");
} catch {
  // A tab without storage has nothing to forget.
}

// What scrolls sideways must be reached by keyboard, too; what fits may hold its heads in view.
const scrollers = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const isWide = target.scrollWidth > target.clientWidth;
    target.classList.toggle("fits", !isWide);
    if (isWide) target.tabIndex = 0;
    else if (!target.matches("[role=region]")) target.removeAttribute("tabindex");
  }
});

// What arrives later is treated as what was there: times, copy buttons.
const prepare = () => {
  showTimes();
  for (const box of all(".select2-container [role=combobox]:not([aria-label]), .select2-container [role=textbox]:not([aria-label]), .select2-container [role=searchbox]:not([aria-label])")) {
    const select = box.closest(".select2-container").previousElementSibling;
    box.ariaLabel = one(`label[for="${select?.id}"]`)?.textContent ?? "Choice";
  }
  for (const box of all(".results, .tabular fieldset.module, #change-history")) scrollers.observe(box);
  // A phone shows rows as cards, where each value needs its own name.
  const heads = [...all("#result_list thead th")].map((head) => one(".text", head)?.textContent.trim() ?? "");
  for (const row of all("#result_list tbody tr")) {
    heads.forEach((head, index) => { if (row.children[index]) row.children[index].dataset.label = head; });
  }
  if (navigator.clipboard) all("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
};
prepare();
// On a phone a row of tabs is wider than the page: the one that is open stands in view.
for (const tab of all(".tabs [aria-current]")) tab.parentNode.scrollLeft = tab.offsetLeft - tab.parentNode.offsetLeft - 40;
setInterval(showTimes, 30000);
new MutationObserver((changes) => {
  if (changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === 1 && node.localName !== "time"))) prepare();
}).observe(document.body, { childList: true, subtree: true });
