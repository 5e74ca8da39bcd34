//! Whose account does a text speak of?
//!
//! "密码忘了怎么办" is stored by a shop for its own accounts; "QQ密码忘了怎么办" has one
//! word more and is about somebody else's. Who names the keeper of a password
//! means that one, unless the entry names it too.

use std::sync::LazyLock;

use regex::Regex;

/// Keepers of accounts that everybody has, with what they keep as group 2.
/// What any company has itself (a phone, a card, a member) is none of them.
#[expect(clippy::expect_used, reason = "a pattern of our own")]
static OWNED: LazyLock<Regex> = LazyLock::new(|| {
    const KEEPERS: &str = "qq|微信|支付宝|微博|抖音|快手|小红书|淘宝|天猫|京东|拼多多|美团|饿了么|知乎|哔哩哔哩|b站|steam|\
        邮箱|wifi|无线网|路由器|游戏|社保|公积金|医保|个税|学信网|12306";
    const KEPT: &str = "密码|账号|账户|用户名|验证码|余额|零钱|实名";
    Regex::new(&format!("({KEEPERS})(?:的|上的|里的)?(?:登录|登陆|支付|付款|解锁)?({KEPT})"))
        .expect("a pattern of our own")
});

/// Whether a question speaks of an account that another keeps than the one
/// that the phrasings of an entry speak of. Texts are given by their cores.
pub fn another_account<'a>(core: &str, phrasings: impl Iterator<Item = &'a str>) -> bool {
    let mut owned = OWNED.captures_iter(core).peekable();
    if owned.peek().is_none() {
        return false;
    }
    let phrasings: Vec<&str> = phrasings.collect();
    owned.any(|owned| {
        let speak_of = |word: &str| phrasings.iter().any(|phrasing| phrasing.contains(word));
        !speak_of(&owned[1]) && speak_of(&owned[2])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_of_an_account_is_a_part_of_the_question() {
        let own = ["密码忘了怎么办", "怎么找回登录密码"];
        let apart = |core: &str, all: &[&str]| another_account(core, all.iter().copied());
        assert!(apart("qq密码忘了怎么办", &own));
        assert!(apart("微信的支付密码忘了怎么办", &own));
        assert!(!apart("登录密码忘了怎么办", &own));
        assert!(!apart("微信密码忘了怎么办", &["密码忘了怎么办", "微信密码怎么找回"]), "the entry names it");
        assert!(!apart("用微信付款后密码忘了", &own), "paid by it, not kept by it");
        assert!(!apart("微信余额怎么查", &["支持微信支付吗", "怎么付款"]), "nothing that is kept");
    }
}
