//! What the README shows as configuration is one.

use doorward::config::environment::Environment;
use doorward::config::resolve::from_text;

#[test]
fn every_configuration_in_the_readme_would_run() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut shown = 0;
    for block in unnamed_blocks(&readme) {
        shown += 1;
        if let Err(report) = from_text("README.md", &block, &Environment::default()) {
            panic!("in\n{block}\n{report}");
        }
    }
    assert!(shown >= 2, "only {shown} configurations were found");
}

/// Fenced blocks without a language.
fn unnamed_blocks(text: &str) -> Vec<String> {
    let (mut blocks, mut open): (Vec<String>, Option<Option<String>>) = (Vec::new(), None);
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some(language.is_empty().then(String::new)),
            (Some(_), Some(_)) => blocks.extend(open.take().flatten()),
            (Some(Some(block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (Some(None) | None, None) => (),
        }
    }
    blocks
}
