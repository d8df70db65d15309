//! The kinds of finding of a read. A code never changes its meaning.

use crate::model::Code;

/// The settings of the source cannot be used.
pub const SETTINGS: Code = Code("RD-1000");
/// The file is missing, may not be read, or is not a regular file.
pub const NOT_READABLE: Code = Code("RD-1001");
/// The file was written to while it was read.
pub const CHANGED_WHILE_READ: Code = Code("RD-1002");
/// The system reported an error in the middle of the file.
pub const READ_FAILED: Code = Code("RD-1003");

/// The file is of another format: a workbook, a web page, an archive.
pub const NOT_CSV: Code = Code("RD-1010");
/// The gzip stream is cut or damaged.
pub const GZIP_BROKEN: Code = Code("RD-1011");
/// The gzip stream unpacks to more than is allowed.
pub const UNPACKS_TOO_LARGE: Code = Code("RD-1012");
/// UTF-16, and the settings do not say so.
pub const UTF_16: Code = Code("RD-1013");
/// Bytes that are not text in the encoding of the settings.
pub const BAD_ENCODING: Code = Code("RD-1014");
/// The file holds nothing.
pub const EMPTY: Code = Code("RD-1015");
/// The file holds a header and no row.
pub const NO_ROWS: Code = Code("RD-1016");
/// More rows than `max_rows`.
pub const TOO_MANY_ROWS: Code = Code("RD-1017");
/// Text that was encoded twice on its way here.
pub const DOUBLE_ENCODED: Code = Code("RD-1018");
/// The last row has no line end, so that it may be cut.
pub const NO_FINAL_NEWLINE: Code = Code("RD-1019");

/// The header line itself is damaged.
pub const HEADER_DAMAGED: Code = Code("RD-1020");
/// Two columns have one name.
pub const DUPLICATE_COLUMN: Code = Code("RD-1021");
/// A wanted column is not in the file.
pub const MISSING_COLUMN: Code = Code("RD-1022");
/// The first line is a row of data.
pub const NO_HEADER: Code = Code("RD-1023");
/// The columns are separated by something else.
pub const WRONG_DELIMITER: Code = Code("RD-1024");
/// A column that nobody asked for.
pub const UNKNOWN_COLUMN: Code = Code("RD-1025");
/// A column without a name.
pub const UNNAMED_COLUMN: Code = Code("RD-1026");

/// Too few or too many cells.
pub const ROW_LENGTH: Code = Code("RD-1030");
/// A quote is still open at the end of the file.
pub const OPEN_QUOTE: Code = Code("RD-1031");
/// A quoted cell that seems to have swallowed rows.
pub const SWALLOWED_ROWS: Code = Code("RD-1032");
/// Text between a closing quote and the delimiter.
pub const TEXT_AFTER_QUOTE: Code = Code("RD-1033");
/// A cell ends in a quote that nothing opened.
pub const LONE_QUOTE: Code = Code("RD-1034");
/// A quote inside an unquoted cell, taken as it stands.
pub const LITERAL_QUOTE: Code = Code("RD-1035");
/// A cell longer than the limit.
pub const FIELD_TOO_LONG: Code = Code("RD-1036");
/// A row longer than the limit.
pub const ROW_TOO_LONG: Code = Code("RD-1037");
/// A control character in a cell.
pub const CONTROL_CHARACTER: Code = Code("RD-1038");
/// So much is wrong that reading was given up.
pub const GAVE_UP: Code = Code("RD-1039");

/// A row without a key.
pub const EMPTY_KEY: Code = Code("RD-1040");
/// A key that can be no key: too long, or with a control character or a quote.
pub const BAD_KEY: Code = Code("RD-1041");
/// A character in the key that cannot be seen.
pub const INVISIBLE_IN_KEY: Code = Code("RD-1042");
/// A key that a spreadsheet rewrote, or that does not match `key_pattern`.
pub const KEY_DAMAGED: Code = Code("RD-1043");
/// So many of those that the file cannot be believed.
pub const MANY_KEYS_DAMAGED: Code = Code("RD-1044");
/// A key of letters of more than one script.
pub const MIXED_SCRIPT: Code = Code("RD-1045");
/// The same row more than once.
pub const REPEATED_ROW: Code = Code("RD-1046");
/// Different rows with one key.
pub const DUPLICATE_KEY: Code = Code("RD-1047");
/// So many of those that the file cannot be believed.
pub const MANY_DUPLICATES: Code = Code("RD-1048");

/// A reference to a key that no row has.
pub const UNKNOWN_REFERENCE: Code = Code("RD-1050");
/// References that lead back to where they began.
pub const REFERENCE_CYCLE: Code = Code("RD-1051");

/// Nobody has the key that was asked for.
pub const UNKNOWN_USER: Code = Code("RD-1060");

/// It is not JSON, or JSON of which readers make different things.
pub const NOT_JSON: Code = Code("RD-1070");
/// There is no list where `records` leads.
pub const NO_RECORDS: Code = Code("RD-1071");
/// An element is no object.
pub const NOT_AN_OBJECT: Code = Code("RD-1072");
/// A list or an object where a text is due, or the other way round.
pub const NOT_A_TEXT: Code = Code("RD-1073");
/// A value holds the separator by which the values of a list are joined.
pub const HOLDS_SEPARATOR: Code = Code("RD-1074");
/// Our own copy of the source cannot be written.
pub const NO_SPOOL: Code = Code("RD-1075");

/// No file in the drop folder is whole.
pub const NOT_READY: Code = Code("RD-1080");
/// The drop folder has no file, or cannot be looked through.
pub const NO_DROP: Code = Code("RD-1081");
/// The newest file is older than the one that was used last.
pub const OLDER_THAN_USED: Code = Code("RD-1082");
/// The file is not what its companion says.
pub const UNLIKE_COMPANION: Code = Code("RD-1083");
/// A file that was used could not be moved to the archive.
pub const NOT_ARCHIVED: Code = Code("RD-1084");

/// A cell is no day, or the last day is before the first.
pub const BAD_DAY: Code = Code("RD-1090");
/// Rows wait for their first day.
pub const WAITING: Code = Code("RD-1091");

/// A joined source is not complete.
pub const PARTNER_PARTIAL: Code = Code("RD-1095");
/// A joined source has rows of nobody.
pub const PARTNER_STRANGERS: Code = Code("RD-1096");
