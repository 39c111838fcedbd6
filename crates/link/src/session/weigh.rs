//! What a message will take in memory, from its bytes, before it is decoded.
//!
//! In protobuf two bytes are enough for an element of a list, and an element is a structure of hundreds of bytes: what is
//! within the cap on the wire can be far beyond any in memory. So the elements are counted first.

use std::ops::RangeInclusive;

use prost::encoding::{WireType, decode_key, decode_varint};

use super::ProtocolError;
use crate::messages::Item;

/// At least what an element of any list inside an item takes; held to by a test.
pub(super) const ELEMENT: usize = 224;
/// Sorts of items that are decoded at all; what else comes is passed over and takes nothing.
const KNOWN: [RangeInclusive<u32>; 4] = [1..=8, 20..=20, 22..=25, 30..=31];
/// Lists that lie one level deeper: field of the item, field of what it holds, field of the list in that. Of a
/// `DeliveryReport` the objects of `HeldPrune`, and the drifted fields of an `ObjectResult`; of an `OpenStream` the positions in
/// logs and the words of a command.
const DEEPER: [(u32, u32, u32); 4] = [(3, 9, 3), (3, 7, 7), (31, 10, 11), (31, 11, 3)];

/// What the decoded [`crate::messages::Body`] takes, within the factor of two by which a list may grow ahead.
pub(super) fn decoded_size(body: &[u8]) -> Result<usize, ProtocolError> {
    let mut size = body.len();
    for_each_field(body, |field, item| {
        if field != 1 {
            return Ok(());
        }
        size += size_of::<Item>();
        for_each_field(item, |what, said| {
            if KNOWN.iter().any(|range| range.contains(&what)) {
                size += said_size(what, said)?;
            }
            Ok(())
        })
    })?;
    Ok(size)
}

fn said_size(what: u32, said: &[u8]) -> Result<usize, ProtocolError> {
    let mut size = 0;
    for_each_field(said, |field, value| {
        size += ELEMENT;
        if let Some((.., list)) = DEEPER.iter().find(|deeper| (deeper.0, deeper.1) == (what, field)) {
            for_each_field(value, |inside, _| {
                if inside == *list {
                    size += ELEMENT;
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(size)
}

/// Fields without a length have an empty value here.
fn for_each_field<'a>(
    mut rest: &'a [u8],
    mut each: impl FnMut(u32, &'a [u8]) -> Result<(), ProtocolError>,
) -> Result<(), ProtocolError> {
    let malformed = |error: prost::DecodeError| ProtocolError::Malformed(error.to_string());
    let cut_off = || ProtocolError::Malformed("a field is cut off".into());
    while !rest.is_empty() {
        let (field, wire_type) = decode_key(&mut rest).map_err(malformed)?;
        let (skip, has_value) = match wire_type {
            WireType::Varint => {
                decode_varint(&mut rest).map_err(malformed)?;
                (0, false)
            }
            WireType::SixtyFourBit => (8, false),
            WireType::ThirtyTwoBit => (4, false),
            WireType::LengthDelimited => {
                let len = decode_varint(&mut rest).map_err(malformed)?;
                (usize::try_from(len).map_err(|_| cut_off())?, true)
            }
            // Not in proto3; passing over them would need a stack.
            WireType::StartGroup | WireType::EndGroup => {
                return Err(ProtocolError::Malformed("groups are not spoken here".into()));
            }
        };
        let (value, after) = rest.split_at_checked(skip).ok_or_else(cut_off)?;
        rest = after;
        each(field, if has_value { value } else { &[] })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::messages::{
        Body, DeliveryReport, DriftedField, FileError, HeldPrune, Kind, KindDigest, LogFrom, Node,
        ObjectDigest, ObjectKey, ObjectResult, Owner, Say,
    };

    /// Whatever decodes as a known item is reckoned with, so a new sort cannot be forgotten in `KNOWN`.
    #[test]
    fn the_sorts_that_are_weighed_are_those_that_are_decoded() {
        for what in 1..=100 {
            let mut item = Vec::new();
            prost::encoding::encode_key(what, WireType::LengthDelimited, &mut item);
            item.push(0);
            let decoded = Item::decode(item.as_slice()).unwrap().say.is_some();
            let weighed = KNOWN.iter().any(|range| range.contains(&what));
            assert_eq!(decoded, weighed, "field {what} of an item");
        }
    }

    #[test]
    fn an_element_takes_no_more_than_is_reckoned() {
        for size in [
            size_of::<ObjectResult>(),
            size_of::<DriftedField>(),
            size_of::<FileError>(),
            size_of::<KindDigest>(),
            size_of::<ObjectDigest>(),
            size_of::<ObjectKey>(),
            size_of::<Kind>(),
            size_of::<Node>(),
            size_of::<Owner>(),
            size_of::<LogFrom>(),
        ] {
            assert!(size <= ELEMENT, "{size}");
        }
    }

    #[test]
    fn elements_are_counted_at_every_depth_that_has_lists() {
        let said = Say::Delivery(DeliveryReport {
            held: Some(HeldPrune {
                objects: vec![String::new(); 1000],
                ..HeldPrune::default()
            }),
            objects: vec![
                ObjectResult {
                    code: "repaired".into(),
                    drifted: vec![DriftedField::default(); 2],
                    ..ObjectResult::default()
                };
                500
            ],
            ..DeliveryReport::default()
        });
        let body = Body {
            items: vec![said.into(); 3],
        }
        .encode_to_vec();
        let elements = 3 * (1000 + 500 + 500 * 2 + 1);
        assert_eq!(
            decoded_size(&body),
            Ok(body.len() + elements * ELEMENT + 3 * size_of::<Item>())
        );
    }
}
