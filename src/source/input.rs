//! From the bytes of the file to a stream of text: unpacking and decoding, both strict.
//!
//! No byte is ever replaced: what is not text in the wanted encoding ends the read. UTF-8 itself is
//! passed through and judged row by row, so that all bad rows are told and not only the first.

use super::{
    codes,
    findings::{Refused, refusal},
    sniff,
    sniff::Utf16,
    whole::{FileMark, Marker},
};
use crate::model::Finding;
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;
use std::io::{self, Cursor, ErrorKind, Read, Seek};

/// What a roster is read from, twice.
pub trait Input: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Input for T {}

/// Marks all bytes that are read through it.
pub(super) struct Hashed<R> {
    input: R,
    marker: Marker,
}

impl<R> Hashed<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, marker: Marker::default() }
    }

    pub(super) fn mark(&self) -> FileMark {
        self.marker.finish()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.marker.take(&buffer[..count]);
        Ok(count)
    }
}

/// Bytes looked at to tell what a file is.
const HEAD_BYTES: u64 = 4096;
/// Most bytes that a gzip file may unpack to.
pub(super) const UNPACKED_BYTES_MAX: u64 = 8 << 30;
/// Most unpacked bytes for each packed one; text seldom packs better than 20:1.
const UNPACK_RATIO_MAX: u64 = 100;
/// The ratio is judged from here on: a small file of equal rows packs well and hurts nobody.
const RATIO_FROM_BYTES: u64 = 1 << 20;

/// Decoded text, without a byte order mark.
pub(super) struct Text<'a> {
    pub(super) reader: Box<dyn Read + Send + 'a>,
    /// The container vouches for the end of the file (a gzip checksum).
    pub(super) end_is_proven: bool,
    /// Where in the file the text begins; absent when the text's positions are not the file's.
    pub(super) first_byte: Option<u64>,
}

/// Tells what the input is and opens it.
pub(super) fn open<'a>(
    input: impl Read + Send + 'a,
    encoding: &'static Encoding,
) -> Result<Text<'a>, Refused> {
    let mut file: Box<dyn Read + Send + 'a> = Box::new(input);
    let mut head = read_head(&mut file)?;
    let gzip = sniff::is_gzip(&head);
    if gzip {
        file = Box::new(Gunzip::new(Cursor::new(head).chain(file)));
        head = read_head(&mut file)?;
    }
    if let Some(format) = sniff::foreign_format(&head) {
        return Err(refusal(
            codes::NOT_CSV,
            format!("this is {format}, not CSV"),
            "export the roster as CSV; only gzip is unpacked",
        )
        .into());
    }
    let (encoding, mark) = judge_encoding(&head, encoding)?;
    let rest = Cursor::new(head.split_off(mark)).chain(file);
    let transcoded = encoding != UTF_8;
    let reader: Box<dyn Read + Send + 'a> =
        if transcoded { Box::new(Decoded::new(rest, encoding, mark)) } else { Box::new(rest) };
    let first_byte = (!transcoded && !gzip).then_some(mark as u64);
    Ok(Text { reader, end_is_proven: gzip, first_byte })
}

/// The text of a JSON file, unpacked and without a byte order mark.
pub(super) fn open_json<'a>(
    input: impl Read + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, Refused> {
    let mut file: Box<dyn Read + Send + 'a> = Box::new(input);
    let mut head = read_head(&mut file)?;
    if sniff::is_gzip(&head) {
        file = Box::new(Gunzip::new(Cursor::new(head).chain(file)));
        head = read_head(&mut file)?;
    }
    if head.is_empty() {
        let hint = "see whether the export ran; an empty file never means that all users left";
        return Err(refusal(codes::EMPTY, "the file is empty", hint).into());
    }
    let foreign = sniff::foreign_format(&head).filter(|format| !format.contains("JSON"));
    let foreign = foreign.or(sniff::utf16(&head).map(|_| "UTF-16"));
    if let Some(format) = foreign {
        let hint = "export the roster as JSON in UTF-8; only gzip is unpacked";
        return Err(refusal(codes::NOT_JSON, format!("this is {format}, not JSON"), hint).into());
    }
    let mark = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    Ok(Box::new(Cursor::new(head.split_off(mark)).chain(file)))
}

fn read_head(input: &mut dyn Read) -> Result<Vec<u8>, Refused> {
    let mut head = Vec::new();
    input.take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| failure(&error))?;
    Ok(head)
}

/// The encoding to decode with, and the length of the byte order mark. A mark outranks the settings
/// where both are possible, since it cannot be there by chance.
fn judge_encoding(
    head: &[u8],
    configured: &'static Encoding,
) -> Result<(&'static Encoding, usize), Refused> {
    if head.starts_with(b"\xef\xbb\xbf") {
        return Ok((UTF_8, 3));
    }
    let expects_utf16 = configured == UTF_16LE || configured == UTF_16BE;
    let mark = if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") { 2 } else { 0 };
    match sniff::utf16(head) {
        // Two marks of UTF-16 are also two letters of Windows-1252, but no file begins with them.
        Some(_) if !expects_utf16 => Err(refusal(
            codes::UTF_16,
            "the file looks like UTF-16",
            "save it again as UTF-8, or set encoding = \"utf-16\"",
        )
        .into()),
        Some(Utf16::LittleEndian) => Ok((UTF_16LE, mark)),
        Some(Utf16::BigEndian) => Ok((UTF_16BE, mark)),
        None => Ok((configured, 0)),
    }
}

/// What is wrong with the stream itself, carried through `io::Error`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum StreamFlaw {
    #[error("the gzip file ends in the middle")]
    GzipCut,
    #[error("the gzip file is damaged")]
    GzipDamaged,
    #[error("the gzip file unpacks to more than 8 GiB")]
    UnpacksTooLarge,
    #[error("the gzip file unpacks to more than 100 times its size")]
    UnpacksTooWell,
    #[error("byte {0} of the file is not text in the encoding that is set")]
    NotText(u64),
}

impl From<StreamFlaw> for io::Error {
    fn from(flaw: StreamFlaw) -> Self {
        Self::new(ErrorKind::InvalidData, flaw)
    }
}

/// The finding for an error of [`Text::reader`].
pub(super) fn failure(error: &io::Error) -> Finding {
    let flaw = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamFlaw>());
    let Some(flaw) = flaw else {
        let hint = "try again; if it persists, look at the disk or the share";
        return refusal(codes::READ_FAILED, format!("cannot be read to its end: {error}"), hint);
    };
    let (code, hint) = match flaw {
        StreamFlaw::GzipCut | StreamFlaw::GzipDamaged => {
            (codes::GZIP_BROKEN, "fetch the file again from where it was exported")
        }
        StreamFlaw::UnpacksTooLarge | StreamFlaw::UnpacksTooWell => {
            (codes::UNPACKS_TOO_LARGE, "no roster does; look at how the file was made")
        }
        StreamFlaw::NotText(_) => (codes::BAD_ENCODING, "set `encoding` to what the file is in"),
    };
    let mut finding = refusal(code, flaw.to_string(), hint);
    if let StreamFlaw::NotText(byte) = flaw {
        finding.place.byte = Some(*byte);
    }
    finding
}

/// Unpacks gzip within limits, counted after unpacking, since the header's own size is not to be
/// believed.
struct Gunzip<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    unpacked: u64,
}

impl<R: Read> Gunzip<R> {
    fn new(input: R) -> Self {
        let counted = Counted { input, count: 0 };
        Self { decoder: MultiGzDecoder::new(counted), unpacked: 0 }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => StreamFlaw::GzipCut.into(),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => StreamFlaw::GzipDamaged.into(),
            _ => error,
        })?;
        self.unpacked += count as u64;
        if self.unpacked > UNPACKED_BYTES_MAX {
            return Err(StreamFlaw::UnpacksTooLarge.into());
        }
        let believable = self.decoder.get_ref().count.saturating_mul(UNPACK_RATIO_MAX);
        if self.unpacked > RATIO_FROM_BYTES && self.unpacked > believable {
            return Err(StreamFlaw::UnpacksTooWell.into());
        }
        Ok(count)
    }
}

struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Decodes to UTF-8 and fails at the first byte that is not text.
struct Decoded<R> {
    input: R,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    /// The part of `raw` that is not yet decoded.
    pending: std::ops::Range<usize>,
    /// Bytes of the file decoded so far.
    offset: u64,
    at_end: bool,
    finished: bool,
    flaw: Option<StreamFlaw>,
    /// Decoded for a reader with too little room for it.
    spill: [u8; ROOM_BYTES],
    spilled: std::ops::Range<usize>,
}

/// The decoder writes nothing where the next character may not fit.
const ROOM_BYTES: usize = 64;

impl<R: Read> Decoded<R> {
    fn new(input: R, encoding: &'static Encoding, skipped: usize) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; 64 << 10],
            pending: 0..0,
            offset: skipped as u64,
            at_end: false,
            finished: false,
            flaw: None,
            spill: [0; ROOM_BYTES],
            spilled: 0..0,
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() >= ROOM_BYTES && self.spilled.is_empty() {
            return self.decode(buffer);
        }
        if self.spilled.is_empty() {
            let mut spill = self.spill;
            self.spilled = 0..self.decode(&mut spill)?;
            self.spill = spill;
        }
        let count = self.spilled.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.spill[self.spilled.clone()][..count]);
        self.spilled.start += count;
        Ok(count)
    }
}

impl<R: Read> Decoded<R> {
    /// `buffer`: of some room at least.
    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(flaw) = self.flaw {
                return Err(flaw.into());
            }
            if self.finished {
                return Ok(0);
            }
            if self.pending.is_empty() && !self.at_end {
                let count = self.input.read(&mut self.raw)?;
                self.pending = 0..count;
                self.at_end = count == 0;
            }
            let raw = &self.raw[self.pending.clone()];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(raw, buffer, self.at_end);
            self.pending.start += read;
            self.offset += read as u64;
            match result {
                DecoderResult::InputEmpty => self.finished = self.at_end,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let back = u64::from(length) + u64::from(after);
                    self.flaw = Some(StreamFlaw::NotText(self.offset.saturating_sub(back)));
                }
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}
