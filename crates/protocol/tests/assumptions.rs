//! Assumptions have ids that are found again: none twice, none left out, none named elsewhere that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn ids(text: &str, marker: &str) -> Vec<u32> {
    text.match_indices(marker)
        .filter_map(|(at, _)| {
            let digits = &text[at + marker.len()..];
            digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())]
                .parse()
                .ok()
        })
        .collect()
}

#[test]
fn ids_are_given_once_and_those_that_are_named_exist() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest");
    let register = fs::read_to_string(source.join("assume.rs")).unwrap();
    let given = ids(&register, "**REST-A");
    let distinct: BTreeSet<_> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len(), "an id is given twice: {given:?}");
    assert!(
        distinct.iter().copied().eq(1..=given.len() as u32),
        "an id is left out: {distinct:?}"
    );

    let mut named = 0;
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        for id in ids(&fs::read_to_string(&path).unwrap(), "REST-A") {
            named += 1;
            assert!(distinct.contains(&id), "{} names REST-A{id:02}", path.display());
        }
    }
    assert!(named > given.len());
}
