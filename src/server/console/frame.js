// What every page does better with scripts; without them it still works.

// Moments are shown in the reader's own time.
export function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    time.title = time.dateTime;
  }
}
tellTimes(document);

// Nothing is sent twice, and what cannot be undone is asked for.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  const question = button?.dataset.confirm || form.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  if (question) {
    // The server need not ask once more.
    const sure = document.createElement("input");
    [sure.type, sure.name, sure.value] = ["hidden", "sure", "1"];
    form.append(sure);
  }
  if (form.dataset.sent && !event.defaultPrevented) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") form.dataset.sent = "1";
});

// Pages that come back from the browser's memory may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A form that was filled in is not left by mistake.
let isChanged = false;
document.addEventListener("input", (event) => {
  if (event.target.closest("form[data-keep]")) isChanged = true;
});
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented && event.target.matches("form[data-keep]")) isChanged = false;
});
window.addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});

// A session that was begun in another window: its token goes into the form that waits here.
const waiting = document.querySelector("form[data-resend]");
waiting?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await fetch("/v1/me");
    if (response.ok) waiting.elements.csrf.value = (await response.json()).csrf_token || "";
  } finally {
    // Without a token the server says once more what to do.
    waiting.submit();
  }
});

// What is shown once came of a form: to load the page again must not send that again.
if (document.querySelector("[data-once]")) history.replaceState(null, "", location.href);

// Menus close when somebody goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.kbs[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
