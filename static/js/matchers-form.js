// Adds rows of conditions, one at a time. Without this two empty ones stand ready, and saving the
// form shows two more.
for (const box of document.querySelectorAll("[data-matchers]")) {
  const rows = () => [...box.querySelectorAll(".matcher")];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Add a condition";

  const renumber = (row, number) => {
    row.setAttribute("aria-label", `Condition ${number + 1}`);
    for (const field of row.querySelectorAll("[name]")) {
      field.name = field.name.replace(/-\d+-/, `-${number}-`);
    }
  };

  button.addEventListener("click", () => {
    const all = rows();
    const row = all.at(-1).cloneNode(true);
    for (const input of row.querySelectorAll("input")) input.value = "";
    row.querySelector("select").selectedIndex = 0;
    renumber(row, all.length);
    all.at(-1).after(row);
    button.hidden = rows().length >= Number(box.dataset.most);
    row.querySelector("input").focus();
  });
  button.hidden = rows().length >= Number(box.dataset.most);
  box.append(button);
}
