// Pages that ask first, shown over the page that led there; the sidebar and filters as drawers.
const showing = (dialog) => {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
};
const ask = ({ one, make }, page, body, address) => {
  const heading = make("h2", { id: "asked" }, one("h1", page)?.textContent ?? page.title);
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
  return dialog;
};
// What is no question after a form was sent, such as a refusal: sending it again could act twice.
const showAnswer = (tools, page) => {
  const { one, make } = tools;
  const body = one("#content, main", page) ?? page.body;
  one("h1", body)?.closest(".title-row, h1").remove();
  const close = make("button", { type: "button" }, "Close");
  const dialog = ask(tools, page, body, "");
  dialog.append(make("p", { className: "submit-row" }, close));
  close.addEventListener("click", () => dialog.close());
};
export const drawer = ({ make }, content) => {
  if (content.closest("dialog")) return;
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
let isAsking = false;
export const fetched = async (tools, asker, url, options) => {
  if (isAsking) return;
  isAsking = true;
  asker.ariaBusy = "true";
  try {
    const response = await fetch(url, { redirect: "manual", ...options });
    if (response.type === "opaqueredirect") { location.reload(); return; }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const body = tools.one("[data-dialog-body]", page);
    if (body) ask(tools, page, body, url);
    else if (options) showAnswer(tools, page);
    else location.assign(url);
  } catch {
    tools.complain();
  } finally {
    isAsking = false;
    asker.ariaBusy = null;
  }
};
