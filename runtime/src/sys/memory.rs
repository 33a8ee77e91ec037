//! Memory that is mapped and no longer needed (madvise(2), malloc_trim(3)).

use std::io;

use super::SingleThreaded;

/// Gives back the pages of our program and its libraries that are as in their files: code, constants, what the dynamic
/// linker reads. What only our beginning needed does not stay; what is used again comes back from the page cache.
///
/// # Errors
/// When `/proc` cannot be read. Pages that the kernel keeps, it keeps.
pub(crate) fn give_back_program(_proof: &SingleThreaded) -> io::Result<()> {
    for (start, end) in unchanged(&std::fs::read_to_string("/proc/self/smaps")?) {
        // SAFETY: the kernel lists a mapping of a file at these addresses that cannot be written and holds no page that
        // differs from the file (relocated data does: RELRO). SingleThreaded proves that nobody changes that meanwhile. Dropping the
        // pages changes no byte that anybody can read: each comes back on its next use from the same file, since one that
        // is executed cannot be written (ETXTBSY) and the mapping holds on to it when it is removed.
        let _ = unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                end - start,
                libc::MADV_DONTNEED,
            )
        };
    }
    Ok(())
}

/// Gives back the pages of the heap that hold nothing: what a busy time has left in the allocator.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back_heap() {
    // SAFETY: malloc_trim(3) touches only what is not allocated, under the locks of the arenas: it is safe to call from
    // any thread at any time (MT-Safe), and keeps no pointer of ours.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators give back by themselves, or cannot.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn give_back_heap() {}

/// Mappings of files that cannot be written and have no page of their own, from proc_pid_smaps(5): a line
/// `start-end perms offset dev inode path`, then lines `Name: value`.
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in maps.lines() {
        if let Some(mapping) = mapping(line) {
            current = mapping;
        } else if let Some(own) = line.strip_prefix("Anonymous:") {
            found.extend(current.take_if(|_| own.trim() == "0 kB"));
        }
    }
    found
}

/// Whether the line begins a mapping, and where it is if it is a file's and cannot be written.
fn mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let constant = ["r-xp", "r--p"].contains(&fields.next()?);
    let is_file = fields.nth(2)? != "0";
    Some((constant && is_file).then_some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_and_stay_as_they_were_are_given_back() {
        let maps = "\
55ce87722000-55ce87a1b000 r--p 00000000 fe:00 42 /\n\
Rss: 824 kB\nAnonymous: 0 kB\nVmFlags: rd mr mw me sd\n\
55ce87a1b000-55ce882d1000 r-xp 002f8000 fe:00 42 /\nAnonymous: 0 kB\n\
55ce882d1000-55ce88312000 r--p 00bad000 fe:00 42 /\nAnonymous: 260 kB\n\
55ce88312000-55ce88317000 rw-p 00bee000 fe:00 42 /\nAnonymous: 0 kB\n\
7f93b8575000-7f93b86cb000 r-xp 00026000 fe:00 77 /usr/lib/with space/libc.so.6\nAnonymous: 0 kB\n\
7f93b8800000-7f93b8801000 rwxp 00000000 fe:00 78 /jit\nAnonymous: 0 kB\n\
7f93b8861000-7f93b8863000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\n";
        assert_eq!(
            unchanged(maps),
            [
                (0x55ce_8772_2000, 0x55ce_87a1_b000),
                (0x55ce_87a1_b000, 0x55ce_882d_1000),
                (0x7f93_b857_5000, 0x7f93_b86c_b000),
            ]
        );
    }
}
