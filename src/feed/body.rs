//! The bytes of one page, unpacked and within their limits.

use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Most bytes of one page, unpacked.
pub(super) const PAGE_BYTES_MAX: u64 = 64 << 20;
/// Most unpacked bytes for each packed one; text seldom packs better than 20:1.
const RATIO_MAX: u64 = 100;
/// The ratio is judged from here on: a small page of equal rows packs well and hurts nobody.
const RATIO_FROM: u64 = 1 << 20;

/// How the bytes of an answer are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    /// What the `content-encoding` headers say; the text of one that was not asked for.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let words = values.flat_map(|value| value.split(',')).map(str::trim);
        let named: Vec<String> = words
            .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("identity"))
            .map(str::to_ascii_lowercase)
            .collect();
        match named.as_slice() {
            [] => Ok(Self::Plain),
            [one] if one == "gzip" || one == "x-gzip" => Ok(Self::Gzip),
            _ => Err(named.join(", ")),
        }
    }
}

/// Why a page's bytes are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    TooLarge,
    Bomb,
    /// Not whole, or no gzip: the next answer may be.
    Damaged,
}

/// Takes a page in as it comes.
pub(super) struct Intake(Kind);

enum Kind {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

impl Intake {
    pub(super) fn new(packing: Packing, max: u64) -> Self {
        let capped = Capped { bytes: Vec::new(), max, packed: None, unfit: None };
        Self(match packing {
            Packing::Plain => Kind::Plain(capped),
            Packing::Gzip => {
                let capped = Capped { packed: Some(0), ..capped };
                Kind::Gzip(Box::new(MultiGzDecoder::new(capped)))
            }
        })
    }

    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), Unfit> {
        match &mut self.0 {
            Kind::Plain(capped) => {
                let taken = capped.write_all(piece);
                taken.map_err(|_| capped.unfit.unwrap_or(Unfit::Damaged))
            }
            Kind::Gzip(gzip) => {
                let capped = gzip.get_mut();
                capped.packed = capped.packed.map(|packed| packed + piece.len() as u64);
                let taken = gzip.write_all(piece);
                taken.map_err(|_| gzip.get_ref().unfit.unwrap_or(Unfit::Damaged))
            }
        }
    }

    /// What came so far, whole or not.
    pub(super) fn so_far(self) -> Vec<u8> {
        match self.0 {
            Kind::Plain(capped) => capped.bytes,
            Kind::Gzip(mut gzip) => std::mem::take(&mut gzip.get_mut().bytes),
        }
    }

    /// All bytes, once no more come.
    pub(super) fn finish(self) -> Result<Vec<u8>, Unfit> {
        match self.0 {
            Kind::Plain(capped) => Ok(capped.bytes),
            Kind::Gzip(mut gzip) => {
                let end = gzip.try_finish();
                end.map_err(|_| gzip.get_ref().unfit.unwrap_or(Unfit::Damaged))?;
                Ok(std::mem::take(&mut gzip.get_mut().bytes))
            }
        }
    }
}

/// What is unpacked, up to its limits.
struct Capped {
    bytes: Vec<u8>,
    max: u64,
    /// Bytes that it was unpacked from.
    packed: Option<u64>,
    unfit: Option<Unfit>,
}

impl Capped {
    fn judge(&self, size: u64) -> Option<Unfit> {
        if self.packed.is_some_and(|packed| size > RATIO_FROM && size > packed * RATIO_MAX) {
            return Some(Unfit::Bomb);
        }
        (size > self.max).then_some(Unfit::TooLarge)
    }
}

impl Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.unfit = self.judge((self.bytes.len() + piece.len()) as u64);
        if self.unfit.is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn taken(packing: Packing, bytes: &[u8], max: u64, step: usize) -> Result<Vec<u8>, Unfit> {
        let mut intake = Intake::new(packing, max);
        for piece in bytes.chunks(step) {
            intake.take(piece)?;
        }
        intake.finish()
    }

    #[test]
    fn b07_a_page_is_counted_after_it_was_unpacked() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let (size, packed) = (text.len() as u64, gzip(&text));
        for (packing, bytes) in [(Packing::Plain, &text), (Packing::Gzip, &packed)] {
            assert_eq!(taken(packing, bytes, size, 1000).unwrap(), text);
            assert_eq!(taken(packing, bytes, size - 1, 1000), Err(Unfit::TooLarge));
        }
    }

    #[test]
    fn b08_what_unpacks_to_more_than_a_hundred_times_its_size_is_refused_at_the_first_mebibyte() {
        let bomb = gzip(&vec![b' '; 512 << 20 >> 4]);
        let mut intake = Intake::new(Packing::Gzip, PAGE_BYTES_MAX);
        let told = bomb.chunks(1024).find_map(|piece| intake.take(piece).err());
        assert_eq!(told, Some(Unfit::Bomb));
        let Kind::Gzip(gzip) = &intake.0 else { panic!("not packed") };
        assert!(gzip.get_ref().bytes.len() <= 2 << 20, "{}", gzip.get_ref().bytes.len());
    }

    #[test]
    fn b08_a_small_page_of_equal_rows_may_pack_well() {
        let text = vec![b'a'; 1 << 20];
        assert_eq!(taken(Packing::Gzip, &gzip(&text), PAGE_BYTES_MAX, 100).unwrap(), text);
    }

    #[test]
    fn b08_only_one_layer_of_gzip_is_unpacked() {
        let of = |values: &[&str]| Packing::of(values.iter().copied());
        assert_eq!(of(&[]), Ok(Packing::Plain));
        assert_eq!(of(&["identity"]), Ok(Packing::Plain));
        assert_eq!(of(&["GZIP"]), Ok(Packing::Gzip));
        for strange in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"]] {
            assert!(of(strange).is_err(), "{strange:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn b02_a_gzip_page_that_is_cut_anywhere_is_never_taken_for_whole(
            text in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()
        ) {
            let packed = gzip(&text);
            let cut = at.index(packed.len());
            // Nothing at all is the empty page that plain bytes would be, and no JSON.
            let found = taken(Packing::Gzip, &packed[..cut], PAGE_BYTES_MAX, 7);
            prop_assert!(found.is_err() || cut == 0 && found == Ok(Vec::new()));
        }
    }
}
