// The latest of what a person was told, read when somebody first opens the bell.
const SHOWN = 20;
const BADGES = { critical: "bad", warning: "warn", info: "info", resolved: "ok", acknowledged: "warn", done: "ok", failed: "bad" };

const wordOf = ({ ok, status, severity }) => {
  if (ok !== undefined) return ok ? "done" : "failed";
  return (["resolved", "acknowledged"].includes(status) ? status : severity) || "news";
};

// Fills the list, and returns what adds later news to it; throws while the feed does not answer.
export const read = async (bell, { one, make, linked }) => {
  const box = one(".alerts", bell);
  const none = one("[data-none]", bell);
  const shown = {};
  const add = ({ audience, seq, data, at }) => {
    if (seq <= (shown[audience] ?? 0)) return;
    shown[audience] = seq;
    const word = wordOf(data);
    const item = linked(data);
    item.prepend(make("span", { className: `badge badge-${BADGES[word] ?? "unknown"}` }, word[0].toUpperCase() + word.slice(1)));
    item.append(make("time", { dateTime: at }, at));
    box.prepend(make("li", {}, item));
    none.hidden = true;
    while (box.children.length > SHOWN) box.lastChild.remove();
  };
  const answer = await fetch(`${bell.dataset.inboxUrl}?limit=${SHOWN}`);
  if (!answer.ok) throw new Error(answer.status);
  none.textContent = "Nothing lately.";
  box.replaceChildren();
  (await answer.json()).entries.reverse().forEach(add);
  return add;
};
