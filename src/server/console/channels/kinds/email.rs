//! What is filled in for e-mail?

use super::{ANSWERS, Field, Input, Kind, PRIVATE};

pub(super) const KIND: Kind = Kind {
    code: "email",
    name: ["电子邮件", "E-mail"],
    about: [
        "写到客服邮箱的来信：有把握的自动回复，其余转人工",
        "Letters to a mailbox: sure answers go out, everything else goes to people",
    ],
    place: ["", ""],
    fields: &[
        Field::new(
            "address",
            Input::Text,
            ["邮箱地址", "Address"],
            ["顾客写信的地址，也是回信的发件人", "What customers write to and replies come from"],
        )
        .needed(),
        Field::new(
            "password",
            Input::Secret,
            ["密码或授权码", "Password"],
            [
                "QQ、163、企业邮箱：设置 → 账户 → 开启 IMAP/SMTP 后生成的授权码，不是登录密码",
                "Many providers want a password for programs, made where IMAP is switched on",
            ],
        )
        .needed(),
        Field::new(
            "imap_host",
            Input::Text,
            ["收信服务器（IMAP）", "IMAP server"],
            ["例如 imap.qq.com、imap.163.com、imap.exmail.qq.com", "Such as imap.shop.example"],
        )
        .needed(),
        Field::new(
            "smtp_host",
            Input::Text,
            ["发信服务器（SMTP）", "SMTP server"],
            ["例如 smtp.qq.com、smtp.163.com、smtp.exmail.qq.com", "Such as smtp.shop.example"],
        )
        .needed(),
        Field::new(
            "name",
            Input::Text,
            ["发件人显示的名字", "Name beside the address"],
            ["例如“某某商城客服”", "Such as “Shop service”"],
        ),
        Field::new(
            "user",
            Input::Text,
            ["登录名", "Signs in as"],
            ["留空就是邮箱地址", "The address when empty"],
        ),
        Field::new(
            "imap_security",
            Input::Security,
            ["收信连接", "IMAP connection"],
            ["一般用 TLS", "TLS as a rule"],
        ),
        Field::new(
            "imap_port",
            Input::Number,
            ["收信端口", "IMAP port"],
            ["留空：TLS 993，其他 143", "993 with TLS, else 143, when empty"],
        ),
        Field::new(
            "smtp_security",
            Input::Security,
            ["发信连接", "SMTP connection"],
            ["一般用 TLS", "TLS as a rule"],
        ),
        Field::new(
            "smtp_port",
            Input::Number,
            ["发信端口", "SMTP port"],
            [
                "留空：TLS 465，STARTTLS 587，不加密 25",
                "465 with TLS, 587 with STARTTLS, else 25, when empty",
            ],
        ),
        Field::new(
            "folder",
            Input::Text,
            ["看哪个文件夹", "Folder"],
            ["留空就是收件箱 INBOX", "INBOX when empty"],
        ),
        Field::new(
            "move_to",
            Input::Text,
            ["处理后移到", "Moved to"],
            ["留空就留在原处，标为已读", "Left where it is and marked as read when empty"],
        ),
        Field::new(
            "acknowledgement",
            Input::Text,
            ["转人工时的回信", "What is told whose letter goes to people"],
            ["{number} 会换成受理编号；留空用默认的话", "{number} is the number; a ready text when empty"],
        ),
        Field::new(
            "most_per_hour",
            Input::Number,
            ["每个地址每小时最多自动回复", "Replies an hour to one address"],
            [
                "防止两个机器人互相回信，默认 20",
                "So that two robots do not write to each other; 20 when empty",
            ],
        ),
        ANSWERS,
        PRIVATE,
    ],
};
