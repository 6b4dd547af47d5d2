// Live updates: one socket for each page, caught up from where this tab was.
// Tells the page by the events ops:event, ops:metrics, ops:state and ops:resync on the document,
// and takes ops:read. docs/live.md describes the protocol.

const { livePath, feedUrl } = document.querySelector("[data-live-path]")?.dataset ?? {};
const KEY = "ops.cursors";
const POLL_AFTER = 5;
const POLL_MS = 15000;
const STABLE_MS = 60000;

const say = (name, detail) => document.dispatchEvent(new CustomEvent(`ops:${name}`, { detail }));

let cursors = {};
try {
  cursors = JSON.parse(sessionStorage.getItem(KEY)) || {};
} catch {
  // A tab without storage begins anew with each page.
}

let socket = null;
let failures = 0;
let timer = 0;
let poller = 0;
let silence = 0;
let stable = 0;
let heartbeat = 30000;
let retry = -1;
let state = "";
let stopped = false;
let wasLive = false;

function become(next, reason = "") {
  if (next === state && !reason) return;
  state = next;
  document.documentElement.dataset.live = next;
  say("state", { state: next, at: new Date().toISOString(), reason });
}

function keep() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(cursors));
  } catch {
    // Full or forbidden: only this page then knows where it is.
  }
}

function take({ audience, seq, kind, data, at }) {
  if (seq <= (cursors[audience] ?? -1)) return;
  cursors[audience] = seq;
  keep();
  say("event", { audience, seq, kind, data, at });
}

function skip(audience, seq) {
  cursors[audience] = seq;
  keep();
  say("resync", { audience });
}

function stop(reason) {
  stopped = true;
  clearTimeout(timer);
  clearInterval(poller);
  become("off", reason);
}

function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function heard() {
  clearTimeout(silence);
  silence = setTimeout(drop, heartbeat * 2.5);
}

// A dead network never confirms the end, so it is not waited for.
function drop() {
  if (!socket) return;
  socket.onclose = socket.onmessage = null;
  socket.close();
  ended(4408);
}

// Where this person stands; audiences that this tab does not know begin here.
function begin(audiences) {
  const known = {};
  for (const [audience, { seq }] of Object.entries(audiences)) {
    known[audience] = cursors[audience] ?? seq;
  }
  cursors = known;
  keep();
  say("hello", { audiences });
}

const handlers = {
  hello({ heartbeat_ms, topics, metrics, audiences }) {
    heartbeat = heartbeat_ms;
    begin(audiences);
    const watched = (document.querySelector("[data-live-metrics]")?.dataset.liveMetrics || "").split(" ");
    send({
      type: "subscribe",
      topics: topics.filter((topic) => !metrics.includes(topic) || watched.includes(topic)),
      cursors,
    });
  },
  subscribed() {
    clearInterval(poller);
    poller = 0;
    stable = setTimeout(() => (failures = 0), STABLE_MS);
    become("live");
    // What is not an event, such as a number in a table, may have changed meanwhile.
    if (wasLive) say("resync", {});
    wasLive = true;
  },
  event: take,
  metrics: ({ topic, data, at }) => say("metrics", { topic, data, at }),
  ping: ({ t }) => send({ type: "pong", t }),
  resync: ({ audience, seq }) => skip(audience, seq),
  bye({ retry_ms }) {
    retry = retry_ms;
  },
  error: ({ message }) => console.warn(message),
};

async function ended(code) {
  clearTimeout(silence);
  clearTimeout(stable);
  socket = null;
  if (stopped) return;
  if (code === 4403) return stop("forbidden");
  if (code === 4401 && !(await signedIn())) return stop("signed-out");
  failures += 1;
  if (failures >= POLL_AFTER && !poller) {
    poller = setInterval(poll, POLL_MS);
    poll();
  }
  if (!poller) become("reconnecting", String(code));
  const most = Math.min(30000, 1000 * 2 ** Math.min(failures, 10));
  later(retry >= 0 ? retry : Math.random() * most);
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
  socket.onclose = ({ code }) => ended(code);
}

const ask = (query = "") => fetch(feedUrl + query, { headers: { accept: "application/json" } });

async function signedIn() {
  try {
    return ![401, 403].includes((await ask()).status);
  } catch {
    return true;
  }
}

// The same entries by plain requests, for networks that let no socket through.
async function poll() {
  try {
    const answer = await ask();
    if ([401, 403].includes(answer.status)) return stop("signed-out");
    if (!answer.ok) throw new Error(answer.status);
    const { audiences } = await answer.json();
    if (Object.keys(cursors).length === 0) begin(audiences);
    for (const [audience, { seq }] of Object.entries(audiences)) {
      if (seq === cursors[audience]) continue;
      const query = new URLSearchParams({ audience, after: cursors[audience] ?? seq });
      const feed = await (await ask(`?${query}`)).json();
      if (feed.resync) skip(audience, feed.seq);
      else feed.entries.forEach((entry) => take({ audience, ...entry }));
    }
    if (poller) become("polling");
  } catch {
    become("reconnecting", "no answer");
  }
}

if (livePath && feedUrl) {
  document.addEventListener("ops:read", ({ detail: { audience, seq } }) =>
    send({ type: "read", audience, seq }));
  addEventListener("online", () => later(Math.random() * 1000));
  addEventListener("offline", drop);
  // A page that comes back from the browser's memory has lost its socket.
  addEventListener("pageshow", ({ persisted }) => persisted && later(0));
  become("reconnecting", "starting");
  connect();
} else {
  become("off", "disabled");
}
