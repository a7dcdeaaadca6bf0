//! CC and BCC headers: more routing keys, chosen by the sender (P-11).

use leveret_protocol::field::EncodedTable;
use leveret_protocol::table::{Table, Value};

use super::ArgumentError;
use super::term::type_name;

/// The keys of CC, then those of BCC, in the headers of a message. What is no string in them is skipped.
///
/// Both headers are checked at once, CC first; the iterator cannot fail.
pub fn sender_selected_keys(headers: Table<'_>) -> Result<impl Iterator<Item = &[u8]>, ArgumentError> {
    let cc = selected(headers, "CC")?;
    let bcc = selected(headers, "BCC")?;
    let values = [cc, bcc].into_iter().flatten();
    Ok(values.flat_map(|array| array.iter()).filter_map(|value| match value {
        Value::LongString(key) => Some(key),
        _ => None,
    }))
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
