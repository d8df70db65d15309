//! What the scanner goes by: classes of bytes, limits, and the faults that a row can have.

/// Longest cell of a column that is not declared multi-line.
pub(super) const PLAIN_FIELD_BYTES_MAX: usize = 4 << 10;
/// Most line ends within a cell of such a column.
pub(super) const PLAIN_FIELD_NEWLINES_MAX: u32 = 3;
/// Longest cell of any column.
pub(super) const FIELD_BYTES_MAX: usize = 64 << 10;
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Plain,
    NotAscii,
    Control,
    Delimiter,
    Quote,
    Cr,
    Lf,
}

/// What the scanner must know of the file.
pub(super) struct Grammar {
    classes: [Class; 256],
    /// Number of columns, once the header is read.
    pub(super) columns: Option<usize>,
    /// By column: declared multi-line.
    pub(super) multiline: Vec<bool>,
}

impl Grammar {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut classes = [Class::Plain; 256];
        classes[..32].fill(Class::Control);
        classes[0x7f] = Class::Control;
        classes[0x80..].fill(Class::NotAscii);
        // A tab in a cell is a blank like any other.
        classes[usize::from(b'\t')] = Class::Plain;
        classes[usize::from(b'\r')] = Class::Cr;
        classes[usize::from(b'\n')] = Class::Lf;
        classes[usize::from(b'"')] = Class::Quote;
        classes[usize::from(delimiter)] = Class::Delimiter;
        Self { classes, columns: None, multiline: Vec::new() }
    }

    pub(super) fn class(&self, byte: u8) -> Class {
        self.classes[usize::from(byte)]
    }

    pub(super) fn is_multiline(&self, field: usize) -> bool {
        self.multiline.get(field).copied().unwrap_or(false)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    TextAfterQuote,
    LoneQuote,
    LooksSwallowed,
    TooLongForPlain,
    TooManyNewlines,
    FieldTooLong,
    RowTooLong,
    OpenAtEnd,
    Length { cells: usize, columns: usize },
    NotUtf8,
    GaveUp,
}

/// Something about a row that makes it unreadable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// Line ends of the row before the place.
    pub(super) lines: u64,
    /// The cell's number in the row, from 0.
    pub(super) field: Option<usize>,
    /// Bytes of the row before the place, where it is exact.
    pub(super) offset: Option<usize>,
}

impl Fault {
    pub(super) fn at_field(kind: FaultKind, lines: u64, field: usize) -> Self {
        Self { kind, lines, field: Some(field), offset: None }
    }
}
