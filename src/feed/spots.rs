//! Single values of a page, found without keeping the rest of it.

use crate::config::Spot;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What stands at a spot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    #[default]
    Missing,
    Null,
    Text(String),
    Number(u64),
    /// An object, a list, a flag, a number that counts nothing.
    Other,
}

/// What stands at each of the spots of a page.
///
/// # Errors
/// When the page is no JSON. Where the strict reader has passed it before, it is.
pub(super) fn find(page: &[u8], spots: &[&Spot]) -> Result<Vec<Found>, serde_json::Error> {
    let mut found = vec![Found::Missing; spots.len()];
    let wanted = spots.iter().map(|spot| spot.names()).enumerate().collect();
    let mut reader = serde_json::Deserializer::from_slice(page);
    Seek { wanted, found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// The rest of the way to each wanted value; where nothing is left, it is here.
struct Seek<'a, 'b> {
    wanted: Vec<(usize, &'a [String])>,
    found: &'b mut [Found],
}

impl Seek<'_, '_> {
    fn here(self, what: &Found) {
        for (number, _) in self.wanted.iter().filter(|(_, way)| way.is_empty()) {
            self.found[*number] = what.clone();
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a> Visitor<'de> for Seek<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.here(&Found::Null);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.here(&Found::Other);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.here(&Found::Number(number));
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.here(&Found::Other);
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.here(&Found::Other);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.here(&Found::Text(text.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.here(&Found::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let below = |(number, way): &(usize, &'a [String])| {
                way.split_first().filter(|(first, _)| **first == name).map(|(_, way)| (*number, way))
            };
            let wanted: Vec<_> = self.wanted.iter().filter_map(below).collect();
            if wanted.is_empty() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            members.next_value_seed(Seek { wanted, found: &mut *self.found })?;
        }
        self.here(&Found::Other);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spot_is_found_wherever_it_stands_and_whatever_is_there() {
        let page = br#"{"data":[{"next":"no"}],"meta":{"next":"/2","total":7,"no":{"next":1}},
                        "none":null,"list":[1],"flag":false,"half":0.5}"#;
        let texts = ["meta.next", "meta.total", "none", "list", "flag", "half", "data.next", "x.y"];
        let spots: Vec<Spot> =
            texts.iter().map(|text| Spot::parse(&format!("$.{text}")).unwrap()).collect();
        let found = find(page, &spots.iter().collect::<Vec<_>>()).unwrap();
        let expected = [
            Found::Text("/2".to_owned()),
            Found::Number(7),
            Found::Null,
            Found::Other,
            Found::Other,
            Found::Other,
            Found::Missing,
            Found::Missing,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_page_that_is_a_list_has_no_members() {
        let spot = Spot::parse("$.next").unwrap();
        assert_eq!(find(b"[{\"next\":\"x\"}]", &[&spot]).unwrap(), [Found::Missing]);
        assert!(find(b"[", &[&spot]).is_err());
    }
}
