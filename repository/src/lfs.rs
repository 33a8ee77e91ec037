//! Files whose content is somewhere else (Git Large File Storage).

/// Longest pointer, bytes, by its specification.
const LONGEST: usize = 1024;

/// What each begins with: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.
const BEGINNING: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// Whether a file is a pointer.
pub(crate) fn is_pointer(content: &[u8]) -> bool {
    content.len() <= LONGEST
        && content.starts_with(BEGINNING)
        && content.windows(12).any(|window| window == b"\noid sha256:")
}
