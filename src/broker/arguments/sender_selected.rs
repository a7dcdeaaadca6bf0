//! CC and BCC headers: more routing keys, chosen by the sender (P-11).

use leveret_protocol::field::EncodedTable;
use leveret_protocol::table::{Table, Value};

use super::ArgumentError;
use super::term::type_name;

/// The keys of CC, then those of BCC, in the headers of a message, and how many are of CC. What is no string in them is skipped.
///
/// Both headers are checked at once, CC first.
pub fn sender_selected_keys(headers: Table<'_>) -> Result<(Vec<&[u8]>, usize), ArgumentError> {
    let cc = selected(headers, "CC")?;
    let bcc = selected(headers, "BCC")?;
    let strings = |value| match value {
        Value::LongString(key) => Some(key),
        _ => None,
    };
    let mut keys: Vec<&[u8]> = cc.into_iter().flat_map(|array| array.iter()).filter_map(strings).collect();
    let of_cc = keys.len();
    keys.extend(bcc.into_iter().flat_map(|array| array.iter()).filter_map(strings));
    Ok((keys, of_cc))
}

/// The headers without BCC, sorted by name as RabbitMQ's (C-31). None if there is no BCC: they are sent on as received.
pub fn without_bcc(headers: Table<'_>) -> Option<EncodedTable> {
    headers.get("BCC")?;
    let mut headers = headers.to_owned();
    headers.remove("BCC");
    Some(EncodedTable::from(&headers.sorted_by_name()))
}

fn selected<'a>(
    headers: Table<'a>,
    header: &'static str,
) -> Result<Option<leveret_protocol::table::Array<'a>>, ArgumentError> {
    match headers.get(header) {
        None => Ok(None),
        Some(Value::Array(array)) => Ok(Some(array)),
        Some(value) => Err(ArgumentError::SenderSelectedType { header, type_name: type_name(&value.to_owned()) }),
    }
}
