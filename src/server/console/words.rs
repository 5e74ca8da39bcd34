//! How is it said to people?
//!
//! Problems in plain words, by their stable types; and the one sentence that a page
//! says after a form, kept in a cookie until it was shown.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::inside::{Refusal, part};

/// The longest sentence that is kept, in bytes once it is packed.
const LONGEST: usize = 3000;

/// What happened, for whoever sent the form.
pub(super) fn problem(refusal: &Refusal, is_english: bool) -> String {
    if is_english {
        return if refusal.title.is_empty() {
            "That did not work.".to_owned()
        } else {
            refusal.title.clone()
        };
    }
    let text = match refusal.slug() {
        "unauthorized" => "请先登录。",
        "forbidden" => "您的角色不能做这件事；请找管理员。",
        "foreign-origin" => "这个表单来自别的网站，没有执行。",
        "csrf" => "这个表单已过期，请重新打开页面再试。",
        "unknown-kb" => "没有这个知识库，或您无权查看。",
        "unknown-entry" => "没有这个条目，可能已被删除。",
        "unknown-release" => "没有这个版本。",
        "unknown-job" => "没有这个任务。",
        "not-here" | "not-found" => "这里没有您要找的内容。",
        "not-now" => "现在的状态不允许这样做，可能别人已经处理。",
        "needs-confirmation" => "这会删掉不少内容，需要您确认。",
        "read-only" => "这台服务是只读的，请到主服务上修改。",
        "entry-exists" => "已有同名的条目。",
        "question-taken" => "另一个条目已经有这个问法。",
        "stale-entry" => "别人刚改过它，请看清对方的修改再保存。",
        "invalid-entry" => "条目有问题，请按提示修改。",
        "blank-text" => "请输入内容。",
        "text-too-long" => "内容太长。",
        "missing-field" => "有必填项没有填。",
        "invalid-field" | "unknown-field" => "有一项填得不对，请按提示修改。",
        "over-quota" => "超过了可用的额度；请找管理员。",
        "rate-limited" | "overloaded" => "现在太忙，请稍后再试。",
        "quota-used-up" => "本月的提问额度已用完。",
        "body-too-large" => "文件太大。",
        "weak-password" => "这个密码太容易猜到：至少 12 个字符，不要用常见的词、连续的按键或登录名。",
        "wrong-login" => "密码不对。",
        "not-stored" => "没有存下来：服务器的磁盘满了或写不进去；请找管理员。",
        "database-away" => "数据库暂时连不上，请稍后再试。",
        "not-ready" => "还没有发布过，暂时不能回答。",
        "deadline-exceeded" => "用时太长，没有完成；请稍后再试。",
        _ => "没有成功。",
    };
    text.to_owned()
}

/// What a field of the API is called on Chinese pages; `None` for those that no form has.
pub(super) fn field(name: &str) -> Option<&'static str> {
    let text = match name {
        "name" => "名称",
        "display_name" => "姓名",
        "role" => "角色",
        "kb" | "kbs" => "知识库",
        "url" => "地址",
        "expires" => "到期日",
        "origins" => "网页来源",
        "limits" | "per_second" | "per_month" | "entries" | "storage" => "额度",
        "events" => "告诉什么",
        "current" => "现在的密码",
        "new" | "password" => "新密码",
        "tenant" => "租户",
        "title" => "标题",
        "text" => "内容",
        "question" => "标准问题",
        "answer" => "答案",
        "similar" => "相似问法",
        "images" => "图片",
        "links" => "链接和卡片",
        "tags" | "tag" => "标签",
        "keywords" => "关键词",
        "topic" => "主题",
        "valid_from" => "生效时间",
        "valid_until" => "失效时间",
        "max_wrong" => "错答上限",
        "at" => "时间",
        "release" => "版本",
        "assignee" => "负责人",
        "from" => "开始日期",
        "to" => "结束日期",
        "before" | "after" => "从哪一条翻页",
        "limit" => "每页条数",
        "lines" => "几句话",
        "agent" => "坐席",
        "q" => "查找的内容",
        "who" => "谁",
        "state" => "状态",
        "note" => "备注",
        "session" | "conversation" => "会话",
        "channel" => "渠道",
        "kind" => "种类",
        "format" => "文件格式",
        "by" => "分组",
        "days" => "天数",
        "fields" => "填写的内容",
        "reason" => "原因",
        "customer" => "顾客编号",
        "revision" => "第几次修改",
        "time_zone" => "时区",
        "sign_in" => "登录方式",
        "private" => "内网地址",
        "picture" => "图片",
        "file" => "文件",
        "columns" => "各列的含义",
        "rules" => "规则",
        "texts" => "试问的句子",
        "id" => "编号",
        "yes" => "确认",
        "choice" | "chosen" => "选的问题",
        "client_id" => "消息编号",
        _ => return None,
    };
    Some(text)
}

/// A sentence as a cookie's value.
pub(super) fn pack(is_good: bool, text: &str) -> String {
    let mut text = text.to_owned();
    let packed = |text: &str| format!("{}{}", if is_good { '+' } else { '-' }, part(text));
    while packed(&text).len() > LONGEST {
        text.pop();
    }
    packed(&text)
}

/// Whether it is good news, and the sentence.
pub(super) fn unpack(value: &str) -> Option<(bool, String)> {
    let (is_good, rest) = match value.split_at_checked(1)? {
        ("+", rest) => (true, rest),
        ("-", rest) => (false, rest),
        _ => return None,
    };
    Some((is_good, percent_decode_str(rest).decode_utf8().ok()?.into_owned()))
        .filter(|(_, text)| !text.is_empty())
}

/// Sets a cookie for the pages for a minute; an empty value takes it away.
pub(super) fn keep(response: &mut Response, name: &str, value: &str) {
    keep_for(response, name, value, if value.is_empty() { 0 } else { 60 });
}

/// Sets a cookie for the pages for so many seconds.
fn keep_for(response: &mut Response, name: &str, value: &str, seconds: u32) {
    set(response, &format!("{name}={value}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Lax"));
}

/// The same for every page, those before the console too.
pub(super) fn keep_everywhere(response: &mut Response, name: &str, value: &str, seconds: u32) {
    set(response, &format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"));
    // One of an earlier version would be asked first.
    keep_for(response, name, "", 0);
}

fn set(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn a_sentence_survives_the_way_through_the_browser() {
        for (is_good, text) in [(true, "已保存；3 条“相似问”"), (false, "a=b; c\r\nd")] {
            assert_eq!(unpack(&pack(is_good, text)), Some((is_good, text.to_owned())));
        }
        assert_eq!(unpack(""), None);
        assert!(pack(true, &"字".repeat(5000)).len() <= 3000);
    }
}
