use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    broken line\n\
    build:x:1000:100:,,,:/home/build:/bin/sh\n\
    relative:x:7:7::home:/bin/sh\n";
const GROUP: &str = "root:x:0:\nusers:x:100:\ndocker:x:999:other,build\naudio:x:29:build\n";

fn resolved(text: &str) -> Result<(u32, u32, Vec<u32>, String), StartError> {
    resolve_in(text, PASSWD, GROUP).map(|who| (who.uid, who.gid, who.groups, who.home))
}

#[test]
fn a_name_brings_its_group_its_supplementary_groups_and_its_home() {
    let expected = (1000, 100, vec![999, 29], "/home/build".to_owned());
    assert_eq!(resolved("build"), Ok(expected));
}

#[test]
fn a_number_that_the_image_knows_is_that_user() {
    assert_eq!(resolved("1000"), resolved("build"));
}

#[test]
fn a_number_that_the_image_does_not_know_has_group_0_and_no_home() {
    assert_eq!(resolved("4242"), Ok((4242, 0, vec![], "/".to_owned())));
}

#[test]
fn a_named_group_is_the_only_group() {
    assert_eq!(
        resolved("build:docker"),
        Ok((1000, 999, vec![], "/home/build".to_owned()))
    );
    assert_eq!(resolved("4242:77"), Ok((4242, 77, vec![], "/".to_owned())));
}

#[test]
fn a_home_that_is_not_absolute_is_not_believed() {
    assert_eq!(resolved("relative").map(|who| who.3), Ok("/".to_owned()));
}

#[test]
fn names_the_image_does_not_have_are_named() {
    assert_eq!(resolved("nobody-here"), Err(no_such("user", "nobody-here")));
    assert_eq!(resolved("build:nogroup"), Err(no_such("group", "nogroup")));
}

#[test]
fn what_is_no_user_is_refused_and_never_becomes_root() {
    for text in [
        "",
        ":",
        "build:",
        ":100",
        "-1",
        "+0",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "a:b:c",
        "0\n",
        "../x",
    ] {
        assert!(
            matches!(resolved(text), Err(StartError::InvalidUser { .. })),
            "{text:?} gave {:?}",
            resolved(text)
        );
    }
}
