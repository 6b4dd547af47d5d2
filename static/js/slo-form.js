// Says while an objective is typed that its checks ask too rarely for it.
const field = (name) => document.getElementById(`id_${name}`);
const [objective, days, service] = ["objective", "window_days", "service"].map(field);
const path = location.pathname.match(/^(.*\/slo\/)(?:add|(\d+)\/change)\/$/);

if (objective && days && path) {
  const told = document.createElement("div");
  told.className = "help";
  told.setAttribute("aria-live", "polite");
  objective.after(told);
  let turn = 0, timer = 0;
  const ask = async () => {
    const mine = (turn += 1);
    const url = new URL(`${path[1]}hint/`, location.href);
    url.search = new URLSearchParams({
      objective: objective.value,
      window_days: days.value,
      service: service?.value ?? "",
      slo: path[2] ?? "",
    });
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      const { text } = answer.ok ? await answer.json() : { text: "" };
      if (mine === turn) told.textContent = text;
    } catch {
      told.textContent = "";
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  };
  for (const input of [objective, days]) input.addEventListener("input", soon);
  // The choice of a service comes from jQuery, whose events only jQuery hears.
  if (service) (window.django?.jQuery ?? ((it) => ({ on: (kind, act) => it.addEventListener(kind, act) })))(service).on("change", soon);
  ask();
}
