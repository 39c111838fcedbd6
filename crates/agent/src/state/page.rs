//! Reads the answer to a LIST item by item, so that a page is never in memory as a whole but as text.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PageEnd {
    pub resource_version: String,
    /// Empty at the last page.
    #[serde(rename = "continue")]
    pub next: String,
}

/// Calls `each` for every item of a list.
pub fn read_page<T: DeserializeOwned>(text: &str, each: impl FnMut(T)) -> serde_json::Result<PageEnd> {
    let mut json = serde_json::Deserializer::from_str(text);
    let end = json.deserialize_map(Page {
        each,
        item: PhantomData,
    })?;
    json.end()?;
    Ok(end)
}

struct Page<T, F> {
    each: F,
    item: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for Page<T, F> {
    type Value = PageEnd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<PageEnd, A::Error> {
        let mut end = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => end = Some(map.next_value()?),
                "items" => map.next_value_seed(Items {
                    each: &mut self.each,
                    item: PhantomData,
                })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        end.ok_or_else(|| A::Error::missing_field("metadata"))
    }
}

struct Items<'a, T, F> {
    each: &'a mut F,
    item: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> DeserializeSeed<'de> for Items<'_, T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(T)> Visitor<'de> for Items<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.each)(item);
        }
        Ok(())
    }

    /// Go writes an empty list as `null`.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn items_come_one_by_one_wherever_the_metadata_stands() {
        for text in [
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x","remainingItemCount":3},"items":[1,2]}"#,
            r#"{"items":[1,2],"metadata":{"continue":"x","resourceVersion":"7"}}"#,
        ] {
            let mut seen = Vec::new();
            let end = read_page(text, |item: Value| seen.push(item)).unwrap();
            assert_eq!((end.resource_version.as_str(), end.next.as_str()), ("7", "x"));
            assert_eq!(seen, [1, 2]);
        }
    }

    #[test]
    fn an_empty_list_may_be_null_and_a_cut_one_is_an_error() {
        let end = read_page(
            r#"{"metadata":{"resourceVersion":"7"},"items":null}"#,
            |_: Value| panic!(),
        )
        .unwrap();
        assert_eq!(end.next, "");
        assert!(read_page(r#"{"metadata":{"resourceVersion":"7"},"items":[1"#, |_: Value| ()).is_err());
        assert!(read_page(r#"{"items":[]}"#, |_: Value| ()).is_err());
    }
}
