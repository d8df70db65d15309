//! Made-up people: the rosters of a company of any size, night after night.
//!
//! Everything about person `n` follows from `n`, so that a roster is the same on every machine and
//! takes no memory but four bytes a row for the order of the rows. Addresses are of domains that
//! exist for documentation only, and telephone numbers of ranges that nobody is given.

use std::io::{self, Write};

/// Which evening's roster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Night {
    /// Everybody, by number.
    First,
    /// The same people in another order.
    Quiet,
    /// In another order again: ten in a thousand changed, one left, one joined.
    Busy,
    /// Everybody by number, each with another title.
    Promoted,
}

/// The columns, in their order.
const HEADER: &str = "employee_id,user_name,email,given_name,family_name,full_name,job_title,\
                      department,manager_id,phone,locale,country,status,hired_on";

/// As people write it, and as their user name has it.
type Name = (&'static str, &'static str);

#[rustfmt::skip]
const GIVEN: [Name; 24] = [
    ("Anna", "anna"), ("Bjørn", "bjoern"), ("Chloé", "chloe"), ("Дмитрий", "dmitry"),
    ("Eleni", "eleni"), ("Farid", "farid"), ("Gülşen", "guelsen"), ("Hans-Peter", "hanspeter"),
    ("Inês", "ines"), ("Jiří", "jiri"), ("Katarzyna", "katarzyna"), ("Liam", "liam"),
    ("Mónica", "monica"), ("Nadia", "nadia"), ("Oscar", "oscar"), ("Percy", "percy"),
    ("花子", "hanako"), ("Ruth", "ruth"), ("Sanjay", "sanjay"), ("Théo", "theo"),
    ("Ursula", "ursula"), ("Vincent", "vincent"), ("Yasmin", "yasmin"), ("Zsófia", "zsofia"),
];

#[rustfmt::skip]
const FAMILY: [Name; 24] = [
    ("Andersson", "andersson"), ("Bianchi", "bianchi"), ("Castro Ruiz", "castroruiz"),
    ("D'Angelo", "dangelo"), ("Evans", "evans"), ("Fischer", "fischer"), ("Górski", "gorski"),
    ("Håkansson", "hakansson"), ("Ito", "ito"), ("Järvinen", "jaervinen"), ("Καραγιάννης", "karagiannis"),
    ("Lefèvre", "lefevre"), ("Murphy", "murphy"), ("Núñez", "nunez"), ("Okafor", "okafor"),
    ("Pereira", "pereira"), ("Quinn", "quinn"), ("Roberts", "roberts"), ("Şahin", "sahin"),
    ("Thompson", "thompson"), ("Urban", "urban"), ("de Vries", "devries"), ("Walker", "walker"),
    ("鈴木", "suzuki"),
];

const TITLES: [&str; 12] = [
    "Accountant",
    "Analyst, Credit Risk",
    "Customer Service Agent",
    "Designer",
    "Electrician",
    "Engineer \"Level 3\"",
    "Manager, Operations",
    "Midwife",
    "Payroll Clerk",
    "Site Reliability Engineer",
    "Translator",
    "Warehouse Team Leader",
];

const DEPARTMENTS: [&str; 10] = [
    "Audit",
    "Claims, Property and Casualty",
    "Clinical Services",
    "Facilities",
    "Human Resources",
    "Information Technology",
    "Logistics - East",
    "Logistics - West",
    "Product & Design",
    "Treasury",
];

const DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Locale, country, and how a telephone number begins; two digits follow.
const PLACES: [(&str, &str, &str); 6] = [
    ("en-US", "US", "+120255501"),
    ("en-GB", "GB", "+4420794600"),
    ("de-DE", "DE", "+49302312500"),
    ("fr-FR", "FR", "+331990000"),
    ("sv-SE", "SE", "+4684650040"),
    ("en-AU", "AU", "+6125550100"),
];

struct Person {
    given: Name,
    family: Name,
    family_first: bool,
    title: u64,
    department: u64,
    manager: Option<u64>,
    phone: u64,
    place: u64,
    on_leave: bool,
}

/// Writes the night's roster for a company that had `rows` people at first; how many rows it has.
pub(crate) fn write(night: Night, rows: u32, out: &mut impl Write) -> io::Result<u32> {
    writeln!(out, "{HEADER}")?;
    let mut line = Vec::with_capacity(512);
    let order = order(night, rows);
    for &n in &order {
        line.clear();
        person(night, u64::from(n)).write(u64::from(n), &mut line)?;
        out.write_all(&line)?;
    }
    Ok(u32::try_from(order.len()).expect("made of numbers of 32 bits"))
}

/// Everybody's id at the target, joiners included.
pub(crate) fn write_ids(rows: u32, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "key,id")?;
    for n in 0..rows + joiners(rows) {
        writeln!(out, "E{n:08},{:08x}-0000-4000-8000-{n:012x}", n.wrapping_mul(0x9E37_79B1))?;
    }
    Ok(())
}

fn joiners(rows: u32) -> u32 {
    rows / 1000
}

fn order(night: Night, rows: u32) -> Vec<u32> {
    match night {
        Night::First | Night::Promoted => (0..rows).collect(),
        Night::Quiet => shuffled((0..rows).collect(), 1),
        Night::Busy => {
            let here = |n: &u32| *n >= rows || place_in_thousand(u64::from(*n)) != 0;
            shuffled((0..rows + joiners(rows)).filter(here).collect(), 2)
        }
    }
}

fn shuffled(mut order: Vec<u32>, seed: u64) -> Vec<u32> {
    for at in (1..order.len()).rev() {
        let other = usize::try_from(dice(at as u64, seed) % (at as u64 + 1));
        order.swap(at, other.expect("below the length"));
    }
    order
}

/// A number below a thousand that each thousand people share out among themselves: 0 leaves, and 1
/// to 10 change.
fn place_in_thousand(n: u64) -> u64 {
    // 617 has no divisor in common with 1000, so all places are taken.
    (n * 617 + dice(n / 1000, 3)) % 1000
}

fn person(night: Night, n: u64) -> Person {
    let mut bits = dice(n, 4);
    let mut pick = |choices: u64| {
        let picked = bits % choices;
        bits /= choices;
        picked
    };
    let mut person = Person {
        given: at(&GIVEN, pick(24)),
        family: at(&FAMILY, pick(24)),
        family_first: pick(4) == 0,
        title: pick(12),
        department: pick(10),
        manager: (n > 0).then(|| dice(n, 5) % (n / 8 + 1)),
        phone: pick(100),
        place: pick(6),
        on_leave: pick(20) == 0,
    };
    match night {
        Night::First | Night::Quiet => {}
        Night::Promoted => person.title += 1,
        Night::Busy => person.change(place_in_thousand(n)),
    }
    person
}

impl Person {
    fn change(&mut self, place: u64) {
        match place {
            1..=3 => self.title += 1,
            4 | 5 => self.department += 1,
            6 => {
                self.title += 2;
                self.department += 3;
            }
            7 => self.phone += 1,
            8 => self.family = at(&FAMILY, self.phone),
            9 => self.place += 1,
            10 => self.title += 3,
            _ => {}
        }
    }

    fn write(&self, n: u64, line: &mut Vec<u8>) -> io::Result<()> {
        let (given, given_login) = self.given;
        let (family, family_login) = self.family;
        // What somebody was hired under stays the name to log in with.
        let login = format!("{given_login}.{family_login}{n:x}");
        let domain = at(&DOMAINS, n);
        let full = if self.family_first {
            format!("{family}, {given}")
        } else {
            format!("{given} {family}")
        };
        let (locale, country, prefix) = at(&PLACES, self.place);
        write!(line, "E{n:08},{login},{login}@{domain},{given},{family},")?;
        for cell in [full.as_str(), at(&TITLES, self.title), at(&DEPARTMENTS, self.department)] {
            quote(cell, line);
            line.push(b',');
        }
        if let Some(manager) = self.manager {
            write!(line, "E{manager:08}")?;
        }
        let status = if self.on_leave { "leave" } else { "active" };
        let (year, month, day) = (1990 + n % 36, 1 + n / 36 % 12, 1 + n / 432 % 28);
        let phone = self.phone % 100;
        writeln!(line, ",{prefix}{phone:02},{locale},{country},{status},{year}-{month:02}-{day:02}")
    }
}

fn quote(cell: &str, line: &mut Vec<u8>) {
    if !cell.contains([',', '"']) {
        return line.extend_from_slice(cell.as_bytes());
    }
    line.push(b'"');
    line.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    line.push(b'"');
}

fn at<T: Copy>(choices: &[T], number: u64) -> T {
    let number = usize::try_from(number % choices.len() as u64);
    choices[number.expect("below the length")]
}

/// A number that looks like chance and follows from `n`: one step of `SplitMix64`.
fn dice(n: u64, seed: u64) -> u64 {
    let mut z = n.wrapping_add(seed << 56).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
