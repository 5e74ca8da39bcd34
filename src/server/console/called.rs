//! How are the people of a house called on its pages?
//!
//! By the name that others call them, and by what they sign in with where they have none:
//! a key, a program, somebody who is gone. Two of one name are told apart by both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::inside::Inside;

/// What people are called, by what they sign in with.
#[derive(Default)]
pub(super) struct Called(BTreeMap<String, Name>);

struct Name {
    name: String,
    /// Whether somebody else is called the same, or signs in with it.
    is_shared: bool,
}

#[derive(Deserialize)]
struct Colleagues {
    items: Vec<Colleague>,
}

#[derive(Deserialize)]
struct Colleague {
    name: String,
    display_name: String,
}

impl Called {
    /// As the API tells it; a page is shown without names rather than not at all.
    pub(super) async fn of(inside: &Inside) -> Self {
        let told = inside.get("/v1/me/colleagues").read::<Colleagues>().await;
        Self::among(told.map(|all| all.items).unwrap_or_default())
    }

    fn among(all: Vec<Colleague>) -> Self {
        let known: Vec<(String, String)> =
            all.into_iter().map(|one| (one.name, one.display_name.trim().to_owned())).collect();
        let named = known.iter().filter(|(login, name)| !name.is_empty() && login != name);
        let names = named.map(|(login, name)| {
            let is_shared =
                known.iter().any(|(other, theirs)| other != login && (theirs == name || other == name));
            (login.clone(), Name { name: name.clone(), is_shared })
        });
        Self(names.collect())
    }

    /// What somebody is called; both names where one does not say who it is.
    pub(super) fn name<'a>(&'a self, login: &'a str) -> Cow<'a, str> {
        match self.0.get(login) {
            Some(Name { is_shared: false, name }) => Cow::Borrowed(name),
            Some(_) => Cow::Owned(self.both(login)),
            None => Cow::Borrowed(login),
        }
    }

    /// What somebody signs in with whom a form names so, by one of the names that pages have;
    /// what is nobody's, or may be several people's, stays as it is.
    pub(super) fn login<'a>(&'a self, typed: &'a str) -> &'a str {
        let is_meant =
            |login: &str, one: &Name| (one.name == typed && !one.is_shared) || self.both(login) == typed;
        let found = self.0.iter().find(|(login, one)| is_meant(login, one));
        found.map_or(typed, |(login, _)| login)
    }

    /// Both names, where somebody is to be chosen or looked for.
    pub(super) fn both(&self, login: &str) -> String {
        match self.0.get(login) {
            Some(Name { name, .. }) => format!("{name}（{login}）"),
            None => login.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_name_are_told_apart() {
        let one = |name: &str, display_name: &str| Colleague {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
        };
        let called = Called::among(vec![
            one("wang", "王芳"),
            one("li", "李娜"),
            one("li2", "李娜"),
            one("zhao", " "),
            one("admin", "zhao"),
            one("liu", "liu"),
        ]);
        assert_eq!(called.name("wang"), "王芳");
        assert_eq!(called.both("wang"), "王芳（wang）");
        assert_eq!((called.name("li"), called.name("li2")), ("李娜（li）".into(), "李娜（li2）".into()));
        for (typed, login) in
            [("王芳", "wang"), ("wang", "wang"), ("李娜", "李娜"), ("李娜（li2）", "li2"), ("小明", "小明")]
        {
            assert_eq!(called.login(typed), login);
        }
        // Who has no other name, or is nobody who signs in here.
        assert_eq!((called.name("zhao"), called.name("liu")), ("zhao".into(), "liu".into()));
        assert_eq!(
            (called.name("desk-key"), called.both("desk-key")),
            ("desk-key".into(), "desk-key".to_owned())
        );
        // Who is called as a colleague signs in.
        assert_eq!(called.name("admin"), "zhao（admin）");
    }
}
