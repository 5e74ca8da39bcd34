// What is to be pasted elsewhere is copied with one press; without scripts it is marked by hand.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = button.dataset.done;
    } catch {
      // Pages without encryption may not copy: then it is marked, ready for the keys.
      window.getSelection().selectAllChildren(source);
    }
  });
}
