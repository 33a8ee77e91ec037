//! `/etc/subuid` and `/etc/subgid` (subuid(5)): `name-or-uid:first:count`, a line a range.

use super::Extent;

/// More ranges than the kernel takes lines (user_namespaces(7): 340) are of no use.
const MAX_RANGES: usize = 339;

/// The ranges that belong to `name` or `uid`, laid out from `inside` 1 up in the file's order.
///
/// Lines that do not parse are ignored, as shadow-utils ignores them.
pub(super) fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Extent> {
    let uid = uid.to_string();
    let mut inside: u32 = 1;
    let mut extents = Vec::new();
    for line in text.lines() {
        let mut fields = line.trim().splitn(3, ':');
        let (Some(owner), Some(first), Some(count)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if (Some(owner) != name && owner != uid) || extents.len() == MAX_RANGES {
            continue;
        }
        let (Ok(outside), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else {
            continue;
        };
        let (Some(next), Some(_)) = (inside.checked_add(count), outside.checked_add(count)) else {
            continue;
        };
        if count == 0 {
            continue;
        }
        extents.push(Extent {
            inside,
            outside,
            count,
        });
        inside = next;
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_name_and_of_the_number_follow_each_other_from_one() {
        let text = "root:1:1\nalice:100000:65536\n# no line\nbob:5:5\n1000:300000:10\n";
        let found = ranges(text, Some("alice"), 1000);
        let expected =
            [(1, 100_000, 65_536), (65_537, 300_000, 10)].map(|(inside, outside, count)| Extent {
                inside,
                outside,
                count,
            });
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let text = "a:1\na:x:1\na:1:0\na:4294967295:2\na:-1:5\n";
        assert_eq!(ranges(text, Some("a"), 7), []);
    }
}
