//! What can be answered by anybody?

use serde::{Deserialize, Serialize};

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
