// The API explorer: filters the list, and sends what the form says with the page's own session.

const filter = document.querySelector("[data-api-filter]");
if (filter) {
  const input = filter.querySelector("input");
  const status = filter.querySelector("[role=status]");
  const groups = [...document.querySelectorAll(".api-group")];
  filter.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const group of groups) {
      let inGroup = 0;
      for (const item of group.querySelectorAll("li")) {
        const text = item.textContent.toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
        inGroup += item.hidden ? 0 : 1;
      }
      group.hidden = inGroup === 0;
      shown += inGroup;
    }
    status.textContent = words.length ? `${shown} found` : "";
  });
}

const form = document.querySelector("[data-api-try]");
if (form) {
  const { method, path } = form.dataset;
  const isPublic = "public" in form.dataset;
  const fields = [...form.querySelectorAll("[data-place]")];
  const at = (place) => fields.filter((field) => field.dataset.place === place);
  const body = at("body")[0];
  const key = at("key")[0];
  const status = form.querySelector(".api-status");
  const answer = form.querySelector(".api-answer");
  const button = form.querySelector("button[type=submit]");
  const curl = document.querySelector("[data-api-curl] code");

  const address = () => {
    let url = path;
    for (const field of at("path")) {
      if (field.value) url = url.replace(`{${field.name}}`, encodeURIComponent(field.value));
    }
    const query = new URLSearchParams();
    for (const field of at("query")) if (field.value) query.append(field.name, field.value);
    return query.size ? `${url}?${query}` : url;
  };

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  const describe = () => {
    const parts = ["curl"];
    if (method !== "GET") parts.push(`-X ${method}`);
    if (!isPublic) parts.push('-H "X-Dash-Key: $OPS_KEY"');
    if (body) {
      parts.push(`-H ${quoted(`Content-Type: ${body.dataset.mediaType}`)}`);
      parts.push(`-d ${quoted(body.value)}`);
    }
    parts.push(quoted(location.origin + address()));
    curl.textContent = parts.join(" \\\n");
  };

  const say = (text, tone) => {
    status.textContent = text;
    status.className = `api-status${tone ? ` is-${tone}` : ""}`;
  };

  const request = () => {
    const headers = { Accept: "application/json" };
    const asKey = key?.value;
    if (asKey) headers["X-Dash-Key"] = asKey;
    else if (method !== "GET") headers["X-CSRFToken"] = form.elements.csrfmiddlewaretoken.value;
    if (body) headers["Content-Type"] = body.dataset.mediaType;
    return {
      method,
      headers,
      body: body?.value,
      credentials: asKey || isPublic ? "omit" : "same-origin",
      redirect: "manual",
    };
  };

  const show = async (response, began) => {
    const text = await response.text();
    const spent = Math.round(performance.now() - began);
    const size = new Blob([text]).size;
    const tone = response.ok ? "ok" : "bad";
    say(`${response.status} ${response.statusText}, ${spent} ms, ${size} bytes`, tone);
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: shown as it came.
    }
    answer.textContent = shown;
    answer.hidden = text === "";
  };

  form.hidden = false;
  document.querySelector("[data-api-plain]").hidden = true;
  form.addEventListener("input", describe);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("Sending");
    answer.hidden = true;
    const began = performance.now();
    try {
      await show(await fetch(address(), request()), began);
    } catch (error) {
      say(`No answer: ${error.message}`, "bad");
    } finally {
      button.disabled = false;
    }
  });
}
