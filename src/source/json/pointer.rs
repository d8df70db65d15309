//! Places in a document, by RFC 6901.

/// Most characters that are told of a name: it comes from the document, and may be anything.
const NAME_MAX: usize = 64;

/// RFC 6901 §3.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The same, for people: of a long name the beginning.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => escaped(&name[..end]) + "…",
        None => escaped(name),
    }
}
