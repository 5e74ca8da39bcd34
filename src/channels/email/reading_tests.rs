//! Mails of many programs, written for this.

use super::*;

const OWN: [&str; 1] = ["kefu@shop.example"];

fn mail(headers: &str, body: &str) -> Vec<u8> {
    format!("From: Zhang <Zhang.San@mail.example>\r\nTo: kefu@shop.example\r\nMessage-ID: <m1@mail.example>\r\n{headers}\r\n\r\n{body}").into_bytes()
}

fn plain(headers: &str, body: &str) -> Letter {
    let headers = format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n{headers}");
    read(&mail(headers.trim_end(), body), &OWN).expect("a letter")
}

#[test]
fn a_letter_has_a_sender_a_subject_and_words() {
    let letter = plain(
        "Date: Mon, 2 Mar 2026 10:00:00 +0800\r\nIn-Reply-To: <b@x>\r\nReferences: <a@x> <b@x>",
        "怎么退货？\r\n",
    );
    assert_eq!((letter.from.as_str(), letter.name.as_deref()), ("zhang.san@mail.example", Some("Zhang")));
    assert_eq!((letter.text.as_str(), letter.message_id.as_deref()), ("怎么退货？", Some("m1@mail.example")));
    assert_eq!(letter.references, ["a@x", "b@x", "b@x"]);
    assert_eq!(letter.at, Some(1_772_416_800_000));
    assert_eq!(letter.id, plain("X-Other: 1", "另一个正文").id, "the same Message-ID is the same mail");
}

#[test]
fn every_encoding_is_read() {
    for (charset, encoding) in [
        ("gb18030", encoding_rs::GB18030),
        ("gb2312", encoding_rs::GBK),
        ("gbk", encoding_rs::GBK),
        ("utf-8", encoding_rs::UTF_8),
    ] {
        let mut bytes = mail(
            &format!(
                "Subject: x\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit"
            ),
            "",
        );
        bytes.extend_from_slice(&encoding.encode("怎么开电子发票").0);
        assert_eq!(read(&bytes, &OWN).expect("a letter").text, "怎么开电子发票", "{charset}");
    }
    let mut bytes = mail("Subject: x\r\nContent-Type: text/plain; charset=big5", "");
    bytes.extend_from_slice(&encoding_rs::BIG5.encode("如何退貨").0);
    assert_eq!(read(&bytes, &OWN).expect("a letter").text, "如何退貨");
    let mut bytes = mail("Subject: x\r\nContent-Type: text/plain; charset=iso-2022-jp", "");
    bytes.extend_from_slice(&encoding_rs::ISO_2022_JP.encode("返品方法").0);
    assert_eq!(read(&bytes, &OWN).expect("a letter").text, "返品方法");
    let quoted = "Subject: =?GB2312?B?1MvP1LfR?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable";
    let letter = read(&mail(quoted, "=E6=80=8E=E4=B9=88=\r\n=E9=80=80=E8=B4=A7"), &OWN).expect("a letter");
    assert_eq!(letter.text, "怎么退货");
    let base = "Subject: =?utf-8?Q?=E9=80=80=E8=B4=A7?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64";
    let letter = read(&mail(base, "5oCO5LmI6YCA6LSn"), &OWN).expect("a letter");
    assert_eq!((letter.subject.as_str(), letter.text.as_str()), ("退货", "怎么退货"));
}

#[test]
fn html_is_read_without_what_it_quotes() {
    for (html, text) in [
        ("<p>怎么退货</p>", "怎么退货"),
        ("<div>怎么退货</div><blockquote>您好</blockquote>", "怎么退货"),
        ("<div>怎么退货</div><div class=\"gmail_quote\">On Monday…</div>", "怎么退货"),
        ("<div>怎么退货</div><div id=\"divRplyFwdMsg\">发件人</div>", "怎么退货"),
        ("<style>p{}</style><script>alert(1)</script><p>怎么<b>退</b>货</p>", "怎么退货"),
        ("<blockquote>只有引用</blockquote>", "只有引用"),
    ] {
        let bytes = mail("Subject: x\r\nContent-Type: text/html; charset=utf-8", html);
        assert_eq!(read(&bytes, &OWN).expect("a letter").text, text, "{html}");
    }
}

#[test]
fn of_two_forms_the_plain_one_counts_and_attachments_are_named() {
    let body = "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n屏幕坏了\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--c--\r\n--b\r\nContent-Type: image/png; name=\"a.png\"\r\nContent-Disposition: attachment; filename*=utf-8''%E5%9B%BE.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";
    let letter = read(
        &mail("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b", body),
        &OWN,
    )
    .expect("a letter");
    assert_eq!(
        (letter.text.as_str(), letter.attachments.as_slice()),
        ("屏幕坏了", &["图.png".to_owned()][..])
    );
}

#[test]
fn a_subject_is_the_question_where_the_text_says_nothing() {
    let ask = |subject: &str, body: &str| {
        let headers = format!("Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8");
        read(&mail(&headers, body), &OWN).expect("a letter").question()
    };
    assert_eq!(ask("怎么退货", "您好！\r\n如题，\r\n谢谢"), "怎么退货");
    assert_eq!(ask("怎么退货", ""), "怎么退货");
    assert_eq!(ask("How to return", "Hello,\r\nThanks!"), "how to return");
    assert_eq!(ask("咨询", "运费多少"), "运费多少");
    assert_eq!(ask("Re: 咨询", "1"), "1");
}

#[test]
fn subjects_lose_what_programs_put_before_them() {
    for (subject, bare) in [
        ("Re: 退货", "退货"),
        ("RE: Re：回复: 退货", "退货"),
        ("转发：Fw: 退货", "退货"),
        ("答复: [外部] 退货", "[外部] 退货"),
        ("Re[2]: Invoice", "invoice"),
        ("问题：怎么退", "问题：怎么退"),
        ("", ""),
    ] {
        assert_eq!(bare_subject(subject), bare, "{subject}");
    }
}

#[test]
fn machines_lists_and_bounces_are_never_answered() {
    for (headers, why) in [
        ("Auto-Submitted: auto-replied", Unanswered::Automatic),
        ("Auto-Submitted: auto-generated; type=x", Unanswered::Automatic),
        ("X-Auto-Response-Suppress: All", Unanswered::Automatic),
        ("X-Auto-Response-Suppress: OOF, AutoReply", Unanswered::Automatic),
        ("X-Autoreply: yes", Unanswered::Automatic),
        ("Precedence: bulk", Unanswered::List),
        ("Precedence: list", Unanswered::List),
        ("precedence: Junk", Unanswered::List),
        ("List-Id: <all.shop.example>", Unanswered::List),
        ("List-Unsubscribe: <mailto:x@y>", Unanswered::List),
        ("Return-Path: <>", Unanswered::Bounce),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=b", Unanswered::Bounce),
        ("Subject: 自动回复：我在休假", Unanswered::Automatic),
        ("Subject: Re: 自动回复: 退货", Unanswered::Automatic),
        ("Subject: [Auto-Reply] away", Unanswered::Automatic),
        ("Subject: Out of office until Monday", Unanswered::Automatic),
        ("Subject: [自動回覆] 您好", Unanswered::Automatic),
        ("Subject: Automatic reply: hello", Unanswered::Automatic),
        ("Subject: Out of Office", Unanswered::Automatic),
        ("Subject: Undelivered Mail Returned to Sender", Unanswered::Automatic),
    ] {
        assert_eq!(read(&mail(headers, "hello"), &OWN), Err(why), "{headers}");
    }
    assert!(read(&mail("Auto-Submitted: no", "hello"), &OWN).is_ok());
    for (from, why) in [
        ("MAILER-DAEMON@mail.example", Unanswered::Bounce),
        ("postmaster@mail.example", Unanswered::Bounce),
        ("no-reply@mail.example", Unanswered::Automatic),
        ("noreply+1@mail.example", Unanswered::Automatic),
        ("do_not_reply@mail.example", Unanswered::Automatic),
        ("account-noreply@mail.example", Unanswered::Automatic),
        ("KEFU@shop.example", Unanswered::Own),
        ("undisclosed", Unanswered::Nobody),
    ] {
        let bytes = format!("From: <{from}>\r\nSubject: x\r\n\r\nhello");
        assert_eq!(read(bytes.as_bytes(), &OWN), Err(why), "{from}");
    }
    assert_eq!(read(b"Subject: x\r\n\r\nhello", &OWN), Err(Unanswered::Nobody));
    assert_eq!(read(&mail("X-A: b", ""), &OWN), Err(Unanswered::Empty));
    assert!(read(b"", &OWN).is_err());
}

#[test]
fn a_part_of_nothing_but_a_soft_break_ends_no_mailbox() {
    let mail = "From: a@home.example\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\
        Content-Transfer-Encoding: quoted-printable\n\n=\n--b--\n";
    // Which of them it is depends on whether sums are checked.
    let told = read(mail.as_bytes(), &[]);
    assert!(matches!(told, Ok(_) | Err(Unanswered::Unreadable | Unanswered::Empty)), "{told:?}");
}
