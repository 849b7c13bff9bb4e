//! The book: every page is in its contents, every link leads somewhere, every command in it exists.

use std::path::{Path, PathBuf};

use crate::tree;

const BOOK: &str = "docs/src";

/// Pages outside of the book.
const OTHERS: [&str; 4] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/decisions"];

fn pages() -> Vec<PathBuf> {
    let mut pages = tree::files_with(BOOK, "md");
    pages.extend(OTHERS.iter().flat_map(|place| tree::files_with(place, "md")));
    pages
}

#[test]
fn every_page_is_in_the_contents() {
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let named: Vec<PathBuf> = links(&tree::text(&summary))
        .into_iter()
        .map(|link| Path::new(BOOK).join(link))
        .collect();
    let mut wrong: Vec<String> = tree::files_with(BOOK, "md")
        .into_iter()
        .filter(|page| *page != summary && !named.contains(page))
        .map(|page| format!("{} is not in SUMMARY.md", page.display()))
        .collect();
    for page in &named {
        if !tree::root().join(page).is_file() {
            wrong.push(format!("{} is in SUMMARY.md and does not exist", page.display()));
        }
    }
    tree::none_of(&wrong, "docs/src/SUMMARY.md names every page of the book.");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for link in links(&tree::text(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            if !tree::root().join(&target).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            } else if !anchor.is_empty() && !anchors(&tree::text(&target)).iter().any(|found| found == anchor)
            {
                wrong.push(format!("{}: {link} has no such heading", page.display()));
            }
        }
    }
    tree::none_of(&wrong, "These links lead nowhere.");
}

#[test]
fn a_decision_is_in_their_list() {
    let list = tree::text("docs/decisions/README.md");
    let named = links(&list);
    let wrong: Vec<String> = tree::files_with("docs/decisions", "md")
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "README.md" && !named.contains(name))
        .collect();
    tree::none_of(&wrong, "docs/decisions/README.md lists every decision.");
}

/// Text outside of code blocks and code spans.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // Odd parts stand between back-ticks.
            for (number, part) in line.split('`').enumerate() {
                prose.push_str(if number % 2 == 0 { part } else { "code" });
            }
            prose.push('\n');
        }
    }
    prose
}

fn links(text: &str) -> Vec<String> {
    prose(text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.trim().to_owned())
        .collect()
}

/// The names that a heading can be reached by.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    text.lines()
        .filter(|line| {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            }
            !is_code && line.starts_with('#')
        })
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
                .collect()
        })
        .collect()
}

#[test]
fn links_are_found() {
    let text = "a [b](c.md#d) `[no](x)`\n```\n[no](y)\n```\n# The `e` & f\n";
    assert_eq!(links(text), ["c.md#d"]);
    assert_eq!(anchors(text), ["the-e--f"]);
}
