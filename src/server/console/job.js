// How far work is, without loading the page again and again.
const card = document.querySelector("[data-job]");

async function look() {
  const response = await fetch(`/v1/jobs/${card.dataset.job}`);
  if (!response.ok) return location.reload();
  const job = await response.json();
  if (job.state !== "running") return location.reload();
  const bar = card.querySelector("progress");
  if (job.total > 0) {
    bar.max = job.total;
    bar.value = job.done;
  }
  setTimeout(look, 700);
}

if (card) setTimeout(look, 400);
