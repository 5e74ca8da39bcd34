// What lists of an author do better with scripts.

// All of a page at once.
const all = document.querySelector("[data-all]");
if (all) {
  const boxes = [...document.querySelectorAll("input[name=id][type=checkbox]")];
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  for (const box of boxes) {
    box.addEventListener("change", () => { all.checked = boxes.every((one) => one.checked); });
  }
}

// Whoever was asked here need not be asked again.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !event.submitter?.dataset.confirm) return;
  const sure = document.createElement("input");
  Object.assign(sure, { type: "hidden", name: "sure", value: "1" });
  event.target.append(sure);
});
