//! A process that is killed, and what it leaves.

use crate::{planted::Planted, world::World};
use rosterd::cycle::Session;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

impl World {
    /// What a kill leaves is what is on the disk; whatever the process had in mind is gone.
    pub(crate) async fn kill(&mut self, session: Session, alive: &Arc<AtomicBool>) {
        alive.store(false, Ordering::Relaxed);
        self.dead += 1;
        let (state, dead) = (self.state(), self.dir.path().join(format!("dead-{}", self.dead)));
        fs::rename(&state, &dead).unwrap();
        fs::create_dir(&state).unwrap();
        for name in self.targets.keys() {
            for ending in ["db", "db-wal", "db-journal", "serial"] {
                let file = format!("{name}.{ending}");
                if dead.join(&file).exists() {
                    fs::copy(dead.join(&file), state.join(&file)).unwrap();
                }
            }
        }
        // As it would be found; it holds nothing.
        if dead.join("reserve").exists() {
            fs::rename(dead.join("reserve"), state.join("reserve")).unwrap();
        }
        if self.planted == Some(Planted::CommitsNotSynced) {
            self.lose_the_last_commits();
        }
        drop(session);
        // What is torn down goes; what has left arrives.
        sleep(Duration::from_secs(2)).await;
        fs::remove_dir_all(&dead).unwrap();
        self.oracle.note("killed");
        self.check_state(true);
    }

    fn lose_the_last_commits(&mut self) {
        for (name, disk) in &self.disks {
            let lengths = std::mem::take(&mut *disk.lengths.lock().unwrap());
            let log = self.state().join(format!("{name}.db-wal"));
            let now = fs::metadata(&log).map_or(0, |log| log.len());
            let earlier: Vec<u64> = lengths.into_iter().filter(|length| *length < now).collect();
            if !earlier.is_empty() {
                let length = earlier[self.chance.index(earlier.len())];
                fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length).unwrap();
            }
        }
    }

    /// What is planted in the state between two runs.
    pub(crate) fn plant_in_state(&self) {
        let forget = match self.planted {
            Some(Planted::JournalNotConsulted) => "DELETE FROM intent",
            Some(Planted::QuotaForgottenAtRestart) => "DELETE FROM sent",
            Some(Planted::PauseForgottenAtRestart) => "DELETE FROM pause",
            Some(Planted::ApprovalOfAnything) => {
                "INSERT INTO approval (digest, who, reason, at, expires, figures, lineage, serial,
                                       source, settings)
                 SELECT plan.digest, who, reason, once.at, expires, once.figures, lineage,
                        plan.serial, plan.source, plan.settings
                 FROM waiting_plan AS plan, (SELECT * FROM approval ORDER BY id DESC LIMIT 1) AS once"
            }
            _ => return,
        };
        for name in self.targets.keys() {
            let file = self.state().join(format!("{name}.db"));
            if fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
                rusqlite::Connection::open(&file).unwrap().execute(forget, []).unwrap();
            }
        }
    }
}
