//! Every moment, every way to end, everything that can become of the request.

use crate::{
    cells::{Cell, Deed, Fate, Point, Way},
    life::{Twist, live},
};
use rosterd::sandbox::Api;

/// Lives the cells of one API.
fn go_through(api: Api) {
    let cells: Vec<Cell> = Cell::all().filter(|cell| cell.api == api).collect();
    let (mut failures, mut missed) = (Vec::new(), Vec::new());
    for cell in &cells {
        let told = live(*cell, None);
        if !told.breaches.is_empty() {
            failures.push(format!("{cell}\n    {}", told.breaches.join("\n    ")));
        }
        if !told.struck {
            missed.push(cell.to_string());
        }
    }
    let (count, all) = (failures.len(), cells.len());
    assert!(failures.is_empty(), "{count} of {all} cells fail\n{}", failures.join("\n"));
    assert!(missed.is_empty(), "moments that never came\n{}", missed.join("\n"));
    assert!(all > 500, "{all} cells of {api}");
}

#[test]
fn e01_e02_e04_e05_every_moment_of_a_run_with_json_patches_is_made_good() {
    go_through(Api::Workiva);
}

#[test]
fn e01_e02_e04_e05_every_moment_of_a_run_with_partial_objects_is_made_good() {
    go_through(Api::Kare);
}

#[test]
fn e01_e02_e04_e05_every_moment_of_a_run_with_scim_is_made_good() {
    go_through(Api::Datadog);
}

#[test]
fn e02_a_commit_that_was_cut_at_any_sector_has_happened_or_has_not() {
    let (deed, point, fate) = (Deed::Change, Point::K13WithinOutcome, Fate::Answered);
    let cell = |api, way| Cell { deed, api, point, way, fate };
    for api in Cell::APIS {
        let cell = cell(api, Way::PowerLoss);
        let (mut count, mut most) = (0, 1);
        while count <= most {
            let told = live(cell, Some(Twist::NewSectors(count)));
            assert!(told.struck && told.changed > 0, "{cell}: there is no such moment");
            assert!(told.breaches.is_empty(), "{cell}, {count} new sectors: {:?}", told.breaches);
            (count, most) = (count + 1, told.changed);
        }
        assert!(most > 8, "{cell}: a commit of {most} sectors");
    }
}

#[test]
fn inv2_a_disk_that_loses_intents_is_noticed_here() {
    let cells = Cell::all().filter(|cell| {
        let is_done = matches!(cell.fate, Fate::Answered | Fate::Lost | Fate::CutBody);
        cell.point == Point::K10RequestWritten && cell.way == Way::Kill && is_done
    });
    for cell in cells {
        let told = live(cell, Some(Twist::IntentsLost));
        let is_noticed = told.breaches.iter().any(|breach| breach.starts_with("INV-2"));
        assert!(told.struck && is_noticed, "{cell}: {:?}", told.breaches);
    }
}
