//! A provider that alters what its jobs write, so that everybody can see it found out.
//!
//! It cheats as a stranger would: the work is done, and what is handed in is something else, with
//! a receipt that commits to it. Nothing else of the agent knows.

use executors::worker::Finished;
use types::{
    ContentHash, Encode, Manifest,
    manifest::{Entry, EntryKind},
};

/// Bytes that are altered, in the middle of a file.
const ALTERED_BYTES: usize = 96;

/// Alters a file that a job wrote, if it wrote one, and what names it.
pub(crate) fn alter(finished: &mut Finished) {
    let entries = finished.manifest.entries();
    let largest = entries.iter().filter_map(written).max_by_key(|(_, bytes)| *bytes);
    let Some((old, _)) = largest else { return };
    let Some(mut content) = finished.contents.get(&old).cloned() else { return };
    let middle = content.len() / 2;
    for byte in content.iter_mut().skip(middle).take(ALTERED_BYTES) {
        *byte = !*byte;
    }
    let new = ContentHash::of(&content);
    let altered = entries.iter().map(|entry| match &entry.kind {
        EntryKind::File { hash, bytes } if *hash == old => {
            let kind = EntryKind::File { hash: new, bytes: *bytes };
            Entry { path: entry.path.clone(), kind }
        }
        _ => entry.clone(),
    });
    let Ok(manifest) = Manifest::new(altered.collect()) else { return };
    let encoded = manifest.to_bytes();
    finished.contents.remove(&old);
    finished.contents.remove(&finished.usage.output);
    finished.usage.output = ContentHash::of(&encoded);
    finished.contents.insert(new, content);
    finished.contents.insert(finished.usage.output, encoded);
    finished.manifest = manifest;
}

/// Returns the content of an entry below `out/` with its length, if it has any.
fn written(entry: &Entry) -> Option<(ContentHash, u64)> {
    match entry.kind {
        EntryKind::File { hash, bytes } if bytes > 0 && entry.path.as_str().starts_with("out/") => {
            Some((hash, bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use classes::job::{Exit, Usage};
    use types::{Hash, manifest::RelativePath};

    use super::*;

    #[test]
    fn what_is_handed_in_is_whole_and_something_else() {
        let (file, empty) = (vec![7; 1_000], Vec::new());
        let (hash, nothing) = (ContentHash::of(&file), ContentHash::of(&empty));
        let entry = |path: &str, hash, bytes| Entry {
            path: RelativePath::new(path).unwrap(),
            kind: EntryKind::File { hash, bytes },
        };
        let entries = vec![entry("out/tile", hash, 1_000), entry("stdout", nothing, 0)];
        let manifest = Manifest::new(entries).unwrap();
        let encoded = manifest.to_bytes();
        let output = ContentHash::of(&encoded);
        let contents = BTreeMap::from([(hash, file), (nothing, empty), (output, encoded)]);
        let usage = Usage { fuel: 1, exit: Exit::Code(0), output };
        let guest = Duration::ZERO;
        let honest =
            Finished { usage, trace_root: Hash::ZERO, manifest, contents, guest, unrunnable: None };
        let mut altered = honest.clone();
        alter(&mut altered);
        assert_ne!(altered.digest(), honest.digest());
        assert_eq!(altered.contents.len(), 3);
        for (hash, content) in &altered.contents {
            assert_eq!(ContentHash::of(content), *hash);
        }
        let named: Vec<_> = altered.manifest.contents().map(|(hash, _)| hash).collect();
        assert!(named.iter().all(|hash| altered.contents.contains_key(hash)));
    }
}
