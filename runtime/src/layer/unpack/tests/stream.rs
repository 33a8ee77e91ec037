//! The archive as a stream: its limits, its end, its digest, and how errors leave the worker.

use super::*;
use crate::layer::testing::gzip;
use crate::layer::{Exceeded, Fault};

#[test]
fn bombs_are_stopped_by_each_limit() {
    let place = Place::new();
    let bomb = gzip(&Tar::new().file("big", &"0".repeat(2 << 20)).bytes());
    assert!(bomb.len() < 32 * 1024);
    let limit = |exceeded, limit| Err(UnpackError::Limit { exceeded, limit });
    assert_eq!(place.unpack(&bomb), limit(Exceeded::Bytes, 1 << 20));
    let many = (0..1001).fold(Tar::new(), |tar, n| tar.directory(&format!("{n}")));
    assert_eq!(place.unpack(&many.bytes()), limit(Exceeded::Entries, 1000));
    let long = Tar::new().header(&Fields {
        kind: b'L',
        name: "x",
        size: 1 << 40,
        ..Fields::default()
    });
    assert_eq!(
        place.unpack(&long.bytes()),
        limit(Exceeded::Metadata, 1 << 16)
    );
}

#[test]
fn an_archive_that_ends_early_is_an_error_and_one_without_an_end_mark_is_not() {
    let place = Place::new();
    let bytes = Tar::new().file("a", "content").unfinished();
    assert_eq!(place.unpack(&bytes).map(|unpacked| unpacked.entries), Ok(1));
    // As `umoci insert` writes it: not even the last file's padding.
    let unpadded = 512 + "content".len();
    assert_eq!(
        place
            .unpack(&bytes[..unpadded])
            .map(|unpacked| unpacked.entries),
        Ok(1)
    );
    for length in [1, 511, 513, unpadded - 1] {
        let truncated = UnpackError::Malformed {
            entry: 1,
            fault: Fault::Truncated,
        };
        assert_eq!(place.unpack(&bytes[..length]), Err(truncated), "{length}");
    }
    let compressed = gzip(&bytes);
    let error = place
        .unpack(&compressed[..compressed.len() - 4])
        .unwrap_err();
    assert!(
        matches!(
            error,
            UnpackError::Decompress {
                compression: Compression::Gzip,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_diff_id_covers_everything_in_every_compression() {
    let mut bytes = Tar::new().file("a", "content").bytes();
    bytes.extend_from_slice(&[0; 10_240]);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut xz, &bytes).unwrap();
    let (first, second) = bytes.split_at(700);
    let forms = [
        bytes.clone(),
        gzip(&bytes),
        [gzip(first), gzip(second)].concat(),
        zstd::encode_all(&bytes[..], 1).unwrap(),
        [
            zstd::encode_all(first, 1).unwrap(),
            zstd::encode_all(second, 1).unwrap(),
        ]
        .concat(),
        xz.finish().unwrap(),
    ];
    for form in forms {
        let unpacked = Place::new().unpack(&form).unwrap();
        let expected = Unpacked {
            diff_id: Digest::of(&bytes),
            size: bytes.len() as u64,
            entries: 1,
            is_recorded: false,
        };
        assert_eq!(unpacked, expected);
    }
}

#[test]
fn errors_survive_the_way_between_processes() {
    let place = Place::new();
    let error = place
        .unpack(&Tar::new().file("../x", "").bytes())
        .unwrap_err();
    let json = serde_json::to_string(&error).unwrap();
    insta::assert_snapshot!(json, @r#"{"kind":"refused","path":"../x","refusal":"dot_dot"}"#);
    assert_eq!(serde_json::from_str::<UnpackError>(&json).unwrap(), error);
    assert!(
        UnpackError::system(
            crate::layer::Operation::WriteFile,
            b"a",
            rustix::io::Errno::NOSPC
        )
        .is_no_space()
    );
}
