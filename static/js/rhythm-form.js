// Shows of maintenance and of a heartbeat only what the chosen kind of rhythm needs. Without this
// everything is shown, and what a kind does not need is left alone.
const always = ["until", "count"];
const choices = {
  repeat: {
    once: [],
    daily: [...always, "every"],
    weekly: [...always, "every", "on_weekdays"],
    monthly: [...always, "every", "on_month_days"],
    cron: [...always, "cron"],
  },
  schedule: { period: ["period_seconds"], cron: ["cron", "time_zone"] },
};

// Beside a field in a row of several stands its help, outside of its own box.
const boxOf = (name) => {
  const field = document.getElementById(`id_${name}`) ?? document.getElementById(`id_${name}_0`);
  return field?.closest(".fieldBox")?.parentElement ?? field?.closest(".form-row");
};

for (const [choice, needs] of Object.entries(choices)) {
  const select = document.getElementById(`id_${choice}`);
  if (!select) continue;
  const names = [...new Set(Object.values(needs).flat())];
  const show = () => {
    const wanted = needs[select.value] ?? names;
    for (const name of names) {
      const box = boxOf(name);
      // What is wrong with a field must be seen, whatever the kind.
      if (box) box.hidden = !wanted.includes(name) && !box.querySelector(".errorlist");
    }
    for (const row of document.querySelectorAll("form .form-row")) {
      const boxes = [...row.querySelectorAll(".fieldBox")].map((box) => box.parentElement);
      if (boxes.length > 0) row.hidden = boxes.every((box) => box.hidden);
    }
  };
  select.addEventListener("change", show);
  show();
}
