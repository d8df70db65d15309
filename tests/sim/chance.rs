//! What one seed decides.

use std::time::Duration;

/// Draws the same in every run. Whatever has a chance of its own is not moved by what others draw.
#[derive(Clone)]
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed))
    }

    pub(crate) fn split(&mut self) -> Self {
        Self::of(self.0.u64(..))
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// True so often, 0 to 1.
    pub(crate) fn hits(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// Both included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least..=most)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.usize(..length)
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// Small times as likely as large ones, in microseconds.
    pub(crate) fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (least.as_secs_f64().max(1e-6), most.as_secs_f64().max(2e-6));
        let drawn = least * (most / least).powf(self.0.f64());
        Duration::from_micros(Duration::from_secs_f64(drawn).as_micros().try_into().unwrap())
    }

    /// Each of them with that share; the order stays.
    pub(crate) fn some<T: Copy>(&mut self, of: &[T], share: f64) -> Vec<T> {
        of.iter().copied().filter(|_| self.hits(share)).collect()
    }
}
