//! The list of OS versions, `mt3620an.json`: which images make which version (`image-package.md` 9.3,
//! `device-rest-api.md` 5.6). Ids compare as values, so case does not matter.

use std::collections::HashSet;

use lineside_terms::{Blame, ComponentId, Explain, ImageId};
use serde_json::Value;

use crate::assume::NEWEST_OS_STANDS_LAST;
use crate::json::parse_strict;

/// All versions in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsList {
    versions: Vec<OsVersion>,
}

/// One version and the images of which it consists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsVersion {
    /// Its name, `24.06`.
    pub name: String,
    /// Its images.
    pub images: Vec<OsImage>,
}

/// One image of an OS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OsImage {
    /// The component, `cid` in the file.
    pub component: ComponentId,
    /// The build, `iid` in the file.
    pub image: ImageId,
}

impl OsList {
    /// Reads the file. Keys may be in any case; keys that nobody described are passed over.
    ///
    /// # Errors
    /// When it is not JSON, not of the known shape, or an id is none; the error tells where.
    pub fn parse(bytes: &[u8]) -> Result<Self, OsListError> {
        let document = parse_strict(bytes).map_err(|reason| OsListError::NotJson { reason })?;
        let versions = member(&document, "versions").and_then(Value::as_array);
        let versions = versions.ok_or(OsListError::Shape {
            at: "versions".into(),
        })?;
        let versions = versions
            .iter()
            .enumerate()
            .map(|(index, version)| OsVersion::read(index, version));
        Ok(Self {
            versions: versions.collect::<Result<_, _>>()?,
        })
    }

    /// All versions in file order.
    pub fn versions(&self) -> &[OsVersion] {
        &self.versions
    }

    /// The entries of a version; a name may stand more than once.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsVersion> {
        self.versions.iter().filter(move |version| version.name == name)
    }

    /// The entries of all these versions, in file order: what a check with several accepted versions looks into.
    pub fn named_any<'a, S: AsRef<str>>(&'a self, names: &'a [S]) -> impl Iterator<Item = &'a OsVersion> {
        self.versions
            .iter()
            .filter(move |version| names.iter().any(|name| name.as_ref() == version.name))
    }

    /// The version that a device runs, by the vendor's rule: the first in file order of which *every* image is
    /// installed. An entry without images matches nothing (the vendor's own script would say that every device runs
    /// it).
    pub fn running(&self, installed: &[OsImage]) -> Option<&OsVersion> {
        let installed: HashSet<_> = installed.iter().copied().collect();
        self.versions
            .iter()
            .find(|version| version.is_installed(&installed))
    }

    /// Like [`OsList::running`], the newest that matches instead of the first.
    pub fn newest_running(&self, installed: &[OsImage]) -> Option<&OsVersion> {
        let installed: HashSet<_> = installed.iter().copied().collect();
        self.newest_first()
            .find(|version| version.is_installed(&installed))
    }

    /// The newest version that holds exactly this image of a component.
    pub fn newest_with(&self, installed: OsImage) -> Option<&OsVersion> {
        self.newest_first()
            .find(|version| version.images.contains(&installed))
    }

    /// The newest version that has this component at all, in whatever build: it tells whether something found on a
    /// device belongs to the OS.
    pub fn newest_with_component(&self, component: ComponentId) -> Option<&OsVersion> {
        self.newest_first()
            .find(|version| version.images.iter().any(|image| image.component == component))
    }

    fn newest_first(&self) -> Box<dyn Iterator<Item = &OsVersion> + '_> {
        if NEWEST_OS_STANDS_LAST {
            Box::new(self.versions.iter().rev())
        } else {
            Box::new(self.versions.iter())
        }
    }
}

impl OsVersion {
    /// The build of a component in this version.
    pub fn image_of(&self, component: ComponentId) -> Option<ImageId> {
        self.images
            .iter()
            .find(|image| image.component == component)
            .map(|image| image.image)
    }

    fn is_installed(&self, installed: &HashSet<OsImage>) -> bool {
        !self.images.is_empty() && self.images.iter().all(|image| installed.contains(image))
    }

    fn read(index: usize, value: &Value) -> Result<Self, OsListError> {
        let shape = |what: &str| OsListError::Shape {
            at: format!("versions[{index}].{what}"),
        };
        let name = member(value, "name")
            .and_then(Value::as_str)
            .ok_or_else(|| shape("name"))?;
        let images = member(value, "images")
            .and_then(Value::as_array)
            .ok_or_else(|| shape("images"))?;
        let read = |(place, image): (usize, &Value)| {
            let id = |key| member(image, key).and_then(Value::as_str);
            let component = id("cid").and_then(|text| text.parse().ok());
            let image = id("iid").and_then(|text| text.parse().ok());
            let component = component.ok_or_else(|| shape(&format!("images[{place}].cid")))?;
            Ok(OsImage {
                component,
                image: image.ok_or_else(|| shape(&format!("images[{place}].iid")))?,
            })
        };
        let images = images.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.to_owned(),
            images,
        })
    }
}

/// The member of an object by its key in any case.
fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value
        .as_object()?
        .iter()
        .find(|(found, _)| found.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

/// How an OS list fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OsListError {
    /// Not JSON.
    #[error("the list of OS versions cannot be read: {reason}")]
    NotJson {
        /// Why, with line and column where there is one.
        reason: String,
    },
    /// Something is missing or of another kind.
    #[error("`{at}` is missing or wrong in the list of OS versions")]
    Shape {
        /// Where.
        at: String,
    },
}

impl Explain for OsListError {
    fn code(&self) -> &'static str {
        "image.os-list"
    }

    fn help(&self) -> String {
        "Get the list (mt3620an.json) again from its origin: {\"versions\":[{\"name\":…,\"images\":[{\"cid\":…,\"iid\":…}]}]}."
            .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(component: u8, build: u8) -> OsImage {
        OsImage {
            component: ComponentId::from_u128(0xA0 << 120 | u128::from(component)),
            image: ImageId::from_u128(0xB0 << 120 | u128::from(build)),
        }
    }

    fn json(versions: &[(&str, &[OsImage])]) -> String {
        let versions = versions.iter().map(|(name, images)| {
            let images: Vec<_> = images
                .iter()
                .map(|i| format!("{{\"cid\":\"{}\",\"iid\":\"{}\"}}", i.component, i.image))
                .collect();
            format!("{{\"name\":\"{name}\",\"images\":[{}]}}", images.join(","))
        });
        format!("{{\"versions\":[{}]}}", versions.collect::<Vec<_>>().join(","))
    }

    fn sample() -> OsList {
        OsList::parse(
            json(&[
                ("22.11", &[image(1, 1), image(2, 1)]),
                ("none", &[]),
                ("24.03", &[image(1, 2), image(2, 1)]),
                ("24.06", &[image(1, 2)]),
            ])
            .as_bytes(),
        )
        .unwrap()
    }

    fn name(version: Option<&OsVersion>) -> Option<&str> {
        version.map(|version| version.name.as_str())
    }

    #[test]
    fn a_device_runs_the_first_version_of_which_it_has_every_pair() {
        let list = sample();
        assert_eq!(
            name(list.running(&[image(2, 1), image(1, 2), image(9, 9)])),
            Some("24.03")
        );
        assert_eq!(
            name(list.newest_running(&[image(2, 1), image(1, 2)])),
            Some("24.06")
        );
        assert_eq!(
            name(list.running(&[image(1, 1)])),
            None,
            "one pair of two is not enough"
        );
        assert_eq!(
            name(list.running(&[])),
            None,
            "an entry without images is not what an empty device runs"
        );
    }

    #[test]
    fn look_ups_go_from_the_newest() {
        let list = sample();
        assert_eq!(name(list.newest_with(image(2, 1))), Some("24.03"));
        assert_eq!(name(list.newest_with(image(1, 1))), Some("22.11"));
        assert_eq!(name(list.newest_with(image(2, 9))), None);
        assert_eq!(
            name(list.newest_with_component(image(1, 9).component)),
            Some("24.06")
        );
        assert_eq!(
            list.named("24.03")
                .next()
                .unwrap()
                .image_of(image(1, 0).component),
            Some(image(1, 2).image)
        );
        assert_eq!(list.named_any(&["24.06", "22.11", "30.01"]).count(), 2);
    }

    #[test]
    fn any_key_case_and_id_case_is_read() {
        let text = json(&[("22.11", &[image(1, 1)])]);
        let shouted = text
            .replace("versions", "VERSIONS")
            .replace("cid", "Cid")
            .replace("-", "")
            .replace("a0000", "A0000");
        assert_eq!(OsList::parse(shouted.as_bytes()), OsList::parse(text.as_bytes()));
    }

    #[test]
    fn an_error_tells_where() {
        let text = json(&[("22.11", &[image(1, 1), image(2, 2)])]);
        let bad = text.replacen(&image(2, 2).image.to_string(), "nonsense", 1);
        let error = OsList::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            OsListError::Shape {
                at: "versions[0].images[1].iid".into()
            }
        );
        assert_eq!(
            OsList::parse(b"[]").unwrap_err(),
            OsListError::Shape {
                at: "versions".into()
            }
        );
        assert!(matches!(OsList::parse(b"{"), Err(OsListError::NotJson { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = OsList::parse(&bytes);
        }
    }
}
