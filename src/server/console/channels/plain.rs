//! What is wrong with a channel, in words that somebody without training can act on?

use super::super::inside::Refusal;
use super::super::page::Page;
use super::kinds::Kind;

/// What a platform's refusals mean; the first whose words are found counts.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "user or password are wrong",
        "邮箱用户名或密码不对：多数邮箱要填“授权码”而不是登录密码，并且要先开启 IMAP/SMTP 服务。",
        "User or password are wrong; many providers give programs a password of their own.",
    ),
    (
        "its certificate is not believed",
        "邮件服务器的证书不可信：请核对服务器名称是否和证书一致。",
        "The mail server's certificate is not believed; is the host the name in it?",
    ),
    (
        "it does not speak TLS there",
        "这个端口不是加密端口：收信一般是 993，发信一般是 465。",
        "The port does not speak TLS; it is 993 for IMAP and 465 for SMTP as a rule.",
    ),
    (
        "nobody listens there",
        "邮件服务器的这个端口没有人应答：请核对服务器和端口。",
        "Nobody listens at this port; look at host and port.",
    ),
    (
        "white list",
        "平台不认识这台服务器：请在平台后台的“IP 白名单”里加入服务器的公网 IP。",
        "The platform does not know this server: put its public IP address on the white list in the platform's console.",
    ),
    (
        "trusted IP",
        "平台不认识这台服务器：请在企业微信应用的“企业可信IP”里加入服务器的公网 IP。",
        "WeCom does not know this server: add its public address under 企业可信IP of the app.",
    ),
    (
        "or App Secret (`app_secret`) is wrong",
        "App ID 或 App Secret 不对，请到“凭证与基础信息”重新复制。",
        "The App ID or App Secret is wrong; copy both again.",
    ),
    (
        "(`app_secret`) is wrong",
        "密钥（Secret）不对，或者在平台上被重置过。请重新复制，填到“修改”里。",
        "The Secret is wrong or was reset on the platform; copy it again.",
    ),
    (
        "(`app_id`) is wrong",
        "AppID / 企业ID 不对，请到平台后台重新复制。",
        "The AppID or CorpID is wrong; copy it again.",
    ),
    ("(`agent_id`) is not", "AgentId 不是这个应用的，请核对。", "The AgentId belongs to another app."),
    (
        "may use no 微信客服 account",
        "这个应用还没有可用的客服账号：请在“微信客服 → 可调用接口的应用”里授权。",
        "The app may use no 微信客服 account yet; grant it one.",
    ),
    (
        "may not call this",
        "应用没有这个接口的权限，请在平台后台授权。",
        "The app lacks a permission; grant it in the platform's console.",
    ),
    (
        "lacks a permission",
        "应用缺少权限：请在飞书后台开通“获取与发送单聊、群组消息”（im:message）并发布版本。",
        "The app lacks a permission: grant im:message and publish a version.",
    ),
    (
        "is inside this house",
        "这个地址在内网。确实是内网的话，请在“修改”里勾选“平台在公司内网”。",
        "The address is inside the house; tick that box if it is meant.",
    ),
    (
        "is never called",
        "这个地址不能访问（本机或云平台内部地址），请换成平台的真实地址。",
        "The address is never called; name the platform's own.",
    ),
    (
        "key in",
        "密钥文件和保存时的不是同一个：请放回原来的 secret.key，或重新填写所有密钥。",
        "The key file is another one than before; put it back, or fill in all secrets anew.",
    ),
    (
        "key file",
        "密钥文件 secret.key 不见了：请放回原处，或删除渠道后重新添加。",
        "The key file is missing; put it back, or add the channel anew.",
    ),
    (
        "release",
        "连接正常，但知识库还没有发布，现在什么也答不了：请先发布。",
        "The connection is fine, but the knowledge base is not published yet.",
    ),
    (
        "HTTP 401",
        "对方拒绝了我们的令牌或签名，请核对密钥。",
        "The other side refuses the token or signature.",
    ),
    ("HTTP 403", "对方不允许访问，请核对权限和密钥。", "The other side does not let us in."),
    ("HTTP 404", "对方没有这个地址，请核对地址。", "There is nothing at this address."),
    ("HTTP 5", "对方的服务器出错了，稍后再试。", "The other side has an error of its own; try again later."),
    ("too many calls", "平台现在太忙或限制了次数，稍后再试。", "The platform is busy; try again later."),
    (
        "customer-service messages",
        "这个账号没有客服消息权限，需要先在公众平台完成认证。",
        "The account has no customer-service messages; it needs to be verified.",
    ),
];

/// What a check found, for people.
pub(super) fn check(page: &Page, works: bool, detail: &str) -> &'static str {
    let known = MEANINGS.iter().find(|(sign, _, _)| detail.contains(sign));
    match known {
        Some((_, chinese, english)) => page.say(chinese, english),
        None if !works => page.say(
            "连不上平台：请检查地址、网络和防火墙。",
            "The platform cannot be reached; look at the address, the network and the firewall.",
        ),
        None if detail.contains("plain text") => page.say(
            "连接正常。建议填写 EncodingAESKey：没有它，别人可以冒充平台发消息。",
            "It works. An EncodingAESKey would keep messages from being forged.",
        ),
        None if detail.contains("only replies") => page.say(
            "设置没有问题。没有填 Secret，机器人能回复，坐席不能主动发消息。",
            "The settings are sound. Without the Secret the robot replies, and people cannot write of their own accord.",
        ),
        None => page.say("连接正常。", "It works."),
    }
}

/// What is wrong with something that was filled in.
pub(super) fn fault(page: &Page, kind: &Kind, refusal: &Refusal) -> String {
    let field = refusal.field.as_deref().unwrap_or_default();
    let label = match field {
        "name" => page.say("名称", "Name"),
        "kb" => page.say("知识库", "Knowledge base"),
        field => kind.fields.iter().find(|one| one.name == field).map_or("", |one| one.label(page)),
    };
    let detail = refusal.detail.as_str();
    if page.is_english() || (label.is_empty() && refusal.slug() != "not-now") {
        return page.fault(refusal);
    }
    let says = |sign: &str| detail.contains(sign);
    let text = match field {
        "name" => "只能用 1 到 64 个英文字母、数字、“-”或“_”，它是地址的一部分。",
        "origins" if says("'*'") => "不能写 *，请逐个写出网站的地址。",
        "origins" if says("is empty") => "至少写一个网站。",
        "origins" => "每行写一个网站地址，到域名为止，例如 https://shop.example。",
        "secret" if says("32 char") => "至少 32 个字符。",
        "secret" if says("whsec_") => "以 whsec_ 开头，后面是 24 到 64 字节的 base64。",
        "aes_key" | "previous_aes_key" if !says("missing") => "应该正好是 43 个字符，请从平台后台完整复制。",
        "people" => "这种渠道没有自带的客服，只能选“本系统的坐席”。",
        "menus" => "需要先填 AppSecret。",
        _ if says("missing") || says("is empty") => "必须填写。",
        _ if says("inside this house") => "是内网地址；确实如此请勾选“平台在公司内网”。",
        _ if says("https://") || says("http://") => "应该是 https:// 开头的地址。",
        _ if says("integer") || says("invalid type") => "应该填一个整数。",
        _ if says("characters") => "太长了。",
        _ if says("already") => return "已经有同名的渠道，请换一个名称。".to_owned(),
        _ if refusal.slug() == "not-now" => return check(page, false, detail).to_owned(),
        _ => return page.fault(refusal),
    };
    format!("“{label}”{text}")
}

#[cfg(test)]
mod tests {
    use super::MEANINGS;

    #[test]
    fn what_platforms_refuse_is_explained() {
        let meaning = |detail: &str| MEANINGS.iter().position(|(sign, _, _)| detail.contains(sign));
        for detail in [
            "errcode 40164 invalid ip: this machine's address is not on the account's IP white list",
            "errcode 40125 x: the AppSecret (`app_secret`) is wrong or was reset",
            "errcode 40013 x: the AppID (`app_id`) is wrong",
            "errcode 60020 x: this machine's address is not among the app's trusted IP addresses",
            "code 10014 x: the App ID (`app_id`) or App Secret (`app_secret`) is wrong",
            "10.0.0.1 is inside this house; allow it with `private`, if that is meant",
            "HTTP 401 Unauthorized",
        ] {
            assert!(meaning(detail).is_some(), "{detail}");
        }
        assert_ne!(
            meaning("the App ID (`app_id`) or App Secret (`app_secret`) is wrong"),
            meaning("the AppSecret (`app_secret`) is wrong or was reset")
        );
    }
}
