//! How is a message sealed between a platform and us?
//!
//! WeChat, WeCom and DingTalk share one way: AES-256-CBC over
//! `16 random bytes | length as u32, big-endian | message | receiver's id`, filled up to
//! a multiple of 32 bytes as PKCS#7 would for blocks of that size, and a SHA-1 over the
//! sorted parts as the signature. Feishu has ordinary PKCS#7 under the SHA-256 of a word.
//! A library's unpadding knows blocks of 16 bytes only and would refuse half of what is
//! sound, so it is stripped here, with every length looked at.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose};
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The most bytes of a sealed message that are looked at, in base64.
pub const SEALED_BYTES: usize = 512 * 1024;

/// Messages are filled up to a multiple of so many bytes.
const FILL: usize = 32;

/// Random bytes before a message.
const RANDOM: usize = 16;

/// Bytes of the length before a message.
const LENGTH: usize = 4;

/// The characters of a key as platforms show it.
const KEY_CHARS: usize = 43;

/// The last character of a key carries four bits that belong to no byte; some
/// consoles make keys in which they are not zero.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a sealed message does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It is no base64, or not of whole blocks.
    #[error("the encrypted text is not base64 of whole blocks")]
    NotSealed,
    /// What came out is no message: another key.
    #[error("it is not encrypted with this channel's key (EncodingAESKey)")]
    OtherKey,
    /// It is for somebody else.
    #[error("it is meant for another receiver ({0:?}); check the app or corp id")]
    OtherReceiver(String),
}

/// A key of 32 bytes that a platform shows as 43 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let chars = text.chars().count();
        if chars != KEY_CHARS {
            return Err(format!("has {chars} characters; an EncodingAESKey has {KEY_CHARS}"));
        }
        let bytes = LENIENT.decode(text).map_err(|_| {
            "has characters that no EncodingAESKey has; they are letters and digits".to_owned()
        })?;
        let bytes = bytes.try_into().map_err(|_| "is not 32 bytes in base64".to_owned())?;
        Ok(Self(bytes))
    }

    /// Opens a message for a receiver.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open(&self, sealed: &str, receiver: &str) -> Result<Vec<u8>, Unopened> {
        let mut bytes = blocks(sealed)?;
        let iv: [u8; 16] = first(&self.0);
        let decryptor = cbc::Decryptor::<Aes256>::new(&self.0.into(), &iv.into());
        let plain = decryptor.decrypt_padded::<NoPadding>(&mut bytes).map_err(|_| Unopened::NotSealed)?;
        let fill = usize::from(*plain.last().ok_or(Unopened::OtherKey)?);
        if fill == 0 || fill > FILL || fill > plain.len() {
            return Err(Unopened::OtherKey);
        }
        let (content, filled) = plain.split_at(plain.len() - fill);
        if filled.iter().any(|byte| usize::from(*byte) != fill) {
            return Err(Unopened::OtherKey);
        }
        let rest = content.get(RANDOM..).ok_or(Unopened::OtherKey)?;
        let (length, rest) = rest.split_at_checked(LENGTH).ok_or(Unopened::OtherKey)?;
        let length = u32::from_be_bytes(length.try_into().map_err(|_| Unopened::OtherKey)?);
        let length = usize::try_from(length).map_err(|_| Unopened::OtherKey)?;
        let (message, whose) = rest.split_at_checked(length).ok_or(Unopened::OtherKey)?;
        if !bool::from(whose.ct_eq(receiver.as_bytes())) {
            let whose: String = String::from_utf8_lossy(whose).chars().take(64).collect();
            return Err(Unopened::OtherReceiver(whose));
        }
        Ok(message.to_vec())
    }

    /// Seals a message for a receiver; `random` must be different each time.
    pub fn seal(&self, message: &[u8], receiver: &str, random: [u8; RANDOM]) -> String {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut plain = Vec::with_capacity(RANDOM + LENGTH + message.len() + receiver.len() + FILL);
        plain.extend_from_slice(&random);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(message);
        plain.extend_from_slice(receiver.as_bytes());
        let fill = FILL - plain.len() % FILL;
        plain.resize(plain.len() + fill, u8::try_from(fill).unwrap_or(u8::MAX));
        let length = plain.len();
        let iv: [u8; 16] = first(&self.0);
        let encryptor = cbc::Encryptor::<Aes256>::new(&self.0.into(), &iv.into());
        // It is filled up to whole blocks, so nothing can be missing.
        let sealed = encryptor.encrypt_padded::<NoPadding>(&mut plain, length).unwrap_or_default();
        STANDARD.encode(sealed)
    }
}

/// Opens what Feishu has sealed under a word.
///
/// # Errors
/// Why it does not open.
pub fn open_feishu(sealed: &str, word: &str) -> Result<Vec<u8>, Unopened> {
    let bytes = blocks(sealed)?;
    let key: [u8; 32] = Sha256::digest(word.as_bytes()).into();
    let (iv, rest) = bytes.split_at_checked(16).ok_or(Unopened::NotSealed)?;
    let (iv, mut rest): ([u8; 16], Vec<u8>) = (first(iv), rest.to_vec());
    let decryptor = cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into());
    let plain = decryptor.decrypt_padded::<Pkcs7>(&mut rest).map_err(|_| Unopened::OtherKey)?;
    Ok(plain.to_vec())
}

/// Seals as Feishu does: what its stand-in in tests and a check of the settings need.
pub fn seal_feishu(plain: &[u8], word: &str, iv: [u8; 16]) -> String {
    let key: [u8; 32] = Sha256::digest(word.as_bytes()).into();
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 16, 0);
    let encryptor = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
    let sealed = encryptor.encrypt_padded::<Pkcs7>(&mut buffer, plain.len()).unwrap_or_default();
    STANDARD.encode([&iv, sealed].concat())
}

/// The signature over some parts, in any order: SHA-1 of them sorted and joined, in hex.
pub fn signature(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    hex(&Sha1::digest(parts.concat().as_bytes()))
}

/// Whether a signature is the one over some parts; takes the same time for every
/// wrong one of a length.
pub fn is_signed(given: &str, parts: &[&str]) -> bool {
    same(given.to_ascii_lowercase().as_bytes(), signature(parts).as_bytes())
}

/// Whether two texts are the same; takes the same time for every other one of a length.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a sealed text, if they are whole blocks.
fn blocks(sealed: &str) -> Result<Vec<u8>, Unopened> {
    if sealed.len() > SEALED_BYTES {
        return Err(Unopened::NotSealed);
    }
    // A plus in an address that was not written as %2B arrives as a blank.
    let sealed: String = sealed.trim().chars().map(|c| if c == ' ' { '+' } else { c }).collect();
    let bytes = general_purpose::STANDARD.decode(sealed).map_err(|_| Unopened::NotSealed)?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(16) {
        return Err(Unopened::NotSealed);
    }
    Ok(bytes)
}

/// The first bytes, or zeros where there are fewer.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WeChat's, WeCom's, DingTalk's and Feishu's own examples.
    const WECHAT: &str = "wxba5fad812f8e6fb9";

    fn bytes(hex: &str) -> [u8; 16] {
        first(hex.as_bytes())
    }

    #[test]
    fn wechat_signs_its_addresses_and_messages() {
        for (stamp, nonce, expected) in [
            ("1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
            ("1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
            ("1714112445", "415670741", "6c5c811b55cc85e0e1b54100749188c20beb3f5d"),
        ] {
            assert_eq!(signature(&["AAAAA", stamp, nonce]), expected);
            assert!(is_signed(&expected.to_uppercase(), &[nonce, "AAAAA", stamp]));
            assert!(!is_signed(&expected[1..], &["AAAAA", stamp, nonce]));
        }
    }

    #[test]
    fn wechat_seals_in_safe_mode() {
        let key = Key::read(&"A".repeat(43)).expect("a key");
        let sealed = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=";
        assert!(is_signed(
            "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
            &["AAAAA", "1714112445", "415670741", sealed]
        ));
        let message = r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}"#;
        assert_eq!(message.len(), 167);
        assert_eq!(key.open(sealed, WECHAT), Ok(message.as_bytes().to_vec()));
        assert_eq!(key.seal(message.as_bytes(), WECHAT, bytes("a8eedb185eb2fecf")), sealed);

        let reply = key.seal(br#"{"demo_resp":"good luck"}"#, WECHAT, bytes("707722b803182950"));
        assert_eq!(
            reply,
            "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
        );
        assert_eq!(
            signature(&["AAAAA", "1713424427", "415670741", &reply]),
            "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"
        );
    }

    #[test]
    fn wecom_seals_its_messages_and_the_address_check() {
        let key = Key::read("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C").expect("a key");
        let corp = "wx5823bf96d3bd56c7";
        let echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==";
        assert!(is_signed(
            "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
            &["QDG6eK", "1409659589", "263014780", echo]
        ));
        assert_eq!(key.open(echo, corp), Ok(b"1616140317555161061".to_vec()));
        assert_eq!(key.open(&echo.replace('+', " "), corp), Ok(b"1616140317555161061".to_vec()));
        let sealed = "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==";
        assert!(is_signed(
            "477715d11cdb4164915debcba66cb864d751f3e6",
            &["QDG6eK", "1409659813", "1372623149", sealed]
        ));
        let opened = String::from_utf8(key.open(sealed, corp).expect("opened")).expect("text");
        for part in ["[hello]", "4561255354251345929", "<AgentID>218</AgentID>"] {
            assert!(opened.contains(part), "{opened}");
        }
        assert_eq!(key.open(sealed, "wx0"), Err(Unopened::OtherReceiver("wx5823bf96d3bd56c7".to_owned())));
    }

    #[test]
    fn dingtalk_checks_its_address() {
        let key = Key::read("Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7").expect("a key");
        let sealed = "0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3";
        assert!(is_signed(
            "03044561471240d4a14bb09372dfcfd4fd0e40cb",
            &["mryue", "1608001896814", "WL4PK6yA", sealed]
        ));
        let opened = key.open(sealed, "ding6ccabc44d2c8d38b").expect("opened");
        assert_eq!(opened, br#"{"EventType":"check_url"}"#);
    }

    #[test]
    fn feishu_seals_under_a_word() {
        let sealed = "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=";
        assert_eq!(open_feishu(sealed, "test key"), Ok(b"hello world".to_vec()));
        assert_eq!(open_feishu(sealed, "other key"), Err(Unopened::OtherKey));
        assert_eq!(open_feishu("P37w", "test key"), Err(Unopened::NotSealed));
    }

    #[test]
    fn what_is_sealed_opens_whatever_its_length() {
        let key = Key::read(&"b".repeat(43)).expect("a key");
        for length in 0..100 {
            let message = vec![b'x'; length];
            let sealed = key.seal(&message, "wx1", [length as u8; 16]);
            assert_eq!(key.open(&sealed, "wx1"), Ok(message), "{length}");
            assert!(key.open(&sealed, "wx12").is_err(), "{length}");
            assert!(Key::read(&"c".repeat(43)).expect("a key").open(&sealed, "wx1").is_err());
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let key = Key([7; 32]);
        let iv: [u8; 16] = [7; 16];
        let sealed = |plain: &[u8]| {
            let mut plain = plain.to_vec();
            let length = plain.len();
            let encryptor = cbc::Encryptor::<Aes256>::new(&key.0.into(), &iv.into());
            STANDARD.encode(encryptor.encrypt_padded::<NoPadding>(&mut plain, length).expect("whole"))
        };
        let mut long = vec![0; 16];
        long.extend_from_slice(&u32::MAX.to_be_bytes());
        long.extend_from_slice(&[12; 12]);
        for plain in [vec![0; 32], vec![33; 32], vec![32; 32], vec![16; 16], vec![1; 16], long] {
            assert_eq!(key.open(&sealed(&plain), ""), Err(Unopened::OtherKey), "{plain:?}");
        }
        for text in ["", "AAAA", "*", "AAAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(key.open(text, ""), Err(Unopened::NotSealed), "{text}");
        }
        assert_eq!(key.open(&"A".repeat(SEALED_BYTES + 4), ""), Err(Unopened::NotSealed));
    }

    #[test]
    fn keys_of_a_wrong_length_say_so() {
        assert_eq!(Key::read("abc").expect_err("short"), "has 3 characters; an EncodingAESKey has 43");
        assert!(Key::read(&"-".repeat(43)).is_err());
    }
}
