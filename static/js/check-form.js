// Shows of a check only what its kind needs. Without this everything is shown, and what a kind does
// not need is left alone.
const needs = {
  http: ["url", "method", "body", "follow_redirects", "tls_verify", "ip_family", "new_headers",
    "remove_headers", "accept", "body_contains", "assertions", "tls_min_days"],
  tcp: ["host", "port", "ip_family"],
  dns: ["host", "dns_type", "dns_server", "dns_expected"],
  tls: ["host", "port", "ip_family", "tls_verify", "tls_min_days"],
  icmp: ["host", "ip_family"],
};
const kind = document.getElementById("id_kind");

if (kind) {
  const names = [...new Set(Object.values(needs).flat())];
  // Beside a field in a row of several stands its help, outside of its own box.
  const boxOf = (name) => {
    const field = document.getElementById(`id_${name}`);
    return field?.closest(".fieldBox")?.parentElement ?? field?.closest(".form-row");
  };
  const isEmpty = (parts) => parts.length > 0 && parts.every((part) => part.hidden);
  const show = () => {
    const wanted = needs[kind.value] ?? names;
    for (const name of names) {
      const box = boxOf(name);
      if (box) box.hidden = !wanted.includes(name);
    }
    for (const row of document.querySelectorAll("form .form-row")) {
      const boxes = [...row.querySelectorAll(".fieldBox")].map((box) => box.parentElement);
      if (boxes.length > 0) row.hidden = isEmpty(boxes);
    }
    for (const group of document.querySelectorAll("form fieldset.module")) {
      group.hidden = isEmpty([...group.querySelectorAll(".form-row")]);
    }
  };
  kind.addEventListener("change", show);
  show();
}
