// One key a decision: j and k move, a accepts, e edits, i ignores, n never again.
const cards = () => [...document.querySelectorAll("[data-suggestion]")];

function move(by) {
  const all = cards();
  const at = all.indexOf(document.activeElement?.closest?.("[data-suggestion]"));
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

// The decision is sent without leaving the page, so that the next one is at hand.
async function decide(card, verdict) {
  const form = card.querySelector("form.decide");
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, id: card.dataset.suggestion, verdict, brief: "1" });
  card.setAttribute("aria-busy", "true");
  const response = await fetch(location.pathname, { method: "POST", body });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const wrong = page.querySelector(".notice.problem, .problem");
  if (!response.ok || wrong) {
    card.removeAttribute("aria-busy");
    card.querySelector(".told")?.remove();
    const told = Object.assign(document.createElement("p"), { className: "fault told", textContent: wrong?.textContent ?? response.statusText });
    told.setAttribute("role", "alert");
    card.append(told);
    // What is missing can be filled in at once.
    const edit = card.querySelector("details.edit");
    edit.open = true;
    (edit.querySelector("textarea") ?? edit.querySelector("input"))?.focus();
    return;
  }
  // What was done, and the way back.
  const said = page.querySelector("#said");
  if (said) document.querySelector("#said")?.replaceChildren(...said.childNodes);
  const all = cards();
  const next = all[all.indexOf(card) + 1] ?? all[all.indexOf(card) - 1];
  card.remove();
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  if (event.key === "j") return move(1);
  if (event.key === "k") return move(-1);
  const card = document.activeElement?.closest?.("[data-suggestion]");
  if (!card) return;
  const verdict = { a: "accept", i: "ignore", n: "never" }[event.key];
  if (verdict) {
    event.preventDefault();
    decide(card, verdict);
  } else if (event.key === "e") {
    event.preventDefault();
    const edit = card.querySelector("details.edit");
    edit.open = true;
    edit.querySelector("input, textarea").focus();
  }
});

cards()[0]?.focus({ preventScroll: true });
