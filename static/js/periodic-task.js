// Says in words what the chosen crontab means. The package's own page does this with an inline
// script, which the Content-Security-Policy refuses.
const words = JSON.parse(document.getElementById("readable-crontabs").textContent);
const choice = document.getElementById("id_crontab");
const row = document.querySelector(".field-crontab");

if (choice && row) {
  document.querySelector(".field-crontab_translation")?.setAttribute("hidden", "");
  const told = document.createElement("div");
  told.className = "help";
  told.setAttribute("aria-live", "polite");
  row.append(told);
  const tell = () => {
    told.textContent = words[choice.value] ?? "";
  };
  choice.addEventListener("change", tell);
  tell();
}
