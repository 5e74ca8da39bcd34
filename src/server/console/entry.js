// Phrasings as lines of their own, marked while they are typed when another entry
// has them; the answer as customers see it; rules tried at once.
const form = document.querySelector("form.entry");
const kb = encodeURIComponent(form?.dataset.kb ?? "");
const isEnglish = document.documentElement.lang === "en";
const say = (chinese, english) => (isEnglish ? english : chinese);

async function ask(path, body) {
  const response = await fetch(`/v1/kbs/${kb}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": form.elements.csrf.value },
    body: JSON.stringify(body),
  });
  return response.ok ? response.json() : null;
}

function later(work, milliseconds) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(work, milliseconds); };
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// The text stays what is sent; the lines write into it.
function lines(area) {
  const list = element("ol", { className: "phrasings" });
  const write = () => {
    area.value = [...list.querySelectorAll("input")].map((one) => one.value.trim()).filter(Boolean).join("\n");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const button = (text, label, work) => {
    const made = element("button", { type: "button", className: "icon", textContent: text, title: label });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", work);
    return made;
  };
  const add = (text, before) => {
    const input = element("input", { type: "text", value: text, maxLength: 2000 });
    input.setAttribute("aria-label", say("相似问法", "Phrasing"));
    const held = element("span", { className: "fault held" });
    held.setAttribute("role", "status");
    const row = element("li", {}, input,
      button("↑", say("上移", "Up"), () => { row.previousElementSibling?.before(row); write(); input.focus(); }),
      button("↓", say("下移", "Down"), () => { row.nextElementSibling?.after(row); write(); input.focus(); }),
      button("×", say("删除", "Remove"), () => { (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("input")?.focus(); row.remove(); write(); check(); }),
      held);
    input.addEventListener("input", () => { write(); check(); });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        add("", row.nextElementSibling).focus();
      } else if (event.key === "Backspace" && input.value === "" && list.children.length > 1) {
        event.preventDefault();
        (row.previousElementSibling ?? row.nextElementSibling).querySelector("input").focus();
        row.remove();
      }
    });
    input.addEventListener("paste", (event) => {
      const pasted = (event.clipboardData?.getData("text") ?? "").split(/[\r\n\t]+/).map((one) => one.trim()).filter(Boolean);
      if (pasted.length < 2) return;
      event.preventDefault();
      const [first, ...others] = pasted;
      input.value = input.value + first;
      let last = row;
      for (const one of others) {
        add(one, last.nextElementSibling);
        last = last.nextElementSibling;
      }
      write();
      check();
    });
    list.insertBefore(row, before ?? null);
    return input;
  };
  for (const line of area.value.split("\n").filter((one) => one.trim())) add(line);
  if (!list.children.length) add("");
  area.hidden = true;
  const label = area.closest("label");
  const more = button(say("＋ 加一个问法", "＋ Add a phrasing"), say("加一个问法", "Add a phrasing"), () => add("").focus());
  more.className = "button small";
  label.after(list, more);
  return () => [...list.querySelectorAll("input")].map((input) => [input, input.closest("li").querySelector(".held")]);
}

let rows = () => [];
const question = form?.elements.question;

const check = later(async () => {
  const all = rows();
  const texts = [question.value, ...all.map(([input]) => input.value)].map((one) => one.trim()).filter(Boolean);
  const told = await ask("holders", { entry: form.dataset.entry || null, questions: texts, keywords: [] });
  if (!told) return;
  for (const [input, mark] of [[question, holderOfQuestion], ...all]) {
    const held = told.items.find((one) => one.text === input.value.trim());
    input.setAttribute("aria-invalid", String(Boolean(held)));
    mark.replaceChildren();
    if (held) {
      const link = element("a", { href: `/console/kb/${kb}/entries/${encodeURIComponent(held.entry)}`, textContent: held.question, target: "_blank" });
      mark.append(say("已属于：", "belongs to: "), link);
    }
  }
}, 350);

const holderOfQuestion = element("p", { className: "fault held" });
holderOfQuestion.setAttribute("role", "status");

// Links stay links, everything else stays text.
function linked(text) {
  return text.split(/(https?:\/\/[^\s，。；！？、）)]+)/).map((part) => /^https?:\/\//.test(part)
    ? element("a", { href: part, textContent: part, rel: "noreferrer noopener", target: "_blank" })
    : part);
}

// The parts of a line of pictures or links: addresses, and words.
function parts(line) {
  const isAddress = (part) => /^https?:\/\/[^/?#@\s]/i.test(part);
  let all = line.split(/[|｜\t]/);
  if (all.length < 2) {
    const [, before, address, after] = line.match(/^(.*?)(https?:\/\/\S+)(.*)$/) ?? [null, line, "", ""];
    all = [before.replace(/[：:]\s*$/, ""), address, after];
  }
  all = all.map((part) => part.trim()).filter(Boolean);
  return [all.filter(isAddress), all.filter((part) => !isAddress(part))];
}

// What an answer shows beside its words; pictures are not loaded here.
function beside() {
  const lines = (name) => form.elements[name].value.split("\n").map((one) => one.trim()).filter(Boolean).map(parts);
  const images = lines("images").filter(([addresses]) => addresses.length)
    .map(([[url], [alt]]) => ({ url, title: alt || say("图片", "Picture"), text: "", isPicture: true }));
  const links = lines("links").filter(([addresses]) => addresses.length)
    .map(([[url, image], [title, text]]) => ({ url, title: title || url, text: text ?? "", image }));
  return [...images, ...links];
}

// The answer as a channel shows it: its own words if it has some, cards where it has them.
function preview(area) {
  const channels = JSON.parse(form.dataset.channels);
  const label = say("顾客看到的", "As customers see it");
  const select = element("select", { className: "small" }, ...channels.map(([name]) => element("option", { value: name, textContent: name })));
  select.setAttribute("aria-label", say("渠道", "Channel"));
  const shown = element("div", { className: "bubble" });
  const cards = element("div", { className: "cards" });
  const box = element("div", { className: "preview" }, element("span", { className: "label", textContent: label }), select, shown, cards);
  area.closest("label").after(box);
  const own = (channel) => {
    const names = [...form.querySelectorAll("[name=channel]")];
    const at = names.findIndex((one) => one.value.trim().toLowerCase() === channel);
    return at < 0 ? "" : form.querySelectorAll("[name=channel_answer]")[at].value;
  };
  const draw = () => {
    const [channel, most] = channels[Math.max(0, select.selectedIndex)];
    const all = beside();
    const rest = all.slice(most).map(({ title, text, url }) => `${title}${text ? `（${text}）` : ""}：${url}`);
    shown.replaceChildren(...linked([own(channel).trim() || area.value, ...rest].join("\n")));
    cards.replaceChildren(...all.slice(0, most).map(({ url, title, text, image, isPicture }) => {
      const link = element("a", { href: url, className: "card", rel: "noreferrer noopener", target: "_blank" });
      if (image || isPicture) link.append(element("span", { className: "tag", textContent: say("图片", "picture") }), " ");
      link.append(element("b", { textContent: title }));
      if (text) link.append(element("span", { className: "soft", textContent: ` ${text}` }));
      return link;
    }));
    box.hidden = !area.value.trim();
  };
  form.addEventListener("input", draw);
  select.addEventListener("change", draw);
  draw();
}

// What the form says of the rules, as the API takes it.
function rules() {
  const lines = (text) => text.split("\n").map((one) => one.trim()).filter(Boolean);
  const values = (name) => [...form.querySelectorAll(`[name=${name}]`)].map((one) => one.value);
  const [kinds, texts, without] = ["rule_kind", "rule_text", "rule_without"].map(values);
  return kinds.map((kind, at) => {
    const text = texts[at].trim();
    if (!text) return null;
    if (kind === "exact") return { exact: text };
    const rule = kind === "regex" ? { regex: text } : { contains: lines(text) };
    if (lines(without[at]).length) rule.without = lines(without[at]);
    return rule;
  }).filter(Boolean);
}

const tryRules = later(async () => {
  const sentence = form.elements.sentence.value.trim();
  const out = form.querySelector("[data-tried]");
  if (!sentence) return out.replaceChildren();
  const told = await ask("rules/try", { rules: rules(), texts: [sentence] });
  if (!told) return out.replaceChildren(say("有一条规则写得不对。", "One of the rules has a fault."));
  const { caught_by: caught, silenced } = told.items[0];
  const texts = caught.length
    ? [say(`命中：规则 ${caught.join("、")}`, `Caught by rule ${caught.join(", ")}`)]
    : [say("没有规则命中。", "No rule catches it.")];
  for (const { rule: number, word } of silenced) texts.push(say(`规则 ${number} 因为含有“${word}”而不算`, `Rule ${number} is silenced by “${word}”`));
  out.replaceChildren(...texts.map((text) => element("p", { textContent: text })));
}, 350);

if (form) {
  question.closest("label").after(holderOfQuestion);
  rows = lines(form.elements.similar);
  question.addEventListener("input", check);
  preview(form.elements.answer);
  form.elements.sentence.addEventListener("input", tryRules);
  for (const name of ["rule_kind", "rule_text", "rule_without"]) {
    for (const field of form.querySelectorAll(`[name=${name}]`)) field.addEventListener("input", tryRules);
  }
  // A line of Enter in a field is no order to save.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input[type=text], input[type=datetime-local]")) event.preventDefault();
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("button[value=draft]"));
    }
  });
}
