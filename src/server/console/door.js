"use strict";

// What people read when something goes wrong, by the stable types of problems.
const PROBLEMS = {
  "/problems/wrong-login": "登录名或密码不对。",
  "/problems/weak-password": "这个密码太容易猜到：至少 12 个字符，不要用常见的词、连续的按键或登录名。",
  "/problems/not-here": "这个链接已经用过或已过期；请向管理员要一个新的。",
  "/problems/missing-field": "请填写登录名。",
  "/problems/foreign-origin": "请从智答自己的地址打开本页。",
  "/problems/not-signed-in": "统一登录没有成功：这里不认识您，或登录已过期；请重试，或联系管理员。",
  "/problems/read-only": "这台服务是只读的，请到主服务上登录。",
  "/problems/overloaded": "正在登录的人太多，请稍后再试。",
};

// The same by the field that is wrong.
const FIELDS = {
  name: "这个登录名不能用：1 到 64 个字母、数字、汉字、“-”“_”“.”，或者邮箱地址。",
  display_name: "姓名最多 100 个字，写成一行。",
};

const byId = (id) => document.getElementById(id);
// What stands behind the # is sent to nobody; it is taken out of the address at once.
const token = location.hash.slice(1);
const isSetup = location.pathname.endsWith("/setup");

// Where somebody wanted to go who had to sign in first: a page of ours, never another site.
function next() {
  const wanted = new URLSearchParams(location.search).get("next") || "/";
  // Browsers pass over what is not visible, and take \ for /.
  return /^\/(?![\/\\])[!-[\]-~]*$/.test(wanted) ? wanted : "/";
}

async function send(path, body) {
  let response;
  try {
    response = await fetch(path, body && {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw { title: "连不上服务，请确认智答仍在运行。" };
  }
  let reply = null;
  try {
    reply = await response.json();
  } catch {
    throw { title: "服务的回复无法读取。" };
  }
  if (response.ok) return reply;
  if (reply.type === "/problems/locked-out") {
    throw { title: `失败次数太多，请在 ${response.headers.get("Retry-After") || "几"} 秒后再试。` };
  }
  throw reply;
}

function show(problem) {
  const box = byId("problem");
  box.textContent = PROBLEMS[problem.type] || FIELDS[problem.field] || problem.detail || problem.title || "出错了。";
  box.hidden = false;
}

async function begin() {
  if (!isSetup) {
    byId("form").hidden = false;
    byId("name").focus();
    if (token) {
      history.replaceState(null, "", location.pathname);
      show({ type: "/problems/" + token, title: "登录没有成功。" });
    }
    const ways = await send("v1/login");
    if (ways.provider) {
      byId("provider").href = ways.provider;
      byId("elsewhere").hidden = false;
    }
    return;
  }
  history.replaceState(null, "", location.pathname);
  if (!token) throw { title: "链接不完整；请完整地打开收到的链接。" };
  const { errand, name } = await send("v1/setup/look", { token });
  byId("purpose").textContent = errand === "first_admin" ? "创建第一个管理员" : "设置密码";
  byId("send").textContent = "完成";
  byId("display-field").hidden = errand !== "first_admin";
  byId("again-field").hidden = byId("hint").hidden = byId("form").hidden = false;
  byId("password").autocomplete = "new-password";
  byId("name").value = name || "";
  byId("name").readOnly = Boolean(name);
  byId(name ? "password" : "name").focus();
}

async function submit(event) {
  event.preventDefault();
  byId("problem").hidden = true;
  byId("send").disabled = true;
  const [name, password] = [byId("name").value, byId("password").value];
  try {
    if (!isSetup) {
      await send("v1/login", { name, password });
    } else if (password !== byId("again").value) {
      throw { title: "两次输入的密码不一样。" };
    } else {
      const named = byId("name").readOnly ? {} : { name, display_name: byId("display").value };
      await send("v1/setup", { token, password, ...named });
    }
    location.replace(next());
  } catch (problem) {
    show(problem);
  } finally {
    byId("send").disabled = false;
  }
}

byId("form").addEventListener("submit", submit);
begin().catch(show);
