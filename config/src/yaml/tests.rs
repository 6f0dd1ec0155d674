//! Tests of places, of duplicate keys, and of the bounds on what a text may hold.

use super::*;
use crate::tree::Entry;

fn parsed(text: &str) -> (Tree, Vec<NodeId>, Vec<String>) {
    let mut tree = Tree::default();
    let mut findings = Findings::default();
    let source = Source {
        name: "f".to_owned(),
        text: text.to_owned(),
    };
    let roots = parse(&[source], &mut tree, &mut findings);
    let problems = findings.into_problems(&tree).0;
    (tree, roots, problems.iter().map(ToString::to_string).collect())
}

/// The only problem of a text that is no document.
fn refused(text: &str) -> String {
    let (_, roots, mut problems) = parsed(text);
    assert_eq!((roots.len(), problems.len()), (0, 1), "{problems:?}");
    problems.remove(0)
}

/// Everything below a node, as `line:column value` in the order of the text.
fn drawn(tree: &Tree, id: NodeId, to: &mut Vec<String>) {
    let Mark { line, column } = tree.node(id).mark;
    match tree.content(id) {
        Content::List(items) => {
            to.push(format!("{line}:{column} ["));
            items.iter().for_each(|item| drawn(tree, *item, to));
        }
        Content::Map(entries) => {
            to.push(format!("{line}:{column} {{"));
            for Entry { key, value } in entries {
                drawn(tree, *key, to);
                drawn(tree, *value, to);
            }
        }
        scalar => to.push(format!("{line}:{column} {scalar:?}")),
    }
}

#[test]
fn every_node_has_its_place_and_type() {
    let text = "a: 1\nb:\n- x\n- {c: true, \"d\": ~}\n- |\n  long\n  text\né: 'y'\nf:\ng: 1.5\n";
    let (tree, roots, problems) = parsed(text);
    assert_eq!(problems, Vec::<String>::new());
    let mut lines = Vec::new();
    drawn(&tree, roots[0], &mut lines);
    let expected = [
        "1:1 {",
        "1:1 Text(\"a\")",
        "1:4 Whole(1)",
        "2:1 Text(\"b\")",
        "3:3 [",
        "3:3 Text(\"x\")",
        "4:3 {",
        "4:4 Text(\"c\")",
        "4:7 Bool(true)",
        "4:13 Text(\"d\")",
        "4:18 Null",
        "6:3 Text(\"long\\ntext\\n\")",
        "8:1 Text(\"é\")",
        "8:4 Text(\"y\")",
        "9:1 Text(\"f\")",
        "9:1 Null",
        "10:1 Text(\"g\")",
        "10:4 Float(1.5)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn documents_are_told_apart_and_empty_texts_have_none() {
    assert_eq!(parsed("a: 1\n---\nb: 2\n---\n# nothing\n").1.len(), 3);
    for empty in ["", "\n", "# only words\n", "---\n", "\u{feff}"] {
        let (tree, roots, problems) = parsed(empty);
        assert_eq!(problems, Vec::<String>::new(), "{empty:?}");
        assert!(
            roots.iter().all(|root| *tree.content(*root) == Content::Null),
            "{empty:?}"
        );
    }
}

#[test]
fn of_two_equal_keys_the_second_is_reported_and_dropped() {
    let (tree, roots, problems) = parsed("a: 1\nb: {c: 1, \"c\": 2}\na: 3\n");
    assert_eq!(
        problems,
        [
            "f:2:11: b.c: `c` stands twice, first in line 2",
            "f:3:1: a: `a` stands twice, first in line 1"
        ]
    );
    assert_eq!(
        tree.get(roots[0], "a").map(|entry| tree.content(entry.value)),
        Some(&Content::Whole(1))
    );
}

#[test]
fn aliases_are_copies_with_their_own_path() {
    let (tree, roots, problems) = parsed("a: &x {b: [1]}\nc: *x\n");
    assert_eq!(problems, Vec::<String>::new());
    let copy = tree.get(roots[0], "c").unwrap().value;
    let item = tree.items(tree.get(copy, "b").unwrap().value)[0];
    assert_eq!(
        (tree.path(item), tree.place(item).to_string()),
        ("c.b[0]".into(), "f:1:12".into())
    );
    assert_eq!(tree.place(copy).to_string(), "f:2:4");
}

#[test]
fn what_is_no_yaml_is_one_problem() {
    assert!(
        refused("a: [1\nb: 2").starts_with("f:2:"),
        "{}",
        refused("a: [1\nb: 2")
    );
    assert!(refused("a: *nowhere").starts_with("f:1:4: "));
    assert!(refused("a: &x [*x]").contains("alias"));
    assert!(refused("a: !secret x").contains("tag"));
    assert!(refused("? [a]\n: b").contains("a key is text"));
    assert!(refused("a: \"\0\"").starts_with("f:1:"));
    assert!(refused("\t- a").starts_with("f:1:"));
}

#[test]
fn depth_aliases_and_size_are_bounded() {
    for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let problem = refused(&deep);
        assert!(
            problem.contains("32 deep") || problem.contains("limit exceeded"),
            "{problem}"
        );
    }
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 9].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(
        refused(&bomb).contains("2000000 YAML nodes"),
        "{}",
        refused(&bomb)
    );
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(30_000), "*a,".repeat(30_000));
    assert!(refused(&wide).contains("2000000 YAML nodes"));
    assert!(refused(&" ".repeat(SOURCE_BYTES_MAX + 1)).contains("bytes"));
}

#[test]
fn what_people_write_is_read_alike_by_both_parsers() {
    let texts = [
        "a: 1\r\nb:\r\n- x\r\n- y: |\r\n    t\r\n",
        "\u{feff}a: b\n  c\n  d\n",
        "a: >\n  b\n  c\n\n  d\nb: >-\n  e\nc: |+\n  f\n\n\nd: |2\n    g\n   h\n",
        "a: \"x\\n\\u00e9\\x41\\\n  y\"\nb: 'it''s'\nc: 'x\n\n  y'\n",
        "%YAML 1.2\n---\na: b\n...\n---\nc: d\n",
        "a: {x, y: 1,}\nb: [x: 1, y]\n",
        "base: &b {a: 1}\nc:\n  <<: *b\n  d: 1\n",
        "a: # comment\n  b # another\n# more\nc:\n  -\n    d: 1\n  -\n  - - e\n",
        "a: [0x1F, 0o17, 017, 1_000, 1e3, .inf, .nan, -0, +5, 1., 99999999999999999999999999]\n",
        "a: [yes, no, on, off, True, NULL, ~, Null, 2024-01-01, 12:30:45]\n",
        "on: 1\n1: 3\ntrue: 4\n~: 5\n\"a b\": 1\n'c': ''\n",
        "a: http://x:80/y#z\nb: a:b\nc: \"#x\"\n",
        "{\"a\": [1, {\"b\": null}], \"c\": \"\\/\\u00e9\"}",
        "é: ü\n日本: 1\n😀: 2\n",
        "--- |\n text\n",
    ];
    for text in texts {
        assert_eq!(parsed(text).2, Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn what_parsers_read_differently_is_refused() {
    // YAML 1.1 ends a line at U+2028, YAML 1.2 does not.
    assert!(refused("a: x\u{2028}y\n").contains("differently"));
}
