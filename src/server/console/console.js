"use strict";

// All data enters the page as text nodes; nothing here is ever parsed as HTML.

const DECISIONS = { answer: "回答", clarify: "请用户选择", handoff: "转人工" };
const REASONS = {
  exact_question: "与知识库中的问法一致",
  keyword: "整句就是该条目的关键词",
  rule: "命中该条目的规则",
  confident: "把握足够大",
  ambiguous: "有几个相近的问题，分不清是哪一个",
  several_questions: "一句话里问了几件事",
  low_confidence: "有可能的答案，但把握不够",
  no_match: "知识库里没有合适的内容",
  no_text: "没有可以理解的文字",
  no_question: "只是寒暄、致谢或应答，没有提问",
  requested: "用户要求人工服务",
  sensitive: "含有须由人工处理的内容",
  repeated_miss: "连续几条没有答案",
  repeated_question: "同一个问题又问了几次",
  angry: "顾客很不满",
  handoff_rule: "知识库自己的转人工规则",
  repeated_miss: "连续几次没有答上",
  chosen: "顾客选了给出的问题",
  unclear_choice: "顾客选的不在列表里，或不止一个",
  none_of_these: "顾客说都不是",
  small_talk: "闲聊，用知识库自己的口吻回应",
  closed: "顾客表示没有别的问题",
};
const STEPS = {
  markup: "去掉网页标记", nfkc: "全角转半角", lower_case: "统一小写",
  wrapping: "去掉引用、签名和表情代码", simplified: "繁体转简体", blanks: "清理空白",
  punctuation: "去掉标点", emoji: "去掉表情", repeats: "合并重复", fillers: "去掉客套",
  numeral_words: "还原词里的数字", numbers: "统一数字写法（只用于比较）", list_number: "去掉序号",
  references: "去掉单号和电话", hesitation: "去掉口头语", echo: "合并说了几遍的话",
  heard: "按读音、词表和数字写法还原", heard_too: "也可能是",
};
const STAGES = { text: "文字处理", exact: "精确匹配", lexical: "BM25 检索", encoder: "编码器", semantic: "语义检索" };
const HOW = { question: "与某个问法完全一致", keyword: "整句是关键词", rule: "命中规则" };
const EVIDENCE = {
  relative: "BM25 相对分", covered: "问题被覆盖", covers: "问法被覆盖", explained: "条目用词覆盖",
  contradicted: "细节不同", lead: "领先第二名", lead_over_third: "领先第三名", length: "长度（对数）",
  unknown: "陌生字比例", nearest: "最近问法的余弦（标准分）", mean: "平均余弦（标准分）", agreement: "两路一致",
};
// Problems that people at this page can do something about.
const PROBLEMS = {
  "/problems/blank-text": "请先输入问题。",
  "/problems/text-too-long": "问题太长了，最多 2000 个字。",
  "/problems/unknown-kb": "没有这个知识库。",
  "/problems/not-ready": "这个知识库还没有可用的版本，请先发布。",
  "/problems/overloaded": "服务正忙，请稍后再试。",
  "/problems/deadline-exceeded": "这次用时过长，已放弃，请稍后再试。",
  "/problems/body-too-large": "内容太长了。",
  "/problems/internal": "服务内部出错，详情见服务日志。",
};
const EXAMPLES = ["东西不想要了怎么退", "退款多久到账", "我要找人工客服", "今天天气怎么样"];

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const percent = (share) => (share > 0 && share < 0.001 ? "<0.1%" : (share * 100).toFixed(1) + "%");
const micros = (n) => (n < 1000 ? n + " µs" : (n / 1000).toFixed(n < 10000 ? 2 : 1) + " ms");
const say = (words, code) => words[code] || code;

function bar(share) {
  const fill = make("i");
  fill.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return make("span", { class: "bar", "aria-hidden": "true" }, fill);
}

function badge(decision, small) {
  return make("span", { class: "badge " + (DECISIONS[decision] ? decision : "") + (small ? " small" : "") }, say(DECISIONS, decision));
}

// Of somebody who signed in; it proves that a request comes from this page.
let csrf = null;

async function load(path, options) {
  let response;
  if (csrf && options && options.headers) options.headers["X-CSRF-Token"] = csrf;
  try {
    response = await fetch(path, options);
  } catch {
    throw { title: "连不上服务，请确认智答仍在运行。" };
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw { title: "服务的回复无法读取。", status: response.status };
  }
  if (!response.ok) throw body;
  return body;
}

function showProblem(problem) {
  const box = byId("problem");
  box.replaceChildren(make("b", {}, PROBLEMS[problem.type] || problem.title || "出错了。"));
  const more = [problem.status && "HTTP " + problem.status, problem.type, problem.detail, problem.trace_id];
  const line = more.filter(Boolean).join(" · ");
  if (line) box.append(make("small", {}, line));
  if (problem.status === 401) box.append(make("a", { href: "login" }, "登录"));
  box.hidden = false;
}

async function loadKnowledgeBases(wanted) {
  const { items } = await load("/v1/kbs");
  const select = byId("kb");
  select.replaceChildren();
  for (const item of items) select.append(make("option", { value: item.kb }, `${item.kb}（${item.entries} 条）`));
  const chosen = items.find((item) => item.kb === wanted) || items.find((item) => item.default) || items[0];
  if (!chosen) throw { title: "还没有已发布的知识库。", detail: "zhida kb publish --kb NAME" };
  // A name from the address that does not exist is still asked for, so that its problem shows.
  if (wanted && chosen.kb !== wanted) select.append(make("option", { value: wanted }, wanted));
  select.value = wanted || chosen.kb;
  const show = () => {
    const item = items.find((one) => one.kb === select.value);
    byId("served").textContent = item
      ? `第 ${item.release} 版 · ${item.phrasings} 个问法 · 模型 ${item.model || "无（仅关键词）"} · 目标：错答不超过 ${percent(item.goal.max_wrong)}（校准时 ${percent(item.goal.kept.expected_wrong_rate)}，置信上界 ${percent(item.goal.kept.wrong_rate_bound)}）`
      : "";
  };
  select.onchange = show;
  show();
}

async function ask(text) {
  if (text !== undefined) byId("text").value = text;
  byId("send").disabled = true;
  byId("problem").hidden = true;
  const request = {
    text: byId("text").value,
    generation: Number(byId("generation").value),
    explain: true,
  };
  if (byId("kb").value) request.kb = byId("kb").value;
  if (byId("channel").value.trim()) request.channel = byId("channel").value.trim();
  try {
    const reply = await load("/v1/answer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
    showReply(reply);
    byId("result").hidden = false;
  } catch (problem) {
    byId("result").hidden = true;
    showProblem(problem);
  } finally {
    byId("send").disabled = false;
  }
}

function showReply(reply) {
  const decision = byId("decision");
  decision.className = "badge " + (DECISIONS[reply.decision] ? reply.decision : "");
  decision.textContent = say(DECISIONS, reply.decision);
  byId("reason").textContent = say(REASONS, reply.reason);
  byId("confidence").textContent = "置信度 " + percent(reply.confidence);
  byId("confidence-bar").style.width = reply.confidence * 100 + "%";

  const answer = byId("answer");
  answer.replaceChildren();
  for (const told of reply.answer ? [reply.answer] : reply.answers) {
    answer.append(
      make("p", { class: "answer-question" }, told.question),
      make("p", { class: "answer-text" }, told.text),
    );
  }
  const offered = byId("offered");
  offered.replaceChildren();
  const offers = reply.handoff ? reply.handoff.candidates : reply.suggestions;
  const hints = { answer: "您可能还想问", clarify: "请问您想问的是哪一个？", handoff: "供人工参考的相近问题" };
  if (offers.length > 0) {
    const items = offers.map((offer) =>
      make("li", {}, make("button", { type: "button", class: "offer", onclick: () => ask(offer.question) },
        make("span", {}, offer.question), make("b", {}, percent(offer.confidence)))));
    offered.append(make("p", { class: "hint" }, hints[reply.decision] || ""), make("ul", { class: "offers" }, ...items));
  } else if (reply.decision === "handoff") {
    offered.append(make("p", { class: "hint" }, "没有相近的问题可供参考。"));
  }
  const facts = [
    ["知识库", reply.kb], ["版本", reply.release], ["模型", reply.model || "无（仅关键词）"],
    ["由第几代决定", "第" + (reply.generation === 1 ? "一" : "二") + "代"],
    ["决策用时", micros(reply.took_us)], ["追踪号", reply.trace_id],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => make("span", {}, `${name}：${value}`)));

  const trace = reply.explain;
  showGeneration(byId("generation1"), "第一代：关键词与 BM25", trace.generation1, [["BM25", trace.lexical]], trace, reply.model);
  showGeneration(byId("generation2"), "第二代：语义", trace.generation2, [["余弦", trace.semantic], ["BM25", trace.lexical]], trace, reply.model);
  showSteps(trace);
  showTimes(trace);
}

function showGeneration(box, title, verdict, lists, trace, model) {
  const head = make("div", { class: "generation-head" }, make("h3", {}, title));
  box.replaceChildren(head);
  if (!verdict.decision) {
    const why = model ? "这一代没有运行。" : "没有加载模型，这一代不可用。";
    box.append(make("p", { class: "empty" }, why));
    return;
  }
  head.append(badge(verdict.decision, true), make("span", { class: "reason" }, say(REASONS, verdict.reason)));
  const bound = verdict.bar >= 1
    ? "要守住目标，这一代不能凭置信度作答"
    : `置信度达到 ${percent(verdict.bar)} 即回答`;
  box.append(make("p", { class: "bar-note" }, `${bound}（目标：错答不超过 ${percent(verdict.max_wrong)}）`));
  if (trace.exact) {
    box.append(make("p", { class: "bar-note" }, `精确匹配已定：${HOW[trace.exact.how] || trace.exact.how} → ${trace.exact.entry}`));
  }
  const shown = verdict.candidates.slice(0, 5);
  for (const candidate of shown) {
    const matches = [];
    for (const [name, list] of lists) {
      const match = list.find((one) => one.entry === candidate.entry);
      if (match) {
        matches.push(make("p", { class: "matches" }, name + " ", make("code", {}, match.score.toFixed(name === "余弦" ? 3 : 2)),
          ` · 命中问法：${match.phrasing}`));
      }
    }
    box.append(make("div", { class: "candidate" },
      make("div", { class: "candidate-head" }, make("span", {}, candidate.question), make("b", {}, percent(candidate.confidence))),
      bar(candidate.confidence), ...matches,
      make("p", { class: "matches" }, "编号 ", make("code", {}, candidate.entry))));
  }
  if (shown.length === 0) box.append(make("p", { class: "empty" }, "没有候选。"));
  if (lists[0][0] === "余弦" && trace.scale) {
    const { nearest, nearest_spread: spread } = trace.scale;
    box.append(make("p", { class: "bar-note" }, `作为对照，无关问题的最近余弦平均 ${nearest.toFixed(3)}，标准差 ${spread.toFixed(3)}`));
  }
  if (verdict.evidence) {
    const rows = Object.entries(verdict.evidence).map(([name, value]) =>
      make("tr", {}, make("td", {}, say(EVIDENCE, name)), make("td", { class: "number" }, Number(value).toFixed(3))));
    box.append(make("details", {}, make("summary", {}, "首选的证据"), make("table", {}, make("tbody", {}, ...rows))));
  }
}

function showSteps(trace) {
  let before = null;
  const rows = trace.steps.map((step) => {
    const same = step.text === before;
    before = step.text;
    return make("tr", same ? { class: "same" } : {},
      make("td", step.lossy ? { class: "lossy" } : {}, say(STEPS, step.step) + (step.lossy ? " *" : "")),
      make("td", {}, same ? "不变" : step.text || "（空）"));
  });
  const tokens = trace.tokens.map((token) =>
    make("span", { class: "token" + (token.stop ? " stop" : "") }, token.text,
      token.canonical !== token.text ? make("small", {}, " → " + token.canonical) : null));
  byId("steps").replaceChildren(
    make("h3", {}, "文字处理"),
    make("table", {}, make("tbody", {}, ...rows)),
    make("p", { class: "hint" }, "分词（划线的是停用词，箭头指向同义词）"),
    make("div", { class: "tokens" }, ...tokens),
    make("p", { class: "matches hint" }, "带 * 的步骤会丢掉一些内容，精确匹配在此之前进行。"));
}

function showTimes(trace) {
  const longest = Math.max(1, ...trace.stages.map((stage) => stage.micros));
  const rows = trace.stages.map((stage) =>
    make("tr", {}, make("td", {}, say(STAGES, stage.stage)), make("td", {}, bar(stage.micros / longest)),
      make("td", { class: "number" }, micros(stage.micros))));
  byId("times").replaceChildren(
    make("h3", {}, "各阶段用时"),
    make("table", {}, make("tbody", {}, ...rows)),
    make("p", { class: "matches hint" }, "本页总是运行全部阶段；实际服务中，前面的阶段已能决定时，后面的不再运行。"));
}

async function start() {
  const address = new URLSearchParams(location.search);
  for (const example of EXAMPLES) {
    byId("examples").append(make("button", { type: "button", class: "chip", onclick: () => ask(example) }, example));
  }
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  byId("text").addEventListener("keydown", (event) => {
    // Enter also confirms what an input method proposes; that one is not ours.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  });
  if (address.get("generation") === "1") byId("generation").value = "1";
  if (address.get("channel")) byId("channel").value = address.get("channel");
  try {
    csrf = (await load("/v1/me")).csrf_token;
    await loadKnowledgeBases(address.get("kb"));
  } catch (problem) {
    showProblem(problem);
    return;
  }
  if (address.get("q") !== null) await ask(address.get("q"));
}

start();
