//! What does a customer fill in when nobody is there?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `[ticket]` of a service document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TicketForm {
    /// Whether tickets are offered.
    pub enabled: bool,
    /// Stands above the form.
    pub intro: String,
    /// Is said when a ticket was made; `{number}` is its number.
    pub done: String,
    /// What is filled in, in this order.
    pub fields: Vec<Field>,
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name for programs, such as `contact`.
    pub name: String,
    /// Its name for customers.
    pub label: String,
    /// What it takes.
    #[serde(default)]
    pub kind: FieldKind,
    /// Whether it must be filled in.
    #[serde(default)]
    pub required: bool,
    /// Of a choice: what there is to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The most characters that it takes.
    #[serde(default = "short")]
    pub max_chars: usize,
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A line.
    #[default]
    Text,
    /// Several lines.
    Long,
    /// A telephone number.
    Phone,
    /// An address of electronic mail.
    Email,
    /// Any way to reach somebody: number, mail, account.
    Contact,
    /// One of `options`.
    Choice,
}

/// The most fields of a form.
const FIELDS: usize = 30;
/// The most characters of any field.
const CHARS: usize = 10_000;

fn short() -> usize {
    200
}

impl Default for TicketForm {
    fn default() -> Self {
        let field = |name: &str, label: &str, kind, required, max_chars| Field {
            name: name.to_owned(),
            label: label.to_owned(),
            kind,
            required,
            options: Vec::new(),
            max_chars,
        };
        Self {
            enabled: true,
            intro: "现在没有客服在线。请留下您的问题和联系方式，我们上班后第一时间回复您。".to_owned(),
            done: "已经为您登记，工单号 {number}。我们会尽快联系您。".to_owned(),
            fields: vec![
                field("name", "怎么称呼您", FieldKind::Text, false, 50),
                field("contact", "联系方式（手机、邮箱或微信）", FieldKind::Contact, true, 100),
                field("text", "您的问题", FieldKind::Long, true, 2_000),
            ],
        }
    }
}

impl TicketForm {
    /// What an author must mend, with the place of the field and its key.
    pub(super) fn faults(&self) -> Vec<(usize, &'static str, String)> {
        let mut faults = Vec::new();
        if self.fields.len() > FIELDS {
            faults.push((FIELDS, "name", format!("表单最多 {FIELDS} 项")));
        }
        for (at, field) in self.fields.iter().enumerate() {
            let mut fault = |key, message: &str| faults.push((at, key, message.to_owned()));
            let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if field.name.is_empty() || field.name.len() > 40 || !field.name.chars().all(sound) {
                fault("name", "程序用的名称（name）用 1 到 40 个小写字母、数字或下划线");
            }
            if self.fields[..at].iter().any(|other| other.name == field.name) {
                fault("name", "这个程序用的名称（name）前面已经有了，每一项要不同");
            }
            if field.label.trim().is_empty() {
                fault("label", "顾客看到的名称（label）是空的，顾客会看不到要填什么");
            }
            if (field.kind == FieldKind::Choice) == field.options.is_empty() {
                fault("options", "从选项里选（kind = \"choice\"）时要写选项（options），其他类型不要写");
            }
            if !(1..=CHARS).contains(&field.max_chars) {
                fault("max_chars", "最多几个字（max_chars）要在 1 到 10000 之间");
            }
        }
        faults
    }

    /// What was filled in, trimmed, in the form's order.
    ///
    /// # Errors
    /// Every field that is not right, with what the customer should do.
    pub fn take(&self, filled: &Map<String, Value>) -> Result<Map<String, Value>, Vec<(String, String)>> {
        let mut faults: Vec<(String, String)> = filled
            .keys()
            .filter(|name| !self.fields.iter().any(|field| field.name == **name))
            .map(|name| (name.clone(), "表单里没有这一项".to_owned()))
            .collect();
        let mut taken = Map::new();
        for field in &self.fields {
            match field.take(filled.get(&field.name)) {
                Ok(Some(text)) => {
                    taken.insert(field.name.clone(), Value::String(text));
                }
                Ok(None) => {}
                Err(message) => faults.push((field.name.clone(), message)),
            }
        }
        if faults.is_empty() { Ok(taken) } else { Err(faults) }
    }
}

impl Field {
    fn take(&self, value: Option<&Value>) -> Result<Option<String>, String> {
        let text = match value {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text.trim(),
            Some(_) => return Err(format!("“{}”要填文字", self.label)),
        };
        if text.is_empty() {
            return if self.required { Err(format!("请填写“{}”", self.label)) } else { Ok(None) };
        }
        let chars = text.chars().count();
        if chars > self.max_chars {
            return Err(format!("“{}”有 {chars} 个字，最多 {} 个", self.label, self.max_chars));
        }
        let digits = text.chars().filter(char::is_ascii_digit).count();
        let dials = |c: char| c.is_ascii_digit() || "+-() （）转".contains(c);
        let mail = text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
        }) && !text.contains(char::is_whitespace);
        match self.kind {
            FieldKind::Phone if digits < 5 || !text.chars().all(dials) => {
                Err(format!("“{}”要填电话号码", self.label))
            }
            FieldKind::Email if !mail => Err(format!("“{}”要填邮箱地址", self.label)),
            FieldKind::Contact if chars < 5 && !mail => Err(format!("“{}”太短，联系不上您", self.label)),
            FieldKind::Choice if !self.options.iter().any(|option| option == text) => {
                Err(format!("“{}”请从这些里选：{}", self.label, self.options.join("、")))
            }
            _ => Ok(Some(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_filled_in_is_checked() {
        let form = TicketForm::default();
        let taken = form.take(&filled(json!({"contact": " 13800001111 ", "text": "没收到货"}))).unwrap();
        assert_eq!(Value::Object(taken), json!({"contact": "13800001111", "text": "没收到货"}));
        let faults = form.take(&filled(json!({"contact": "12", "other": "x", "name": 7}))).unwrap_err();
        let names: Vec<&str> = faults.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["other", "name", "contact", "text"]);
    }

    #[test]
    fn kinds_take_what_they_say() {
        let field = |kind, options: &[&str]| Field {
            name: "x".to_owned(),
            label: "X".to_owned(),
            kind,
            required: true,
            options: options.iter().map(|text| (*text).to_owned()).collect(),
            max_chars: 20,
        };
        let takes = |field: &Field, text: &str| field.take(Some(&json!(text))).is_ok();
        let phone = field(FieldKind::Phone, &[]);
        assert!(takes(&phone, "+86 138-0000-1111") && !takes(&phone, "一三八"));
        let mail = field(FieldKind::Email, &[]);
        assert!(takes(&mail, "a@b.cn") && !takes(&mail, "a@b") && !takes(&mail, "a b@c.cn"));
        let choice = field(FieldKind::Choice, &["售前", "售后"]);
        assert!(takes(&choice, "售后") && !takes(&choice, "其他"));
        assert!(!takes(&choice, ""));
    }

    #[test]
    fn a_form_must_make_sense() {
        let form: TicketForm = toml::from_str(
            "[[fields]]\nname = \"手机\"\nlabel = \" \"\nkind = \"choice\"\n[[fields]]\nname = \"a\"\nlabel = \"A\"\n[[fields]]\nname = \"a\"\nlabel = \"B\"\nmax_chars = 0",
        )
        .unwrap();
        let keys: Vec<_> = form.faults().into_iter().map(|(at, key, _)| (at, key)).collect();
        assert_eq!(keys, [(0, "name"), (0, "label"), (0, "options"), (2, "name"), (2, "max_chars")]);
    }
}
