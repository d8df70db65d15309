//! Opening the state to write: what must hold of the place and of the file before either is used.

use super::{
    Holder, Snapshot, Store, StoreError,
    disk::Disk,
    files::{self, Files},
    ledger::Books,
    mirror::{self, Mirror},
    place,
    sqlite::{self, Opened},
};
use crate::{
    config::{Config, StateRules},
    model::TenantId,
    source::FileLock,
};
use std::path::Path;

impl Store {
    /// Opens `<dir>/<tenant>.db`, creating the directory (0700) and the files (0600) that are not
    /// there, and takes the lock in `<dir>/<tenant>.lock`. After a use that did not end as it should
    /// the whole file is checked; see [`Self::verify`]. Machines are not told apart, and no copies
    /// are made: see [`Self::open_for`].
    ///
    /// # Errors
    /// `Locked` names the holder. `Damaged`, `Newer`, `Foreign`, `Behind` and `Lost` leave the state
    /// as it was.
    pub fn open(dir: &Path, tenant: &TenantId, holder: &Holder) -> Result<Self, StoreError> {
        let rules = StateRules { allow_network_fs: true, backups_kept: 0, ..StateRules::default() };
        let lock = lock(dir, &rules, tenant, holder)?;
        open_locked(Files::of(dir, tenant), lock, tenant, rules)
    }

    /// The same as a configuration has it: also refuses a file that was last used on another machine.
    ///
    /// # Errors
    /// As [`Self::open`]; and `OtherMachine`, `NetworkDisk`, `NotOwner`.
    pub fn open_for(
        config: &Config,
        tenant: &TenantId,
        holder: &Holder,
    ) -> Result<Self, StoreError> {
        let (dir, rules) = (&config.state_dir, &config.state);
        let lock = lock(dir, rules, tenant, holder)?;
        let mut store = open_locked(Files::of(dir, tenant), lock, tenant, rules.clone())?;
        match store.machine()? {
            Machine::Same => Ok(store),
            Machine::Unknown(tag) => {
                store.disk.pending().machine = Some(tag);
                Ok(store)
            }
            Machine::Other(_) => Err(StoreError::OtherMachine { path: store.path().to_owned() }),
        }
    }

    /// Takes the file for this machine's own; `false`: it is already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn adopt_machine(
        config: &Config,
        tenant: &TenantId,
        holder: &Holder,
    ) -> Result<bool, StoreError> {
        let (dir, rules) = (&config.state_dir, &config.state);
        let lock = lock(dir, rules, tenant, holder)?;
        let mut store = open_locked(Files::of(dir, tenant), lock, tenant, rules.clone())?;
        let tag = match store.machine()? {
            Machine::Same => return Ok(false),
            Machine::Unknown(tag) | Machine::Other(tag) => tag,
        };
        store.disk.write("note the machine", |tx| place::bind(tx, tag))?;
        Ok(true)
    }

    fn machine(&self) -> Result<Machine, StoreError> {
        let Some(machine) = place::machine(&self.rules.machine_id) else {
            return Ok(Machine::Same);
        };
        let tag = self.machine_tag(&machine);
        let bound = self.read("read whose machine it is", place::bound_to)?;
        Ok(match bound {
            None => Machine::Unknown(tag),
            Some(bound) if bound == tag => Machine::Same,
            Some(_) => Machine::Other(tag),
        })
    }
}

/// Whether the file was used here, with the tag of this machine where it was not.
enum Machine {
    Same,
    Unknown([u8; 32]),
    Other([u8; 32]),
}

/// Makes sure of the place, and takes the tenant's lock.
pub(super) fn lock(
    dir: &Path,
    rules: &StateRules,
    tenant: &TenantId,
    holder: &Holder,
) -> Result<FileLock, StoreError> {
    super::disk::refuse_after_failure(dir)?;
    files::prepare_dir(dir)?;
    place::check_owner(dir)?;
    if !rules.allow_network_fs {
        place::check_disk(dir)?;
    }
    files::lock_for_writing(&Files::of(dir, tenant).lock, holder)
}

fn open_locked(
    files: Files,
    lock: FileLock,
    tenant: &TenantId,
    rules: StateRules,
) -> Result<Store, StoreError> {
    if let Some(mirror) = Mirror::read(&files.mirror)?
        && files.is_missing()
        && mirror.serial > 0
    {
        return Err(mirror::lost(&files, &mirror));
    }
    files.prepare()?;
    let Opened { db, is_new, is_checked } = sqlite::open_writer(&files, tenant)?;
    let mirror = mirror::check(&files, &db)?;
    let snapshot = Snapshot::new(db, files.db.clone())?;
    let books = snapshot.read("read what is on its way", Books::of)?;
    let disk = Disk::new(snapshot, files)?;
    Ok(Store {
        disk,
        books,
        is_new,
        is_checked,
        is_noted: false,
        mirror,
        rules,
        tenant: tenant.clone(),
        began: None,
        full: None,
        _lock: lock,
    })
}
