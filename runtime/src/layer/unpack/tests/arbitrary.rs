//! Archives that nobody would write, to be unpacked beside something that must stay as it is: names and links that climb,
//! collide and lead through links, in every place where a name may stand; sizes, numbers and extended headers that lie;
//! contents that are headers; bytes changed afterwards.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p runtime arbitrary` runs it for longer. What it finds becomes a case of
//! `tables/ours.txt`.

use proptest::prelude::*;

use super::*;

/// As many as the environment says, else `cases`.
pub(super) fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases, ..default },
    }
}

/// An entry and what stands before it. In names `@` is the directory that the target is in.
#[derive(Debug, Clone)]
struct Piece {
    /// GNU's long name, GNU's long link, an extended header, in this order of bits; 8: the extended header comes first.
    before: u8,
    long: (String, String),
    records: Vec<(&'static str, String)>,
    kind: u8,
    name: String,
    link: String,
    mode: u32,
    owner: u32,
    device: (u32, u32),
    content: Vec<u8>,
    /// What the header claims beyond the content, bytes.
    lie: u64,
}

fn name() -> impl Strategy<Value = String> {
    let few = prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "a/c",
        "b/a",
        "a/b/c",
        "a/hello",
        "b/hello",
        "a/directory",
        "a/victim",
    ]);
    let component = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        "...",
        "victim",
        "hello",
        "directory",
        "up",
        "target",
        ".wh.a",
        ".wh.victim",
        ".wh.hello",
        ".wh.",
        ".wh..",
        ".wh...",
        ".wh..wh.",
        ".wh..wh..opq",
        ".wh..wh.aufs",
        "a\0b",
        "\u{e9}",
    ]);
    let any = prop::collection::vec(component, 1..5).prop_map(|components| components.join("/"));
    let long = (1usize..300, 1usize..40)
        .prop_map(|(length, depth)| vec!["n".repeat(length); depth].join("/"));
    prop_oneof![
        16 => few.prop_map(str::to_owned),
        6 => (few_parents(), component_of_a_path()).prop_map(|(a, b)| format!("{a}/{b}")),
        4 => any,
        2 => aim(),
        1 => long
    ]
}

/// Where a link may point to.
fn aim() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "@",
        "@/victim",
        "@/victim/hello",
        "@/victim/directory",
        "@/victim/directory/a",
        "../victim",
        "../../victim",
        "../victim/hello",
        "/proc/self/root@/victim",
        "/proc/self/cwd",
        "/proc/self/fd/3",
        "/proc/self/fd/4",
        "/proc/self/fd/5",
        "/proc/1/root",
        "/",
        ".",
        "..",
        "/..",
        "a/../../victim",
        "/dev/null",
        "a",
        "b",
        "a/b",
    ])
    .prop_map(str::to_owned)
}

fn few_parents() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "a/b", "a/directory", "b/victim"])
}

fn component_of_a_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "hello",
        "directory",
        "new",
        "..",
        ".wh.hello",
        ".wh..wh..opq",
    ])
}

fn records() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let number = prop::sample::select(vec![
        "0",
        "1",
        "512",
        "1024",
        "-1",
        "4294967295",
        "18446744073709551615",
        "x",
        "",
    ]);
    let number = number.prop_map(str::to_owned);
    let record = prop_oneof![
        (Just("path"), name()),
        (Just("linkpath"), aim()),
        (
            prop::sample::select(vec![
                "size",
                "uid",
                "gid",
                "mtime",
                "SCHILY.dev",
                "GNU.sparse.size"
            ]),
            number
        ),
        (
            prop::sample::select(vec![
                "SCHILY.xattr.user.overlay.opaque",
                "SCHILY.xattr.user.overlay.redirect",
                "SCHILY.xattr.trusted.overlay.opaque",
                "SCHILY.xattr.user.containers.override_stat",
                "SCHILY.xattr.user.test",
                "SCHILY.xattr.security.capability",
                "SCHILY.xattr.",
                "hdrcharset",
            ]),
            name()
        ),
    ];
    prop::collection::vec(record, 0..3)
}

fn piece() -> impl Strategy<Value = Piece> {
    let kind = prop_oneof![40 => prop::sample::select(b"00012222345566".to_vec()), 1 => prop::sample::select(b"7gxLKSVDMN\0".to_vec())];
    let content = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..8),
        1 => prop::collection::vec(any::<u8>(), 500..1100),
        // What a reader sees that goes on at the wrong place.
        1 => Just(Tar::new().symlink("a", "../victim").file("a/smuggled", "").unfinished()),
    ];
    let device = prop::sample::select(vec![(0, 0), (1, 3), (5, 1), (4095, 1_048_575), (4096, 0)]);
    let mode = prop::sample::select(vec![0, 0o644, 0o700, 0o755, 0o4755, 0o7777]);
    let owner = prop::sample::select(vec![0, 1000, 65_534, 2_097_151]);
    let lie =
        prop_oneof![40 => Just(0), 1 => prop::sample::select(vec![1, 511, 512, 1024, 1 << 32])];
    let link = prop_oneof![3 => aim(), 1 => name()];
    let names = (name(), link, (name(), aim()));
    (
        prop_oneof![5 => Just(0u8), 1 => 0u8..16],
        names,
        records(),
        kind,
        mode,
        owner,
        device,
        content,
        lie,
    )
        .prop_map(
            |(before, (name, link, long), records, kind, mode, owner, device, content, lie)| {
                Piece {
                    before,
                    long,
                    records,
                    kind,
                    name,
                    link,
                    mode,
                    owner,
                    device,
                    content: if matches!(kind, b'0' | b'7' | 0) {
                        content
                    } else {
                        Vec::new()
                    },
                    lie,
                }
            },
        )
}

impl Piece {
    fn write(&self, mut tar: Tar, outside: &str) -> Tar {
        let expand = |name: &str| name.replace('@', outside);
        let extended: Vec<(&str, String)> = self
            .records
            .iter()
            .map(|(key, value)| (*key, expand(value)))
            .collect();
        let extended: Vec<(&str, &str)> = extended
            .iter()
            .map(|(key, value)| (*key, &value[..]))
            .collect();
        if self.before & 12 == 12 {
            tar = tar.pax(&extended);
        }
        if self.before & 1 != 0 {
            tar = tar.long_name(&expand(&self.long.0));
        }
        if self.before & 2 != 0 {
            tar = tar.long_link(&expand(&self.long.1));
        }
        if self.before & 12 == 4 {
            tar = tar.pax(&extended);
        }
        let (name, link) = (expand(&self.name), expand(&self.link));
        tar.header(&Fields {
            kind: self.kind,
            name: first(&name),
            link: first(&link),
            mode: self.mode,
            uid: self.owner,
            gid: self.owner,
            size: self.content.len() as u64 + self.lie,
            device: self.device,
        })
        .content(&self.content)
    }
}

/// As much as a header has room for.
fn first(name: &str) -> &str {
    let end = (0..=100.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

/// Unpacks, and does with what came of it all that the store does.
fn go_through(place: &Place, bytes: &[u8]) {
    if let Ok((unpacked, recording)) = place.record(bytes) {
        if let Some(recording) = recording {
            let checked = place.check(&recording);
            assert_eq!(checked.diff_id, Some(unpacked.diff_id));
            assert_eq!(place.pack(Some(recording)).unwrap().1, bytes);
        } else {
            place.pack(None).unwrap();
        }
    }
    place.assert_nothing_escaped();
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn no_archive_touches_anything_outside(pieces in prop::collection::vec(piece(), 1..12), apart in any::<bool>(), changes in prop::collection::vec((0usize..6000, any::<u8>()), 0..3)) {
        let place = Place::new();
        let outside = place.0.path().to_str().unwrap().to_owned();
        if apart {
            // Errors end an archive; so each entry is tried on what the former ones left.
            for piece in &pieces {
                let _ = place.unpack(&piece.write(Tar::new(), &outside).bytes());
            }
            place.assert_nothing_escaped();
        } else {
            let tar = pieces.iter().fold(Tar::new(), |tar, piece| piece.write(tar, &outside));
            let mut bytes = tar.bytes();
            for (at, byte) in changes {
                testing::change(&mut bytes, at, byte);
            }
            go_through(&place, &bytes);
        }
        place.empty();
        place.assert_nothing_escaped();
    }
}
