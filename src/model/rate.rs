//! A quota: so many requests in any window of a given length.

use std::{fmt, num::NonZeroU32, time::Duration};

/// At most `requests` in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: NonZeroU32,
    /// Never zero.
    pub per: Duration,
}

impl Rate {
    /// Reads `600/min`, `5/s`, `100/10s`, `5000/h`.
    ///
    /// # Errors
    /// A fragment that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (requests, per) =
            text.split_once('/').ok_or("is not of the form `600/min`, `5/s` or `100/10s`")?;
        let requests = requests.trim().parse::<u32>().ok().and_then(NonZeroU32::new);
        let requests = requests.ok_or("needs a whole number above 0 before the `/`")?;
        let per =
            parse_window(per.trim()).ok_or("needs a window such as `s`, `min`, `10s` or `h`")?;
        Ok(Self { requests, per })
    }

    /// Time between two requests that are evenly spread.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.per / self.requests.get()
    }
}

fn parse_window(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let unit = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return None,
    };
    (1..=86_400).contains(&count).then(|| Duration::from_secs(count * unit))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests in {} s", self.requests, self.per.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_in_the_forms_that_people_write() {
        for (text, requests, seconds) in
            [("600/min", 600, 60), ("5/s", 5, 1), ("100/10s", 100, 10), ("5000/h", 5000, 3600)]
        {
            let rate = Rate::parse(text).unwrap();
            assert_eq!((rate.requests.get(), rate.per.as_secs()), (requests, seconds), "{text}");
        }
    }

    #[test]
    fn c07_a_rate_of_nothing_or_in_no_time_is_refused() {
        for text in ["0/s", "-1/s", "5/0s", "5", "5/", "/s", "5/fortnight", "1.5/s"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
