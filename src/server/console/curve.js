// The point on the trade-off curve, moved by hand: with the mouse, a finger or the keys.
// It rests only where a goal was evaluated; what each means stands in the page already.
const section = document.querySelector("#curve");
const svg = section?.querySelector("svg");
const meanings = [...(section?.querySelectorAll("[data-goal]") ?? [])];
const points = [...(svg?.querySelectorAll("a[data-goal]") ?? [])].map((link) => {
  const circle = link.querySelector("circle");
  return {
    link, goal: link.dataset.goal, x: Number(circle.getAttribute("cx")), y: Number(circle.getAttribute("cy")),
    meaning: meanings.find((one) => one.dataset.goal === link.dataset.goal && one !== link),
  };
}).filter((point) => point.meaning);

if (points.length > 1) {
  const isEnglish = document.documentElement.lang === "en";
  const make = (name, set) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in set) made.setAttribute(key, set[key]);
    return made;
  };
  const begins = points.findIndex(({ meaning }) => !meaning.hidden);
  const isSet = points.findIndex(({ link }) => link.querySelector(".set"));
  let now = Math.max(0, begins < 0 ? isSet : begins);
  const handle = make("circle", {
    class: "handle", r: 11, role: "slider", tabindex: 0, "aria-orientation": "horizontal",
    "aria-valuemin": 1, "aria-valuemax": points.length,
    "aria-label": isEnglish ? "Goal: move the point" : "目标：移动这个点",
  });
  svg.append(handle);

  const show = (at, isMeant = true) => {
    now = Math.min(points.length - 1, Math.max(0, at));
    const { x, y, meaning } = points[now];
    handle.setAttribute("cx", x);
    handle.setAttribute("cy", y);
    handle.setAttribute("aria-valuenow", now + 1);
    handle.setAttribute("aria-valuetext", meaning.querySelector("span").textContent.trim());
    if (!isMeant) return;
    for (const one of points) one.meaning.hidden = one.meaning !== meaning;
  };
  show(now, false);

  // Goals that come to the same lie upon each other: among them the next one counts, so
  // that each can be reached.
  const nearest = (event) => {
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const away = ({ x, y }) => Math.hypot(x - spot.x, y - spot.y);
    return points.reduce((best, point, at) => (away(point) < away(points[best]) - 0.01 ? at : best), now);
  };
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    show(now);
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) show(nearest(event));
  });
  const steps = {
    ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 3, PageDown: -3,
    Home: -points.length, End: points.length,
  };
  handle.addEventListener("keydown", (event) => {
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(now + steps[event.key]);
  });
}
