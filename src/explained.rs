//! What does a refusal of the API say in Chinese?
//!
//! Programs read its sentences in English; whoever reads the console or the command line
//! in Chinese does not have to. A sentence that is not here is shown as it is; the console
//! says above it in Chinese what kind it is of.

/// Sentences of the API and what they say in Chinese; `{}` is what stands in them, in the
/// same order. Of several that fit, the first counts.
const SENTENCES: &[(&str, &str)] = &[
    // Names, words and numbers of forms.
    ("`{}` has {} characters; the limit is {}", "“{}”有 {} 个字，最多 {} 个。"),
    ("the reply is blank: {}", "回复是空白，请写点内容再发。"),
    ("the note is blank: {}", "备注是空白，请写点内容再存。"),
    ("`{}` holds nothing visible", "“{}”是空白，请填写。"),
    ("`{}` is 1 to {} visible characters", "“{}”要有 1 到 {} 个字。"),
    ("field `{}` is missing; it is {}", "没有填“{}”（{}）。"),
    ("field `{}` must be {}, got {}", "“{}”应是{}，收到的是{}。"),
    ("unknown field `{}`; known: {}", "没有“{}”这一项；可用的：{}。"),
    ("`max_wrong` is a share between 0 and 1, such as 0.05", "请填 0 到 100 之间的百分数，如 5。"),
    ("`text_days` is 1 to {}", "原话保留的天数是 1 到 {}。"),
    ("`event_days` is 1 to {}, or 0 to keep events", "事件保留的天数是 1 到 {}，空白为一直保留。"),
    ("`limit` is 1 to {}, got {}", "每页条数是 1 到 {}，收到的是 {}。"),
    ("`texts` holds up to {} sentences, got {}", "一次最多试 {} 句，收到 {} 句。"),
    ("`texts` holds 1 to {} sentences, got {}", "一次可以试 1 到 {} 句，收到 {} 句。"),
    ("`text` has 1 to {} characters, got {}", "问题是 1 到 {} 个字，收到 {} 个。"),
    ("{} days are asked for; the limit is {}", "一次看了 {} 天，最多 {} 天，请把日期缩短。"),
    ("`{}` is RFC 3339 or a day such as {}, got {}", "“{}”应是日期，如 {}，收到的是 {}。"),
    ("the body may have at most {} bytes{}", "内容太大，最多 {} 字节{}。"),
    ("with the role `{}` a body may have at most {} bytes", "角色 {} 发送的内容最多 {} 字节。"),
    // Entries.
    ("entry {} exists; change it with PUT or PATCH", "已有编号为 {} 的条目，请打开它来修改。"),
    ("knowledge base {} has no entry {}", "知识库 {} 里没有条目 {}，可能已被删除。"),
    (
        "{} of entry {}: {} belongs to entry {} ({}) already; remove it from one of them",
        "“{}”：条目 {} 的 {} 已经属于条目 {}（{}），请从其中一个里删除。",
    ),
    (
        "the draft has lost this entry, customers get it from the release: {}",
        "草稿里已经没有这个条目，顾客从发布的版本得到它：只能停用、启用或删除；要改别的，请先把版本恢复到草稿。",
    ),
    ("no check of the draft is known; check it first {}", "还没有检查过草稿，请先检查。"),
    (
        "this removes {} of {} entries of knowledge base {}; send {}",
        "这会删除 {} 个条目（共 {} 个，知识库 {}）；确实要删，请勾选确认。",
    ),
    ("`columns`: no entry has a field {}", "条目没有 {} 这一项，请重新选择列的含义。"),
    ("there is no such file; files are kept for an hour, put it up again", "文件只保留一小时，请重新选择。"),
    ("{}: the file's ending must be {}", "认不出文件 {}：后缀应是 {}。"),
    (
        "a text of row {} has more than the {} characters that a cell of .xlsx holds; choose a file that ends in .csv",
        "第 {} 行的文字超过 Excel 一格的 {} 个字，请导出成 .csv。",
    ),
    // Releases and what is tried before them.
    ("who forces a publication says why: send `Zhida-Reason`", "强制发布要写明原因。"),
    (
        "knowledge base {} has no enabled entry; there is nothing to {}",
        "知识库 {} 里没有启用的条目，没有内容可用。",
    ),
    ("knowledge base {} has no release yet; {}", "知识库 {} 还没有发布过，请先发布。"),
    ("knowledge base {} does not answer: {}", "知识库 {} 现在不能回答：{}"),
    ("there is no knowledge base yet; import and publish one", "还没有知识库，请先导入并发布一个。"),
    ("the server is starting; no knowledge base is open yet", "服务正在启动，请稍等片刻再试。"),
    (
        "another process is publishing knowledge base {}; try again when it is done",
        "知识库 {} 正在发布，请等它完成再试。",
    ),
    ("the release is not fit to be served", "这个版本没有通过发布前的检查。"),
    ("release {} is served now", "版本 {} 正在使用，不能删除。"),
    ("there is no release {}", "没有版本 {}。"),
    ("there are no labelled questions yet; attach some first {}", "还没有标注问题，请先上传。"),
    ("there is no evaluation {}; old ones are forgotten", "没有评测 {}；太旧的评测不再保留。"),
    ("there is no evaluation {}", "没有评测 {}。"),
    (
        "there is no job {}; {}",
        "没有任务 {}：服务停止后它的任务不再保留，太旧的也不保留；没有做完的，请重新开始。",
    ),
    (
        "the job ended with a defect of the server; its log says more",
        "任务因为服务自身的错误中断了，详情在服务日志里。",
    ),
    ("`at` is {}: it must be in the future, within 400 days", "定时的时间是 {}：要在以后，400 天以内。"),
    ("`at` is a time with its offset, such as {}, got {}", "时间应写成 {} 这样，收到的是 {}。"),
    ("schedule {} is being done or has ended", "定时任务 {} 正在执行或已经结束。"),
    ("schedule {} of {} waits already; cancel it first", "定时任务 {} 已经在等待（{}），请先取消它。"),
    ("there is no schedule {}", "没有定时任务 {}。"),
    ("the document is not UTF-8; send it as UTF-8", "文件不是 UTF-8 编码，请用 UTF-8 重新保存。"),
    ("`revision` is a revision of the words, or 0 for none at all, got {}", "没有 {} 这个版本的词表。"),
    // People at work.
    ("you are {}, and cannot act as {}", "您是 {}，不能以 {} 的名义操作。"),
    ("{} has handoff {} now", "{} 正在接待（{}）。"),
    ("handoff {} was claimed already; {}", "会话 {} 已经有人接待。"),
    ("{} is who passes the conversation on; {}", "不能转交给 {} 自己，请选一位同事。"),
    ("nobody called {} is at the desk now; {}", "{} 现在不在线，请选另一位同事。"),
    ("{} may not see knowledge base {}", "{} 无权查看知识库 {}，请选另一位同事。"),
    ("handoff {} is {} already", "会话 {} 已经结束（{}）。"),
    ("handoff {} is {}", "会话 {} 现在不能这样做（{}）。"),
    ("nobody has handoff {}; claim it first", "会话 {} 还没有人接待，请先接待。"),
    ("the conversation has {} notes already", "这个会话已经有 {} 条备注，不能再加。"),
    ("there is no conversation {}; {}", "没有会话 {}；不属于任何会话的工单，请不填会话。"),
    ("`from` is not before `to`; {}", "“开始日期”要早于“结束日期”（结束日期当天不算在内）。"),
    ("nobody is called {}; {}", "没有人叫 {}，请填同事的登录名。"),
    (
        "not called: {} is inside this house; {}",
        "{} 是内网地址；确实如此，请删除后重新添加，并勾选“地址在内网”。",
    ),
    ("not called: {} is never called{}", "{} 不能访问：是这台服务器所在云平台的地址，或者不是一台机器。"),
    (
        "`{}`: {} is inside this house; {}",
        "“{}”：{} 是内网地址；确实如此，请勾选允许访问内网地址（仅默认租户的管理员可以）。",
    ),
    ("`{}`: {} is never called{}", "“{}”：{} 不能访问：是这台服务器所在云平台的地址，或者不是一台机器。"),
    ("io: {}", "连不上（{}）。"),
    ("timeout: {}", "对方没有在规定时间内答复（{}）。"),
    ("no reply within {}", "对方在 {} 之内没有答复。"),
    ("no connection within {}", "{} 之内没有连上对方，请核对地址和端口。"),
    ("connection failed", "连不上对方，请核对地址和端口。"),
    ("host not found", "找不到这个主机名。"),
    (
        "HTTP {} (redirects are not followed){}",
        "对方答复 HTTP {}，要求跳转；这里不跟随跳转，请填最终的地址。{}",
    ),
    ("ticket {} is closed; open it before anything else", "工单 {} 已关闭，请先重新打开。"),
    ("ticket {} has {} notes already", "工单 {} 已经有 {} 条备注，不能再加。"),
    ("there are {} canned replies already; remove one first", "已经有 {} 条常用语，请先删除一条。"),
    (
        "pictures can be shown in the widget only; this customer is on another channel",
        "这位顾客的渠道不能显示图片。",
    ),
    ("conversation {} changes all the time; {}", "会话 {} 一直在变，请再试一次。"),
    // Keys, people, tenants.
    ("somebody is called {} already", "已经有人叫 {}。"),
    (
        "the name {} cannot be used: {}",
        "名字 {} 不能用：1 到 64 个字母、数字、汉字、“-”“_”“.”，或者邮箱地址。",
    ),
    ("{}: a name has at most 100 characters and is one line", "{}：名称最多 100 个字，写成一行。"),
    ("{} is the last admin; make another one first", "{} 是最后一个管理员，请先添加另一个。"),
    ("{} signs in at the provider and has no password here", "{} 用单点登录，这里没有密码。"),
    ("{} signs in at the provider and needs no link", "{} 用单点登录，不需要链接。"),
    (
        "a person for no knowledge base sees nothing; {}",
        "一个知识库都没有的人什么也看不到，请选几个，或者都不选（就是全部）。",
    ),
    (
        "a key for no knowledge base opens nothing; {}",
        "一个知识库都没有的密钥没有用，请选几个，或者都不选（就是全部）。",
    ),
    ("{} is no name of a knowledge base", "没有名为 {} 的知识库。"),
    ("the key would have expired already; give a later date", "这个到期日已经过去，请换一个更晚的。"),
    (
        "entries and storage are limited for a tenant, not for a key",
        "条目数和存储只能限制租户，不能限制密钥。",
    ),
    ("key {} was replaced by {} already", "密钥 {} 已经被 {} 替换。"),
    ("key {} is not valid any more; create a new one", "密钥 {} 已失效，请新建一个。"),
    ("a key that every page may use is no secret; name the origins", "不能写 *，请逐个写出网站的地址。"),
    ("this key is for some knowledge bases only; {}", "您只能管理部分知识库；这里要有全部知识库的权限。"),
    ("there is no tenant {}", "没有租户 {}。"),
    ("there is a tenant {} already", "已经有租户 {}。"),
    (
        "there is a tenant {} already, and names that differ in capitals only are one; {}",
        "已经有租户 {}；只有大小写不同的名字算同一个，请换一个。",
    ),
    (
        "tenant {} was removed, and its name is not given again; choose another",
        "租户 {} 已删除，它的名字不再使用，请换一个。",
    ),
    (
        "tenant default owns the data directory and cannot be removed from it",
        "默认租户拥有数据目录，不能删除。",
    ),
    ("tenant name {}: {}", "租户名 {} 不能用：1 到 64 个字母、数字、汉字、“-”“_”“.”，不以“.”或“-”开头。"),
    (
        "knowledge base name {}: {}",
        "知识库名 {} 不能用：1 到 64 个字母、数字、汉字、“-”“_”“.”，不以“.”或“-”开头。",
    ),
    (
        "the tenant may have {} {} and would have {}; {}",
        "租户最多可以有 {} 个（{}），这样会有 {} 个；请删除一些，或请管理员提高额度。",
    ),
    (
        "the tenant may have {} bytes and has {}; {}",
        "租户最多可以用 {} 字节，已经用了 {}；请删除旧版本或知识库，或请管理员提高额度。",
    ),
    ("a password has at least {} characters; a sentence is a good one", "密码至少 {} 个字符，可以用一句话。"),
    ("a password has at most {} characters", "密码最多 {} 个字符。"),
    (
        "this password is among those that are tried first; take a sentence of your own",
        "这个密码太常见，请用自己的一句话。",
    ),
    ("the name stands in the password", "密码里不能有登录名。"),
    ("name or password is wrong", "登录名或密码不对。"),
    ("too many attempts failed; the next one may be made in {} s", "错的次数太多，请 {} 秒后再试。"),
    ("there is no session {}", "没有这个登录 {}。"),
    ("only somebody who signed in has a password and sessions", "用密钥访问的没有密码和登录记录。"),
    // Webhooks, channels and addresses.
    ("there is no event {}; there are {}", "没有名为 {} 的事件；可选：{}。"),
    ("`name` has more than {} characters", "名称超过 {} 个字。"),
    ("there are {} webhooks already; remove one first", "已经有 {} 个通知，请先删除一个。"),
    (
        "there is a channel {} already; remove it first, or take another name",
        "已经有名为 {} 的渠道，请换一个名称。",
    ),
    (
        "`{}` is sent to where `{}` leads: give it again with that",
        "“{}”会发送到“{}”所指的地方，改地址时请重新填写它。",
    ),
    ("the address has {} bytes; the limit is {}", "地址有 {} 字节，最多 {}。"),
    ("the address begins with https:// or http://", "地址应以 https:// 或 http:// 开头。"),
    ("the address holds a name or password; put them elsewhere", "地址里不能写用户名和密码。"),
    ("the address names no machine", "地址里没有主机名。"),
    ("{} is no address: {}", "{} 不是地址（{}）。"),
    // The server itself.
    ("all workers are busy with other questions; try again shortly", "现在太忙，请稍后再试。"),
    ("there was no answer within {} ms; try again shortly", "{} 毫秒内没有完成，请稍后再试。"),
    (
        "this {} may make {} requests a second on the average; come back after {} s",
        "请求太频繁（{}，每秒 {} 次），请 {} 秒后再试。",
    ),
    ("the data directory is read-only ({}): {}", "这台服务是只读的（{}），请到能写的那台上修改。"),
    ("the data directory {} is read-only ({}); {}", "数据目录 {} 是只读的（{}），请到能写的那台上修改。"),
    (
        "the disk of the server is full, and this was not stored; send it again when there is room",
        "服务器的磁盘满了，这次的内容没有存下来；请管理员腾出空间后再试。",
    ),
    (
        "the disk of the server fails, and this was not stored; {}",
        "服务器的磁盘出了故障，这次的内容没有存下来；请把编号告诉管理员。",
    ),
    ("the disk of the server is read-only: {}", "服务器的磁盘是只读的，这次的内容没有存下来；请找管理员。"),
    ("the database cannot be reached at the moment; try again soon", "数据库暂时连不上，请稍后再试。"),
    (
        "whether this key or session is valid cannot be looked up: {}",
        "数据库暂时连不上，无法核对登录；请稍后再试。",
    ),
    ("its database cannot be written", "数据库写不进去，请管理员查看服务日志。"),
    (
        "something went wrong inside the server; its log says more under this trace_id",
        "服务出错了，请把编号告诉管理员。",
    ),
    ("a reply of the API could not be read: {}", "服务的回复读不出来，请把编号告诉管理员（{}）。"),
    ("no {} named {}; there is none yet", "没有这个{}：{}；现在一个也没有。"),
    ("no {} named {}; known: {}", "没有这个{}：{}；现有：{}。"),
    ("no {} named {}", "没有这个{}：{}。"),
    ("there is no {} {}", "没有这个{}：{}。"),
];

/// What a sentence of the API says in Chinese; `None` for one that is not known. Fields are
/// named as whoever shows it names them.
pub(crate) fn in_chinese(sentence: &str, field: impl Fn(&str) -> Option<&'static str>) -> Option<String> {
    SENTENCES.iter().find_map(|(pattern, chinese)| {
        let found = holes(pattern, sentence)?;
        let is_kind = pattern.starts_with("no {} named") || pattern.starts_with("there is no {} {}");
        let named = pattern.split("{}").zip(&found).enumerate().map(|(at, (before, hole))| {
            let ours = match before {
                before if before.ends_with('`') => field(hole),
                _ if is_kind && at == 0 => thing(hole),
                "this " => thing(hole),
                " " if pattern.starts_with("the tenant may have {} {}") => thing(hole),
                "` must be " | ", got " => typed(hole),
                " is " if pattern.starts_with("handoff {}") => state(hole),
                _ => None,
            };
            ours.unwrap_or(hole)
        });
        Some(filled(chinese, named))
    })
}

/// What is called so by the API, such as `knowledge base`.
fn thing(name: &str) -> Option<&'static str> {
    let text = match name {
        "canned reply" => "常用语",
        "channel" => "渠道",
        "conversation" => "会话",
        "dead letter" => "没送到的消息",
        "entry" | "entries" => "条目",
        "handoff" => "人工会话",
        "key" => "密钥",
        "knowledge base" => "知识库",
        "link that still works" => "还能用的链接",
        "open suggestion" => "待处理的建议",
        "person" => "人员",
        "picture" => "图片",
        "query set of the reference" => "基准的标注问题",
        "release" => "版本",
        "session" => "登录",
        "tenant" => "租户",
        "the lexicon" => "词表",
        "the service document" => "话术与规则",
        "ticket" => "工单",
        "webhook" => "通知",
        _ => return None,
    };
    Some(text)
}

/// What a value is in JSON.
fn typed(name: &str) -> Option<&'static str> {
    let text = match name {
        "a string" => "文字",
        "a number" => "数字",
        "a whole number" => "整数",
        "a whole number from 0 on" => "0 以上的整数",
        "true or false" | "a boolean" => "是或否",
        "a list" | "an array" => "列表",
        "an object" => "一组内容",
        "null" => "空",
        _ => return None,
    };
    Some(text)
}

/// How far a handoff is.
fn state(name: &str) -> Option<&'static str> {
    let text = match name {
        "waiting" => "等待中",
        "claimed" => "已接待",
        "answered" => "已回复",
        "closed" => "已关闭",
        "returned" => "已交还机器人",
        "expired" => "无人接待",
        "withdrawn" => "顾客不等了",
        _ => return None,
    };
    Some(text)
}

/// Whether a text is written in Chinese: names in it may be in any language.
pub(crate) fn is_chinese(text: &str) -> bool {
    let han = text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 1).count();
    han > words
}

/// What stands in the holes of a pattern, where a text is made from it.
fn holes<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = match (part.is_empty(), parts.peek().is_none()) {
            (true, true) => rest.len(),
            // The last part stands at the end.
            (false, true) => rest.len().checked_sub(part.len()).filter(|at| rest.get(*at..) == Some(part))?,
            _ => rest.find(part)?,
        };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

fn filled<'a>(template: &str, mut holes: impl Iterator<Item = &'a str>) -> String {
    let mut parts = template.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(holes.next().unwrap_or_default());
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Option<&'static str> {
        [("topic", "主题"), ("url", "地址")]
            .into_iter()
            .find_map(|(known, told)| (known == name).then_some(told))
    }

    #[test]
    fn what_stands_in_a_sentence_stays_in_it() {
        let told = |sentence: &str| in_chinese(sentence, field).unwrap_or_default();
        assert_eq!(
            told("`topic` has 1200 characters; the limit is 1000"),
            "“主题”有 1200 个字，最多 1000 个。"
        );
        assert_eq!(
            told("张三 is the last admin; make another one first"),
            "张三 是最后一个管理员，请先添加另一个。"
        );
        assert_eq!(
            told(
                "similar of entry \"a\": \"怎么退\" belongs to entry \"b\" (怎么退货) already; remove it from one of them"
            ),
            "“similar”：条目 \"a\" 的 \"怎么退\" 已经属于条目 \"b\"（怎么退货），请从其中一个里删除。"
        );
        assert_eq!(told("the name stands in the password"), "密码里不能有登录名。");
        assert_eq!(told("no knowledge base named \"x\""), "没有这个知识库：\"x\"。");
        assert_eq!(told("there is no ticket \"7\""), "没有这个工单：\"7\"。");
        assert_eq!(told("handoff h-1 is closed already"), "会话 h-1 已经结束（已关闭）。");
        assert_eq!(told("field `url` must be a string, got null"), "“地址”应是文字，收到的是空。");
        assert_eq!(in_chinese("nobody knows this sentence", field), None);
    }

    #[test]
    fn a_translation_has_no_more_holes_than_its_sentence() {
        for (pattern, chinese) in SENTENCES {
            assert!(chinese.matches("{}").count() <= pattern.matches("{}").count(), "{pattern}");
            // Filled with something, each is found again.
            let sentence = pattern.replace("{}", "某");
            assert!(in_chinese(&sentence, field).is_some(), "{pattern}");
            assert!(is_chinese(chinese), "{chinese}");
        }
    }

    #[test]
    fn chinese_is_told_from_english_with_names_in_it() {
        assert!(is_chinese("第 3 条规则：写得不对") && is_chinese("没有 id 这个字段"));
        assert!(!is_chinese("somebody is called 张三 already") && !is_chinese("bad gateway"));
    }
}
