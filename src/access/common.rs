//! Which passwords are tried first?
//!
//! Lists of leaked passwords are made of few things: words that everybody takes,
//! one after the other, with digits around them; rows of keys; repetitions. A
//! rule finds them all, also those that no list has yet.

/// What everybody takes: written for this purpose, in the spelling that is left
/// when signs in the place of letters are read as letters.
const WORDS: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "passw",
    "pass",
    "word",
    "pwd",
    "secret",
    "login",
    "logon",
    "welcome",
    "letmein",
    "let",
    "me",
    "in",
    "changeme",
    "change",
    "default",
    "test",
    "testing",
    "temp",
    "demo",
    "guest",
    "user",
    "admin",
    "administrator",
    "root",
    "super",
    "superuser",
    "system",
    "server",
    "service",
    "support",
    "office",
    "company",
    "database",
    "oracle",
    "mysql",
    "linux",
    "windows",
    "hello",
    "world",
    "helloworld",
    "love",
    "iloveyou",
    "lover",
    "i",
    "you",
    "my",
    "forever",
    "baby",
    "angel",
    "sunshine",
    "princess",
    "monkey",
    "dragon",
    "tiger",
    "master",
    "shadow",
    "superman",
    "batman",
    "pokemon",
    "football",
    "baseball",
    "soccer",
    "basketball",
    "michael",
    "jordan",
    "charlie",
    "daniel",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "october",
    "monday",
    "friday",
    "internet",
    "computer",
    "samsung",
    "iphone",
    "apple",
    "google",
    "facebook",
    "china",
    "beijing",
    "shanghai",
    "woaini",
    "woaiwo",
    "wo",
    "ai",
    "ni",
    "aini",
    "woshi",
    "nihao",
    "mima",
    "denglu",
    "guanli",
    "guanliyuan",
    "yonghu",
    "kefu",
    "gongsi",
    "xitong",
    "zhongguo",
    "baobao",
    "laopo",
    "laogong",
    "mama",
    "baba",
    "huawei",
    "xiaomi",
    "taobao",
    "tianmao",
    "jingdong",
    "alibaba",
    "alipay",
    "baidu",
    "tencent",
    "wechat",
    "weixin",
    "qq",
    "dingding",
    "dingtalk",
    "feishu",
    "zhida",
    "qwe",
    "asd",
    "zxc",
    "qaz",
    "wsx",
    "edc",
    "abc",
    "xyz",
    "aa",
    "密码",
    "我的",
    "管理员",
    "我爱你",
    "登录",
    "用户",
    "客服",
    "你好",
];

/// Keys beside each other, and what is counted or recited.
const ROWS: &[&str] = &[
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!@#$%^&*()_+",
    "一二三四五六七八九十",
];

/// The fewest different characters of a password that is none of these.
const DIFFERENT: usize = 5;

/// Whether a text in small letters is among what is tried first.
pub(super) fn is_common(lower: &str) -> bool {
    let chars: Vec<char> = lower.chars().filter(|c| !c.is_whitespace()).collect();
    let mut different = chars.clone();
    different.sort_unstable();
    different.dedup();
    different.len() < DIFFERENT || repeats(&chars) || walks(&chars) || is_made_of_words(&chars)
}

/// Whether it is the same again and again.
fn repeats(chars: &[char]) -> bool {
    (1..=chars.len() / 2).any(|unit| chars.iter().zip(&chars[unit..]).all(|(a, b)| a == b))
}

/// Whether most of it walks along the keyboard.
fn walks(chars: &[char]) -> bool {
    let neighbours = |a: char, b: char| {
        a == b
            || ROWS.iter().any(|row| {
                let (mut last, mut found) = ('\0', false);
                for key in row.chars() {
                    found |= (last, key) == (a, b) || (key, last) == (a, b);
                    last = key;
                }
                found
            })
    };
    let steps = chars.windows(2).filter(|pair| neighbours(pair[0], pair[1])).count();
    // Two walks with a jump between them, and a sign at the end.
    steps * 10 >= chars.len().saturating_sub(1) * 7
}

/// Whether nothing but words is left when digits and signs around them are taken away.
fn is_made_of_words(chars: &[char]) -> bool {
    let is_letter = |c: &char| c.is_alphabetic();
    let Some(first) = chars.iter().position(is_letter) else {
        // Digits only: dates and telephone numbers.
        return chars.iter().all(char::is_ascii_digit);
    };
    let last = chars.iter().rposition(is_letter).unwrap_or(first);
    let kernel = &chars[first..=last];
    let letters: String = kernel.iter().copied().filter(is_letter).collect();
    let read: String = kernel.iter().map(|c| as_letter(*c)).filter(|c| c.is_alphabetic()).collect();
    splits(&letters) || splits(&read)
}

/// The letter that a sign is written for.
fn as_letter(sign: char) -> char {
    match sign {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// Whether a text is one word after the other.
fn splits(text: &str) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for at in 0..text.len() {
        if !reached[at] {
            continue;
        }
        for word in WORDS.iter().filter(|word| text[at..].starts_with(**word)) {
            reached[at + word.len()] = true;
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_found_and_sentences_are_not() {
        for common in [
            "aaaaaaaaaaaa",
            "121212121212",
            "123456789012",
            "abcdefghijkl",
            "qwertyuiop12",
            "1qaz2wsx3edc",
            "1qaz@wsx#edc",
            "p@ssw0rd2024!",
            "password1234",
            "admin12345678",
            "iloveyou1314520",
            "woaini1314520",
            "woaini woaini",
            "welcome2zhida!",
            "abcabcabcabc",
            "correcthorsecorrecthorse",
            "19900101199001",
            "13800138000139",
            "我的密码我的密码12",
            "管理员密码2024",
        ] {
            assert!(is_common(common), "{common}");
        }
        for fine in [
            "correct horse battery",
            "我家门前有两棵枣树都很高",
            "tq7-mond-89-kaffee",
            "blue teapot on the shelf",
            "k3v9x2m8q4z7w1",
            "the password of my aunt's cat",
        ] {
            assert!(!is_common(fine), "{fine}");
        }
    }
}
