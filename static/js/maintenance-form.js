// Shows of maintenance only what the chosen kind of repeat needs. Without this everything is shown,
// and what a kind does not need is left alone.
const always = ["until", "count"];
const needs = {
  once: [],
  daily: [...always, "every"],
  weekly: [...always, "every", "on_weekdays"],
  monthly: [...always, "every", "on_month_days"],
  cron: [...always, "cron"],
};
const repeat = document.getElementById("id_repeat");

if (repeat) {
  const names = [...new Set(Object.values(needs).flat())];
  // Beside a field in a row of several stands its help, outside of its own box.
  const boxOf = (name) => {
    const field = document.getElementById(`id_${name}`) ?? document.getElementById(`id_${name}_0`);
    return field?.closest(".fieldBox")?.parentElement ?? field?.closest(".form-row");
  };
  const show = () => {
    const wanted = needs[repeat.value] ?? names;
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
  repeat.addEventListener("change", show);
  show();
}
