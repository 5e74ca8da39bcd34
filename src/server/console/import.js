// Files may be dropped, and a choice shows at once what comes of it.
for (const form of document.querySelectorAll("form[data-drop]")) {
  const target = form.querySelector("[data-target]");
  const input = form.querySelector("input[type=file]");
  const over = (is) => target.classList.toggle("over", is);
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { event.preventDefault(); over(true); });
  }
  form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) over(false); });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    send();
  });
  const send = () => { if (form.reportValidity()) form.requestSubmit(); };
  input.addEventListener("change", () => { if (input.files.length) send(); });
}

for (const form of document.querySelectorAll("form[data-submit]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
