//! How do pictures and links stand in a cell?
//!
//! One a line, in parts between `|`: of a picture its address and what it shows, of a
//! link its title and address, then the text and the picture of a card. Parts are told
//! apart by what they are, so their order is the author's affair. JSON is read too, and
//! is written where a line would be read as something else.

use super::cells::shortened;
use crate::error::{Error, Result};
use crate::kb::shown::{Image, Link, is_address};

/// What a line says: addresses and words, each in their order.
fn parts(line: &str) -> (Vec<&str>, Vec<&str>) {
    let split: Vec<&str> = if line.contains(['|', '｜', '\t']) {
        line.split(['|', '｜', '\t']).map(str::trim).collect()
    } else {
        // Without marks the address is what begins like one, up to a blank.
        match ["https://", "http://"].iter().filter_map(|scheme| line.find(scheme)).min() {
            Some(from) => {
                let end = line[from..].find(char::is_whitespace).map_or(line.len(), |length| from + length);
                let words = line[..from].trim().trim_end_matches(['：', ':']).trim();
                vec![words, &line[from..end], line[end..].trim()]
            }
            None => vec![line],
        }
    };
    split.into_iter().filter(|part| !part.is_empty()).partition(|part| is_address(part))
}

fn wrong(line: &str, form: &str) -> String {
    format!("“{}”应写成“{form}”，每行一个，网址以 https:// 或 http:// 开头", shortened(line))
}

fn image(line: &str) -> std::result::Result<Image, String> {
    let wrong = || wrong(line, "https://… | 图片说明");
    if line.starts_with('{') {
        return serde_json::from_str(line).map_err(|_| wrong());
    }
    match parts(line) {
        (addresses, words) if addresses.len() == 1 && words.len() <= 1 => Ok(Image {
            url: addresses[0].to_owned(),
            alt: words.first().copied().unwrap_or_default().to_owned(),
        }),
        _ => Err(wrong()),
    }
}

fn link(line: &str) -> std::result::Result<Link, String> {
    let wrong = || wrong(line, "标题 | https://…");
    if line.starts_with('{') {
        return serde_json::from_str(line).map_err(|_| wrong());
    }
    match parts(line) {
        (addresses, words) if (1..=2).contains(&addresses.len()) && words.len() <= 2 => {
            let part = |list: &[&str], at: usize| list.get(at).copied().unwrap_or_default().to_owned();
            Ok(Link {
                // An address alone is its own title.
                title: words.first().unwrap_or(&addresses[0]).to_string(),
                url: part(&addresses, 0),
                text: part(&words, 1),
                image: part(&addresses, 1),
            })
        }
        _ => Err(wrong()),
    }
}

fn all<T: serde::de::DeserializeOwned>(
    cell: &str,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> std::result::Result<Vec<T>, String> {
    if let Some(list) = Some(cell.trim()).filter(|cell| cell.starts_with('['))
        && let Ok(list) = serde_json::from_str(list)
    {
        return Ok(list);
    }
    cell.lines().map(str::trim).filter(|line| !line.is_empty()).map(read).collect()
}

/// The pictures of a cell.
///
/// # Errors
/// Which line is wrong, and how it is written, in Chinese.
pub fn images(cell: &str) -> std::result::Result<Vec<Image>, String> {
    all(cell, image)
}

/// The links of a cell.
///
/// # Errors
/// Which line is wrong, and how it is written, in Chinese.
pub fn links(cell: &str) -> std::result::Result<Vec<Link>, String> {
    all(cell, link)
}

fn written<T: serde::Serialize + PartialEq>(
    items: &[T],
    plain: impl Fn(&T) -> String,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<String> {
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        let line = plain(item);
        let lossless = !line.contains(char::is_control) && read(&line).as_ref() == Ok(item);
        lines.push(if lossless {
            line
        } else {
            serde_json::to_string(item).map_err(|e| Error::internal("export", e))?
        });
    }
    Ok(lines.join("\n"))
}

/// The cell that holds pictures.
///
/// # Errors
/// [`Error::Internal`] when one has no JSON form.
pub fn images_cell(images: &[Image]) -> Result<String> {
    let plain = |image: &Image| match image.alt.as_str() {
        "" => image.url.clone(),
        alt => format!("{} | {alt}", image.url),
    };
    written(images, plain, image)
}

/// The cell that holds links.
///
/// # Errors
/// [`Error::Internal`] when one has no JSON form.
pub fn links_cell(links: &[Link]) -> Result<String> {
    let plain = |link: &Link| {
        let parts = [&link.title, &link.url, &link.text, &link.image];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(" | ")
    };
    written(links, plain, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_authors_write_them() {
        let read = images(
            "https://a.example/x.png | 退货入口\nhttps://a.example/y.png\n截图：https://a.example/z.png",
        );
        let read = read.expect("sound");
        assert_eq!(read.iter().map(|image| image.alt.as_str()).collect::<Vec<_>>(), ["退货入口", "", "截图"]);
        let read = links(
            "退货入口 https://a.example/r\nhttps://a.example/s\n申请 | https://a.example/t | 七天内 | https://a.example/t.png",
        );
        let read = read.expect("sound");
        assert_eq!((read[0].title.as_str(), read[0].url.as_str()), ("退货入口", "https://a.example/r"));
        assert_eq!(read[1].title, read[1].url);
        assert_eq!((read[2].text.as_str(), read[2].image.as_str()), ("七天内", "https://a.example/t.png"));
        for wrong in ["没有网址", "javascript:alert(1)", "甲 | 乙 | 丙 | https://a.example/"] {
            assert!(links(wrong).is_err() && images(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let address = || "https://a.example/x".to_owned();
        let (plain, strange) = ("退货 入口", "https://b.example/ 甲|乙");
        for title in [plain, strange, "{", "[甲]"] {
            for text in ["", "七天内", strange] {
                for image in [String::new(), address()] {
                    let all =
                        vec![
                            Link { title: title.to_owned(), url: address(), text: text.to_owned(), image };
                            2
                        ];
                    let cell = links_cell(&all).expect("written");
                    assert_eq!(links(&cell).as_ref(), Ok(&all), "{cell}");
                }
            }
            let all = vec![Image { url: address(), alt: title.to_owned() }; 2];
            let cell = images_cell(&all).expect("written");
            assert_eq!(images(&cell).as_ref(), Ok(&all), "{cell}");
        }
    }
}
