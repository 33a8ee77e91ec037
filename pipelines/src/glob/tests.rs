use super::*;

/// Which of some paths a list of globs matches.
fn matching<'p>(globs: &[&str], paths: &[&'p str]) -> Vec<&'p str> {
    let globs = GlobList::parse(globs).unwrap();
    let paths = paths.iter().copied();
    paths.filter(|path| globs.matches(path)).collect()
}

fn mistake(glob: &str) -> String {
    let mistake = Glob::parse(glob).unwrap_err();
    let marked = &glob[mistake.range.clone()];
    let help = mistake.help.unwrap_or_default();
    format!("{marked} | {} | {help}", mistake.message)
}

const PATHS: [&str; 8] = [
    "main",
    "src",
    "src/lib.rs",
    "src/a/mod.rs",
    "src/a/b/mod.rs",
    "docs/lib.rs",
    "README.md",
    "docs/a/x.md",
];

#[test]
fn a_glob_speaks_of_the_whole_path() {
    assert_eq!(
        matching(&["main"], &["main", "mainly", "x/main", "main/x"]),
        ["main"]
    );
    assert_eq!(matching(&["*.md"], &PATHS), ["README.md"]);
    assert_eq!(matching(&["*"], &PATHS), ["main", "src", "README.md"]);
    assert_eq!(matching(&["*/*"], &PATHS), ["src/lib.rs", "docs/lib.rs"]);
    assert_eq!(
        matching(&["s?c"], &["src", "s/c", "sc", "s漢c"]),
        ["src", "s漢c"]
    );
    assert_eq!(
        matching(&["v*.*"], &["v1.2", "v.", "v1", "v1/2.3"]),
        ["v1.2", "v."]
    );
}

#[test]
fn two_stars_stand_for_directories() {
    let below = ["src/lib.rs", "src/a/mod.rs", "src/a/b/mod.rs"];
    assert_eq!(matching(&["src/**"], &PATHS), below);
    assert_eq!(matching(&["**"], &PATHS), PATHS);
    assert_eq!(matching(&["**"], &[""]), [""]);
    assert_eq!(matching(&["src/**"], &["src/", "src"]), [""; 0]);
    assert_eq!(matching(&["**/*.md"], &PATHS), ["README.md", "docs/a/x.md"]);
    assert_eq!(
        matching(
            &["**/lib.rs"],
            &["lib.rs", "a/lib.rs", "a/b/lib.rs", "xlib.rs", "a/xlib.rs"]
        ),
        ["lib.rs", "a/lib.rs", "a/b/lib.rs"]
    );
    assert_eq!(
        matching(
            &["src/**/mod.rs"],
            &["src/mod.rs", "src/a/b/mod.rs", "src/amod.rs", "srcmod.rs"]
        ),
        ["src/mod.rs", "src/a/b/mod.rs"]
    );
    assert_eq!(
        matching(&["**/a/**"], &["a/x", "b/a/x/y", "a", "ba/x"]),
        ["a/x", "b/a/x/y"]
    );
    assert_eq!(
        matching(&["**/**/a"], &["a", "x/a", "x/y/a", "xa"]),
        ["a", "x/a", "x/y/a"]
    );
    assert_eq!(
        matching(&["**/*a*/b"], &["xax/b", "y/a/b", "a/y/b"]),
        ["xax/b", "y/a/b"]
    );
}

#[test]
fn sets_and_escapes_take_one_character() {
    assert_eq!(matching(&["v[0-9]"], &["v1", "vx", "v", "v/"]), ["v1"]);
    assert_eq!(matching(&["v[!0-9]"], &["v1", "vx", "v", "v/"]), ["vx"]);
    assert_eq!(matching(&["v[^0-9]"], &["v1", "vx"]), ["vx"]);
    assert_eq!(matching(&["[]a]"], &["]", "a", "b"]), ["]", "a"]);
    assert_eq!(matching(&["[a-]"], &["-", "a", "b"]), ["-", "a"]);
    assert_eq!(matching(&["a[/]b"], &["a/b"]), [""; 0]);
    assert_eq!(matching(&[r"\*\[\{\\"], &[r"*[{\", "x[{"]), [r"*[{\"]);
}

#[test]
fn the_last_glob_that_matches_decides() {
    let globs = ["src/**", "!src/a/**", "src/a/b/**"];
    assert_eq!(matching(&globs, &PATHS), ["src/lib.rs", "src/a/b/mod.rs"]);
    assert_eq!(
        matching(&["!src/**", "!docs/**"], &PATHS),
        ["main", "src", "README.md"]
    );
    assert_eq!(matching(&[r"\!important"], &["!important"]), ["!important"]);
    assert_eq!(matching(&[], &PATHS), [""; 0]);
}

#[test]
fn globs_that_cannot_mean_anything_are_mistakes() {
    insta::assert_snapshot!(
        ["", "!", "/src", "./src/x", "docs/", "a[bc", "[z-a]", "src**", "a/**b", "x{a,b}", "a\\"]
            .map(mistake).join("\n"),
        @r#"
 | an empty glob | `**` matches everything
! | an empty glob | `**` matches everything
/ | a path starts at the root of the repo | leave `/` out
./ | a path starts at the root of the repo | leave `./` out
/ | no path ends with `/`, so nothing would match | `docs/**` is everything below it
[bc | an open `[` | close it with `]`; `\[` is the character
z-a | a range that is the wrong way round | 
** | `**` stands for whole directories | write `dir/**`, `**/name` or `a/**/b`; inside a name `*` is enough
** | `**` stands for whole directories | write `dir/**`, `**/name` or `a/**/b`; inside a name `*` is enough
{ | globs know no `{..}` | write one glob for each; `\{` is the character
\ | a backslash with nothing behind it |
"#);
    assert!(mistake(&"x".repeat(2_000)).contains("more than 1024 bytes"));
}

#[test]
fn stars_do_not_multiply() {
    let glob = Glob::parse(&"*a".repeat(500)).unwrap();
    assert!(glob.matches(&"a".repeat(2_000)));
    assert!(!glob.matches(&("a".repeat(2_000) + "b")));
    let glob = Glob::parse(&("**/a*/".repeat(150) + "x")).unwrap();
    assert!(!glob.matches(&"aa/".repeat(3_000)));
}

#[test]
fn a_list_is_strings_on_the_wire() {
    let globs = GlobList::parse(&["a/**", "!b"]).unwrap();
    let json = serde_json::to_string(&globs).unwrap();
    assert_eq!(json, r#"["a/**","!b"]"#);
    assert_eq!(serde_json::from_str::<GlobList>(&json).unwrap(), globs);
    let error = serde_json::from_str::<GlobList>(r#"["a["]"#).unwrap_err();
    assert_eq!(error.to_string(), "an open `[`");
}
