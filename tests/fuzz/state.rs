//! A state file as a run leaves it, and what it holds.

use jiff::Timestamp;
use rosterd::{
    model::{AttrPath, Attributes, Fingerprint, Known, RemoteId, TenantId, UserKey, Value},
    store::{Account, Holder, Store, StoreError},
};
use std::{collections::BTreeMap, fs, sync::OnceLock};

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn holder() -> Holder {
    Holder { pid: 1, host: "here".to_owned(), since: Timestamp::UNIX_EPOCH }
}

pub(crate) fn keys() -> Vec<UserKey> {
    (1..=5).map(|number| UserKey::parse(&format!("E{number}")).unwrap()).collect()
}

/// The bytes of the file, all in one.
pub(crate) fn bytes() -> &'static [u8] {
    &sound().0
}

pub(crate) fn known() -> &'static BTreeMap<UserKey, Known> {
    &sound().1
}

fn sound() -> &'static (Vec<u8>, BTreeMap<UserKey, Known>) {
    static SOUND: OnceLock<(Vec<u8>, BTreeMap<UserKey, Known>)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), &tenant(), &holder()).unwrap();
        let import = store.import(Fingerprint(1), |import| {
            for (number, key) in keys().into_iter().enumerate() {
                let remote_id = RemoteId::parse(&format!("r{number}")).unwrap();
                let title = Some(Value::from(format!("Clerk {number}").as_str()));
                let attributes: Attributes = [(AttrPath::new("title"), title)].into();
                let account = Account::new(key, remote_id, &attributes);
                import.add(account, Some(Fingerprint(number as u128)))?;
            }
            Ok::<_, StoreError>(())
        });
        import.unwrap();
        let known = store.known(&keys().iter().collect::<Vec<_>>()).unwrap();
        drop(store);
        assert!(!dir.path().join("acme.db-wal").exists(), "all is in the file");
        (fs::read(dir.path().join("acme.db")).unwrap(), known)
    })
}
