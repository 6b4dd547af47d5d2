// Toasts of what happens while a page is open, and a count in the title while nobody looks at it.
const SECONDS = 12;
const MOST = 4;
const ONCE_MS = 30000;
const TONES = { critical: "error", warning: "warning", info: "info" };

const title = document.title;
let unseen = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  document.title = title;
});

// Beyond a few, news are counted in one line that leads to all of them.
let rest = null;
const countMore = ({ one, make, toasts, dismissable, leaving }) => {
  if (!rest?.item.isConnected) {
    const text = make("a", { href: one("#bell .all-alerts")?.href ?? "" });
    rest = { item: make("li", { className: "rest" }, text), text, count: 0 };
    dismissable(rest.item);
    one(".messagelist", toasts).append(rest.item);
  }
  rest.count += 1;
  rest.text.textContent = `and ${rest.count} more`;
  clearTimeout(rest.timer);
  rest.timer = leaving(rest.item, SECONDS);
};

// Whoever is told of an alert in person, and may see alerts, is told once.
const toasted = new Set();

export const tell = ({ kind, data }, tools) => {
  const isJob = kind === "job.finished";
  const key = `${data.status} ${data.title}`;
  if (!isJob) {
    if (toasted.has(key)) return;
    toasted.add(key);
    setTimeout(() => toasted.delete(key), ONCE_MS);
  }
  if (document.hidden) document.title = `(${(unseen += 1)}) ${title}`;
  const { all, linked, toasts, toast } = tools;
  if (all(".messagelist .news", toasts).length >= MOST) return countMore(tools);
  const tone = (isJob ? data.ok : data.status === "resolved") ? "success" : isJob ? "error" : TONES[data.severity];
  toast(linked(data), tone, SECONDS);
};
