// Live updates: one socket for each page, caught up from where this tab was.
// Tells the page by ops:hello, ops:event, ops:metrics, ops:state and ops:resync on the document, and
// takes ops:read. docs/live.md describes the protocol.

const { livePath, feedUrl } = document.querySelector("[data-live-path]")?.dataset ?? {};
const KEY = "ops.cursors";
const POLL_AFTER = 5;
const POLL_MS = 15000;
const STABLE_MS = 60000;

let cursors = {};
try {
  cursors = JSON.parse(sessionStorage.getItem(KEY)) || {};
} catch {
  // A tab without storage begins anew with each page.
}

let socket, timer, poller, silence, stable;
let failures = 0;
let heartbeat = 30000;
let retry = -1;
let figures = [];
let state = "";
let stopped = false;
let wasLive = false;
let greeted = false;

const say = (name, detail) => document.dispatchEvent(new CustomEvent(`ops:${name}`, { detail }));

function become(next, reason = "") {
  if (next === state && !reason) return;
  state = next;
  document.documentElement.dataset.live = next;
  say("state", { state, at: new Date().toISOString(), reason });
}

function keep(changed) {
  cursors = changed;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(cursors));
  } catch {
    // Full or forbidden: only this page then knows where it is.
  }
}

function take({ audience, seq, kind, data, at }) {
  if (seq <= (cursors[audience] ?? -1)) return;
  keep({ ...cursors, [audience]: seq });
  say("event", { audience, seq, kind, data, at });
}

function skip({ audience, seq }) {
  keep({ ...cursors, [audience]: seq });
  say("resync", { audience, seq });
}

function stop(reason) {
  stopped = true;
  clearTimeout(timer);
  clearInterval(poller);
  become("off", reason);
}

function send(frame) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

// What was read counts also where no socket comes through; lost, it is only unread once more.
function noteRead(place) {
  if (send({ type: "read", ...place })) return;
  const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  const headers = { "content-type": "application/json", "x-csrftoken": token };
  fetch(`${feedUrl}/read`, { method: "POST", headers, body: JSON.stringify(place), keepalive: true }).catch(() => {});
}

// Figures are asked for only by pages that show them.
function choose(allowed) {
  const shown = document.querySelector("[data-live-metrics]")?.dataset.liveMetrics.split(" ") ?? [];
  return allowed.filter((topic) => !figures.includes(topic) || shown.includes(topic));
}

// Where this person stands; audiences that this tab does not know begin here.
function begin(audiences) {
  const places = Object.entries(audiences);
  keep(Object.fromEntries(places.map(([name, { seq }]) => [name, cursors[name] ?? seq])));
  greeted = true;
  say("hello", { audiences });
}

const handlers = {
  hello({ heartbeat_ms, topics, metrics, audiences }) {
    heartbeat = heartbeat_ms;
    figures = metrics;
    begin(audiences);
    send({ type: "subscribe", topics: choose(topics), cursors });
  },
  subscribed({ topics, allowed = topics }) {
    clearInterval(poller);
    poller = 0;
    clearTimeout(stable);
    stable = setTimeout(() => (failures = 0), STABLE_MS);
    // Rights may change while the page is open: more of them are used, and none at all is said.
    const more = choose(allowed);
    if (more.some((topic) => !topics.includes(topic))) send({ type: "subscribe", topics: more, cursors });
    if (allowed.length) become("live");
    else become("off", "no rights");
    // What is not an event, such as a number in a table, may have changed meanwhile.
    if (wasLive) say("resync", {});
    wasLive = true;
  },
  event: take,
  metrics: ({ topic, data, at }) => say("metrics", { topic, data, at }),
  ping: ({ t }) => send({ type: "pong", t }),
  resync: skip,
  bye({ retry_ms }) {
    retry = retry_ms;
  },
  error: ({ message }) => console.warn(message),
};

function heard() {
  clearTimeout(silence);
  silence = setTimeout(drop, heartbeat * 2.5);
}

// A dead network never confirms the end, so it is not waited for.
function drop() {
  if (!socket) return;
  socket.onclose = socket.onmessage = null;
  socket.close();
  ended({ code: 4408 });
}

async function ended({ code }) {
  clearTimeout(silence);
  clearTimeout(stable);
  socket = null;
  if (stopped) return;
  if (code === 4403) return stop("forbidden");
  if (code === 4401 && (await ask().then(isRefused, () => false))) return stop("signed-out");
  failures += 1;
  if (failures >= POLL_AFTER && !poller) {
    poller = setInterval(poll, POLL_MS);
    poll();
  }
  if (!poller) become("reconnecting", String(code));
  later(retry >= 0 ? retry : Math.random() * Math.min(30000, 1000 * 2 ** Math.min(failures, 10)));
  retry = -1;
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(connect, ms);
}

function connect() {
  if (stopped || socket || navigator.onLine === false) return;
  const url = new URL(livePath, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  heard();
  socket.onmessage = ({ data }) => {
    heard();
    const frame = JSON.parse(data);
    handlers[frame.type]?.(frame);
  };
  socket.onclose = ended;
}

const ask = (query = "") => fetch(feedUrl + query, { headers: { accept: "application/json" } });
const isRefused = ({ status }) => status === 401 || status === 403;

// The same entries by plain requests, for networks that let no socket through.
async function poll() {
  try {
    const answer = await ask();
    if (isRefused(answer)) return stop("signed-out");
    const { audiences } = await answer.json();
    if (!greeted) begin(audiences);
    for (const [audience, { seq }] of Object.entries(audiences)) {
      // A feed that a role has opened meanwhile begins here.
      if (!(audience in cursors)) keep({ ...cursors, [audience]: seq });
      if (seq === cursors[audience]) continue;
      const query = new URLSearchParams({ audience, after: cursors[audience] });
      const feed = await (await ask(`?${query}`)).json();
      if (feed.resync) skip(feed);
      else feed.entries.forEach((entry) => take({ audience, ...entry }));
    }
    if (poller) become("polling");
  } catch {
    become("reconnecting", "no answer");
  }
}

if (livePath && feedUrl) {
  document.addEventListener("ops:read", ({ detail }) => noteRead(detail));
  addEventListener("online", () => later(Math.random() * 1000));
  addEventListener("offline", drop);
  // A page that comes back from the browser's memory has lost its socket.
  addEventListener("pageshow", ({ persisted }) => persisted && later(0));
  become("reconnecting", "starting");
  connect();
} else {
  become("off", "disabled");
}
