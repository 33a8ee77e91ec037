//! Heredocs; the cases are those of BuildKit's `parser_heredoc_test.go` (github.com/moby/buildkit, commit 73ed6825c4b7569379ef89df0aedcdbe64473d31,
//! Copyright the BuildKit Authors, Apache License 2.0).

use super::super::heredoc;
use super::node::nodes;
use super::*;

fn told(text: &str) -> String {
    let mut out = Vec::new();
    for node in nodes(text).unwrap().nodes {
        for heredoc in node.heredocs {
            out.push(format!(
                "{} {}{}{:?} {:?}",
                heredoc.descriptor,
                if heredoc.expands { "expands " } else { "" },
                if heredoc.chomps { "chomps " } else { "" },
                heredoc.name,
                heredoc.content
            ));
        }
    }
    out.join("\n")
}

#[test]
fn heredocs_are_found_as_in_buildkit() {
    let text = "
FROM alpine:3.6

ENV NAME=me

USER <<INVALID
INVALID

RUN <<EMPTY
EMPTY

RUN 3<<EMPTY2
EMPTY2

RUN \"<<NOHEREDOC\"

RUN <<INDENT
\tfoo
\tbar
INDENT

RUN <<-UNINDENT2
\tbaz
\tquux
\tUNINDENT2

RUN <<-'NOEXPAND'
\tdon't expand $NAME
NOEXPAND

RUN <<COMMENT
# internal comment
echo foo bar # trailing comment
COMMENT

RUN --mount=type=cache,target=/foo <<MOUNT
echo hello
MOUNT

COPY <<FILE1 <<FILE2 /dest
content 1
FILE1
content 2
FILE2

COPY <<X <<Y /dest
Y
X
X
Y

RUN <<COMPLEX python3
print('hello world')
COMPLEX

RUN <<eo'f'
echo foo
eof

RUN <<eo\\'f
echo foo
eo'f

RUN <<'one two'
echo bar
one two

RUN <<$EOF
$EOF

RUN <<  EOF  > foo
EOF

ONBUILD COPY <<EOF /x
x
EOF
RUN [\"<<EOF\"]
";
    insta::assert_snapshot!(told(text), @r##"
    0 expands "EMPTY" ""
    3 expands "EMPTY2" ""
    0 expands "INDENT" "\tfoo\n\tbar\n"
    0 expands chomps "UNINDENT2" "\tbaz\n\tquux\n"
    0 chomps "NOEXPAND" "\tdon't expand $NAME\n"
    0 expands "COMMENT" "# internal comment\necho foo bar # trailing comment\n"
    0 expands "MOUNT" "echo hello\n"
    0 expands "FILE1" "content 1\n"
    0 expands "FILE2" "content 2\n"
    0 expands "X" "Y\n"
    0 expands "Y" "X\n"
    0 expands "COMPLEX" "print('hello world')\n"
    0 "eof" "echo foo\n"
    0 expands "eo'f" "echo foo\n"
    0 "one two" "echo bar\n"
    0 expands "$EOF" ""
    0 expands "EOF" ""
    0 expands "EOF" "x\n"
    "##);
}

#[test]
fn words_that_begin_a_heredoc_and_words_that_do_not() {
    for word in [
        "<<EOF",
        "<<'EOF'",
        "<<\"EOF\"",
        "<<-EOF",
        "<<-'EOF'",
        "<<-\"EOF\"",
        "<<EO\"F\"",
        "<< EOF",
        "<<- EOF",
    ] {
        let found = heredoc::parse(word).unwrap().unwrap();
        assert_eq!(found.name, "EOF", "{word}");
    }
    for word in ["<<'EOF", "<<\"EOF", "<<EOF'", "<<EOF\""] {
        assert!(heredoc::parse(word).is_err(), "{word}");
    }
    for word in ["", "EOF", "<<", "<<-", "<EOF", "<<<EOF", "<<EOF sh"] {
        assert_eq!(heredoc::parse(word), Ok(None), "{word}");
    }
}

#[test]
fn a_run_of_a_heredoc_runs_its_text() {
    let run = |text: &str| {
        let file = parse(format!("FROM x\n{text}").as_bytes()).unwrap();
        let Kind::Run(run) = &file.stages[0].instructions[0].kind else {
            panic!("no RUN");
        };
        run.command.args.join("|")
    };
    insta::assert_snapshot!(run("RUN <<-EOF\n\techo 1\n\techo 2\nEOF\n"), @"
    echo 1
    echo 2
    ");
    insta::assert_snapshot!(run("RUN cat <<EOF >x\na\nEOF\n"), @"
    cat <<EOF >x
    a
    EOF
    ");
    insta::assert_snapshot!(run("RUN <<EOF\n#!/bin/sh\necho 1\nEOF\n"), @r#"
    file=$(mktemp) && cat >"$file" <<'EOF' && chmod 0700 "$file" && "$file"; status=$?; rm -f "$file"; exit $status
    #!/bin/sh
    echo 1
    EOF
    "#);
}
