//! What can be answered by anybody?

//!
//! A message is small talk when all of it is, and when the knowledge base has
//! no question of its own that is small talk of the same kind.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::decide::handoff::kinds_of_nothing;

/// What small talk is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// 你好, 在吗.
    Greeting,
    /// 谢谢.
    Thanks,
    /// 再见.
    Farewell,
    /// 好的.
    Consent,
    /// 不用了.
    Refusal,
    /// 等一下.
    Wait,
    /// 哈哈.
    Mood,
    /// 你是谁.
    Identity,
    /// 你是机器人吗.
    Robot,
    /// 你会什么.
    Abilities,
    /// 几点了.
    Time,
    /// 今天天气怎么样.
    Weather,
    /// 讲个笑话.
    Joke,
    /// 你真棒.
    Praise,
    /// 真笨.
    Blame,
    /// 你多大了, 你有女朋友吗.
    Private,
    /// 听不懂, 什么意思.
    Puzzled,
}

impl Topic {
    /// Every topic, in the order of the table.
    pub const ALL: [Self; 17] = [
        Self::Greeting,
        Self::Thanks,
        Self::Farewell,
        Self::Consent,
        Self::Refusal,
        Self::Wait,
        Self::Mood,
        Self::Identity,
        Self::Robot,
        Self::Abilities,
        Self::Time,
        Self::Weather,
        Self::Joke,
        Self::Praise,
        Self::Blame,
        Self::Private,
        Self::Puzzled,
    ];

    /// Its key in a voice's table and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Thanks => "thanks",
            Self::Farewell => "farewell",
            Self::Consent => "consent",
            Self::Refusal => "refusal",
            Self::Wait => "wait",
            Self::Mood => "mood",
            Self::Identity => "identity",
            Self::Robot => "robot",
            Self::Abilities => "abilities",
            Self::Time => "time",
            Self::Weather => "weather",
            Self::Joke => "joke",
            Self::Praise => "praise",
            Self::Blame => "blame",
            Self::Private => "private",
            Self::Puzzled => "puzzled",
        }
    }
    /// What is replied unless the knowledge base's voice says something else.
    pub fn shipped(self) -> &'static str {
        match self {
            Self::Greeting => "您好，请问有什么可以帮您？",
            Self::Thanks => "不客气，还有其他问题随时问我。",
            Self::Farewell => "再见，祝您生活愉快！",
            Self::Consent => "好的。还有别的问题，请直接告诉我。",
            Self::Refusal => "好的，有需要随时找我。",
            Self::Wait => "不着急，您慢慢看，有问题随时告诉我。",
            Self::Mood => "我在呢，有什么问题请直接告诉我。",
            Self::Identity => "我是智能客服，可以解答常见问题；我答不了的，会请人工客服来帮您。",
            Self::Robot => "我是智能客服，不是真人。需要人工的话，回复“转人工”就可以。",
            Self::Abilities => "我可以解答业务办理、规则和进度查询方面的常见问题。请直接说出您想问的事。",
            Self::Time => "我这里看不到您那边的时间，请以您手机上的为准。有业务问题可以直接问我。",
            Self::Weather => "天气我查不到，请看一下天气应用。有业务问题可以直接问我。",
            Self::Joke => "讲笑话我不在行，解答业务问题才是我的本行。请问有什么可以帮您？",
            Self::Praise => "谢谢您的夸奖，我会继续努力的。",
            Self::Blame => "很抱歉没能帮上忙。请您换个说法再问一次，或者回复“转人工”。",
            Self::Private => "这个我就说不上来啦，我只是智能客服。有业务问题可以直接问我。",
            Self::Puzzled => "抱歉没有说清楚。您想问的是哪件事？请用一句话告诉我，或者回复“转人工”。",
        }
    }
}

/// What a whole message of a topic looks like, beside those that ask nothing
/// (`decide/data/nothing_asked.txt`). The texts are cores.
static PATTERNS: LazyLock<Vec<(Topic, Regex)>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the patterns are right or no test passes")]
    let whole = |(topic, pattern): (Topic, &str)| {
        (topic, Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of a list"))
    };
    [
        (
            Topic::Identity,
            r"(?:那|所以)?(?:你|您)(?:到底|究竟)?(?:是谁|是哪位|是什么人|是哪个|谁|谁啊|是干(?:什么|啥|嘛)的|是做(?:什么|啥)的|是什么)|(?:你|您)(?:叫|的?名字(?:是|叫)?|叫做)(?:什么|啥)(?:名字|名)?|(?:怎么|该怎么|如何)称呼(?:你|您)?|(?:你|您)?贵姓|(?:介绍|说说)(?:一下)?(?:你|您)?自己|(?:你|您)?自我介绍(?:一下)?|who are you",
        ),
        (
            Topic::Robot,
            r"(?:你|您|这|那你|对面|这边|现在)?(?:到底|究竟|难道)?(?:是|是不是|真的是|不是)(?:个|一个)?(?:机器人?|机械人|人工智能|ai|智能客服|程序|电脑|真人|活人|人|人工)(?:吗|么|嘛|啊|吧|还是(?:个)?(?:真人|活人|人|机器人?|人工))|(?:你|您)是(?:真人|人|人工|活人)(?:还是|or)(?:机器人?|ai|智能客服)|(?:是)?(?:机器人?|ai)(?:还是)(?:真人|人工|人|活人)|are you (?:a )?(?:robot|bot|human|real person)",
        ),
        (
            Topic::Abilities,
            r"(?:那)?(?:你|您|你们|机器人)(?:都|还)?(?:能|会|可以|可)(?:帮我|帮忙|给我)?(?:干|做|回答|解答|解决|处理|提供|帮|查|问)?(?:些)?(?:什么|啥|哪些|点什么|点啥)(?:问题|服务|事|事情|功能|忙|东西|业务)?|(?:你|您)(?:有|都有)(?:什么|啥|哪些)(?:功能|用|作用|本事|能力)|(?:我)?(?:可以|能)问(?:你|您)?(?:些)?(?:什么|啥|哪些)(?:问题)?|(?:怎么|如何)(?:使用|用)(?:你|这个机器人)|what can you do",
        ),
        (
            Topic::Time,
            r"(?:现在|今天|这会儿|眼下|目前)(?:是)?(?:几点|什么时间|什么时候|几号|几月几号|星期几|周几|礼拜几|多少号)(?:钟)?(?:了)?|(?:几点|几点钟|什么时间)了|现在时间|what time is it",
        ),
        (
            Topic::Weather,
            r"(?:今天|明天|后天|现在|外面|你那边|那边|最近)?(?:的)?天气(?:怎么样|如何|怎样|好吗|预报|好不好|咋样)?|(?:今天|明天|后天|现在|外面)(?:会)?(?:下雨|下雪|热|冷)(?:吗|么|不|了吗|不热|不冷)",
        ),
        (
            Topic::Joke,
            r"(?:给我|你|能|会|可以|来|帮我)*(?:讲|说|来)(?:一|个|一个)*(?:笑话|故事|段子)(?:吗|听听|吧|给我听)*|(?:给我|你|能|会)*唱(?:首|个|一首)?歌(?:吗|吧|听听)*|(?:陪我|跟我|和我|能|你|可以)*(?:聊聊?天|聊会儿天|说说话|聊聊|玩)(?:吗|吧|可以吗|好吗)*|(?:我)?(?:好|很|太)?无聊(?:死了)?",
        ),
        (
            Topic::Praise,
            r"(?:你|您)?(?:真是|真|好|太|很|挺|可真|还挺)(?:的)?(?:棒|聪明|厉害|可爱|贴心|懂事|能干|专业|智能)(?:了|的)?|(?:我)?(?:爱|喜欢)(?:死)?(?:你|您)(?:了)?|(?:给你)?点个?赞|(?:你|您)(?:真|很)?(?:不错|优秀)",
        ),
        (
            Topic::Blame,
            r"(?:你|您)?(?:怎么)?(?:真|好|太|很|这么|可真)(?:的)?(?:笨|蠢|傻|差劲|没用|不智能|烂)(?:了|的)?|(?:你)?(?:一点)?(?:都|也)?(?:没用|没什么用|没啥用)|(?:你|这)?(?:什么)?(?:破|垃圾|傻|笨)(?:机器人|客服|机器)|笨蛋|智障|人工智障",
        ),
        (
            Topic::Private,
            r"(?:你|您)(?:今年)?(?:多大|几岁|多少岁)(?:了)?|(?:你|您)(?:有|有没有)(?:男朋友|女朋友|对象|老婆|老公|孩子)(?:吗|么|没|没有)?|(?:你|您)(?:是)?(?:男|女)(?:的|生)?(?:还是|是)(?:男|女)(?:的|生)?(?:吗)?|(?:你|您)(?:是)?男是女|(?:你|您)(?:吃|吃过)(?:饭|早饭|午饭|晚饭)?了?(?:吗|没|没有|么)|(?:你|您)(?:住|在|家在)(?:哪|哪里|哪儿)|(?:你|您)(?:结婚|累|困|睡|下班)了?(?:吗|么|没|不累|不困)|(?:你|您)喜欢(?:什么|我吗?|谁)",
        ),
        (
            Topic::Puzzled,
            r"(?:我)?(?:还是|真|完全|都|有点)?(?:听|看|搞|弄)?(?:不懂|不太懂|不明白|没懂|没明白|没看懂|没听懂|看不懂|听不懂|不太明白)(?:了|啊|你说的|你在说什么|什么意思)?|(?:你|您|这|这个|那|这话|你说的)?(?:是)?(?:什么|啥|几个)意思|(?:你|您)(?:在)?(?:说|讲)(?:的)?(?:什么|啥)(?:呢|啊)?|[?？]+",
        ),
    ]
    .into_iter()
    .map(whole)
    .collect()
});

/// The topic of a message by its core, if all of it is small talk.
pub(super) fn topic(core: &str) -> Option<Topic> {
    let topic = match_kind(core);
    topic.or_else(|| PATTERNS.iter().find(|(_, pattern)| pattern.is_match(core)).map(|(topic, _)| *topic))
}

/// The topic of what asks nothing. Of several the one that says most of what
/// is wanted counts: "好的谢谢，再见" says goodbye.
fn match_kind(core: &str) -> Option<Topic> {
    let kinds = kinds_of_nothing(core);
    [
        ("farewell", Topic::Farewell),
        ("refusal", Topic::Refusal),
        ("thanks", Topic::Thanks),
        ("wait", Topic::Wait),
        ("greeting", Topic::Greeting),
        ("consent", Topic::Consent),
        ("mood", Topic::Mood),
    ]
    .into_iter()
    .find(|(name, _)| kinds.contains(name))
    .map(|(_, topic)| topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_talk_is_a_whole_message() {
        for (text, expected) in [
            ("你好", Topic::Greeting),
            ("在吗", Topic::Greeting),
            ("谢谢", Topic::Thanks),
            ("好的谢谢", Topic::Thanks),
            ("谢谢再见", Topic::Farewell),
            ("不用了谢谢", Topic::Refusal),
            ("好的", Topic::Consent),
            ("等一下我看看", Topic::Wait),
            ("你是谁", Topic::Identity),
            ("你叫什么名字", Topic::Identity),
            ("你是机器人吗", Topic::Robot),
            ("你是真人还是机器人", Topic::Robot),
            ("你会什么", Topic::Abilities),
            ("你能帮我做什么", Topic::Abilities),
            ("几点了", Topic::Time),
            ("现在几点了", Topic::Time),
            ("今天星期几", Topic::Time),
            ("今天天气怎么样", Topic::Weather),
            ("讲个笑话", Topic::Joke),
            ("你真棒", Topic::Praise),
            ("你好笨", Topic::Blame),
            ("你几岁", Topic::Private),
            ("你吃饭了吗", Topic::Private),
            ("什么意思", Topic::Puzzled),
        ] {
            assert_eq!(topic(text), Some(expected), "{text}");
        }
        for text in [
            "几点",
            "几点上班",
            "你好怎么退货",
            "谢谢惠顾是什么意思",
            "你们能送货上门吗",
            "现在几点能挂号",
            "今天几点下班",
            "天气不好航班会取消吗",
            "你们会员有什么用",
            "机器人多少钱",
            "人工智能课程怎么报名",
            "你们住哪个酒店",
            "报告看不懂",
            "好的那运费谁出",
            "可以退吗",
        ] {
            assert_eq!(topic(text), None, "{text}");
        }
    }
}
