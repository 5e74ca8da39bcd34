//! Does a platform let us in, and what is wrong if it does not?

use super::speak::{fetch, plainly};
use crate::channels::{Kind, Platform, Verdict, dingtalk, wecom_kf};
use crate::desk::Desk;
use crate::desk::client::Failed;
use crate::desk::platforms::Told;

/// Whether the platform lets us in, in words.
pub(in crate::desk) fn test(desk: &Desk, platform: &Platform) -> Result<String, String> {
    let words = |failed: Failed| match failed {
        Failed::Refused(why) | Failed::Unreached(why) => why,
    };
    let settings = &platform.settings;
    let sealed = if settings.aes_key.is_some() || settings.encrypt_key.is_some() {
        "messages are taken encrypted"
    } else {
        "messages are taken in plain text; an EncodingAESKey would keep them from being forged"
    };
    if platform.kind == Kind::DingTalk {
        let replied = plainly(desk, platform, &dingtalk::test_call(settings)).map_err(words)?;
        dingtalk::admitted(replied.status, &replied.body)?;
        return Ok("DingTalk takes the AppKey and AppSecret".to_owned());
    }
    if platform.token_call().is_none() {
        return Ok(format!(
            "the settings are sound, {sealed}; without `app_secret` the robot only replies, and people cannot write of their own accord"
        ));
    }
    let (token, _) = fetch(desk, platform).map_err(|told| match told {
        Told::Done => String::new(),
        Told::Again(why, _) | Told::Never(why) => why,
    })?;
    if platform.kind == Kind::WeComKf {
        let replied = plainly(desk, platform, &wecom_kf::list_call(settings, &token)).map_err(words)?;
        match platform.verdict(replied.status, &replied.body) {
            Verdict::Done(value) => {
                let accounts = value.get("account_list").and_then(|list| list.as_array()).map_or(0, Vec::len);
                if accounts == 0 {
                    return Err("the app may use no 微信客服 account; grant it one under “可调用接口的应用”"
                        .to_owned());
                }
                return Ok(format!("WeCom gives access to {accounts} 微信客服 account(s), {sealed}"));
            }
            Verdict::TokenGone(why) | Verdict::Never(why) | Verdict::Again(why) => return Err(why),
        }
    }
    Ok(format!("{} gives an access token, {sealed}", platform.kind.name()))
}
