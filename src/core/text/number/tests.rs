//! What is one number, and what is another one?

use super::*;

fn same(all: &[&str]) {
    let first = canonical(all[0]);
    for text in all {
        assert_eq!(canonical(text), first, "{text} and {}", all[0]);
        assert_eq!(canonical(&first), first, "twice: {text}");
    }
}

fn apart(all: &[&str]) {
    for (at, a) in all.iter().enumerate() {
        for b in &all[at + 1..] {
            assert_ne!(canonical(a), canonical(b), "{a} and {b}");
        }
    }
}

#[test]
fn equal_amounts_have_one_writing() {
    same(&[
        "7天内可以退货吗",
        "七天内可以退货吗",
        "一周内可以退货吗",
        "7天以内可以退货吗",
        "七日之内可以退货吗",
        "7day内可以退货吗",
        "1个星期内可以退货吗",
    ]);
    same(&["两千五的手机", "2500的手机", "两千五百的手机", "2千5的手机"]);
    same(&["存20万", "存二十万", "存20w", "存200000", "存贰拾万"]);
    same(&["半年没用", "6个月没用", "六个月没用"]);
    same(&["一个半小时", "90分钟", "1.5小时", "1个半钟头", "1小时30分钟", "一小时三十分钟"]);
    same(&["一年", "12个月", "1年"]);
    same(&["24小时", "1天", "一天", "24h"]);
    same(&["百分之三", "3%", "3个点"]);
    same(&["千分之五", "5‰", "0.5%"]);
    same(&["百分之三点五", "3.5%"]);
    same(&["2024年的账单", "24年的账单", "二〇二四年的账单", "二零二四年的账单", "二四年的账单"]);
    same(&["首次开卡", "第一次开卡", "第1次开卡"]);
    same(&["十七八万", "17、8万", "17-18万", "17到18万", "十七、八万", "170000-180000"]);
    same(&["3-5天", "3至5天", "3到5天", "三到五天", "三五天", "3天到5天"]);
    same(&["九五五六六", "95566"]);
    same(&["千兆宽带", "1000兆宽带", "1g宽带", "1000m宽带"]);
    same(&["满三百减五十的券", "满300减50的券", "满300-50的券"]);
    same(&["9点到18点", "9:00-18:00", "9点-18点"]);
    same(&["18岁以上", "≥18岁", "不低于18岁", "18岁及以上"]);
    same(&["¥1299.50", "1299.5元"]);
    same(&["-10到5度", "零下10到5度"]);
    same(&["-10到-5度", "零下10度到零下5度", "零下10到零下5度"]);
    same(&["零下5度", "-5°c", "负五度"]);
    same(&["不满18岁", "未满18岁", "<18岁", "小于十八岁"]);
    same(&["超过7天", ">7天", "超过一周"]);
    same(&["256gb版", "256g版"]);
    same(&["两个月", "2个月", "俩月"]);
    same(&["5元", "五块钱", "5块"]);
    same(&["1件", "一件"]);
    same(&["第8天", "第八天"]);
    same(&["5月1号", "五月一日", "5月1日"]);
    same(&["一百八的套餐", "180的套餐", "一百八十的套餐"]);
    same(&["三个工作日", "3个工作日"]);
    same(&["85折", "八五折", "8.5折"]);
    same(&["1.8米的床", "1米8的床"]);
    same(&["2024.5.1发货", "2024-05-01发货", "2024年5月1日发货", "二〇二四年五月一号发货"]);
    same(&["百分之百正品", "100%正品"]);
    same(&["三成首付", "30%首付"]);
    same(&["1kg", "2斤", "一公斤"]);
    same(&["两年半", "30个月", "2.5年"]);
}

#[test]
fn different_amounts_have_not() {
    apart(&["7天", "70天", "8天", "第7天", "7天内", "7天外", "7天后", "超过7天", "不到7天"]);
    apart(&["5度", "-5度"]);
    apart(&["-10到5度", "10-5度", "10到5度", "-10到-5度"]);
    apart(&["三百五一张", "3501张"]);
    apart(&["3-5天", "35天", "3天", "5天"]);
    apart(&["第1、2期", "第12期"]);
    apart(&["<18岁", ">18岁", "18岁", "≥18岁", "≤18岁"]);
    apart(&["5x8小时", "58小时", "5-8小时"]);
    apart(&["12:30-13:30", "12301330"]);
    apart(&["10^2", "102"]);
    apart(&["一百零八", "一百八"]);
    apart(&["2005", "两千五"]);
    apart(&["5‰", "5%"]);
    apart(&["20万", "20", "2万", "200万", "20亿"]);
    apart(&["半个月", "一个月", "一个半月", "15天"]);
    apart(&["三十几天", "30天", "37天"]);
    apart(&["3个工作日", "3天"]);
    apart(&["三个月", "三月"]);
    apart(&["24年的账单", "23年的账单", "24小时的账单"]);
    apart(&["95566-1", "95566", "955661"]);
    apart(&["1.5小时", "15小时"]);
}

#[test]
fn words_that_are_no_amounts_stay() {
    for text in [
        "可以一起拼单吗",
        "和图片不一样",
        "万一丢了怎么办",
        "百度网盘会员",
        "千万别发货",
        "三星手机",
        "五一放假吗",
        "便宜一点",
        "周三能到吗",
        "星期五上班吗",
        "半天没人理",
        "半价怎么买",
        "四舍五入吗",
        "一块去逛街",
        "7天猫店",
        "iphone15",
        "几天能到",
        "二维码在哪",
        "一年级的书",
        "数据线",
        "什么时候来",
        "第三方支付",
    ] {
        let key = canonical(text);
        assert!(key == text || key == text.replace('一', "1"), "{text}: {key}");
    }
    assert_eq!(canonical("贷款20年"), "贷款240个月");
    assert_eq!(canonical("贷款25年"), "贷款300个月");
    assert_eq!(canonical("工作15年"), "工作180个月");
    assert_eq!(canonical("五百一次"), "500 1次");
    assert_eq!(canonical("20多少钱"), "20多少钱");
    assert_eq!(canonical("收不到5g信号"), "收不到5g信号");
    assert_eq!(canonical("三点五折"), "3.5折");
    assert_eq!(canonical("三点五十分"), "3:50");
    assert_eq!(canonical(""), "");
}

#[test]
fn digits_without_end_are_passed_in_time() {
    // A line of a spoilt file; looking from each of them to the end took seconds.
    for digits in ["1000", "一二", "1.5", "三百"] {
        let began = std::time::Instant::now();
        let found = super::read(&digits.repeat(50_000));
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{digits}: {:?}", began.elapsed());
        assert!(found.iter().all(|one| one.end > one.start));
    }
}
