//! What is filled in for a mailbox?

use super::{ANSWERS, Field, Input, Kind, PRIVATE};

/// A mailbox.
pub(super) const KIND: Kind = Kind {
    code: "email",
    name: ["电子邮件", "E-mail"],
    about: ["客服邮箱里收到的来信", "Letters to a mailbox"],
    place: ["", ""],
    fields: &[
        Field::new(
            "address",
            Input::Text,
            ["邮箱地址", "Address"],
            [
                "顾客写信的地址，例如 kefu@shop.example",
                "Where customers write to",
            ],
        )
        .needed(),
        Field::new(
            "password",
            Input::Secret,
            ["授权码或密码", "Password"],
            [
                "QQ邮箱、163、企业邮箱填“授权码”（网页版邮箱 → 设置 → POP3/IMAP/SMTP 服务，先开启 IMAP），不是登录密码",
                "Many providers give programs a password of their own",
            ],
        )
        .needed(),
        Field::new(
            "imap_host",
            Input::Text,
            ["收信服务器（IMAP）", "IMAP server"],
            [
                "例如 imap.qq.com、imap.163.com、imap.exmail.qq.com；端口默认 993（TLS）",
                "Port 993 with TLS",
            ],
        )
        .needed(),
        Field::new(
            "smtp_host",
            Input::Text,
            ["发信服务器（SMTP）", "SMTP server"],
            [
                "例如 smtp.qq.com、smtp.163.com、smtp.exmail.qq.com；端口默认 465（TLS）",
                "Port 465 with TLS",
            ],
        )
        .needed(),
        Field::new(
            "imap_port",
            Input::Number,
            ["收信端口", "IMAP port"],
            [
                "一般不用填",
                "993 when empty",
            ],
        ),
        Field::new(
            "smtp_port",
            Input::Number,
            ["发信端口", "SMTP port"],
            [
                "一般不用填",
                "465 when empty",
            ],
        ),
        Field::new(
            "name",
            Input::Text,
            ["发件人名称", "Name of the sender"],
            [
                "顾客看到的名称，例如 某某商城客服",
                "What customers see beside the address",
            ],
        ),
        Field::new(
            "acknowledgement",
            Input::Text,
            ["转人工时告诉顾客的话", "What is told whose letter goes to people"],
            [
                "{number} 处是受理编号；留空用默认的话",
                "{number} is the number; a ready sentence when empty",
            ],
        ),
        ANSWERS,
        PRIVATE,
    ],
};
