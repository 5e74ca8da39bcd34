//! What is filled in for each kind of channel, and where does it stand on the platform?

mod email;

use super::super::page::Page;

/// A text in Chinese and English.
pub(super) type Words = [&'static str; 2];

/// How a setting is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A line.
    Text,
    /// A line that is never shown again.
    Secret,
    /// Several, one a line.
    Lines,
    /// A whole number.
    Number,
    /// Yes or no.
    Check,
    /// Whose people take over.
    People,
    /// How a connection is protected.
    Security,
}

/// A setting.
pub(super) struct Field {
    /// Its name in the API.
    pub(super) name: &'static str,
    pub(super) input: Input,
    pub(super) is_needed: bool,
    label: Words,
    /// Where it stands, or what it does.
    help: Words,
}

/// A kind.
pub(super) struct Kind {
    pub(super) code: &'static str,
    name: Words,
    /// Whom one reaches through it.
    about: Words,
    /// Where the address belongs in the platform's console; empty for none.
    place: Words,
    pub(super) fields: &'static [Field],
}

impl Field {
    const fn new(name: &'static str, input: Input, label: Words, help: Words) -> Self {
        Self { name, input, is_needed: false, label, help }
    }

    const fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }

    pub(super) const fn label(&self, page: &Page) -> &'static str {
        page.say(self.label[0], self.label[1])
    }

    pub(super) const fn help(&self, page: &Page) -> &'static str {
        page.say(self.help[0], self.help[1])
    }
}

impl Kind {
    pub(super) const fn name(&self, page: &Page) -> &'static str {
        page.say(self.name[0], self.name[1])
    }

    pub(super) const fn about(&self, page: &Page) -> &'static str {
        page.say(self.about[0], self.about[1])
    }

    pub(super) const fn place(&self, page: &Page) -> &'static str {
        page.say(self.place[0], self.place[1])
    }
}

/// The kind of a name; `None` for one that has no form here.
pub(super) fn kind(code: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.code == code)
}

const PRIVATE: Field = Field::new(
    "private",
    Input::Check,
    ["平台在公司内网", "The platform is inside the house"],
    ["勾选后允许访问内网地址", "Addresses inside the house may be called then"],
);
const GREETING: Field = Field::new(
    "greeting",
    Input::Text,
    ["欢迎语", "Greeting"],
    [
        "顾客进来时看到的话；留空用知识库的欢迎语",
        "What whoever comes in reads; the knowledge base's own when empty",
    ],
);
const NOT_TEXT: Field = Field::new(
    "not_text",
    Input::Text,
    ["收到图片、语音时的回复", "Reply to pictures and voice"],
    ["留空用默认的话", "A ready sentence when empty"],
);
const ANSWERS: Field = Field::new(
    "channel",
    Input::Text,
    ["使用哪个渠道的答案", "Whose answers"],
    [
        "条目里“分渠道答案”的渠道名；留空就是本渠道类型",
        "The name that entries have answers for; the kind's own when empty",
    ],
);
const URL: Field = Field::new(
    "url",
    Input::Text,
    ["接口地址", "API address"],
    ["留空用官方地址；走代理时才填", "The official host when empty; for a proxy only"],
);
const PREVIOUS_AES: Field = Field::new(
    "previous_aes_key",
    Input::Secret,
    ["旧的 EncodingAESKey", "The EncodingAESKey before"],
    ["更换密钥期间填，换完可清除", "While the key is being replaced"],
);
const MENUS: Field = Field::new(
    "menus",
    Input::Check,
    ["用菜单消息给顾客点选", "Questions as menus to press"],
    [
        "需要已认证的服务号和 AppSecret；会占用客服消息条数",
        "Needs a verified account and the AppSecret; counts as messages",
    ],
);

/// The kinds in the order in which they are offered.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        code: "web",
        name: ["网页", "Web page"],
        about: ["在自己的网站、商城里显示聊天窗口", "A chat window in pages of your own"],
        place: ["", ""],
        fields: &[
            Field::new(
                "origins",
                Input::Lines,
                ["哪些网站可以显示", "Whose pages may show it"],
                [
                    "每行一个，写到域名为止，例如 https://shop.example",
                    "One a line, up to the host, such as https://shop.example",
                ],
            )
            .needed(),
            Field::new(
                "per_visitor",
                Input::Number,
                ["每位访客每秒最多请求", "Requests a second of a visitor"],
                ["一般不用改，默认 10", "10 when empty"],
            ),
            Field::new(
                "per_address",
                Input::Number,
                ["每个网络地址每秒最多请求", "Requests a second of an address"],
                ["同一公司出口可能有很多人，默认 50", "Many may sit behind one; 50 when empty"],
            ),
            Field::new(
                "secret",
                Input::Secret,
                ["访客身份密钥", "Secret for identities"],
                [
                    "网站后台用它给登录用户签名（JWT，HS256）；留空自动生成",
                    "Your server signs identities with it (JWT, HS256); made when empty",
                ],
            ),
        ],
    },
    Kind {
        code: "wechat",
        name: ["微信公众号", "WeChat Official Account"],
        about: ["订阅号、服务号里的顾客消息", "Customers of a WeChat account"],
        place: [
            "微信公众平台 → 设置与开发 → 基本配置 → 服务器配置 → 服务器地址(URL)",
            "mp.weixin.qq.com → 设置与开发 → 基本配置 → 服务器配置 → URL",
        ],
        fields: &[
            Field::new(
                "app_id",
                Input::Text,
                ["AppID（开发者ID）", "AppID"],
                ["公众平台 → 设置与开发 → 基本配置", "In 设置与开发 → 基本配置"],
            )
            .needed(),
            Field::new(
                "token",
                Input::Secret,
                ["Token（令牌）", "Token"],
                [
                    "服务器配置里自己定的一串字符，两边要一样",
                    "What you chose under 服务器配置; the same on both sides",
                ],
            )
            .needed(),
            Field::new(
                "aes_key",
                Input::Secret,
                ["EncodingAESKey（消息加解密密钥）", "EncodingAESKey"],
                [
                    "服务器配置里的 43 个字符；填了就只收加密消息（安全模式，推荐）",
                    "43 characters; with it only encrypted messages are taken (recommended)",
                ],
            ),
            Field::new(
                "app_secret",
                Input::Secret,
                ["AppSecret（开发者密码）", "AppSecret"],
                [
                    "基本配置里重置后只显示一次；填了坐席才能主动发消息，并要把服务器 IP 加入白名单",
                    "With it people can write of their own accord; the server's IP must be on the white list",
                ],
            ),
            MENUS,
            Field::new(
                "people",
                Input::People,
                ["转人工交给谁", "Whose people take over"],
                ["选“平台”时由公众号自带的客服接待", "The platform's own desk, or ours"],
            ),
            GREETING,
            NOT_TEXT,
            ANSWERS,
            PREVIOUS_AES,
            URL,
            PRIVATE,
        ],
    },
    Kind {
        code: "wecom-kf",
        name: ["微信客服（企业微信）", "WeCom customer service"],
        about: ["微信里点“客服”进来的顾客", "Customers who come through 微信客服"],
        place: [
            "企业微信管理后台 → 应用管理 → 微信客服 → API → 接收消息服务器配置 → URL",
            "work.weixin.qq.com → 应用管理 → 微信客服 → API → URL",
        ],
        fields: &[
            CORP_ID,
            Field::new(
                "app_secret",
                Input::Secret,
                ["微信客服的 Secret", "Secret of 微信客服"],
                ["应用管理 → 微信客服 → API → Secret", "In 应用管理 → 微信客服 → API"],
            )
            .needed(),
            WECOM_TOKEN,
            WECOM_AES,
            Field::new(
                "people",
                Input::People,
                ["转人工交给谁", "Whose people take over"],
                ["选“平台”时由企业微信的接待人员接待", "WeCom's own people, or ours"],
            ),
            GREETING,
            NOT_TEXT,
            ANSWERS,
            PREVIOUS_AES,
            URL,
            PRIVATE,
        ],
    },
    Kind {
        code: "wecom",
        name: ["企业微信应用", "WeCom app"],
        about: ["公司员工在企业微信里提问", "Employees who ask in WeCom"],
        place: [
            "企业微信管理后台 → 应用管理 → 自建应用 → 接收消息 → 设置API接收 → URL",
            "work.weixin.qq.com → 应用管理 → the app → 接收消息 → URL",
        ],
        fields: &[
            CORP_ID,
            WECOM_TOKEN,
            WECOM_AES,
            Field::new(
                "app_secret",
                Input::Secret,
                ["应用的 Secret", "The app's Secret"],
                [
                    "应用详情页；填了坐席才能主动发消息",
                    "In the app's page; with it people can write of their own accord",
                ],
            ),
            Field::new(
                "agent_id",
                Input::Number,
                ["AgentId", "AgentId"],
                ["应用详情页；填了 Secret 就必须填", "In the app's page; needed with the Secret"],
            ),
            GREETING,
            NOT_TEXT,
            ANSWERS,
            PREVIOUS_AES,
            URL,
            PRIVATE,
        ],
    },
    Kind {
        code: "dingtalk",
        name: ["钉钉机器人", "DingTalk robot"],
        about: ["钉钉单聊和群里 @ 机器人", "People in DingTalk chats and groups"],
        place: [
            "钉钉开放平台 → 应用 → 机器人 → 消息接收模式选 HTTP → 消息接收地址",
            "open.dingtalk.com → the app → 机器人 → HTTP → 消息接收地址",
        ],
        fields: &[
            Field::new(
                "app_id",
                Input::Text,
                ["Client ID（原 AppKey）", "Client ID (AppKey)"],
                ["钉钉开放平台 → 应用 → 凭证与基础信息", "In 凭证与基础信息"],
            )
            .needed(),
            Field::new(
                "app_secret",
                Input::Secret,
                ["Client Secret（原 AppSecret）", "Client Secret (AppSecret)"],
                ["在同一页；消息签名也用它", "On the same page; messages are signed with it"],
            )
            .needed(),
            Field::new(
                "token",
                Input::Secret,
                ["事件订阅的签名 token", "Token of events"],
                ["只有订阅事件时才填", "For event subscriptions only"],
            ),
            Field::new(
                "aes_key",
                Input::Secret,
                ["事件订阅的加密 aes_key", "EncodingAESKey of events"],
                ["只有订阅事件时才填", "For event subscriptions only"],
            ),
            Field::new(
                "receiver",
                Input::Text,
                ["CorpId", "CorpId"],
                ["事件用 CorpId 加密时才填", "Where events are encrypted for it"],
            ),
            Field::new(
                "reply_hosts",
                Input::Lines,
                ["其他允许的回复主机", "Other hosts for replies"],
                ["走代理时才填，每行一个", "For a proxy only, one a line"],
            ),
            GREETING,
            NOT_TEXT,
            ANSWERS,
            URL,
            PRIVATE,
        ],
    },
    Kind {
        code: "feishu",
        name: ["飞书机器人", "Feishu robot"],
        about: ["飞书单聊和群里 @ 机器人", "People in Feishu chats and groups"],
        place: [
            "飞书开放平台 → 应用 → 事件与回调 → 事件配置 → 请求地址；并订阅“接收消息 im.message.receive_v1”",
            "open.feishu.cn → the app → 事件与回调 → 请求地址; subscribe to im.message.receive_v1",
        ],
        fields: &[
            Field::new(
                "app_id",
                Input::Text,
                ["App ID", "App ID"],
                ["飞书开放平台 → 应用 → 凭证与基础信息", "In 凭证与基础信息"],
            )
            .needed(),
            Field::new(
                "app_secret",
                Input::Secret,
                ["App Secret", "App Secret"],
                ["在同一页", "On the same page"],
            )
            .needed(),
            Field::new(
                "encrypt_key",
                Input::Secret,
                ["Encrypt Key", "Encrypt Key"],
                ["事件与回调 → 加密策略", "In 事件与回调 → 加密策略"],
            )
            .needed(),
            Field::new(
                "token",
                Input::Secret,
                ["Verification Token", "Verification Token"],
                ["事件与回调 → 加密策略", "In 事件与回调 → 加密策略"],
            ),
            GREETING,
            NOT_TEXT,
            ANSWERS,
            Field::new(
                "previous_encrypt_key",
                Input::Secret,
                ["旧的 Encrypt Key", "The Encrypt Key before"],
                ["更换密钥期间填，换完可清除", "While the key is being replaced"],
            ),
            URL,
            PRIVATE,
        ],
    },
    email::KIND,
    Kind {
        code: "generic",
        name: ["通用接口", "Any other platform"],
        about: ["电话网关、自己的 App 等，按约定收发消息", "Telephone gateways, apps of your own"],
        place: [
            "让您的系统把顾客的消息发到这个地址（签名见文档）",
            "Let your system send customers' messages to this address",
        ],
        fields: &[
            Field::new(
                "url",
                Input::Text,
                ["回复发到哪里", "Where replies go"],
                ["您的系统接收回复的地址，https:// 开头", "The address of your system, https://…"],
            )
            .needed(),
            Field::new(
                "secret",
                Input::Secret,
                ["签名密钥", "Secret"],
                ["whsec_ 开头；留空自动生成", "whsec_…; made when empty"],
            ),
            PRIVATE,
        ],
    },
    Kind {
        code: "chatwoot",
        name: ["Chatwoot", "Chatwoot"],
        about: ["机器人作为 Chatwoot 的 Agent Bot", "The robot as an agent bot of Chatwoot"],
        place: [
            "Chatwoot → Settings → Agent Bots → Webhook URL",
            "Chatwoot → Settings → Agent Bots → Webhook URL",
        ],
        fields: &[
            Field::new(
                "url",
                Input::Text,
                ["Chatwoot 的地址", "Chatwoot's address"],
                ["例如 https://chat.example", "Such as https://chat.example"],
            )
            .needed(),
            Field::new(
                "token",
                Input::Secret,
                ["机器人的 Access Token", "Access token of the bot"],
                ["Settings → Agent Bots", "In Settings → Agent Bots"],
            )
            .needed(),
            Field::new(
                "secret",
                Input::Secret,
                ["签名密钥", "Secret of its signatures"],
                ["填了就只收有签名的消息", "With it only signed events are taken"],
            ),
            Field::new(
                "labels",
                Input::Lines,
                ["转人工时加的标签", "Labels for conversations with people"],
                ["每行一个", "One a line"],
            ),
            Field::new(
                "team",
                Input::Number,
                ["转给哪个团队（编号）", "The team's number"],
                ["可不填", "May be empty"],
            ),
            PRIVATE,
        ],
    },
];

const CORP_ID: Field = Field::new(
    "app_id",
    Input::Text,
    ["企业ID（CorpID）", "CorpID"],
    ["企业微信管理后台 → 我的企业 → 企业信息，最下面", "In 我的企业 → 企业信息, at the bottom"],
)
.needed();
const WECOM_TOKEN: Field = Field::new(
    "token",
    Input::Secret,
    ["Token", "Token"],
    ["接收消息配置里的 Token，可随机获取", "In the settings for receiving messages"],
)
.needed();
const WECOM_AES: Field = Field::new(
    "aes_key",
    Input::Secret,
    ["EncodingAESKey", "EncodingAESKey"],
    ["同一页的 43 个字符，可随机获取", "43 characters on the same page"],
)
.needed();

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value, json};

    use super::*;
    use crate::desk::channels::{Wanted, made};

    #[test]
    fn every_form_makes_a_channel() {
        for kind in KINDS {
            let names: BTreeSet<&str> = kind.fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), kind.fields.len(), "{}: a field stands there twice", kind.code);
            let value = |field: &Field| match (field.name, field.input) {
                ("url", _) => json!("https://a.example/"),
                ("origins", _) => json!(["https://a.example"]),
                ("address", _) => json!("kefu@a.example"),
                ("secret", _) if kind.code == "generic" => json!(format!("whsec_{}", "A".repeat(44))),
                ("aes_key" | "previous_aes_key", _) => json!("A".repeat(43)),
                (_, Input::Text | Input::Secret) => json!("x".repeat(40)),
                (_, Input::Lines) => json!(["a.example"]),
                (_, Input::Number) => json!(7),
                (_, Input::Check) => json!(true),
                (_, Input::People) => json!("ours"),
                (_, Input::Security) => json!("starttls"),
            };
            let all = |is_whole: bool| -> Map<String, Value> {
                let fields = kind.fields.iter().filter(|field| is_whole || field.is_needed);
                fields.map(|field| (field.name.to_owned(), value(field))).collect()
            };
            let fits = |settings| {
                let (name, kind, kb) = ("a".to_owned(), kind.code.to_owned(), "demo".to_owned());
                made(Wanted { name, kind, kb, settings }, 1)
            };
            for is_whole in [true, false] {
                if let Err(unfit) = fits(all(is_whole)) {
                    panic!("{}: {}", kind.code, unfit.of_channel("a"));
                }
            }
            for field in kind.fields.iter().filter(|field| field.is_needed) {
                let mut less = all(false);
                less.remove(field.name);
                assert!(fits(less).is_err(), "{}: {} is not needed", kind.code, field.name);
            }
            let secrets = kind.fields.iter().filter(|field| crate::store::is_secret(field.name));
            assert!(secrets.into_iter().all(|field| field.input == Input::Secret), "{}", kind.code);
        }
    }
}
