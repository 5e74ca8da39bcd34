//! Which texts were normalised a moment ago?
//!
//! On the way of one question its text is normalised at half a dozen places that know nothing
//! of each other: by the rules, by the engine, by what listens for a person, by the words in
//! which it is stored. The last few results of a thread are kept, so that all but the first
//! cost a comparison. A form is a function of the text alone, so nothing can be out of date.

use std::cell::RefCell;

use super::normalize::Form;

/// So many results are kept for each thread.
const KEPT: usize = 8;

/// Longer texts are not kept, in bytes: few are, and the memory is each thread's.
const LONGEST: usize = 1024;

#[derive(Default)]
struct Recent {
    kept: Vec<(Form, String, String)>,
    /// The place of the oldest.
    oldest: usize,
}

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
}

/// A form of a text, made unless it was made a moment ago.
pub(super) fn form_of(form: Form, text: &str, make: impl FnOnce() -> String) -> String {
    if text.len() > LONGEST {
        return make();
    }
    let kept = RECENT.with_borrow(|recent| {
        let mut kept = recent.kept.iter();
        kept.find(|(of, from, _)| *of == form && from == text).map(|(.., made)| made.clone())
    });
    kept.unwrap_or_else(|| {
        let made = make();
        RECENT.with_borrow_mut(|recent| {
            let one = (form, text.to_owned(), made.clone());
            if recent.kept.len() < KEPT {
                recent.kept.push(one);
            } else {
                recent.kept[recent.oldest] = one;
                recent.oldest = (recent.oldest + 1) % KEPT;
            }
        });
        made
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_was_made_a_moment_ago_is_not_made_again() {
        let made = Cell::new(0);
        let form = |form: Form, text: &str| {
            form_of(form, text, || {
                made.set(made.get() + 1);
                format!("{text}!")
            })
        };
        for _ in 0..3 {
            assert_eq!(form(Form::Written, "甲"), "甲!");
            assert_eq!(form(Form::Core, "甲"), "甲!");
        }
        assert_eq!(made.get(), 2);
        for number in 0..KEPT {
            form(Form::Written, &number.to_string());
        }
        form(Form::Written, "甲");
        assert_eq!(made.get(), 3 + KEPT);
        let long = "长".repeat(LONGEST);
        form(Form::Written, &long);
        form(Form::Written, &long);
        assert_eq!(made.get(), 5 + KEPT);
    }
}
