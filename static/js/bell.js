// The latest alerts, read when somebody first opens the bell.
const SHOWN = 20;
const FIRST = 10;
const ALERTS = "topic:alerts";
const BADGES = { critical: "bad", warning: "warn", info: "info", resolved: "ok" };

// Fills the list, and returns what adds later alerts to it; throws while the feed does not answer.
export const read = async (bell, url, at, { one, make, linked }) => {
  const box = one(".alerts", bell);
  const none = one("[data-none]", bell);
  let shown = 0;
  const add = ({ seq, kind, data, at: moment }) => {
    if (kind !== "alert" || seq <= shown) return;
    shown = seq;
    const word = (data.status === "resolved" ? data.status : data.severity) ?? "alert";
    const item = linked(data);
    item.prepend(make("span", { className: `badge badge-${BADGES[word] ?? "unknown"}` }, word[0].toUpperCase() + word.slice(1)));
    item.append(make("time", { dateTime: moment }, moment));
    box.prepend(make("li", {}, item));
    none.hidden = true;
    while (box.children.length > SHOWN) box.lastChild.remove();
  };
  const feed = async (query = "") => {
    const answer = await fetch(url + query);
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };
  // Without a socket nobody has said yet where the feed is.
  if (!at.seq) Object.assign(at, (await feed()).audiences[ALERTS]);
  const { entries } = await feed(`?audience=${ALERTS}&after=${Math.max(0, at.seq - FIRST)}`);
  none.textContent = "No alert lately.";
  entries?.forEach(add);
  return add;
};
