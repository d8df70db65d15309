//! Where the state lies: on whose disk, of which machine, and whose it is.

use super::StoreError;
use rusqlite::{Connection, OptionalExtension};
use rustix::fs::statfs;
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// File systems that other machines write to as well, by the number that the system gives them. The
/// log of writes needs memory that is shared between all who use the file, which they have not; on
/// some a lock holds for one machine only.
const NETWORK: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x0000_564c, "NCP"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "a folder shared by VirtualBox"),
    (0xbacb_acbc, "a folder shared by VMware"),
];

fn network_name(number: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Refuses a directory on a network file system.
pub(super) fn check_disk(dir: &Path) -> Result<(), StoreError> {
    let found = statfs(dir)
        .map_err(|e| StoreError::io("ask where the state directory lies", dir, e.into()))?;
    // The number has 32 bits, whatever the width of the field is here.
    let bytes = found.f_type.to_le_bytes();
    let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match network_name(number) {
        Some(kind) => Err(StoreError::NetworkDisk { dir: dir.into(), kind }),
        None => Ok(()),
    }
}

/// Refuses somebody else's directory: what root writes there, its owner could not write any more.
pub(super) fn check_owner(dir: &Path) -> Result<(), StoreError> {
    let found =
        fs::metadata(dir).map_err(|e| StoreError::io("look at the state directory", dir, e))?;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() == own {
        return Ok(());
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let owner = name_of(found.uid(), &accounts);
    Err(StoreError::NotOwner { dir: dir.into(), owner, uid: own })
}

/// As `sudo -u` takes it.
fn name_of(uid: u32, accounts: &str) -> String {
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

/// What the system calls this machine; `None`: nothing.
pub(super) fn machine(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The machine on which the file is used, as it was written down.
pub(super) fn bound_to(db: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    db.query_row("SELECT tag FROM machine", [], |row| row.get(0)).optional()
}

pub(super) fn bind(db: &Connection, tag: [u8; 32]) -> rusqlite::Result<()> {
    let write = "INSERT OR REPLACE INTO machine (id, tag) VALUES (1, ?1)";
    db.execute(write, [tag]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e12_network_file_systems_are_known_by_their_numbers_and_local_ones_are_not_among_them() {
        for (number, name) in
            [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB 2"), (0x517b, "SMB")]
        {
            assert_eq!(network_name(number), Some(name));
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs.
        for number in
            [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010]
        {
            assert_eq!(network_name(number), None, "{number:#x}");
        }
        let mut numbers: Vec<u32> = NETWORK.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), NETWORK.len());
        check_disk(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[test]
    fn f14_the_owner_is_named_as_sudo_takes_it() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nrosterd:x:990:985::/var/lib/rosterd:/x\n";
        assert_eq!(name_of(990, accounts), "rosterd");
        assert_eq!(name_of(4711, accounts), "#4711");
        check_owner(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
