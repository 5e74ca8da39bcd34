//! Which fields does an entry have, and what do authors call them?

/// What a field of an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Texts,
    Rules,
    Instant,
    Answers,
    Images,
    Links,
    Switch,
    /// A share between 0 and 1.
    Share,
}

/// A field of an entry: a key in JSONL, a column in a table.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What authors may call the column, in lower case and without blanks; the
    /// usual Chinese heading first.
    pub(super) headings: &'static [&'static str],
}

/// All fields, in the order in which they are written.
pub(super) const FIELDS: [Field; 16] = [
    Field {
        name: "id",
        kind: Kind::Text,
        headings: &["编号", "知识编号", "条目编号", "知识id", "问题编号", "问题id", "qnaid", "faqid"],
    },
    Field {
        name: "question",
        kind: Kind::Text,
        headings: &[
            "标准问题",
            "标准问",
            "问题",
            "标准问法",
            "标准问句",
            "主问题",
            "问句",
            "提问",
            "标题",
            "知识标题",
            "问",
            "问题描述",
            "问题内容",
            "问题标题",
            "用户问题",
            "客户问题",
            "常见问题",
            "标准提问",
            "标准问题描述",
            "知识点",
            "知识点名称",
            "知识名称",
            "主问法",
            "faq问题",
            "standardquestion",
            "title",
            "prompt",
            "q",
        ],
    },
    Field {
        name: "similar",
        kind: Kind::Texts,
        headings: &[
            "相似问法",
            "相似问",
            "相似问题",
            "相似问句",
            "相似说法",
            "扩展问",
            "扩展问题",
            "扩展问法",
            "其他问法",
            "其它问法",
            "同义问法",
            "同义问题",
            "同义问句",
            "扩展问句",
            "相似提问",
            "相似问题列表",
            "相似问法列表",
            "用户问法",
            "问法",
            "泛化问",
            "泛化问法",
            "泛化问题",
            "别名",
            "similarquestions",
            "similarquestion",
            "alternatequestions",
            "alternativequestions",
            "variants",
            "indexes",
            "index",
        ],
    },
    Field {
        name: "answer",
        kind: Kind::Text,
        headings: &[
            "答案",
            "标准答案",
            "答案内容",
            "回答",
            "回复",
            "回复内容",
            "答复",
            "答",
            "参考答案",
            "知识答案",
            "问题答案",
            "机器人答案",
            "默认答案",
            "文本答案",
            "文字答案",
            "答案文本",
            "标准回答",
            "标准回复",
            "标准答复",
            "回答内容",
            "解答",
            "解决方案",
            "知识内容",
            "分段内容",
            "reply",
            "response",
            "completion",
            "a",
        ],
    },
    Field {
        name: "keywords", kind: Kind::Texts, headings: &["关键词", "关键字", "触发词", "keyword"]
    },
    Field { name: "rules", kind: Kind::Rules, headings: &["规则", "匹配规则", "rule"] },
    Field {
        name: "topic",
        kind: Kind::Text,
        headings: &[
            "主题",
            "分类",
            "类别",
            "类目",
            "知识分类",
            "所属分类",
            "目录",
            "问题分类",
            "知识目录",
            "所属目录",
            "分类名称",
            "所属类目",
            "category",
        ],
    },
    Field { name: "tags", kind: Kind::Texts, headings: &["标签", "tag"] },
    Field {
        name: "valid_from",
        kind: Kind::Instant,
        headings: &["生效时间", "生效日期", "开始时间", "开始日期", "starts"],
    },
    Field {
        name: "valid_until",
        kind: Kind::Instant,
        headings: &["失效时间", "失效日期", "过期时间", "到期时间", "有效期至", "有效期止", "expires"],
    },
    Field { name: "answers", kind: Kind::Answers, headings: &["渠道答案"] },
    Field {
        name: "images",
        kind: Kind::Images,
        headings: &["图片", "图片地址", "图片链接", "配图", "答案图片", "image", "picture", "pictures"],
    },
    Field {
        name: "links",
        kind: Kind::Links,
        headings: &["链接", "相关链接", "答案链接", "网址", "卡片", "链接卡片", "link", "card", "cards"],
    },
    Field {
        name: "max_wrong", kind: Kind::Share, headings: &["错答上限", "最高错答率", "允许错答率"]
    },
    Field { name: "related", kind: Kind::Texts, headings: &["相关问题", "关联问题", "推荐问题"] },
    Field {
        name: "enabled",
        kind: Kind::Switch,
        headings: &["启用", "是否启用", "状态", "是否有效", "status"],
    },
];

/// The names of all fields, for messages.
pub(super) fn known_fields() -> String {
    FIELDS.map(|field| field.name).join("、")
}
