use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tile::{TileMissing, bundle, hashes, needed_for_consistency, needed_for_inclusion, unbundle};
use super::tree::{Head, consistency, inclusion, root, verify_consistency, verify_inclusion};
use super::*;
use crate::merkle::{Hash, Tree, leaf};

/// Hashes straight from the leaves.
struct Leaves(Vec<Hash>);

impl Nodes for Leaves {
    type Error = String;
    fn node(&self, level: u8, index: u64) -> Result<Hash, String> {
        let (from, to) = (usize::try_from(index << level).unwrap(), usize::try_from((index + 1) << level).unwrap());
        let leaves = self.0.get(from..to).ok_or_else(|| format!("{level}/{index} is not complete"))?;
        Ok(Tree::of_hashes(leaves).root())
    }
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

fn leaves(size: u64) -> Leaves {
    Leaves((0..size).map(|n| leaf(&entry(n))).collect())
}

fn root_at(leaves: &Leaves, size: u64) -> Hash {
    Tree::of_hashes(&leaves.0[..usize::try_from(size).unwrap()]).root()
}

/// Of the eight leaves that every implementation of RFC 6962 is tried with.
fn known() -> Leaves {
    let texts = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    Leaves(texts.iter().map(|text| leaf(&hex::decode(text).unwrap())).collect())
}

#[test]
fn the_known_proofs_of_certificate_transparency_hold() {
    let hex = |proof: Vec<Hash>| proof.iter().map(hex::encode).collect::<Vec<_>>();
    let first = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(hex(inclusion(&known(), 0, 8).unwrap()), first);
    let six = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(hex(consistency(&known(), 6, 8).unwrap()), six);
}

/// InclusionIsExact: of every tree up to 70 and every entry, the proof verifies; as another entry, at
/// another size, with a hash more or less, or with any one bit changed, it does not.
#[test]
fn inclusion_proofs_hold_and_nothing_else_does() {
    let leaves = leaves(71);
    for size in 1..=70 {
        let signed = root_at(&leaves, size);
        assert_eq!(root(&leaves, size), Ok(signed));
        for index in 0..size {
            let own = leaves.0[usize::try_from(index).unwrap()];
            let proof = inclusion(&leaves, index, size).unwrap();
            assert_eq!(verify_inclusion(&own, index, size, &signed, &proof), Ok(()), "{index} of {size}");
            let refused = |leaf: &Hash, index, size, root: &Hash, proof: &[Hash]| {
                assert!(verify_inclusion(leaf, index, size, root, proof).is_err(), "{index} of {size}");
            };
            refused(&own, index + 1, size, &signed, &proof);
            refused(&own, size, size, &signed, &proof);
            refused(&own, index, size, &signed, &[proof.clone(), vec![own]].concat());
            refused(&own, index, size, &leaf(b"x"), &proof);
            refused(&leaf(b"x"), index, size, &signed, &proof);
            if let Some((_, shorter)) = proof.split_last() {
                refused(&own, index, size, &signed, shorter);
            }
            for (at, byte) in (0..proof.len()).map(|at| (at, (at * 7 + 3) % 32)) {
                let mut flipped = proof.clone();
                flipped[at][byte] ^= 1 << (at % 8);
                refused(&own, index, size, &signed, &flipped);
            }
        }
    }
}

/// GrowthIsExact: as above, for the proof that a log only grew.
#[test]
fn consistency_proofs_hold_and_nothing_else_does() {
    let leaves = leaves(71);
    for new in 0..=70 {
        for old in 0..=new {
            let (before, after) = (root_at(&leaves, old), root_at(&leaves, new));
            let proof = consistency(&leaves, old, new).unwrap();
            let check = |before: &Hash, after: &Hash, proof: &[Hash]| {
                verify_consistency(Head { size: old, root: before }, Head { size: new, root: after }, proof)
            };
            assert_eq!(check(&before, &after, &proof), Ok(()), "{old} to {new}");
            assert!(check(&leaf(b"x"), &after, &proof).is_err());
            assert!(old == 0 || check(&before, &leaf(b"x"), &proof).is_err());
            assert!(check(&before, &after, &[proof.clone(), vec![before]].concat()).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(check(&before, &after, shorter).is_err());
            }
            for at in 0..proof.len() {
                let mut flipped = proof.clone();
                flipped[at][(at * 5 + 1) % 32] ^= 1 << (at % 8);
                assert!(check(&before, &after, &flipped).is_err(), "{old} to {new}");
            }
        }
    }
    let (small, large) = (root_at(&leaves, 3), root_at(&leaves, 4));
    let shrunk = verify_consistency(Head { size: 4, root: &large }, Head { size: 3, root: &small }, &[]);
    assert_eq!(shrunk, Err(ProofError::OutOfRange));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// NoBitMatters, at sizes that need several tiles.
    #[test]
    fn any_bit_of_a_large_proof_matters(size in 1_u64..1500, at in any::<prop::sample::Index>(), bit in 0_usize..256, hash in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let index = u64::try_from(at.index(usize::try_from(size).unwrap())).unwrap();
        let (own, signed) = (leaf(&entry(index)), root_at(&leaves, size));
        let mut proof = inclusion(&leaves, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&own, index, size, &signed, &proof), Ok(()));
        if !proof.is_empty() {
            let hash = hash.index(proof.len());
            proof[hash][bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify_inclusion(&own, index, size, &signed, &proof), Err(ProofError::Root));
        }
    }

    #[test]
    fn proofs_never_panic(index: u64, size: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        prop_assert!(verify_inclusion(&[1; 32], index, size, &[2; 32], &proof).is_err());
        let (old, new) = (Head { size: index, root: &[1; 32] }, Head { size, root: &[2; 32] });
        prop_assert!(verify_consistency(old, new, &proof).is_err());
    }

    #[test]
    fn paths_of_tiles_print_and_parse_back(level in 0_u8..8, index in 0_u64..1 << 55, size: u64) {
        for tile in [Tile::Hashes(level), Tile::Entries] {
            for index in [index, index >> 30, size >> (u32::from(level) * 8 + 8).min(63)] {
                if let Some(path) = TilePath::of_size(tile, index, size) {
                    prop_assert_eq!(path.to_string().parse(), Ok(path));
                }
            }
        }
    }

    #[test]
    fn paths_never_panic(text in "(tile/([0-9]{1,3}|entries)/)?(x?[0-9]{3}/){0,8}[0-9]{3}(\\.p/[0-9]{1,5})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn bundles_come_apart_as_they_were_put_together(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let bytes = bundle(&entries).unwrap();
        prop_assert_eq!(unbundle(&bytes).unwrap(), entries);
    }
}

#[test]
fn a_tile_has_the_path_that_the_specification_gives_it() {
    let path = |tile, index, size: u64| TilePath::of_size(tile, index, size).map(|path| path.to_string());
    assert_eq!(path(Tile::Hashes(0), 1_234_067, u64::MAX).unwrap(), "tile/0/x001/x234/067");
    assert_eq!(path(Tile::Entries, 0, 3).unwrap(), "tile/entries/000.p/3");
    // "A tree of size 70,000 …"
    assert_eq!(path(Tile::Hashes(0), 273, 70_000).unwrap(), "tile/0/273.p/112");
    assert_eq!(path(Tile::Hashes(1), 1, 70_000).unwrap(), "tile/1/001.p/17");
    assert_eq!(path(Tile::Hashes(2), 0, 70_000).unwrap(), "tile/2/000.p/1");
    assert_eq!(path(Tile::Hashes(0), 274, 70_000), None);
    assert_eq!(path(Tile::Hashes(3), 0, 70_000), None);
    assert_eq!(path(Tile::Hashes(8), 0, u64::MAX), None);
    assert_eq!(TilePath::added(0, 70_000).len(), 274 + 2 + 1 + 274);
    for bad in [
        "tile/00/000",
        "tile/8/000",
        "tile/0/x000/001",
        "tile/0/1",
        "tile/0/001/x002",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/entries/",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "/tile/0/000",
    ] {
        assert!(bad.parse::<TilePath>().is_err(), "{bad}");
    }
}

#[test]
fn what_is_added_is_what_changed() {
    let all = |size| TilePath::added(0, size);
    for (old, new) in [(0, 0), (0, 1), (1, 1), (255, 256), (256, 257), (200, 700), (65_535, 65_537)] {
        let expected: Vec<TilePath> = all(new).into_iter().filter(|path| !all(old).contains(path)).collect();
        assert_eq!(TilePath::added(old, new), expected, "{old} to {new}");
    }
}

fn stored(leaves: &Leaves, size: u64) -> BTreeMap<TilePath, Vec<Hash>> {
    let paths = TilePath::added(0, size).into_iter().filter(|path| path.tile() != Tile::Entries);
    paths.map(|path| (path, hashes(&path.content(leaves).unwrap()).unwrap())).collect()
}

#[test]
fn proofs_from_the_tiles_that_they_need_are_the_proofs() {
    for size in [1, 2, 255, 256, 257, 700, 1500] {
        let leaves = leaves(size);
        let all = stored(&leaves, size);
        let read = |paths: std::collections::BTreeSet<TilePath>| {
            let mut tiles = Tiles::new(size);
            paths.into_iter().for_each(|path| tiles.insert(path, all[&path].clone()));
            tiles
        };
        for at in [0, size / 3, size / 2, size - 1] {
            let tiles = read(needed_for_inclusion(at, size));
            assert_eq!(inclusion(&tiles, at, size).unwrap(), inclusion(&leaves, at, size).unwrap());
            let tiles = read(needed_for_consistency(at, size));
            assert_eq!(consistency(&tiles, at, size).unwrap(), consistency(&leaves, at, size).unwrap());
        }
    }
    assert_eq!(inclusion(&Tiles::new(2), 0, 2), Err(TileMissing { level: 0, index: 1 }));
    assert_eq!(unbundle(&[0, 2, 1]), Err(tile::BundleError::Cut));
    assert_eq!(bundle(&[vec![0; 65_536]]), Err(tile::BundleError::TooLong(65_536)));
    assert_eq!(hashes(&[0; 33]), None);
}

/// A log of `size` entries whose entries and tiles can be tampered with.
struct Log {
    checkpoint: Checkpoint,
    entries: Vec<Option<Vec<u8>>>,
    tiles: BTreeMap<TilePath, Vec<Hash>>,
}

impl Log {
    fn new(size: u64) -> Self {
        let leaves = leaves(size);
        let checkpoint = Checkpoint::new("log.example", size, root_at(&leaves, size));
        Self { checkpoint, entries: (0..size).map(|n| Some(entry(n))).collect(), tiles: stored(&leaves, size) }
    }

    fn locate(&self) -> Vec<Damage> {
        let leaf_at = |n: u64| self.entries.get(usize::try_from(n).unwrap())?.as_ref().map(|entry| leaf(entry));
        locate(&self.checkpoint, |path| self.tiles.get(path).cloned(), leaf_at).damages
    }

    fn tile(&mut self, path: &str) -> &mut Vec<Hash> {
        self.tiles.get_mut(&path.parse().unwrap()).unwrap()
    }
}

/// EveryByteIsFound: changed, deleted, inserted, at every place that is a border of something.
#[test]
fn one_changed_missing_or_inserted_entry_is_found_and_located() {
    for size in [1, 2, 5, 255, 256, 257, 512, 700] {
        assert_eq!(Log::new(size).locate(), []);
        for at in [0, 1, 100, 254, 255, 256, 257, 510, 511, 512, size - 1].into_iter().filter(|at| *at < size) {
            let position = usize::try_from(at).unwrap();
            let mut log = Log::new(size);
            log.entries[position].as_mut().unwrap()[0] ^= 1;
            assert_eq!(log.locate(), [Damage::Changed { index: at }], "{at} of {size}");
            let mut log = Log::new(size);
            log.entries[position] = None;
            assert_eq!(log.locate(), [Damage::Missing { index: at }], "{at} of {size}");
            let mut log = Log::new(size);
            log.entries.remove(position);
            assert_eq!(log.locate(), [Damage::Missing { index: at }], "{at} of {size}");
            let mut log = Log::new(size);
            log.entries.insert(position, Some(b"never said".to_vec()));
            assert_eq!(log.locate(), [Damage::Inserted { index: at }], "{at} of {size}");
        }
    }
}

#[test]
fn several_damages_are_told_apart() {
    let mut log = Log::new(700);
    log.entries.remove(10);
    log.entries.insert(300, Some(b"never said".to_vec()));
    log.entries[600].as_mut().unwrap().push(b'!');
    let expected = [Damage::Missing { index: 10 }, Damage::Inserted { index: 300 }, Damage::Changed { index: 600 }];
    assert_eq!(log.locate(), expected);
}

#[test]
fn entries_after_the_checkpoint_are_no_damage() {
    let mut log = Log::new(300);
    log.entries.push(Some(b"later".to_vec()));
    assert_eq!(log.locate(), []);
}

#[test]
fn a_damaged_tile_is_told_from_damaged_entries() {
    let tile = |path: &str| Damage::Tile(path.parse().unwrap());
    // The tile alone: the entries lead to the root.
    for path in ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"] {
        let mut log = Log::new(700);
        log.tile(path)[1][0] ^= 1;
        assert_eq!(log.locate(), [tile(path)]);
        let mut log = Log::new(700);
        log.tiles.remove(&path.parse().unwrap());
        assert_eq!(log.locate(), [tile(path)]);
    }
    // Entry and tile together, as somebody would who covers up: the root gives it away.
    let mut log = Log::new(700);
    log.entries[300] = Some(b"covered up".to_vec());
    log.tile("tile/0/001")[44] = leaf(b"covered up");
    assert_eq!(log.locate(), [tile("tile/0/001"), Damage::Somewhere { from: 256, to: 512 }]);
    // And every tile above it: nothing of the log can be believed.
    let forged = Tree::of_hashes(&log.tile("tile/0/001").clone()).root();
    log.tile("tile/1/000.p/2")[1] = forged;
    assert_eq!(log.locate(), [Damage::Somewhere { from: 0, to: 700 }]);
}

#[test]
fn a_list_of_damages_ends() {
    let mut log = Log::new(300);
    log.entries.iter_mut().for_each(|entry| *entry = Some(b"x".to_vec()));
    let leaf_at = |n: u64| log.entries.get(usize::try_from(n).unwrap())?.as_ref().map(|entry| leaf(entry));
    let located = locate(&log.checkpoint, |path| log.tiles.get(path).cloned(), leaf_at);
    assert_eq!((located.damages.len(), located.n_more, located.is_intact()), (100, 200, false));
}
